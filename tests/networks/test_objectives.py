import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Dirichlet, Multinomial

from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.objectives import (
    LARGEST_SCALE,
    LARGEST_WEIGHT,
    OBJECTIVES,
    Objective,
    concentrations,
    objective_for,
    vote_nll,
)
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
OF_EACH_ANSWER = ("bce", "mse")
OF_THE_TREE = ("mse_tree", "cross_entropy", "dirichlet_multinomial")


def objective_of(name: str) -> Objective:
    return objective_for(name, KAGGLE, KAGGLE.columns)


def random_labels(galaxies: int = 6) -> torch.Tensor:
    conditional = np.random.default_rng(0).random((galaxies, 37))
    for _, where in KAGGLE:
        conditional[:, where] /= conditional[:, where].sum(axis=1, keepdims=True)
    return torch.from_numpy(KAGGLE.joint(conditional).astype(np.float32))


def votes_of(fractions: torch.Tensor, volunteers: int = 1000) -> torch.Tensor:
    """The votes of so many volunteers a question."""
    conditional = KAGGLE.conditional(fractions.numpy())
    return torch.from_numpy(
        np.where(np.isnan(conditional), -1, (conditional * volunteers).round()).astype(np.int32)
    )


def labels_for(objective: Objective, fractions: torch.Tensor) -> torch.Tensor:
    return votes_of(fractions) if objective.uses_votes else fractions


