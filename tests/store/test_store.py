import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomlkit

from galaxyvotes.config import LabelSettings, PackSettings
from galaxyvotes.errors import DataError
from galaxyvotes.runtime.digests import contents_digest
from galaxyvotes.store.format import FORMAT
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store

OLDER = Path(__file__).parent / "data"


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as error:
        Store.open(path)
    return str(error.value)


def rewrite(store: Store, **changes) -> None:
    """Give the store another manifest, with its own digest right."""
    manifest = {**store.manifest, **changes}
    manifest["digest"] = contents_digest(manifest, tomlkit.dumps)
    (store.path / "store.toml").write_text(tomlkit.dumps(manifest), "utf-8")


# What is in it


def test_a_store_that_is_opened_again_is_the_store_that_was_packed(tiny_store, kaggle):
    store = Store.open(str(tiny_store.path))
    assert (store.ids, store.digest, store.manifest) == (
        tiny_store.ids,
        tiny_store.digest,
        tiny_store.manifest,
    )
    assert (len(store), store.size_px, store.pack) == (12, 16, PackSettings(16, 16))
    assert (store.tree, store.id_name) == (kaggle, "GalaxyID")
    assert store.manifest["splits"] == {
        name: len(store.rows(name)) for name in ("train", "validation", "test")
    }
    rows = np.concatenate([store.rows(name) for name in ("train", "validation", "test")])
    assert sorted(rows.tolist()) == list(range(12))


def test_images_are_the_readers_own_to_change(tiny_store):
    rows = np.arange(3)
    images = tiny_store.images(rows)
    before = images.copy()
    images[:] = 0
    np.testing.assert_array_equal(tiny_store.images(rows), before)


def test_no_rows_are_no_images(tiny_store):
    assert tiny_store.images(np.array([], np.int64)).shape == (0, 16, 16, 3)


def test_an_unknown_split_is_refused_with_those_there_are(tiny_store):
    with pytest.raises(DataError, match="no split 'valid': one of train, validation, test"):
        tiny_store.rows("valid")


def test_a_store_without_votes_has_images_and_says_that_it_has_no_tree(galaxies_folder, tmp_path):
    (galaxies_folder / "solutions.csv").unlink()
    store = pack(
        galaxies_folder,
        tmp_path / "s",
        labels=LabelSettings(unlabelled=True),
        settings=PackSettings(16, 16),
        progress=False,
    )
    assert store.images(np.arange(12)).shape == (12, 16, 16, 3)
    for what in ("tree", "values", "votes"):
        with pytest.raises(DataError, match=r"holds no votes: pack it with a table of votes"):
            getattr(store, what)


# What is wrong with it


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path} is no store: it has no store.toml"
    assert (
        refusal(tmp_path / "missing") == f"{tmp_path / 'missing'} is no store: it has no store.toml"
    )


@pytest.mark.parametrize("proper", [True, False])
def test_a_store_of_a_newer_version_is_refused_and_not_called_damaged(tiny_store, proper):
    if proper:
        rewrite(tiny_store, format=FORMAT + 1)
    else:
        (tiny_store.path / "store.toml").write_text(f"format = {FORMAT + 1}\nnew = true\n")
    assert (
        refusal(tiny_store.path)
        == f"{tiny_store.path} was packed by a newer galaxyvotes (format {FORMAT + 1}; this one"
        f" reads {FORMAT}): upgrade galaxyvotes, or pack it again with this one"
    )


@pytest.mark.parametrize("name", ["store.toml", "galaxies.parquet", "tree.toml", "rejected.csv"])
def test_a_flipped_byte_in_a_small_file_is_found_when_the_store_is_opened(tiny_store, name):
    path = tiny_store.path / name
    size = path.stat().st_size
    for position in np.linspace(0, size - 1, 25).astype(int).tolist():
        for bit in (0, 7):
            flip(path, position, bit)
            message = refusal(tiny_store.path)
            assert message.startswith((f"{path} is damaged: ", f"{path} is missing or damaged: "))
            assert message.endswith("pack the store again")
            flip(path, position, bit)
    Store.open(tiny_store.path)


