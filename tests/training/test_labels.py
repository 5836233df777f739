"""What is known of a galaxy by all stores together."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch

from galaxyvotes.config import PackSettings, Recipe, TrainSettings
from galaxyvotes.networks.batch import Share
from galaxyvotes.runs.network import Network
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.labels import KnownLabels
from galaxyvotes.training.learner import Learner


def labels_of(*stores: Store) -> KnownLabels:
    return TrainingBatches.of(stores, Recipe("small", train=TrainSettings(batch_size=16))).labels


def with_largest(store: Store, names: list[str | None]) -> Store:
    """A store that also says which fraction is the largest, in memory."""
    known = sum(name is not None for name in names)
    changed = replace(store, manifest={**store.manifest, "largest": known})
    table = store.table.append_column("largest", pa.array(names, pa.string()))
    vars(changed)["table"] = table
    return changed


def test_a_galaxy_has_the_labels_of_every_store_that_trains_on_it(blob_store, fractions_store):
    labels = labels_of(fractions_store, blob_store)
    rows = labels.train[1]
    values = labels.of_all(1, rows).values
    assert np.array_equal(values[:, 37:], blob_store.values[rows])
    row_of = {fractions_store.ids[row]: row for row in labels.train[0].tolist()}
    both = 0
    for row, known in zip(rows.tolist(), values.numpy(), strict=True):
        there = row_of.get(blob_store.ids[row])
        both += there is not None
        expected = np.nan if there is None else fractions_store.values[there]
        assert np.array_equal(known[:37], np.broadcast_to(expected, 37), equal_nan=True)
    assert 0 < both < len(rows)


def test_of_one_store_they_are_its_own(blob_store, fractions_store):
    labels = labels_of(fractions_store, blob_store)
    values = labels.of_store(1, labels.train[1]).values
    assert values[:, :37].isnan().all()
    assert np.array_equal(values[:, 37:], blob_store.values[labels.train[1]])
    assert labels.of_store(0, labels.train[0]).largest is None


def test_labels_of_its_own_come_before_those_of_another_store(fractions_store):
    other = replace(fractions_store)
    vars(other)["values"] = 1 - fractions_store.values
    labels = labels_of(fractions_store, other)
    rows = labels.train[0]
    assert np.array_equal(labels.of_all(0, rows).values, fractions_store.values[rows])
    assert np.array_equal(labels.of_all(1, rows).values, other.values[rows])


def test_a_galaxy_that_another_store_has_twice_takes_no_labels_from_there(
    blob_store, fractions_store
):
    labels = labels_of(fractions_store, blob_store)
    there = {fractions_store.pixels[row] for row in labels.train[0].tolist()}
    row = next(row for row in labels.train[1].tolist() if blob_store.pixels[row] in there)
    pixels = list(fractions_store.pixels)
    pixels[labels.train[0][0]] = pixels[labels.train[0][1]] = blob_store.pixels[row]
    doubled = replace(fractions_store)
    vars(doubled)["pixels"] = tuple(pixels)
    other = KnownLabels((doubled, blob_store), labels.heads, labels.train)
    assert other.of_all(1, np.array([row])).values[0, :37].isnan().all()


def test_the_largest_fraction_is_an_output_and_comes_from_any_store(blob_store, fractions_store):
    names = [fractions_store.tree.columns[row % 37] for row in range(len(fractions_store))]
    names[0] = None
    store = with_largest(fractions_store, names)
    labels = labels_of(blob_store, store)  # the challenge's outputs begin after the classes'
    outputs = len(blob_store.tree.columns)
    rows = np.arange(4)
    assert labels.of_store(1, rows).largest.tolist() == [-1, outputs + 1, outputs + 2, outputs + 3]
    assert (labels.of_store(0, labels.train[0]).largest == -1).all()
    known = labels.of_all(0, labels.train[0]).largest
    assert (known >= outputs).any()
    assert (known == -1).any()


def test_a_batch_with_largest_fractions_has_a_larger_loss_than_without(fractions_store):
    names = [fractions_store.tree.columns[36]] * len(fractions_store)
    sums = []
    for store in (fractions_store, with_largest(fractions_store, names)):
        recipe = Recipe.load("compact", ("train.batch_size=8", "train.precision=float32"))
        batches = TrainingBatches.of([store], recipe)
        network = Network.build(recipe, batches.heads, PackSettings(32, 32))
        learner, batch = Learner(network, torch.device("cpu")), next(batches.batches(0, 0))
        sums.append(float(learner.learn(batch, Share(0, 8, 8), seed=1, rate=1e-4)[0]))
    assert sums[1] > sums[0] + 1


def test_a_store_that_knows_only_largest_fractions_trains_beside_another(fractions_store):
    names = [fractions_store.tree.columns[row % 2] for row in range(len(fractions_store))]
    store = with_largest(fractions_store, names)
    vars(store)["values"] = np.full_like(fractions_store.values, np.nan)
    labels = labels_of(fractions_store, store)
    assert len(labels.train[1]) == len(labels.train[0])
    batches = TrainingBatches.of(
        [fractions_store, store], Recipe("small", train=TrainSettings(batch_size=16))
    )
    assert [len(rows) > 0 for rows in batches.validation] == [True, False]
