"""When a network counts as no better than the mean, and with which numbers that is said."""

import pytest

from galaxyvotes import DecisionTree
from galaxyvotes.kinds import Standard
from galaxyvotes.runs.network import Head
from galaxyvotes.runs.skill import (
    advice_after,
    no_better_than_mean,
    no_better_than_start,
    warning_after_training,
)

VOTES = DecisionTree.load("kaggle")
CLASSES = DecisionTree.of_classes(["disc", "needle"])
NUMBERS = DecisionTree.of_numbers(["ttype"])


def of(head: Head, skill: float | None, galaxies: int = 100, prefix: str = "") -> str | None:
    accuracy = None if head.standards else 0.5
    row = {"validation_mse": 0.16, "validation_accuracy": accuracy, "validation_skill": skill}
    return no_better_than_mean(
        head, prefix, {f"{prefix}{name}": value for name, value in row.items()}, galaxies
    )


@pytest.mark.parametrize("skill", [-1.56, 0.0, 0.039])
def test_votes_worse_than_or_like_the_mean_vote_are_said_with_both_errors(skill):
    numbers = of(Head(VOTES, VOTES.columns), skill)
    expected = (0.16 / (1 - skill)) ** 0.5
    assert numbers == (
        f"validation RMSE 0.4, that of the mean votes of the training galaxies is {expected:.4g}"
    )


@pytest.mark.parametrize(("skill", "galaxies"), [(0.041, 100), (0.001, 10_000), (0.051, 3)])
def test_a_skill_that_chance_does_not_give_is_no_matter_of_a_warning(skill, galaxies):
    assert of(Head(VOTES, VOTES.columns), skill, galaxies) is None


def test_runs_whose_skill_nobody_measured_are_not_warned_of():
    assert of(Head(VOTES, VOTES.columns), None) is None
    assert no_better_than_mean(Head(VOTES, VOTES.columns), "", {}, 10) is None


def test_classes_are_compared_with_their_frequencies_and_their_accuracy_is_said():
    numbers = of(Head(CLASSES, CLASSES.columns), -0.1, prefix="class_")
    assert numbers is not None
    assert numbers == (
        "validation accuracy 0.500, Brier score 0.32, that of the class frequencies of the training"
        " galaxies is 0.2909"
    )


def test_quantities_are_compared_with_their_mean_several_by_the_variance_explained():
    one = of(Head(NUMBERS, ("ttype",), (Standard(1.0, 2.0),)), 0.0)
    assert one == "validation RMSE 0.4, that of the mean of the training galaxies is 0.4"
    two = DecisionTree.of_numbers(["ttype", "colour"])
    several = of(Head(two, two.columns, (Standard(1.0, 2.0), Standard(0.0, 1e20))), -0.034)
    assert several == "−3 % of the variance of ttype, colour is explained"


def before_and_after(head: Head, before: float, after: float) -> str | None:
    at_start, metrics = (
        {"validation_mse": mse, "validation_accuracy": None, "validation_skill": 1 - mse}
        for mse in (before, after)
    )
    return no_better_than_start(head, "", metrics, at_start)


def test_an_error_that_fine_tuning_has_not_made_smaller_is_said_beside_that_before():
    head = Head(VOTES, VOTES.columns)
    assert before_and_after(head, 0.01, 0.0099) is None
    assert before_and_after(head, 0.01, 0.01) == "validation RMSE 0.1; before RMSE 0.1"
    assert before_and_after(head, 0.01, 0.04) == "validation RMSE 0.2; before RMSE 0.1"
    classes = before_and_after(Head(CLASSES, CLASSES.columns), 0.01, 0.04)
    assert classes == "validation Brier score 0.08; before Brier score 0.02"
    assert no_better_than_start(head, "", {"validation_mse": 0.04}, {}) is None


def test_several_quantities_are_compared_with_the_start_by_the_variance_explained():
    two = DecisionTree.of_numbers(["ttype", "colour"])
    head = Head(two, two.columns, (Standard(1.0, 2.0), Standard(0.0, 1e20)))
    assert before_and_after(head, 0.4, 0.3) is None
    assert before_and_after(head, 0.3, 0.4) == (
        "validation 60 % of the variance explained; before 70 % of the variance explained"
    )


def test_a_warning_says_on_how_many_galaxies_it_rests_and_that_few_are_too_few():
    head = Head(VOTES, VOTES.columns)
    row = {"validation_mse": 0.16, "validation_accuracy": None, "validation_skill": 0.0}
    many, few = (warning_after_training([head], row, galaxies, {}) for galaxies in (800, 18))
    assert many is not None
    assert many.startswith(
        "has learned nothing of use, it is no better than the mean on 800 validation galaxies: "
    )
    assert few is not None
    assert few.startswith("is no better than the mean on 18 validation galaxies, too few to tell: ")


def test_advice_names_what_can_be_done_and_not_what_was_done_already():
    def advice(command: str, galaxies: int, *, large_shares: bool = False) -> str:
        return advice_after(command, galaxies, mirrors=True, large_shares=large_shares)

    assert advice("finetune", 800).startswith("Check that labels and images")
    few = advice("finetune", 18)
    assert few.startswith("Evaluate it to know more")
    assert "`splits=SplitSettings(0.4, 0.3, 0.3)`, or more labelled galaxies, that the" in few
    already = advice("finetune", 18, large_shares=True)
    assert "if there are: pack with more labelled galaxies, that" in already
    assert "shares" not in already
    assert "not seen" not in advice("train", 18)
