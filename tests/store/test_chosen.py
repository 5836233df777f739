from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.sources.catalog import Catalog, open_catalog
from galaxyvotes.store.chosen import choose_galaxies
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store

SETS = ["train", "Training", "val", "TEST", "", "dev", "train", "holdout", "NaN", "train"]


@pytest.fixture
def folder(tmp_path, make_jpeg) -> Path:
    """Ten galaxies, of which the first three rows of each class are `a`; 9 has the pixels of 3."""
    for number in range(10):
        (tmp_path / f"{number}.jpg").write_bytes(make_jpeg(3 if number == 9 else number))
    rows = [f"{n},{'ab'[n % 2]},{split}" for n, split in enumerate(SETS)]
    (tmp_path / "t.csv").write_text("\n".join(["id,type,Split", *rows]) + "\n")
    return tmp_path


def chosen(folder: Path, **settings) -> Catalog:
    with open_catalog(folder, LabelSettings(classes="type")) as catalog:
        return choose_galaxies(catalog, SplitSettings(**settings))


def packed(folder: Path, out: Path, **settings) -> Store:
    labels, size = LabelSettings(classes="type"), PackSettings(16, 16)
    splits = SplitSettings(**settings)
    return pack(folder, out, labels=labels, settings=size, splits=splits, progress=False)


def lists(folder: Path, *names: str) -> tuple[str, ...]:
    files = [folder / f"{split}.list" for split in ("train", "validation", "test")]
    for file, text in zip(files, names, strict=True):
        file.write_text(text)
    return tuple(map(str, files))


def test_a_column_gives_sets_in_usual_words_and_galaxies_without_one_are_listed(folder, tmp_path):
    store = packed(folder, tmp_path / "s", column="split")
    splits = dict(zip(store.ids, store.splits, strict=True))
    assert splits == {
        "0": "train", "1": "train", "2": "validation", "3": "test", "5": "validation",
        "6": "train", "7": "test", "9": "test",
    }  # fmt: skip
    rejected = pacsv.read_csv(store.path / "rejected.csv").to_pylist()
    assert [row["id"] for row in rejected if row["reason"] == "the galaxy is in no set"] == [4, 8]
    assert "2 galaxies are in no set and were left out" in store.summary


def test_three_lists_give_sets_by_id_by_file_and_by_path(folder, tmp_path):
    files = lists(folder, "# ids\n0\n1.jpg\nx/y/2.jpg\n", "3\r\n4\r\n", '"5",\n77\n')
    store = packed(folder, tmp_path / "s", lists=files)
    assert dict(zip(store.ids, store.splits, strict=True)) == {
        "0": "train", "1": "train", "2": "train", "3": "validation", "4": "validation", "5": "test"
    }  # fmt: skip
    assert store.manifest["split_settings"]["lists"] == list(files)


def test_a_list_may_hold_what_nobody_sees(folder):
    files = lists(folder, "\ufeff\u200b0\n\xa01.jpg\xa0\n", "2\u200b\n", "3\n")
    assert chosen(folder, lists=files).splits.tolist() == ["train", "train", "validation", "test"]


def test_ids_in_lists_that_are_those_of_no_galaxy_are_counted_and_listed(folder, tmp_path):
    store = packed(folder, tmp_path / "s", lists=lists(folder, "0\n1\ntypo\n", "3\n", "5\n77\n"))
    assert "2 ids in the lists of sets are no galaxy's: " in store.summary
    rejected = (store.path / "rejected.csv").read_text("utf-8")
    assert [name in rejected for name in ('"typo"', '"77"', '"5"')] == [True, True, False]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("0\n1\n", "2\n", "1.jpg\n"), r"test\.list: 1\.jpg is in .*train\.list, too"),
        (("0\n", "77\n", "1\n"), r"validation\.list: not one of 1 ids .* called 0, 1, 2 …"),
    ],
)
def test_lists_that_share_a_galaxy_or_name_none_are_refused(folder, names, reason):
    with pytest.raises(DataError, match=reason):
        chosen(folder, lists=lists(folder, *names))


def test_a_column_that_is_not_there_or_says_something_else_is_refused(folder):
    with pytest.raises(
        ConfigError,
        match=r"`splits=SplitSettings\(column='set'\)`: the table has no such column; it has Spl",
    ):
        chosen(folder, column="set")
    text = (folder / "t.csv").read_text().replace("dev", "fold3")
    (folder / "t.csv").write_text(text)
    with pytest.raises(DataError, match="galaxy 5: Split is 'fold3'; expected train, validation"):
        chosen(folder, column="Split")


def test_a_limit_takes_each_class_by_its_share_and_the_same_galaxies_again(folder):
    catalog = chosen(folder, limit=4)
    assert catalog.values is not None
    assert catalog.values.sum(axis=0).tolist() == [2, 2]
    header, *rows = (folder / "t.csv").read_text().splitlines()
    (folder / "t.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    assert chosen(folder, limit=4).ids.to_pylist() == catalog.ids.to_pylist()
    assert len(chosen(folder, limit=99)) == 10
    assert {*chosen(folder, limit=4).ids.to_pylist()} <= {*chosen(folder, limit=6).ids.to_pylist()}


def test_a_limit_reaches_every_set_and_other_keys_take_others(folder):
    names = [f"{n}.jpg" for n in range(10, 200)]
    for number, name in enumerate(names):
        (folder / name).write_bytes((folder / f"{number % 10}.jpg").read_bytes())
    rows = "".join(f"{n},{'ab'[n % 2]},\n" for n in range(10, 200))
    (folder / "t.csv").write_text((folder / "t.csv").read_text() + rows)
    one, other = chosen(folder, limit=40), chosen(folder, limit=40, key="other")
    assert len(one) == len(other) == 40
    assert one.ids.to_pylist() != other.ids.to_pylist()


def test_a_rare_class_keeps_one_galaxy(folder):
    text = (folder / "t.csv").read_text().replace(",b,", ",a,").replace("7,a,", "7,c,")
    (folder / "t.csv").write_text(text)
    catalog = chosen(folder, limit=3)
    assert catalog.values is not None
    assert catalog.values.sum(axis=0).tolist() == [2, 1]


def test_classes_are_counted_and_few_examples_warned_of(folder, tmp_path):
    store = packed(folder, tmp_path / "s")
    assert "\n5 a, 5 b\nfewer than 10 examples of a, b: too few to learn" in store.summary
    assert np.isfinite(store.values).all()
