"""A galaxy held out in any store is never used for training."""

import pytest

from galaxyvotes import DataError, PackSettings, Recipe, SplitSettings, pack
from galaxyvotes.config import LabelSettings, TrainSettings
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.heads import heads_of
from galaxyvotes.training.selection import select


def test_a_galaxy_held_out_in_one_store_is_used_for_training_in_none(blob_store, fractions_store):
    stores = [fractions_store, blob_store]
    selected = select(stores, heads_of(stores, TrainSettings()), "bce")
    pixels = {
        split: {
            store.pixels[row]
            for store, rows in zip(stores, parts, strict=True)
            for row in rows.tolist()
        }
        for split, parts in (("train", selected.train), ("validation", selected.validation))
    }
    held_out = {
        split: {store.pixels[row] for store in stores for row in store.rows(split).tolist()}
        for split in ("validation", "test")
    }
    in_training_split = {blob_store.pixels[row] for row in blob_store.rows("train").tolist()}
    assert held_out["test"] & in_training_split  # there is a leak to stop
    assert not pixels["train"] & (held_out["validation"] | held_out["test"])
    assert not pixels["validation"] & held_out["test"]
    assert not pixels["train"] & pixels["validation"]
    galaxies = sum(len(store.rows(split)) for store in stores for split in ("train", "validation"))
    used = sum(map(len, (*selected.train, *selected.validation)))
    assert selected.left_out == galaxies - used > 0


def test_a_store_whose_galaxies_are_all_held_out_elsewhere_is_refused(blobs, blob_store, tmp_path):
    table = tmp_path / "only.csv"
    held_out = [
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    ]
    table.write_text(
        "name,kind\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(held_out)),
        "utf-8",
    )
    only = pack(
        [blobs, table],
        tmp_path / "store",
        labels=LabelSettings(classes="kind"),
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.8, 0.1, 0.1, "third"),
        progress=False,
    )
    with pytest.raises(DataError, match="no galaxy with a class in its train split"):
        TrainingBatches.of([blob_store, only], Recipe.load("small"))


def test_a_store_without_galaxies_for_validation_says_what_would_give_it_some(blobs, tmp_path):
    unvalidated = pack(
        blobs,
        tmp_path / "store",
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.9, 0.0, 0.1),
        progress=False,
    )
    with pytest.raises(DataError, match="validation split; pack more galaxies, or with a larger"):
        TrainingBatches.of([unvalidated], Recipe.load("small"))
