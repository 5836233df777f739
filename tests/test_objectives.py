import numpy as np
import pytest
import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.objectives import OBJECTIVES, Objective
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
OF_EACH_ANSWER = ("bce", "mse")
OF_THE_TREE = ("mse_tree", "cross_entropy")


def objective_of(name: str) -> Objective:
    return Objective(name, KAGGLE, KAGGLE.columns)


def random_truth(galaxies: int = 6) -> torch.Tensor:
    conditional = np.random.default_rng(0).random((galaxies, 37))
    for _, where in KAGGLE:
        conditional[:, where] /= conditional[:, where].sum(axis=1, keepdims=True)
    return torch.from_numpy(KAGGLE.joint(conditional).astype(np.float32))


def loss_and_pull(objective: Objective, logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What each galaxy costs, and the gradient of the sum."""
    logits = logits.clone().requires_grad_()
    loss = objective.loss(logits, truth)
    loss.sum().backward()
    assert logits.grad is not None
    return loss.detach(), logits.grad


@pytest.mark.parametrize("name", OBJECTIVES)
def test_fractions_lie_between_zero_and_one(name):
    fractions = objective_of(name).fractions(torch.randn(50, 37) * 5)
    assert fractions.min() >= 0
    assert fractions.max() <= 1


def test_bce_is_kerass_binary_cross_entropy_of_the_sigmoid():
    logits, truth = torch.randn(6, 37), random_truth()
    p = logits.sigmoid().double()
    by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(objective_of("bce").loss(logits, truth), by_hand.float())


def test_mse_tree_is_the_squared_error_of_its_fractions():
    logits, truth = torch.randn(6, 37), random_truth()
    objective = objective_of("mse_tree")
    softmax = torch.cat([logits[:, where].softmax(dim=1) for where in KAGGLE.slices], dim=1)
    fractions = torch.from_numpy(KAGGLE.joint(softmax.numpy()))
    torch.testing.assert_close(objective.fractions(logits), fractions)
    torch.testing.assert_close(objective.loss(logits, truth), (fractions - truth).square().mean(dim=1))


@pytest.mark.parametrize("name", OF_THE_TREE)
def test_fractions_keep_the_laws_of_the_tree(name):
    fractions = objective_of(name).fractions(torch.randn(20, 37) * 3).numpy()
    asked = KAGGLE.asked(fractions)
    for index, (_, where) in enumerate(KAGGLE):
        np.testing.assert_allclose(fractions[:, where].sum(axis=1), asked[:, index], atol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_truth_itself_costs_least(name):
    fractions = random_truth(1)
    objective = objective_of(name)
    logits = torch.zeros(1, 37, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(800):
        optimiser.zero_grad()
        objective.loss(logits, fractions).sum().backward()
        optimiser.step()
    torch.testing.assert_close(objective.fractions(logits).detach(), fractions, atol=2e-2, rtol=0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_not_known_costs_nothing_and_pulls_nowhere(name):
    fractions = random_truth()
    fractions[2] = torch.nan
    fractions[:, KAGGLE.slices[10]] = torch.nan
    objective = objective_of(name)
    loss, pull = loss_and_pull(objective, torch.randn(6, 37), fractions)
    assert loss[2] == 0
    assert torch.isfinite(loss).all()
    assert (pull[2] == 0).all()
    assert (pull[:, KAGGLE.slices[10]] == 0).all()


@pytest.mark.parametrize("name", OF_EACH_ANSWER)
def test_a_single_answer_that_is_not_known_pulls_nowhere(name):
    truth = random_truth()
    truth[:, 33] = torch.nan
    _, pull = loss_and_pull(objective_of(name), torch.randn(6, 37), truth)
    assert (pull[:, 33] == 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_that_of_the_loss(name):
    fractions = random_truth(3)
    fractions[1, KAGGLE.slices[4]] = torch.nan
    objective = objective_of(name)
    truth = fractions.double()
    logits = torch.randn(3, 37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: objective.loss(x, truth), logits)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_extreme_logits_cost_and_pull_finitely(name):
    objective = objective_of(name)
    logits = torch.where(torch.randn(6, 37) > 0, 50.0, -50.0)
    truth = random_truth()
    loss, pull = loss_and_pull(objective, logits, truth)
    assert loss.isfinite().all()
    assert (loss >= 0).all()
    assert pull.isfinite().all()
    assert objective.fractions(logits).isfinite().all()


def test_an_unknown_objective_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean cross_entropy"):
        objective_of("crossentropy")


@pytest.mark.parametrize("name", OF_THE_TREE)
def test_the_trees_own_objectives_refuse_a_part_of_the_answers(name):
    with pytest.raises(ConfigError, match=f"{name} needs all 37 answers"):
        Objective(name, KAGGLE, KAGGLE.columns[:5])