def test_a_flipped_byte_in_the_header_of_the_images_is_found_when_the_store_is_opened(tiny_store):
    path = tiny_store.path / "images.npy"
    for position in range(128):
        flip(path, position)
        message = refusal(tiny_store.path)
        assert f"{path} is " in message
        assert "damaged: " in message
        assert message.lower().endswith("pack the store again")
        flip(path, position)
    Store.open(tiny_store.path)


def test_a_flipped_byte_in_the_pixels_is_found_at_the_galaxy_it_hits_and_nowhere_else(tiny_store):
    path = tiny_store.path / "images.npy"
    flip(path, 128 + 5 * 768 + 100, 3)
    store = Store.open(tiny_store.path)
    expected = (
        f"{path}: the pixels of galaxy {store.ids[5]} (row 5) are damaged; pack the store again"
    )
    with pytest.raises(DataError, match=re.escape(expected)):
        store.images(np.array([4, 5]))
    others = np.array([row for row in range(12) if row != 5])
    assert len(store.images(others)) == 11


@pytest.mark.parametrize("name", ["galaxies.parquet", "tree.toml", "rejected.csv", "images.npy"])
def test_a_missing_file_is_found_when_the_store_is_opened(tiny_store, name):
    (tiny_store.path / name).unlink()
    assert refusal(tiny_store.path).startswith(f"{tiny_store.path / name} is missing or damaged: ")


@pytest.mark.parametrize("size", [0, 100, 128, 5000])
def test_images_that_are_cut_short_are_found_when_the_store_is_opened(tiny_store, size):
    path = tiny_store.path / "images.npy"
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(tiny_store.path).startswith(f"{path} is missing or damaged: ")


def test_images_of_another_store_are_found_when_the_store_is_opened(
    tiny_store, galaxies_folder, tmp_path
):
    for settings, holds in (
        (PackSettings(16, 8), "(12, 8, 8, 3)"),
        (PackSettings(16, 16), "(11, 16, 16, 3)"),
    ):
        if settings.size_px == 16:
            (galaxies_folder / "images" / "1000.jpg").unlink()
        other = pack(galaxies_folder, tmp_path / holds, settings=settings, progress=False)
        shutil.copy(other.path / "images.npy", tiny_store.path / "images.npy")
        message = refusal(tiny_store.path)
        assert (
            f"images.npy is damaged: it holds uint8 {holds}; expected uint8 (12, 16, 16, 3)"
            in message
        )


def test_a_manifest_with_a_setting_changed_by_hand_is_refused(tiny_store):
    path = tiny_store.path / "store.toml"
    path.write_text(path.read_text().replace("crop_px = 16", "crop_px = 20"))
    assert (
        refusal(tiny_store.path)
        == f"{path} is damaged: its digest does not fit; pack the store again"
    )


# Stores of earlier versions (see data/make.py)


def test_a_store_of_an_earlier_version_is_read_with_its_ids_values_and_pixels():
    store = Store.open(OLDER / "store")
    assert store.digest == "cd7b4e3045e395817436e3e9fd283cd8"
    assert store.ids == tuple(str(100_001 + n) for n in range(12))
    assert (store.id_name, store.tree.name, store.pack) == (
        "SimulationID",
        "kaggle",
        PackSettings(8, 8),
    )
    with (OLDER / "galaxies" / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = store.tree.columns
    fractions = [[float(row[answer]) for answer in columns] for row in rows]
    votes = [[int(row[f"{answer}_votes"]) for answer in columns] for row in rows]
    np.testing.assert_allclose(store.values, fractions, atol=1e-6)
    assert store.votes is not None
    np.testing.assert_array_equal(store.votes, votes)
    assert store.images(np.arange(12)).sum(axis=(1, 2, 3)).tolist() == [
        36293,
        36892,
        34776,
        34245,
        33099,
        34822,
        32513,
        35374,
        37183,
        32924,
        37438,
        39228,
    ]
    assert [store.rows(split).tolist() for split in ("validation", "test")] == [[8], [2, 5]]
    assert store.table.column("true_type")[0].as_py() == rows[0]["true_type"]
    assert store.summary.startswith(f"{store.path}: 12 galaxies of 8 px (9 train, 1 validation, 2")
