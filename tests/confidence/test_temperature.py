"""How sure a network should be: found from galaxies that it was wrongly sure of, and taught to its
last layer."""

import numpy as np
import pytest
import torch
from torch import nn

from galaxyvotes.confidence.temperature import TemperatureScaling
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
    labels = np.eye(3, dtype=np.float32)[drawn.argmax(axis=1)]
    said = softmax((logits - [0, 0, 1]) / 2 + np.zeros((looks, 1, 1)))
    return said.astype(np.float32), labels


def test_a_network_half_as_sure_as_it_should_be_is_found_out():
    said, labels = galaxies(20_000)
    found = TemperatureScaling.fit(said, labels)
    shifts = np.array(found.shifts) - found.shifts[0]
    assert found.factor == pytest.approx(2, rel=0.05)
    assert shifts == pytest.approx([0, 0, 1], abs=0.1)


def test_what_is_found_is_more_likely_on_other_galaxies_too():
    found = TemperatureScaling.fit(*galaxies(300))
    said, labels = galaxies(5000, seed=1)
    surer = softmax(found.factor * np.log(said[0]) + found.shifts)
    assert (labels * np.log(surer)).sum() > (labels * np.log(said[0])).sum() + 100


def test_it_is_the_mean_of_the_looks_that_is_made_surer():
    said, labels = galaxies(5000)
    random = np.random.default_rng(2)
    looks = softmax(np.log(said[0]) + random.normal(0, 1, (4, *said.shape[1:])))
    found = TemperatureScaling.fit(looks, labels)
    surer = softmax(found.factor * np.log(looks) + found.shifts).mean(axis=0)
    each = TemperatureScaling.fit(looks[:1], labels)
    other = softmax(each.factor * np.log(looks) + each.shifts).mean(axis=0)
    assert (labels * np.log(surer)).sum() > (labels * np.log(other)).sum() + 10


def test_few_galaxies_change_little_and_none_nothing():
    said, labels = galaxies(4)
    found = TemperatureScaling.fit(said, labels)
    assert abs(np.log(found.factor)) < 0.5
    assert np.abs(found.shifts).max() < 0.5
    assert TemperatureScaling.fit(said[:, :0], labels[:0]) == TemperatureScaling(
        1.0, (0.0, 0.0, 0.0)
    )


def test_fractions_of_nothing_and_of_everybody_are_taken():
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    found = TemperatureScaling.fit(labels[None], labels)
    assert found.factor > 0
    assert np.isfinite(found.shifts).all()


@pytest.mark.parametrize("gap", [0.01, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("count", [30, 300])
def test_a_network_that_is_right_and_hardly_sure_is_made_surer_and_no_search_goes_astray(
    count, gap
):
    random = np.random.default_rng(1)
    labels = np.eye(5, dtype=np.float32)[random.choice(5, count, p=[0.3, 0.27, 0.02, 0.13, 0.28])]
    noise = random.normal(0, 1 / 8, (4, count, 5)) + random.normal(0, 1 / 4, (count, 5))
    looks = softmax(gap * (labels + noise)).astype(np.float32)
    found = TemperatureScaling.fit(looks, labels)
    surer = softmax(found.factor * np.log(looks) + found.shifts).mean(axis=0)
    assert found.factor > 1
    assert (labels * np.log(surer)).sum() > (labels * np.log(looks.mean(axis=0))).sum()


def test_the_last_layer_learns_it_for_its_own_outputs():
    network = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 5))
    seen = torch.randn(7, 6)
    before = network(seen).detach()
    TemperatureScaling(1.5, (0.5, -1.0)).apply_to(network, slice(2, 4))
    after = network(seen).detach()
    assert torch.allclose(
        after[:, 2:4], 1.5 * before[:, 2:4] + torch.tensor([0.5, -1.0]), atol=1e-6
    )
    assert torch.equal(after[:, [0, 1, 4]], before[:, [0, 1, 4]])


@pytest.mark.parametrize(
    ("factor", "shifts"), [(0.0, (0.0,)), (float("nan"), (0.0,)), (1.0, (0.0, float("inf")))]
)
def test_a_scaling_that_no_fit_gives_is_refused(factor, shifts):
    with pytest.raises(DataError, match="expected a factor above 0 and finite shifts"):
        TemperatureScaling(factor, shifts)


def test_a_scaling_of_another_number_of_answers_is_refused():
    TemperatureScaling(1.0, (0.0, 0.0)).check(2, "here")
    with pytest.raises(DataError, match="here has 2 shifts for 3 answers"):
        TemperatureScaling(1.0, (0.0, 0.0)).check(3, "here")
