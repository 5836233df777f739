import numpy as np
import pytest

from galaxyvotes import CheckpointError, DataError, PackSettings, SplitSettings, evaluate, pack
from galaxyvotes.evaluation.seen import (
    calibrated_on,
    head_for,
    labelled_rows,
    labels_of,
    refuse_seen,
    seen_by,
    volunteers_of,
    with_labels,
)
from galaxyvotes.runs.network import Head

# ---- labels


def test_labels_are_those_of_the_head_in_its_order(blob_store):
    tree = blob_store.tree
    rows = np.array([4, 1])
    head = Head(tree, tree.columns[::-1])
    assert np.array_equal(labels_of(blob_store, rows, head), blob_store.values[rows][:, ::-1])


def test_fractions_without_whole_votes_have_no_number_of_volunteers(tiny_store):
    head = Head(tiny_store.tree, tiny_store.tree.columns)
    assert tiny_store.votes is None
    assert volunteers_of(tiny_store, tiny_store.rows("test"), head) is None


def test_galaxies_without_labels_are_left_out_and_a_split_of_none_is_refused(tiny_store):
    head = Head(tiny_store.tree, tiny_store.tree.columns)
    rows = np.arange(len(tiny_store))
    assert with_labels(tiny_store, rows, head).tolist() == rows.tolist()
    unknown = tiny_store.values.copy()
    unknown[:] = np.nan
    tiny_store.__dict__["values"] = unknown
    assert with_labels(tiny_store, rows, head).tolist() == []
    with pytest.raises(DataError, match="has no galaxy with votes in its test split"):
        labelled_rows(tiny_store, "test", head)


def test_largest_fractions_alone_are_no_labels_to_evaluate_by(tiny_store):
    head = Head(tiny_store.tree, tiny_store.tree.columns)
    tiny_store.__dict__["values"] = np.full_like(tiny_store.values, np.nan)
    tiny_store.__dict__["largest"] = np.zeros(len(tiny_store), np.int32)
    with pytest.raises(DataError, match="which fraction is the largest is no fraction"):
        labelled_rows(tiny_store, "test", head)


def test_a_store_of_another_tree_or_size_is_refused(blob_run, blobs, tiny_store, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"predicts the tree 'class', and .* holds labels of 'kaggle'"
    ):
        evaluate(tiny_store, blob_run, out=tmp_path / "report")
    smaller = pack(blobs, tmp_path / "smaller", settings=PackSettings(32, 24), progress=False)
    with pytest.raises(
        CheckpointError, match=r"pack it again with `settings=PackSettings\(32, 32\)`"
    ):
        evaluate(smaller, blob_run, out=tmp_path / "report")


# ---- galaxies that a run has seen


def test_a_galaxy_is_seen_in_the_split_that_it_was_seen_in(blob_run, blob_store):
    for split in ("train", "validation"):
        seen = seen_by(blob_run, blob_store, split)
        assert np.flatnonzero(seen).tolist() == sorted(blob_store.rows(split).tolist())
    assert not seen_by(blob_run, blob_store)[blob_store.rows("test")].any()


def test_a_run_that_was_never_calibrated_has_no_calibration_galaxies(blob_run, blob_store):
    assert not calibrated_on(blob_run, blob_store, head_for(blob_run, blob_store)).any()


def test_seen_galaxies_are_refused_with_their_number_and_a_remedy(blob_run, blob_store):
    refuse_seen(blob_run, blob_store, blob_store.rows("test"))
    rows = blob_store.rows("train")
    with pytest.raises(DataError, match=rf"{len(rows)} of the {len(rows)} .* too small: give up"):
        refuse_seen(blob_run, blob_store, rows, remedy="give up")


def test_galaxies_of_the_training_set_are_refused_however_the_store_is_divided(
    blob_run, blobs, tmp_path
):
    other = pack(
        blobs,
        tmp_path / "other",
        settings=PackSettings(32, 32),
        splits=SplitSettings(key="again"),
        progress=False,
    )
    with pytest.raises(
        DataError,
        match=r"test galaxies of .* training or validation set .*\(g\d+.*`allow_seen=True`",
    ):
        evaluate(other, blob_run, out=tmp_path / "report", resamples=20, progress=False)
    assert not (tmp_path / "report").exists()
    allowed = evaluate(
        other,
        blob_run,
        out=tmp_path / "report",
        allow_seen=True,
        baselines=False,
        resamples=20,
        progress=False,
    )
    assert allowed.document["seen"]["training"] > 0


def test_renamed_copies_of_seen_galaxies_are_found_by_their_pixels(blob_run, blobs, tmp_path):
    for number, image in enumerate(sorted(blobs.rglob("*.jpg"))):
        target = tmp_path / "renamed" / image.parent.name / f"new{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(image.read_bytes())
    other = pack(
        tmp_path / "renamed",
        tmp_path / "store",
        settings=PackSettings(32, 32),
        splits=SplitSettings(key="b"),
        progress=False,
    )
    with pytest.raises(DataError, match="errors on them are too small"):
        evaluate(other, blob_run, out=tmp_path / "report", resamples=20, progress=False)