def loss_and_gradient(
    objective: Objective, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each galaxy, and the gradient of the sum."""
    logits = logits.clone().requires_grad_()
    loss = objective.loss(logits, labels)
    loss.sum().backward()
    assert logits.grad is not None
    return loss.detach(), logits.grad


def one_question(answers: int) -> DecisionTree:
    return DecisionTree.of_classes([f"a{number}" for number in range(answers)])


def nll_of(alpha: list[float], *votes: list[int]) -> torch.Tensor:
    """The surprise at each of these votes of one question, in float64."""
    tree, rows = one_question(len(alpha)), torch.tensor([alpha] * len(votes), dtype=torch.float64)
    return vote_nll(tree, rows, torch.tensor(votes))[:, 0]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_fractions_lie_between_zero_and_one(name):
    fractions = objective_of(name).values(torch.randn(50, 37) * 5)
    assert fractions.min() >= 0
    assert fractions.max() <= 1


def test_bce_is_kerass_binary_cross_entropy_of_the_sigmoid():
    logits, labels = torch.randn(6, 37), random_labels()
    p = logits.sigmoid().double()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(objective_of("bce").loss(logits, labels), by_hand.float())


def test_mse_tree_is_the_squared_error_of_its_fractions():
    logits, labels = torch.randn(6, 37), random_labels()
    objective = objective_of("mse_tree")
    softmax = torch.cat([logits[:, where].softmax(dim=1) for where in KAGGLE.slices], dim=1)
    fractions = torch.from_numpy(KAGGLE.joint(softmax.numpy()))
    torch.testing.assert_close(objective.values(logits), fractions)
    torch.testing.assert_close(
        objective.loss(logits, labels), (fractions - labels).square().mean(dim=1)
    )


@pytest.mark.parametrize("name", OF_THE_TREE)
def test_fractions_keep_the_laws_of_the_tree(name):
    fractions = objective_of(name).values(torch.randn(20, 37) * 3).numpy()
    asked = KAGGLE.asked(fractions)
    for index, (_, where) in enumerate(KAGGLE):
        np.testing.assert_allclose(fractions[:, where].sum(axis=1), asked[:, index], atol=1e-6)


def test_a_softmax_down_the_tree_is_the_trees_own_arithmetic():
    logits = torch.randn(6, 37, dtype=torch.float64)
    conditional = torch.cat([logits[:, where].softmax(dim=1) for where in KAGGLE.slices], dim=1)
    expected = KAGGLE.joint(conditional.numpy())
    assert np.allclose(objective_of("mse_tree").values(logits).numpy(), expected, atol=1e-12)


def test_fractions_of_dirichlets_are_their_means_down_the_tree():
    logits = torch.randn(20, 37) * 3
    alpha = concentrations(logits)
    means = [Dirichlet(alpha[:, where]).mean for where in KAGGLE.slices]
    by_hand = torch.from_numpy(KAGGLE.joint(torch.cat(means, dim=1).numpy()))
    torch.testing.assert_close(objective_of("dirichlet_multinomial").values(logits), by_hand)


def test_concentrations_lie_between_1_and_101():
    ends = torch.tensor([[-50.0, 0.0, 50.0]])
    assert concentrations(ends).tolist() == [[1.0, 51.0, 101.0]]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_labels_themselves_have_the_least_loss(name):
    fractions = random_labels(1)
    objective = objective_of(name)
    labels = labels_for(objective, fractions)
    logits = torch.zeros(1, 37, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(800):
        optimiser.zero_grad()
        objective.loss(logits, labels).sum().backward()
        optimiser.step()
    torch.testing.assert_close(objective.values(logits).detach(), fractions, atol=2e-2, rtol=0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_unknown_labels_have_no_loss_and_no_gradient(name):
    fractions = random_labels()
    fractions[2] = torch.nan
    fractions[:, KAGGLE.slices[10]] = torch.nan
    objective = objective_of(name)
    loss, gradient = loss_and_gradient(
        objective, torch.randn(6, 37), labels_for(objective, fractions)
    )
    assert loss[2] == 0
    assert torch.isfinite(loss).all()
    assert (gradient[2] == 0).all()
    assert (gradient[:, KAGGLE.slices[10]] == 0).all()


@pytest.mark.parametrize("name", ["bce", "mse", "mse_tree", "cross_entropy"])
def test_a_known_largest_fraction_raises_it_above_the_others_and_unknown_costs_nothing(name):
    objective = objective_of(name)
    logits = torch.zeros(3, 37, requires_grad=True)
    largest = torch.tensor([KAGGLE.columns.index("Class1.2"), KAGGLE.columns.index("Class6.1"), -1])
    optimiser = torch.optim.Adam([logits], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        loss = objective.loss_of_largest(logits, largest)
        loss.sum().backward()
        assert loss[2] == 0
        assert (logits.grad[2] == 0).all()
        optimiser.step()
    assert objective.values(logits).argmax(dim=1)[:2].tolist() == largest[:2].tolist()


def test_the_loss_of_the_largest_is_that_of_the_documented_probability():
    logits = torch.randn(1, 37, dtype=torch.float64)
    objective = objective_of("cross_entropy")
    rises = (objective.values(logits)[0] / LARGEST_SCALE).exp()
    expected = -LARGEST_WEIGHT * (rises[5] / rises.sum()).log()
    torch.testing.assert_close(objective.loss_of_largest(logits, torch.tensor([5]))[0], expected)


@pytest.mark.parametrize("name", OF_EACH_ANSWER)
def test_a_single_unknown_answer_has_no_gradient(name):
    labels = random_labels()
    labels[:, 33] = torch.nan
    _, gradient = loss_and_gradient(objective_of(name), torch.randn(6, 37), labels)
    assert (gradient[:, 33] == 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_that_of_the_loss(name):
    fractions = random_labels(3)
    fractions[1, KAGGLE.slices[4]] = torch.nan
    objective = objective_of(name)
    labels = votes_of(fractions, 40) if objective.uses_votes else fractions.double()
    logits = torch.randn(3, 37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: objective.loss(x, labels), logits)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("volunteers", [1, 40, 100_000])
def test_extreme_logits_have_a_finite_loss_and_gradient(name, volunteers):
    objective = objective_of(name)
    logits = torch.where(torch.randn(6, 37) > 0, 50.0, -50.0)
    labels = votes_of(random_labels(), volunteers) if objective.uses_votes else random_labels()
    loss, gradient = loss_and_gradient(objective, logits, labels)
    assert loss.isfinite().all()
    assert (loss >= 0).all()
    assert gradient.isfinite().all()
    assert objective.values(logits).isfinite().all()


def test_ten_votes_have_a_larger_gradient_than_one():
    objective = objective_of("dirichlet_multinomial")
    fractions = torch.zeros(1, 37)
    fractions[0, [0, 15]] = 1  # smooth, completely round; nobody was asked the rest
    logits = torch.zeros(1, 37)
    once_loss, once = loss_and_gradient(objective, logits, votes_of(fractions, 1))
    often_loss, often = loss_and_gradient(objective, logits, votes_of(fractions, 10))
    assert often_loss > 5 * once_loss
    asked = once != 0
    assert asked.any()
    assert (often[asked].abs() > 5 * once[asked].abs()).all()


@settings(max_examples=30, deadline=None)
@given(alpha=st.lists(st.floats(1, 101), min_size=2, max_size=4), volunteers=st.integers(1, 6))
def test_probabilities_of_all_possible_votes_add_up_to_one(alpha, volunteers):
    every = itertools.product(range(volunteers + 1), repeat=len(alpha))
    possible = [list(votes) for votes in every if sum(votes) == volunteers]
    assert (-nll_of(alpha, *possible)).exp().sum().item() == pytest.approx(1, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    alpha=st.lists(st.floats(1, 101), min_size=3, max_size=3),
    votes=st.lists(st.integers(0, 30), min_size=3, max_size=3),
)
def test_volunteers_vote_like_draws_from_polyas_urn(alpha, votes):
    """Each ball drawn goes back with one more like it; the votes come in as many orders as the
    coefficient says."""
    balls, probability = list(alpha), 1.0
    for answer, count in enumerate(votes):
        for _ in range(count):
            probability *= balls[answer] / math.fsum(balls)
            balls[answer] += 1
    orders = math.factorial(sum(votes)) // math.prod(math.factorial(count) for count in votes)
    assert nll_of(alpha, votes).item() == pytest.approx(
        -math.log(orders) - math.log(probability), abs=1e-8
    )


def test_the_likelihood_obeys_bayes_rule():
    """p(votes) = p(votes | fractions) p(fractions) / p(fractions | votes), whatever the
    fractions."""
    alpha, votes = torch.tensor([3.5, 70.0, 1.25]).double(), torch.tensor([4, 30, 1])
    fractions = torch.tensor([0.2, 0.7, 0.1]).double()
    likelihood = Multinomial(int(votes.sum()), probs=fractions).log_prob(votes.double())
    evidence = (
        likelihood
        + Dirichlet(alpha).log_prob(fractions)
        - Dirichlet(alpha + votes).log_prob(fractions)
    )
    assert nll_of(alpha.tolist(), votes.tolist()).item() == pytest.approx(-evidence.item())


def test_the_loss_of_a_galaxy_is_the_sum_over_its_questions():
    logits, votes = torch.randn(6, 37), votes_of(random_labels(), 40)
    alone = [
        vote_nll(
            one_question(where.stop - where.start),
            concentrations(logits[:, where]),
            votes[:, where],
        )[:, 0]
        for where in KAGGLE.slices
    ]
    torch.testing.assert_close(
        objective_of("dirichlet_multinomial").loss(logits, votes), torch.stack(alone).sum(dim=0)
    )


@pytest.mark.parametrize("unasked", [0, -1])
def test_a_question_nobody_was_asked_adds_exactly_nothing(unasked):
    objective = objective_of("dirichlet_multinomial")
    logits, votes = torch.randn(6, 37) * 5, votes_of(random_labels(), 40)
    where = KAGGLE.slices[3]
    votes[:, where] = unasked
    _, gradient = loss_and_gradient(objective, logits, votes)
    assert (vote_nll(KAGGLE, concentrations(logits), votes)[:, 3] == 0).all()
    assert (gradient[:, where] == 0).all()
    assert (gradient[:, KAGGLE.slices[0]] != 0).any(dim=1).all()


def test_float32_is_exact_enough_for_any_campaign():
    objective = objective_of("dirichlet_multinomial")
    logits, votes = torch.randn(50, 37) * 3, votes_of(random_labels(50), 100)
    loss, gradient = loss_and_gradient(objective, logits, votes)
    exact_loss, exact_gradient = loss_and_gradient(objective, logits.double(), votes)
    torch.testing.assert_close(loss.double(), exact_loss, atol=2e-3, rtol=0)
    torch.testing.assert_close(gradient.double(), exact_gradient, atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_takes_votes_or_fractions_and_refuses_the_other(name):
    objective = objective_of(name)
    assert objective.uses_votes == (name == "dirichlet_multinomial")
    other, message = random_labels(), "takes votes: whole counts, -1 where not known"
    if not objective.uses_votes:
        other, message = votes_of(random_labels()), "takes joint fractions, NaN where not known"
    with pytest.raises(TypeError, match=message):
        objective.loss(torch.zeros(6, 37), other)


def test_an_unknown_objective_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean cross_entropy"):
        objective_of("crossentropy")


@pytest.mark.parametrize("name", OF_THE_TREE)
def test_the_trees_own_objectives_refuse_a_part_of_the_answers(name):
    with pytest.raises(ConfigError, match=f"{name} needs all 37 answers"):
        objective_for(name, KAGGLE, KAGGLE.columns[:5])
