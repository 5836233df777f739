"""Metrics of validation galaxies, beside those of predictions."""

import numpy as np
import pytest
import torch

from galaxyvotes import DataError, PackSettings, Recipe, predict_store
from galaxyvotes.config import TrainSettings
from galaxyvotes.runs.network import Network
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.heads import means_of
from galaxyvotes.training.validation import skill, validate


def ready(*stores, **settings) -> tuple[Network, TrainingBatches]:
    recipe = Recipe("small", train=TrainSettings(precision="float32", **settings))
    batches = TrainingBatches.of(stores, recipe)
    return Network.build(recipe, batches.heads, PackSettings(32, 32)), batches


def test_mse_accuracy_and_loss_are_those_of_the_predictions(blob_store):
    network, batches = ready(blob_store, objective="mse")
    rows = batches.validation[0]
    predicted, labels = predict_store(network, blob_store, rows).values, blob_store.values[rows]
    row = validate(network, batches, epoch=0)
    assert row["validation_mse"] == pytest.approx(((predicted - labels) ** 2).mean(), rel=1e-5)
    assert row["validation_loss"] == pytest.approx(row["validation_mse"], rel=1e-5)
    assert row["validation_accuracy"] == (predicted.argmax(1) == labels.argmax(1)).mean()


def test_a_second_head_has_rows_of_its_own_and_its_loss_is_added(blob_store, fractions_store):
    both = validate(*ready(fractions_store, blob_store), epoch=0)
    assert list(both) == [
        "validation_loss",
        "validation_mse",
        "validation_accuracy",
        "validation_skill",
        "class_validation_mse",
        "class_validation_accuracy",
        "class_validation_skill",
    ]
    assert both["validation_loss"] == pytest.approx(2 * np.log(2), rel=0.2)  # of untrained heads


def test_an_output_that_is_not_finite_is_refused(blob_store):
    network, batches = ready(blob_store)
    with torch.no_grad():
        network.module[-1].bias[0] = torch.nan
    with pytest.raises(DataError, match="became NaN or infinite in epoch 2"):
        validate(network, batches, epoch=1)


def test_the_mean_label_has_no_skill_perfect_predictions_have_one_and_worse_ones_less(blob_store):
    network, batches = ready(blob_store)
    labels = blob_store.values[batches.validation[0]]
    means = means_of(network.head, batches.stores, batches.train)
    assert means == pytest.approx(np.nanmean(blob_store.values[batches.train[0]], axis=0))
    of_mean = np.broadcast_to(means, labels.shape)
    assert skill(network, labels, of_mean, means) == 0
    assert skill(network, labels, labels, means) == 1
    assert skill(network, labels, 1 - labels, means) < -2
    half = skill(network, labels, (labels + of_mean) / 2, means)
    assert half == pytest.approx(0.75)


def test_an_answer_that_no_training_galaxy_has_a_label_for_has_no_mean_and_does_not_count(
    blob_store,
):
    network, batches = ready(blob_store)
    labels = blob_store.values[batches.validation[0]]
    means = np.array([np.nan, 0.5], np.float32)
    wrong = np.stack([1 - labels[:, 0], labels[:, 1]], axis=1)
    assert skill(network, labels, wrong, means) == 1
    assert np.isnan(skill(network, labels, wrong, np.full(2, np.nan, np.float32)))
