import json
from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    PackSettings,
    SplitSettings,
    draw_figures,
    evaluate,
    pack,
    predict_store,
    train,
)


@pytest.fixture(scope="module")
def evaluation(blob_run, blob_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return evaluate(blob_store, blob_run, out=out, as_published=True, resamples=50, progress=False)


def test_the_reports_numbers_are_those_of_the_test_galaxies(evaluation, blob_run, blob_store):
    rows = blob_store.rows("test")
    predicted = predict_store(blob_run.network(), blob_store, rows).values
    rmse = float(np.sqrt(np.mean((predicted - blob_store.values[rows]) ** 2)))
    assert evaluation.document["network"]["rmse"]["value"] == pytest.approx(rmse, rel=1e-6)
    assert evaluation.document["galaxies"] == len(rows)
    assert evaluation.document["seen_in_training"] == 0
    assert json.loads(evaluation.report.json.read_text()) == evaluation.document


def test_the_network_stands_beside_every_baseline(evaluation):
    assert list(evaluation.document["baselines"]) == [
        "all zeros",
        "mean vote",
        "central pixel",
        "boosted trees",
    ]
    table = evaluation.table()
    for name in ("network", *evaluation.document["baselines"]):
        assert f"\n{name}" in table
    assert (
        evaluation.document["network"]["rmse"]["value"]
        < evaluation.document["baselines"]["mean vote"]["rmse"]["value"]
    )


def test_the_papers_protocol_says_how_many_galaxies_it_had_trained_on(evaluation):
    contaminated = evaluation.document["contaminated"]
    assert 0 < contaminated["seen"] <= contaminated["galaxies"] == 16
    assert "training galaxies themselves" in contaminated["note"]
    assert "do not quote" in evaluation.path.read_text()


def test_galaxies_the_run_has_seen_are_refused_however_they_were_divided(blob_run, blobs, tmp_path):
    other = pack(
        blobs,
        tmp_path / "other",
        settings=PackSettings(32, 32),
        splits=SplitSettings(key="again"),
        progress=False,
    )
    with pytest.raises(
        DataError, match=r"test galaxies of .* taught or tuned .*\(g\d+.*--allow-seen"
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
    assert allowed.document["seen_in_training"] > 0


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
    with pytest.raises(DataError, match="would flatter"):
        evaluate(other, blob_run, out=tmp_path / "report", resamples=20, progress=False)


def test_training_galaxies_are_judged_only_by_the_name_of_their_split(
    blob_run, blob_store, tmp_path
):
    named = evaluate(
        blob_store,
        blob_run,
        out=tmp_path,
        split="train",
        baselines=False,
        resamples=20,
        progress=False,
    )
    assert (
        named.document["seen_in_training"]
        == named.document["galaxies"]
        == len(blob_store.rows("train"))
    )


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resamples": 0}])
def test_numbers_that_cannot_be_are_refused(blob_run, blob_store, tmp_path, wrong):
    with pytest.raises(ConfigError, match="expected 0 or more, and 1 or more"):
        evaluate(blob_store, blob_run, out=tmp_path, progress=False, **wrong)


def test_a_store_of_another_tree_or_size_is_refused(blob_run, blobs, tiny_store, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"answers the tree 'class', and .* holds votes on 'kaggle'"
    ):
        evaluate(tiny_store, blob_run, out=tmp_path / "report")
    smaller = pack(blobs, tmp_path / "smaller", settings=PackSettings(32, 24), progress=False)
    with pytest.raises(CheckpointError, match="pack it again with --crop 32 --size 32"):
        evaluate(smaller, blob_run, out=tmp_path / "report")


def test_a_run_on_fewer_answers_is_judged_on_those(blob_store, tmp_path):
    settings = ("train.epochs=1", "train.answers=round")
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    document = evaluate(blob_store, run, resamples=20, progress=False).document
    assert [row["answer"] for row in document["network"]["answers"]] == ["round"]


def test_the_papers_figures_are_drawn(blob_run, blob_store, tmp_path):
    paths = draw_figures(blob_run, blob_store, tmp_path, kind="svg")
    assert [path.name for path in paths] == [
        "flowchart.svg",
        "architecture.svg",
        "roc.svg",
        "roc-long.svg",
        "roc-round.svg",
    ]
    assert all("<svg" in path.read_text() for path in paths)


def test_the_table_is_readable_when_a_number_is_undefined(evaluation):
    document = json.loads(json.dumps(evaluation.document))
    document["network"]["mean_auc"]["value"] = None
    lines = (
        replace(evaluation, report=replace(evaluation.report, document=document))
        .table()
        .splitlines()
    )
    assert lines[1].split()[-1] == "–"
