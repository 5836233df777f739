"""Several stores as one stream: nobody held out by one store teaches through another."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxyvotes import (
    ConfigError,
    DataError,
    PackSettings,
    Recipe,
    SplitSettings,
    Store,
    evaluate,
    pack,
    simulate,
    train,
)
from galaxyvotes.config import LabelSettings, TrainSettings
from galaxyvotes.runs.tensors import read_tensors
from galaxyvotes.training.batches import TrainingBatches


def recipe(**settings) -> Recipe:
    return Recipe("small", train=TrainSettings(batch_size=16, **settings))


@pytest.fixture(scope="module")
def fractions_store(blobs, tmp_path_factory, kaggle, make_fractions, make_csv) -> Store:
    """Thirty of the blobs under the same ids with fractions of the challenge's tree, divided by
    another key."""
    folder = tmp_path_factory.mktemp("fractions")
    ids = [path.stem for path in sorted(blobs.rglob("*.jpg"))][:30]
    table = folder / "votes.csv"
    table.write_text(
        make_csv(["GalaxyID", *kaggle.columns], ids, make_fractions(kaggle, len(ids))), "utf-8"
    )
    return pack(
        [blobs, table],
        folder / "store",
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.6, 0.2, 0.2, "another"),
        progress=False,
    )


def test_a_galaxy_held_out_by_one_store_teaches_through_none(blob_store, fractions_store):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe())
    stores = batches.stores
    pixels = {
        part: {
            store.pixels[row]
            for store, rows in zip(stores, rows_of, strict=True)
            for row in rows.tolist()
        }
        for part, rows_of in (("train", batches.train), ("validation", batches.validation))
    }
    held = {
        split: {store.pixels[row] for store in stores for row in store.rows(split).tolist()}
        for split in ("validation", "test")
    }
    assert held["test"] & {
        blob_store.pixels[row] for row in blob_store.rows("train").tolist()
    }  # there is a leak to stop
    assert not pixels["train"] & (held["validation"] | held["test"])
    assert not pixels["validation"] & held["test"]
    assert not pixels["train"] & pixels["validation"]
    assert batches.left_out > 0


def test_every_galaxy_that_teaches_or_tunes_is_recorded(blob_store, fractions_store):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe())
    seen = batches.seen()
    assert seen.num_rows == sum(len(rows) for rows in (*batches.train, *batches.validation))
    assert set(seen.column("id_name").to_pylist()) == {"GalaxyID", "id"}


def test_a_batch_holds_galaxies_of_every_store_with_their_own_votes_and_nothing_else(
    blob_store, fractions_store
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe(balance=0.5))
    read = list(batches.batches(0, 0))
    assert len(read) == batches.steps
    assert sum(batches.quotas) == 16
    first, second = batches.quotas
    for images, said in read[:-1]:
        labels = said.values
        assert len(images) == len(labels) == 16
        assert not np.isnan(labels[:first, :37]).any()
        assert np.isnan(labels[:first, 37:]).all()
        assert np.isnan(labels[first:, :37]).all()
        assert np.allclose(labels[first:, 37:].sum(axis=1), 1)
    assert second > first


def test_an_epoch_goes_once_through_the_largest_store_and_starts_anywhere(
    blob_store, fractions_store
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe())
    whole = list(batches.batches(3, 0))
    labels = np.concatenate([said.values[:, 37:] for _, said in whole])
    assert (~np.isnan(labels[:, 0])).sum() >= len(batches.train[1])
    for (images, said), (again, same) in zip(whole[2:], batches.batches(3, 2), strict=True):
        assert (images == again).all()
        assert np.array_equal(said.values, same.values, equal_nan=True)


def test_a_gpu_learns_from_its_own_copy_of_the_images_what_a_cpu_learns_from_the_stores(
    blob_store, fractions_store, tmp_path, monkeypatch
):
    stores = [fractions_store, blob_store]
    batches = TrainingBatches.of(stores, recipe())
    assert batches.held(torch.device("cpu")) is None
    held = batches.copied(torch.device("cpu"))
    for (images, said), (again, same) in zip(
        batches.batches(1, 1), batches.batches(1, 1, held), strict=True
    ):
        assert torch.equal(images, again)
        assert np.array_equal(said.values, same.values, equal_nan=True)
    settings = ("model.width=8", "train.epochs=1")
    plain = train(stores, tmp_path / "plain", recipe="compact", settings=settings, progress=False)
    monkeypatch.setattr(TrainingBatches, "held", TrainingBatches.copied)
    copied = train(stores, tmp_path / "copied", recipe="compact", settings=settings, progress=False)
    weights, others = (read_tensors(run.path / "weights.safetensors")[0] for run in (plain, copied))
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


@pytest.mark.parametrize(("balance", "quotas"), [(0.0, (8, 8)), (1.0, (4, 12))])
def test_balance_goes_from_equal_shares_to_shares_by_size(
    blob_store, fractions_store, balance, quotas
):
    batches = TrainingBatches.of([fractions_store, blob_store], recipe(balance=balance))
    batches = replace(batches, train=(np.arange(10), np.arange(30)))
    assert batches.quotas == quotas


def test_stores_packed_unlike_are_refused(blob_store, tiny_store):
    with pytest.raises(ConfigError, match="pack them alike"):
        TrainingBatches.of([blob_store, tiny_store], recipe())


def test_a_store_whose_galaxies_are_all_held_out_elsewhere_is_refused(blobs, blob_store, tmp_path):
    table = tmp_path / "only.csv"
    names = [
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    ]
    table.write_text(
        "name,kind\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(names)), "utf-8"
    )
    only = pack(
        [blobs, table],
        tmp_path / "store",
        labels=LabelSettings(classes="kind"),
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.8, 0.1, 0.1, "third"),
        progress=False,
    )
    with pytest.raises(DataError, match="no galaxy with votes in its train split"):
        TrainingBatches.of([blob_store, only], recipe())


def test_a_class_that_only_held_out_galaxies_have_is_refused_by_name(blobs, blob_store, tmp_path):
    held = {
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    }
    table = tmp_path / "rare.csv"
    lines = [
        f"{name},{'rare' if name in held else 'ab'[n % 2]}\n"
        for n, name in enumerate(blob_store.ids)
    ]
    table.write_text("name,kind\n" + "".join(lines), "utf-8")
    splits = SplitSettings(**blob_store.manifest["split_settings"])
    store = pack(
        [blobs, table],
        tmp_path / "store",
        labels=LabelSettings(classes="kind"),
        settings=PackSettings(32, 32),
        splits=splits,
        progress=False,
    )
    with pytest.raises(
        DataError, match=rf"training galaxies is 'rare', but {len(held)} held out are"
    ):
        TrainingBatches.of([store], recipe())


def test_a_class_that_another_store_teaches_may_be_held_out_by_this_one(
    blobs, blob_store, tmp_path
):
    """Both speak to one head; and of a class that is not to be learned, nothing is wanted."""
    held = {
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    }
    stores: list[Store] = []
    for name, rare in (("one", held), ("two", set(list(blob_store.ids)[::3]))):
        lines = [
            f"{i},{'rare' if i in rare else 'ab'[n % 2]}\n" for n, i in enumerate(blob_store.ids)
        ]
        (tmp_path / f"{name}.csv").write_text("name,kind\n" + "".join(lines), "utf-8")
        stores.append(
            pack(
                [blobs, tmp_path / f"{name}.csv"],
                tmp_path / name,
                labels=LabelSettings(classes="kind"),
                progress=False,
                settings=PackSettings(32, 32),
                splits=SplitSettings(0.7, 0.15, 0.15),
            )
        )
    assert TrainingBatches.of(stores, recipe()).heads[0].columns == ("a", "b", "rare")
    assert TrainingBatches.of(stores[:1], recipe(answers=("a", "b"))).heads[0].columns == ("a", "b")


def test_two_trees_of_one_name_say_what_differs(blobs, blob_store, tmp_path):
    lines = [f"{name},{'abc'[n % 3]}\n" for n, name in enumerate(blob_store.ids)]
    (tmp_path / "other.csv").write_text("name,class\n" + "".join(lines), "utf-8")
    other = pack(
        [blobs, tmp_path / "other.csv"],
        tmp_path / "store",
        labels=LabelSettings(classes="class"),
        settings=PackSettings(32, 32),
        progress=False,
    )
    told = (
        r"different trees 'class': 'long' is no answer there, .*'a' is an answer there only, .*one"
        r" tree \(--tree"
    )
    with pytest.raises(ConfigError, match=told):
        TrainingBatches.of([blob_store, other], recipe())


def test_one_network_learns_two_trees_and_is_judged_on_each(blob_store, fractions_store, tmp_path):
    settings = (
        "train.epochs=6",
        "train.batch_size=16",
        "train.average=0.9",
        "train.weight_decay=0.01",
        "train.clip_norm=1",
        "train.augment=sky",
        "train.schedule=cosine",
        "train.balance=0.5",
    )
    run = train(
        [fractions_store, blob_store],
        tmp_path / "run",
        recipe="small",
        settings=settings,
        progress=False,
    )
    assert [head.tree.name for head in run.heads] == ["kaggle", "class"]
    assert {"validation_mse", "class_validation_accuracy"} <= set(run.history[-1])
    network = run.network(tree="class")
    assert network.columns == ("long", "round")
    assert network.outputs == slice(37, 39)
    result = evaluate(
        blob_store, run, out=tmp_path / "report", resamples=20, baselines=False, progress=False
    )
    assert result.document["network"]["argmax_accuracy"]["value"] > 0.8
    with pytest.raises(ConfigError, match="answers the tree kaggle and class, not 'gz2'"):
        run.network(tree="gz2")


def test_two_stores_stopped_and_resumed_end_bit_for_bit_as_if_never_stopped(
    blob_store, fractions_store, tmp_path, monkeypatch
):
    import os
    import signal
    from importlib import import_module

    training = import_module("galaxyvotes.training.loop")._Training
    settings = (
        "train.epochs=2",
        "train.batch_size=16",
        "train.average=0.9",
        "train.weight_decay=0.01",
        "train.clip_norm=1",
        "train.augment=sky",
    )
    stores = [fractions_store, blob_store]
    whole = train(stores, tmp_path / "whole", recipe="small", settings=settings, progress=False)
    step, count = training._step, 0

    def interrupted(self, images, said):
        nonlocal count
        step(self, images, said)
        count += 1
        if count == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(training, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(stores, tmp_path / "run", recipe="small", settings=settings, progress=False)
    run = train(stores, tmp_path / "run", resume=True, progress=False)
    assert (run.path / "weights.safetensors").read_bytes() == (
        whole.path / "weights.safetensors"
    ).read_bytes()


def test_training_ends_when_validation_has_not_improved_for_so_many_epochs(blob_store, tmp_path):
    settings = (
        "train.epochs=40",
        "train.batch_size=16",
        "train.patience=2",
        "train.learning_rate=0.02",
    )
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    losses = [row["validation_loss"] for row in run.history]
    assert len(losses) - 1 - losses.index(min(losses)) == 2
    assert len(losses) < 40


def test_an_objective_of_whole_votes_learns_from_them_and_is_refused_where_there_are_none(
    blob_store, tmp_path
):
    zoo = simulate(tmp_path / "zoo", galaxies=40, processes=1)
    store = pack(
        zoo,
        tmp_path / "store",
        settings=PackSettings(128, 32),
        splits=SplitSettings(0.6, 0.2, 0.2),
        progress=False,
    )
    settings = ("train.objective=dirichlet_multinomial", "train.epochs=4", "train.batch_size=8")
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.history[-1]["validation_mse"] < 0.1
    with pytest.raises(ConfigError, match=r"learns from whole votes, and .* holds only fractions"):
        train(blob_store, tmp_path / "other", recipe="small", settings=settings, progress=False)
    assert not (tmp_path / "other").exists()
