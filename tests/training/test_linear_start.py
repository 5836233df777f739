"""The start of a run that was never asked a question: all layers read out, the last one fitted."""

import numpy as np
import torch

from galaxyvotes import Recipe, predict_store
from galaxyvotes.networks.layered import Layered
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.linear_start import MOST, SCALES, linear_start

CPU = torch.device("cpu")


def start_of(base, store, *settings: str, scales=SCALES):
    trained = base.network(as_trained=True)
    recipe = Recipe.load("layered", ("train.precision=float32", "model.width=8", *settings))
    batches = TrainingBatches.of([store], recipe)
    return linear_start(trained, recipe, batches, CPU, scales), trained


def test_layers_are_those_of_the_trained_network(base, upside):
    start, trained = start_of(base, upside)
    module = start.network.module
    assert isinstance(module, Layered)
    theirs = trained.module.state_dict()
    for name, tensor in module.layers.state_dict().items():
        assert torch.equal(tensor, theirs[name])


def test_a_fitted_last_layer_tells_classes_that_the_network_never_learned(base, upside):
    start, _ = start_of(base, upside)
    rows = upside.rows("test")
    predicted = predict_store(start.network, upside, rows).values
    assert (predicted.argmax(axis=1) == upside.values[rows].argmax(axis=1)).mean() > 0.9


def test_the_scale_is_the_one_of_the_smallest_loss_and_is_said(base, upside):
    start, _ = start_of(base, upside)
    assert list(start.losses) == list(SCALES)
    chosen = start.network.recipe.model.scale
    assert start.losses[chosen] == min(start.losses.values())
    assert f"images at {chosen:.2g} times" in start.remark
    alone, _ = start_of(base, upside, scales=(1.5,))
    assert alone.network.recipe.model.scale == 1.5


def test_labels_of_validation_and_test_galaxies_have_no_part(base, upside, monkeypatch):
    start, _ = start_of(base, upside)
    values = upside.values.copy()
    held_out = np.setdiff1d(np.arange(len(upside)), upside.rows("train"))
    values[held_out] = 1 - values[held_out]
    monkeypatch.setitem(upside.__dict__, "values", values)
    again, _ = start_of(base, upside)
    before, after = start.network.module.state_dict(), again.network.module.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert start.losses == again.losses


def test_features_of_training_galaxies_are_uncorrelated(base, upside):
    start, _ = start_of(base, upside, "train.mirror=false", scales=(1.0,))
    module = start.network.module
    assert isinstance(module, Layered)
    directions = module.projection.directions
    used = directions[directions.abs().sum(dim=1) > 0]
    torch.testing.assert_close(used @ used.T, torch.eye(len(used)), rtol=0, atol=1e-4)
    assert len(used) <= min(MOST, len(upside.rows("train")), len(directions))
