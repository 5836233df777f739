"""How sure a network should be: found from galaxies that it was wrongly sure of, and taught to its
last layer."""

import numpy as np
import pytest
import torch
from torch import nn

from galaxyvotes.confidence.temperature import Certainty
from galaxyvotes.errors import DataError


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def galaxies(count: int, looks: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a network says that is half as sure as it should be, and shy of the third class; and
    true classes."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 3))
    drawn = softmax(logits).cumsum(axis=1) > random.random((count, 1))
    truth = np.eye(3, dtype=np.float32)[drawn.argmax(axis=1)]
    said = softmax((logits - [0, 0, 1]) / 2 + np.zeros((looks, 1, 1)))
    return said.astype(np.float32), truth


def test_a_network_half_as_sure_as_it_should_be_is_found_out():
    said, truth = galaxies(20_000)
    found = Certainty.of(said, truth)
    shifts = np.array(found.shifts) - found.shifts[0]
    assert found.factor == pytest.approx(2, rel=0.05)
    assert shifts == pytest.approx([0, 0, 1], abs=0.1)


def test_what_is_found_is_more_likely_on_other_galaxies_too():
    found = Certainty.of(*galaxies(300))
    said, truth = galaxies(5000, seed=1)
    surer = softmax(found.factor * np.log(said[0]) + found.shifts)
    assert (truth * np.log(surer)).sum() > (truth * np.log(said[0])).sum() + 100


def test_it_is_the_mean_of_the_looks_that_is_made_surer():
    said, truth = galaxies(5000)
    random = np.random.default_rng(2)
    looks = softmax(np.log(said[0]) + random.normal(0, 1, (4, *said.shape[1:])))
    found = Certainty.of(looks, truth)
    surer = softmax(found.factor * np.log(looks) + found.shifts).mean(axis=0)
    each = Certainty.of(looks[:1], truth)
    other = softmax(each.factor * np.log(looks) + each.shifts).mean(axis=0)
    assert (truth * np.log(surer)).sum() > (truth * np.log(other)).sum() + 10


def test_few_galaxies_change_little_and_none_nothing():
    said, truth = galaxies(4)
    found = Certainty.of(said, truth)
    assert abs(np.log(found.factor)) < 0.5
    assert np.abs(found.shifts).max() < 0.5
    assert Certainty.of(said[:, :0], truth[:0]) == Certainty(1.0, (0.0, 0.0, 0.0))


def test_fractions_of_nothing_and_of_everybody_are_taken():
    truth = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    found = Certainty.of(truth[None], truth)
    assert found.factor > 0
    assert np.isfinite(found.shifts).all()


@pytest.mark.parametrize("gap", [0.01, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("count", [30, 300])
def test_a_network_that_is_right_and_hardly_sure_is_made_surer_and_no_search_goes_astray(
    count, gap
):
    random = np.random.default_rng(1)
    truth = np.eye(5, dtype=np.float32)[random.choice(5, count, p=[0.3, 0.27, 0.02, 0.13, 0.28])]
    noise = random.normal(0, 1 / 8, (4, count, 5)) + random.normal(0, 1 / 4, (count, 5))
    looks = softmax(gap * (truth + noise)).astype(np.float32)
    found = Certainty.of(looks, truth)
    surer = softmax(found.factor * np.log(looks) + found.shifts).mean(axis=0)
    assert found.factor > 1
    assert (truth * np.log(surer)).sum() > (truth * np.log(looks.mean(axis=0))).sum()


def test_the_last_layer_learns_it_for_its_own_outputs():
    network = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 5))
    seen = torch.randn(7, 6)
    before = network(seen).detach()
    Certainty(1.5, (0.5, -1.0)).teach(network, slice(2, 4))
    after = network(seen).detach()
    assert torch.allclose(
        after[:, 2:4], 1.5 * before[:, 2:4] + torch.tensor([0.5, -1.0]), atol=1e-6
    )
    assert torch.equal(after[:, [0, 1, 4]], before[:, [0, 1, 4]])


def test_it_comes_back_from_its_table():
    found = Certainty(1.25, (0.1, -0.2))
    assert Certainty.from_table(found.to_table(), 2, "here") == found


@pytest.mark.parametrize(
    "table",
    [
        3,
        {},
        {"factor": 1.0},
        {"factor": 0.0, "shifts": [0.0, 0.0]},
        {"factor": float("nan"), "shifts": [0.0, 0.0]},
        {"factor": 1.0, "shifts": [0.0, float("inf")]},
        {"factor": 1.0, "shifts": [0.0]},
        {"factor": "much", "shifts": [0.0, 0.0]},
    ],
)
def test_what_is_no_certainty_is_refused(table):
    with pytest.raises(DataError, match=r"^here .*[Cc]alibrate again"):
        Certainty.from_table(table, 2, "here")
