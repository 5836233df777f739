"""What is written is read back, bit for bit."""

import pytest
import torch

from galaxyvotes import CheckpointError, PackSettings, Recipe
from galaxyvotes.networks.batch import Share
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.tensors import read_tensors, write_tensors
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.learner import Learner
from galaxyvotes.training.state import Position, read_state, write_state

SETTINGS = ("model.width=8", "train.batch_size=10")


def new_learner(batches: TrainingBatches, recipe: Recipe) -> Learner:
    network = Network.build(recipe, batches.heads, PackSettings(32, 32))
    return Learner(network, torch.device("cpu"))


@pytest.fixture
def learned(blob_store) -> tuple[Learner, Learner]:
    """A learner after three steps, and a new one."""
    recipe = Recipe.load("compact", SETTINGS)
    batches = TrainingBatches.of([blob_store], recipe)
    learner = new_learner(batches, recipe)
    for step, batch in enumerate(batches.batches(0, 0), 1):
        learner.learn(batch, Share(0, len(batch), len(batch)), seed=step, rate=1e-3)
        learner.average(step)
    return learner, new_learner(batches, recipe)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_network_optimiser_average_best_and_position_come_back(learned, tmp_path):
    learner, new = learned
    position = Position(epoch=2, step=3, galaxies=56, loss=1.5, history=[{"epoch": 1}])
    best = {"dense.bias": torch.rand(2)}
    write_state(tmp_path / "state.safetensors", learner, position, best)
    found, found_best = read_state(tmp_path / "state.safetensors", new)
    assert found == position
    assert equal(found_best, best)
    assert equal(learner.module.state_dict(), new.module.state_dict())
    assert equal(learner.averaged.module.state_dict(), new.averaged.module.state_dict())
    for ours, theirs in zip(learner.module.parameters(), new.module.parameters(), strict=True):
        assert equal(learner.optimiser.state[ours], new.optimiser.state[theirs])
        assert new.optimiser.state[theirs]["exp_avg"].stride() == theirs.stride()


def test_another_number_of_threads_warns(learned, tmp_path):
    learner, new = learned
    path = tmp_path / "run" / "state.safetensors"
    write_state(path, learner, Position(), {})
    tensors, note = read_tensors(path)
    write_tensors(path, tensors, {**note, "threads": 7})
    with pytest.warns(UserWarning, match=r"run was begun with 1 process and 7 threads and goes"):
        read_state(path, new)


def test_the_state_of_version_0_1_is_read(learned, tmp_path):
    learner, new = learned
    path = tmp_path / "state.safetensors"
    write_state(path, learner, Position(galaxies=20), {})
    tensors, note = read_tensors(path)
    note["met"] = note.pop("galaxies")
    write_tensors(path, tensors, note)
    assert read_state(path, new)[0].galaxies == 20


def test_the_state_of_another_network_is_refused(learned, tmp_path, blob_store):
    learner, _ = learned
    write_state(tmp_path / "state.safetensors", learner, Position(), {})
    wider = Recipe.load("compact", (*SETTINGS, "model.width=16"))
    with pytest.raises(CheckpointError, match="does not fit the network of its run"):
        read_state(
            tmp_path / "state.safetensors",
            new_learner(TrainingBatches.of([blob_store], wider), wider),
        )
