import numpy as np
import pytest

from galaxyvotes.vote_fractions import (
    asked_fractions,
    conditional_fractions,
    joint_fractions,
    volunteers_of,
)

# Smooth, or with features; if so, with a bar or not.
BRANCHES = ((slice(0, 2), None), (slice(2, 4), 1))
PARENTS = (-1, -1, 1, 1)


def test_a_joint_fraction_is_the_conditional_one_times_the_share_that_was_asked():
    conditional = np.array([[0.25, 0.75, 0.4, 0.6]])
    joint = joint_fractions(conditional, BRANCHES)
    np.testing.assert_allclose(joint, [[0.25, 0.75, 0.3, 0.45]])
    asked = asked_fractions(joint, PARENTS)
    np.testing.assert_allclose(asked, [[1, 1, 0.75, 0.75]])
    np.testing.assert_allclose(conditional_fractions(joint, asked), conditional)


@pytest.mark.parametrize("votes", [[3, 7, 2, 4], [3, 7, -1, -1]])
def test_volunteers_are_those_who_answered_the_first_question(votes):
    np.testing.assert_array_equal(volunteers_of(np.array([votes]), BRANCHES), [[10] * 4])


def test_where_nobody_was_asked_the_conditional_fraction_is_nan_and_the_joint_one_zero(kaggle):
    joint = np.zeros((1, 37))
    joint[0, [0, 14, 15]] = 1, 1, 0  # smooth, and nothing else known
    conditional = kaggle.conditional(joint)
    edge_on = kaggle.slices[1]
    assert np.isnan(conditional[0, edge_on]).all()
    assert (kaggle.joint(conditional)[0, edge_on] == 0).all()


def test_an_unknown_question_stays_unknown_only_where_somebody_was_asked(kaggle):
    conditional = np.full((2, 37), np.nan)
    conditional[:, kaggle.slices[0]] = [[0.5, 0.5, 0], [1, 0, 0]]
    joint = kaggle.joint(conditional)
    assert np.isnan(joint[0, kaggle.slices[1]]).all()
    assert (joint[1, kaggle.slices[1]] == 0).all()


def test_a_conditional_fraction_is_nan_where_fewer_than_that_were_asked(kaggle):
    joint = np.zeros((2, 2))
    joint[:, 0], joint[:, 1] = (0.24, 0.25), 0.1
    found = kaggle.conditional(joint, ("Class1.2", "Class2.1"), min_asked=0.25)
    np.testing.assert_allclose(found, [[0.24, np.nan], [0.25, 0.4]])


def test_volunteers_of_a_branch_are_those_of_its_first_question(kaggle):
    votes = np.zeros((2, 37), int)
    votes[:, kaggle.slices[0]] = 10, 20, 3
    votes[:, kaggle.slices[5]] = 12, 20
    votes[1, kaggle.slices[0]] = -1
    found = kaggle.volunteers(votes)
    np.testing.assert_array_equal(found[0, kaggle.slices[1]], 33)
    np.testing.assert_array_equal(found[:, kaggle.slices[7]], 32)
    assert np.isnan(found[1, kaggle.slices[1]]).all()


def test_float32_stays_float32(kaggle, make_fractions):
    joint = make_fractions(kaggle, 3)
    assert joint.dtype == kaggle.conditional(joint).dtype == kaggle.joint(joint).dtype == np.float32
