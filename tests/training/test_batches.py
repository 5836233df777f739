"""Several stores as one stream of batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxyvotes import ConfigError, PackSettings, Recipe, SplitSettings, pack, simulate, train
from galaxyvotes.config import TrainSettings
from galaxyvotes.networks.batch import Batch
from galaxyvotes.runs.tensors import read_tensors
from galaxyvotes.training.batches import TrainingBatches, open_stores, seed_of


def recipe(**settings) -> Recipe:
    return Recipe("small", train=TrainSettings(batch_size=16, **settings))


def assert_equal(batch: Batch, other: Batch) -> None:
    assert torch.equal(batch.images, other.images)
    torch.testing.assert_close(batch.values, other.values, rtol=0, atol=0, equal_nan=True)
    assert (batch.votes is None) == (other.votes is None)
    assert batch.votes is None or torch.equal(batch.votes, other.votes)


def test_every_galaxy_that_trains_or_validates_is_recorded(blob_store, fractions_store):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe())
    seen = batches.seen()
    assert seen.num_rows == sum(len(rows) for rows in (*batches.train, *batches.validation))
    assert set(seen.column("id_name").to_pylist()) == {"GalaxyID", "id"}


def test_a_galaxy_that_several_stores_have_is_recorded_once(fractions_store):
    batches = TrainingBatches.of([fractions_store, replace(fractions_store)], recipe())
    assert batches.seen().num_rows == len(batches.train[0]) + len(batches.validation[0])


def test_a_batch_holds_galaxies_of_every_store_with_the_labels_that_any_store_knows(
    blob_store, fractions_store
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe(balance=0.5))
    read = list(batches.batches(0, 0))
    assert len(read) == batches.steps
    first, second = batches.galaxies_per_store
    assert first + second == 16
    assert second > first
    for batch in read:
        assert len(batch) == len(batch.values) == 16
        assert not batch.values[:first, :37].isnan().any()
        assert np.allclose(batch.values[:first, 37:].sum(dim=1), 1)  # all are blobs with a class
        assert np.allclose(batch.values[first:, 37:].sum(dim=1), 1)
        assert batch.votes is None
        assert batch.largest is None
    whole = torch.cat([batch.values[first:, 0] for batch in read])
    assert whole.isnan().all()  # blobs with fractions are drawn from the first store


def test_whole_votes_stand_beside_values(tmp_path):
    zoo = simulate(tmp_path / "zoo", galaxies=40, size_px=160, processes=1)
    splits = SplitSettings(0.6, 0.2, 0.2)
    settings = PackSettings(128, 32)
    store = pack(zoo, tmp_path / "store", settings=settings, splits=splits, progress=False)
    batches = TrainingBatches.of([store], recipe())
    rows = batches.train[0]
    labels = batches.labels.of_store(0, rows)
    assert np.array_equal(labels.values, store.values[rows], equal_nan=True)
    assert np.array_equal(labels.votes, store.votes[rows])


def test_an_epoch_passes_once_through_the_largest_store_and_starts_anywhere(
    blob_store, fractions_store
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe())
    whole = list(batches.batches(3, 0))
    of_largest = sum(int((~batch.values[:, 37].isnan()).sum()) for batch in whole)
    assert of_largest >= len(batches.train[1])
    for batch, again in zip(whole[2:], batches.batches(3, 2), strict=True):
        assert_equal(batch, again)


def test_an_epoch_of_one_store_has_each_galaxy_once_and_a_smaller_last_batch(blob_store):
    batches = TrainingBatches.of([blob_store], recipe())
    sizes = [len(batch) for batch in batches.batches(0, 0)]
    assert sum(sizes) == len(batches.train[0])
    assert sizes == [batches.size_of(step) for step in range(batches.steps)]
    order = np.concatenate([batch.images.flatten(1).sum(dim=1) for batch in batches.batches(0, 0)])
    pixels = blob_store.images(batches.train[0]).reshape(len(batches.train[0]), -1).sum(axis=1)
    assert sorted(order.tolist()) == sorted(pixels.tolist())


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_the_shares_of_all_processes_are_the_batch_of_one(monkeypatch, blob_store, processes):
    batches = TrainingBatches.of([blob_store], recipe())
    whole = list(batches.batches(1, 0))
    shares = []
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    for rank in range(processes):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(list(batches.batches(1, 0)))
    for batch, *parts in zip(whole, *shares, strict=True):
        assert_equal(Batch.concatenate(parts), batch)


def test_a_process_without_a_galaxy_has_one_without_labels(monkeypatch, blob_store):
    size = len(blob_store.rows("train")) - 1  # the last batch has one galaxy
    small = Recipe("small", train=TrainSettings(batch_size=size))
    batches = TrainingBatches.of([blob_store], small)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    (batch,) = batches.batches(0, 1)
    assert len(batch) == 1
    assert batch.values.isnan().all()
    monkeypatch.setenv("RANK", "1")
    (other,) = batches.batches(0, 1)
    assert torch.equal(batch.images, other.images)
    assert not other.values.isnan().any()


def test_a_gpu_learns_from_its_copy_of_the_images_what_a_cpu_learns_from_the_stores(
    blob_store, fractions_store, tmp_path, monkeypatch
):
    stores = [fractions_store, blob_store]
    batches = TrainingBatches.of(stores, recipe())
    assert batches.images_on_gpu(torch.device("cpu")) is None
    copies = batches.images_on(torch.device("cpu"))
    for batch, other in zip(batches.batches(1, 1), batches.batches(1, 1, copies), strict=True):
        assert_equal(batch, other)
    settings = ("model.width=8", "train.epochs=1")
    plain = train(stores, tmp_path / "plain", recipe="compact", settings=settings, progress=False)
    monkeypatch.setattr(TrainingBatches, "images_on_gpu", TrainingBatches.images_on)
    copied = train(stores, tmp_path / "copied", recipe="compact", settings=settings, progress=False)
    weights, others = (read_tensors(run.path / "weights.safetensors")[0] for run in (plain, copied))
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


@pytest.mark.parametrize(("balance", "galaxies"), [(0.0, (8, 8)), (1.0, (4, 12))])
def test_balance_goes_from_equal_shares_to_shares_by_size(
    blob_store, fractions_store, balance, galaxies
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe(balance=balance))
    batches = replace(batches, train=(np.arange(10), np.arange(40, 70)))  # no blob in both
    assert batches.galaxies_per_store == galaxies


def test_a_galaxy_of_several_stores_is_drawn_from_the_first_that_has_it(
    blob_store, fractions_store
):
    for stores in ([fractions_store, blob_store], [blob_store, fractions_store]):
        batches = TrainingBatches.of(stores, recipe(balance=0.5))
        pixels = [
            {store.pixels[row] for row in rows.tolist()}
            for store, rows in zip(stores, batches.train, strict=True)
        ]
        drawn = [
            {store.pixels[row] for row in rows.tolist()}
            for store, rows in zip(stores, batches.drawn, strict=True)
        ]
        assert drawn == [pixels[0], pixels[1] - pixels[0]]


def test_a_store_of_galaxies_that_others_have_only_teaches_its_labels(blob_store, fractions_store):
    batches = TrainingBatches.of([blob_store, fractions_store], recipe(balance=0.5))
    assert batches.galaxies_per_store == (16, 0)
    values = torch.cat([batch.values for batch in batches.batches(0, 0)])
    known = ~values[:, -37:].isnan()
    assert known.any(dim=1).sum() >= len(batches.train[1])  # an epoch may show one twice


def test_a_batch_too_small_for_a_galaxy_of_each_store_is_refused(blob_store, fractions_store):
    stores = [fractions_store, fractions_store, blob_store]
    batches = TrainingBatches.of(stores, recipe(balance=0.5))
    parts = (np.arange(10), np.arange(10, 20), np.arange(40, 70))  # no galaxy in two of them
    batches = replace(batches, train=parts, settings=TrainSettings(batch_size=2))
    with pytest.raises(ConfigError, match=r"batch_size is 2; 3 stores want 6 or more"):
        batches.check()


def test_a_batch_too_small_for_a_galaxy_of_each_process_is_refused(monkeypatch, blob_store):
    monkeypatch.setenv("WORLD_SIZE", "3")
    small = Recipe("small", train=TrainSettings(batch_size=2))
    with pytest.raises(ConfigError, match=r"train\.batch_size is 2, and there are 3 processes"):
        TrainingBatches.of([blob_store], small)


def test_stores_packed_differently_are_refused(blob_store, tiny_store):
    with pytest.raises(ConfigError, match="pack them alike"):
        TrainingBatches.of([blob_store, tiny_store], recipe())


def test_no_store_is_refused():
    with pytest.raises(ConfigError, match="there is no store to learn from"):
        open_stores([])


def test_a_store_is_opened_by_its_path_or_is_open_already(blob_store):
    assert open_stores(blob_store) == [blob_store]
    assert open_stores([str(blob_store.path), blob_store.path])[1].digest == blob_store.digest


def test_seeds_differ_by_position_and_fit_63_bits():
    seeds = {seed_of(*position) for position in ((0,), (0, 0), (0, 1), (1, 0), (10,))}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
