"""Galaxies that a network has seen are found, and none is drawn for validation or testing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import ConfigError, PackSettings, SplitSettings, Store, pack
from galaxyvotes.config import LabelSettings
from galaxyvotes.runs.run import bundled_run
from galaxyvotes.store.seen_before import galaxies_in

HALVES = SplitSettings(0.2, 0.4, 0.4)


@pytest.fixture
def seen(blob_store) -> pa.Table:
    """What a run keeps of half of the blobs: the first twenty by pixels, the next by ids."""
    ids, pixels = list(blob_store.ids[:40]), list(blob_store.pixels[:40])
    ids[:20], pixels[20:] = ["another"] * 20, [b"another"] * 20
    table = {"id": ids, "id_name": [blob_store.id_name] * 40, "pixels": pixels}
    return pa.table(table | {"split": ["train"] * 30 + ["validation"] * 10})


@pytest.fixture
def run(seen, tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    pq.write_table(seen, folder / "seen.parquet")
    return folder


def packed(blobs: Path, out: Path, **splits) -> Store:
    return pack(
        blobs,
        out,
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.2, 0.4, 0.4, **splits),
        progress=False,
    )


def test_galaxies_are_found_by_pixels_or_by_ids_of_the_same_catalogue(blob_store, seen):
    assert np.flatnonzero(blob_store.seen_in(seen)).tolist() == list(range(40))
    assert np.flatnonzero(blob_store.seen_in(seen, "validation")).tolist() == list(range(30, 40))
    ids, pixels = pa.array(blob_store.ids), pa.array(blob_store.pixels)
    others = galaxies_in(seen, "another catalogue", ids, pixels)
    assert np.flatnonzero(others).tolist() == list(range(20))


def test_galaxies_that_the_starting_run_has_seen_are_drawn_for_training_alone(
    blobs, blob_store, seen, run, tmp_path
):
    free = packed(blobs, tmp_path / "free", start=None)
    store = packed(blobs, tmp_path / "store", start=run)
    known = store.seen_in(seen)
    assert known.sum() == 40
    assert set(store.splits[known]) == {"train"}
    assert set(store.splits[~known]) == {"train", "validation", "test"}
    assert (
        f"40 galaxies are in the training set, not drawn for validation or test, because {run}"
        in (store.summary)
    )
    assert "trained on them; the shares divide the other 40" in store.summary
    assert "trained on them" not in free.summary


def test_seen_galaxies_in_a_store_without_training_galaxies_are_called_set_aside(
    blobs, run, tmp_path
):
    store = pack(
        blobs,
        tmp_path / "store",
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.0, 0.5, 0.5, start=run),
        progress=False,
    )
    assert (
        f"no training galaxies were asked for, and 40 are set aside among them: {run} was trained"
        " on them, so they cannot validate or test; 40 are left for that" in store.summary
    )


def test_what_a_run_has_not_seen_is_divided_though_all_of_it_was_its_test_set(blobs, tmp_path):
    how = {"settings": PackSettings(32, 32), "progress": False}
    first = pack(blobs, tmp_path / "first", splits=SplitSettings(0.3, 0.1, 0.6), **how)
    run, rows = tmp_path / "run", np.flatnonzero(first.splits != "test")
    run.mkdir()
    columns = {
        "id": [first.ids[row] for row in rows],
        "id_name": [first.id_name] * len(rows),
        "pixels": [first.pixels[row] for row in rows],
        "split": ["train"] * len(rows),
    }
    pq.write_table(pa.table(columns), run / "seen.parquet")
    store = packed(blobs, tmp_path / "store", start=run)
    unseen = store.splits[[name not in columns["id"] for name in store.ids]].tolist()
    assert min(unseen.count("validation"), unseen.count("test")) >= 0.25 * len(unseen)
    whole = pack(blobs, tmp_path / "whole", splits=SplitSettings(0.0, 1.0, 0.0, start=run), **how)
    assert "none is left" not in whole.summary


def test_given_sets_stay_as_they_are_and_what_will_be_refused_is_said(blobs, run, seen, tmp_path):
    free = packed(blobs, tmp_path / "free", start=None)
    lists = []
    for split in ("train", "validation", "test"):
        file = tmp_path / f"{split}.txt"
        file.write_text("\n".join(free.ids[row] for row in free.rows(split)), "utf-8")
        lists.append(str(file))
    store = packed(blobs, tmp_path / "store", start=run, lists=tuple(lists))
    assert store.splits.tolist() == free.splits.tolist()
    validation, test = (
        int(store.seen_in(seen)[store.rows(split)].sum()) for split in ("validation", "test")
    )
    assert f"trained on {validation} of the validation and {test} of the test galaxies" in (
        store.summary
    )


def test_a_file_that_names_no_galaxies_is_said_to_and_a_run_that_is_not_there_is_refused(
    blobs, tmp_path
):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"")
    store = packed(blobs, tmp_path / "store", start=file)
    assert f"{file} has no table of the galaxies that it was trained on: some may be in the" in (
        store.summary
    )
    with pytest.raises(ConfigError, match=r"there is no run .*gone"):
        packed(blobs, tmp_path / "other", start=tmp_path / "gone")
    assert not (tmp_path / "other").exists()


def test_only_stores_that_fit_the_bundled_model_look_for_its_galaxies(make_jpeg, tmp_path):
    seen = [row["id"] for row in bundled_run().seen.to_pylist() if row["id_name"] == "GalaxyID"]
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(seen[:12]):
        (folder / f"{name}.jpg").write_bytes(make_jpeg(number, 208))
    lines = [f"{name},{('a', 'b')[number % 2]}\n" for number, name in enumerate(seen[:12])]
    (folder / "table.csv").write_text("GalaxyID,class\n" + "".join(lines), "utf-8")
    labels = LabelSettings(classes="class")
    fitting = pack(folder, tmp_path / "a", labels=labels, splits=HALVES, progress=False)
    assert set(fitting.splits) == {"train"}
    assert "because the bundled model was trained on them\n" in fitting.summary
    assert fitting.summary.endswith("more labelled galaxies that the bundled model has not seen")
    settings = PackSettings(128, 64)
    other = pack(
        folder, tmp_path / "b", labels=labels, settings=settings, splits=HALVES, progress=False
    )
    assert set(other.splits) != {"train"}
