"""Which columns each head learns, and which stores it refuses."""

import numpy as np
import pytest

from galaxyvotes import (
    ConfigError,
    DataError,
    PackSettings,
    Recipe,
    SplitSettings,
    Store,
    pack,
)
from galaxyvotes.config import LabelSettings, TrainSettings
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.heads import heads_of, standardised


def recipe(**settings) -> Recipe:
    return Recipe("small", train=TrainSettings(batch_size=16, **settings))


@pytest.fixture(scope="module")
def quantities_store(blobs, tmp_path_factory) -> Store:
    """The blobs with a T type from −5 to 10, unknown of every fifth, and a constant."""
    folder = tmp_path_factory.mktemp("quantities")
    ids = [path.stem for path in sorted(blobs.rglob("*.jpg"))]
    lines = [f"{name},{'' if n % 5 == 0 else n % 16 - 5},7\n" for n, name in enumerate(ids)]
    (folder / "types.csv").write_text("name,ttype,seven\n" + "".join(lines), "utf-8")
    return pack(
        [blobs, folder / "types.csv"],
        folder / "store",
        labels=LabelSettings(quantity=("ttype", "seven")),
        settings=PackSettings(32, 32),
        progress=False,
    )


def test_each_tree_has_one_head_in_the_order_of_the_stores(blob_store, fractions_store):
    heads = heads_of([fractions_store, blob_store, fractions_store], TrainSettings())
    assert [head.tree.name for head in heads] == ["kaggle", "class"]
    assert heads[1].columns == ("long", "round")
    assert not any(head.standards for head in heads)


def test_columns_below_the_least_mean_fraction_are_left_out(fractions_store):
    means = np.nanmean(fractions_store.values[fractions_store.rows("train")], axis=0)
    (head,) = heads_of([fractions_store], TrainSettings(min_mean_fraction=0.1))
    columns = fractions_store.tree.columns
    assert head.columns == tuple(np.array(columns)[means >= 0.1])
    assert 0 < len(head.columns) < len(columns)


def test_quantities_are_standardised_by_their_known_training_galaxies(quantities_store):
    (head,) = heads_of([quantities_store], TrainSettings(answers=("ttype",)))
    rows = quantities_store.rows("train")
    (standard,) = standardised(head, [quantities_store], [rows]).standards
    values = quantities_store.values[rows][:, quantities_store.tree.columns.index("ttype")]
    assert standard.centre == pytest.approx(np.nanmean(values))
    assert standard.scale == pytest.approx(np.nanstd(values))
    assert np.isnan(values).any()


def test_a_constant_quantity_is_refused_with_its_value(quantities_store):
    with pytest.raises(DataError, match=r"seven is always 7 among the training galaxies"):
        TrainingBatches.of([quantities_store], recipe())


def test_fractions_are_not_standardised(blob_store):
    (head,) = heads_of([blob_store], TrainSettings())
    assert standardised(head, [blob_store], [blob_store.rows("train")]) is head


def test_an_objective_of_whole_votes_is_refused_where_there_are_only_fractions(fractions_store):
    settings = TrainSettings(objective="dirichlet_multinomial")
    with pytest.raises(ConfigError, match=r"learns from whole votes, and .* holds only fractions"):
        heads_of([fractions_store], settings)


def test_a_class_that_only_held_out_galaxies_have_is_refused_by_name(blobs, blob_store, tmp_path):
    held_out = {
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    }
    table = tmp_path / "rare.csv"
    lines = [
        f"{name},{'rare' if name in held_out else 'ab'[n % 2]}\n"
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
        DataError, match=rf"training galaxies is 'rare', but {len(held_out)} held out are"
    ):
        TrainingBatches.of([store], recipe())


def test_a_class_that_another_store_has_for_training_may_be_held_out_in_this_one(
    blobs, blob_store, tmp_path
):
    """Both have one head; and a class that is not to be learned may be missing."""
    held_out = {
        blob_store.ids[row]
        for split in ("validation", "test")
        for row in blob_store.rows(split).tolist()
    }
    stores: list[Store] = []
    for name, rare in (("one", held_out), ("two", set(list(blob_store.ids)[::3]))):
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


def test_two_different_trees_of_one_name_are_refused_with_what_differs(blobs, blob_store, tmp_path):
    lines = [f"{name},{'abc'[n % 3]}\n" for n, name in enumerate(blob_store.ids)]
    (tmp_path / "other.csv").write_text("name,class\n" + "".join(lines), "utf-8")
    other = pack(
        [blobs, tmp_path / "other.csv"],
        tmp_path / "store",
        labels=LabelSettings(classes="class"),
        settings=PackSettings(32, 32),
        progress=False,
    )
    message = (
        r"different trees 'class': 'long' is no answer there, .*'a' is an answer there only, .*one"
        r" tree \(`labels=LabelSettings\(tree="
    )
    with pytest.raises(ConfigError, match=message):
        TrainingBatches.of([blob_store, other], recipe())
