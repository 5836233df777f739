import numpy as np
import pytest
import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.objectives import OBJECTIVES, Objective
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")


def random_truth(galaxies: int = 6) -> torch.Tensor:
    conditional = np.random.default_rng(0).random((galaxies, 37))
    for _, where in KAGGLE:
        conditional[:, where] /= conditional[:, where].sum(axis=1, keepdims=True)
    return torch.from_numpy(KAGGLE.joint(conditional).astype(np.float32))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_fractions_lie_between_zero_and_one(name):
    fractions = Objective(name, KAGGLE, KAGGLE.columns).fractions(torch.randn(50, 37) * 5)
    assert fractions.min() >= 0
    assert fractions.max() <= 1


def test_bce_is_kerass_binary_cross_entropy_of_the_sigmoid():
    logits, truth = torch.randn(6, 37), random_truth()
    p = logits.sigmoid().double()
    by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(Objective("bce", KAGGLE, KAGGLE.columns).loss(logits, truth), by_hand.float())


def test_cross_entropy_keeps_the_laws_of_the_tree():
    objective = Objective("cross_entropy", KAGGLE, KAGGLE.columns)
    fractions = objective.fractions(torch.randn(20, 37) * 3).numpy()
    asked = KAGGLE.asked(fractions)
    for index, (_, where) in enumerate(KAGGLE):
        np.testing.assert_allclose(fractions[:, where].sum(axis=1), asked[:, index], atol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_truth_itself_costs_least(name):
    truth = random_truth(1)
    logits = torch.zeros(1, 37, requires_grad=True)
    objective = Objective(name, KAGGLE, KAGGLE.columns)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(800):
        optimiser.zero_grad()
        objective.loss(logits, truth).sum().backward()
        optimiser.step()
    torch.testing.assert_close(objective.fractions(logits).detach(), truth, atol=2e-2, rtol=0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_not_known_costs_nothing_and_pulls_nowhere(name):
    truth = random_truth()
    truth[2] = torch.nan
    truth[:, 33] = torch.nan
    logits = torch.randn(6, 37, requires_grad=True)
    loss = Objective(name, KAGGLE, KAGGLE.columns).loss(logits, truth)
    loss.sum().backward()
    assert loss[2] == 0
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert (logits.grad[2] == 0).all()
    if name != "cross_entropy":
        assert (logits.grad[:, 33] == 0).all()


def test_an_unknown_objective_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean cross_entropy"):
        Objective("crossentropy", KAGGLE, KAGGLE.columns)


def test_the_trees_own_objective_refuses_a_part_of_the_answers():
    with pytest.raises(ConfigError, match="needs all 37 answers"):
        Objective("cross_entropy", KAGGLE, KAGGLE.columns[:5])
