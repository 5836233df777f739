import csv
import json

import numpy as np
import pytest

from galaxyvotes import (
    ConfigError,
    GalaxyVotesError,
    PackSettings,
    SplitSettings,
    evaluate,
    pack,
    predict_store,
    simulate,
    train,
)
from galaxyvotes.evaluation.baselines import BASELINES
from galaxyvotes.evaluation.evaluate import compare


@pytest.fixture(scope="module")
def evaluation(blob_run, blob_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return evaluate(blob_store, blob_run, out=out, resamples=50, progress=False)


def test_the_reports_numbers_are_those_of_the_test_galaxies(evaluation, blob_run, blob_store):
    rows = blob_store.rows("test")
    predicted = predict_store(blob_run.network(), blob_store, rows).values
    right = predicted.argmax(axis=1) == blob_store.values[rows].argmax(axis=1)
    assert evaluation.document["network"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert evaluation.document["galaxies"] == len(rows)
    assert evaluation.document["seen"]["training"] == 0
    assert json.loads(evaluation.report.json.read_text()) == evaluation.document


def test_the_network_stands_beside_every_baseline(evaluation):
    assert list(evaluation.document["baselines"]) == [
        "class frequencies",
        "central pixel",
        "boosted trees",
    ]
    table = evaluation.table()
    for name in ("network", *evaluation.document["baselines"]):
        assert f"\n{name}" in table
    assert (
        evaluation.document["network"]["brier"]["value"]
        < evaluation.document["baselines"]["class frequencies"]["brier"]["value"]
    )


def test_training_galaxies_are_evaluated_only_by_the_name_of_their_split(
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
        named.document["seen"]["training"]
        == named.document["galaxies"]
        == len(blob_store.rows("train"))
    )


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resamples": 0}])
def test_impossible_settings_are_refused(blob_run, blob_store, tmp_path, wrong):
    with pytest.raises(ConfigError, match="expected 0 or more, and 1 or more"):
        evaluate(blob_store, blob_run, out=tmp_path, progress=False, **wrong)


def test_a_run_on_fewer_answers_is_evaluated_on_those(blob_store, tmp_path):
    settings = ("train.epochs=1", "train.answers=round")
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    document = evaluate(blob_store, run, resamples=20, progress=False).document
    assert [row["answer"] for row in document["network"]["answers"]] == ["round"]


def test_without_a_run_the_report_needs_a_folder(blob_store):
    with pytest.raises(ConfigError, match="the bundled run is no folder to write a report into"):
        evaluate(blob_store, progress=False)


@pytest.mark.parametrize("name", ["report.html", "all.parquet", "scores.CSV"])
def test_a_report_is_a_folder_and_not_called_as_a_file_is(blob_store, tmp_path, name):
    with pytest.raises(ConfigError, match=rf"{name} is the name of a file, and a report is a fol"):
        evaluate(blob_store, out=tmp_path / name, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_report_that_is_there_is_replaced_only_if_asked_for(blob_run, blob_store, tmp_path):
    how = {"baselines": False, "resamples": 5, "progress": False}
    first = evaluate(blob_store, blob_run, out=tmp_path, **how)
    with pytest.raises(ConfigError, match="holds a report already: pass `overwrite=True`"):
        evaluate(blob_store, blob_run, out=tmp_path, split="train", **how)
    again = evaluate(blob_store, blob_run, out=tmp_path, split="train", overwrite=True, **how)
    assert again.document["galaxies"] > first.document["galaxies"]


def test_what_can_be_refused_is_refused_before_a_galaxy_is_predicted(
    blobs, blob_run, blob_store, tmp_path, monkeypatch
):
    place = "galaxyvotes.evaluation.evaluate.predict_store"
    monkeypatch.setattr(place, lambda *_, **__: pytest.fail("predicted"))
    baselines = {key: {"fitted": lambda *_, **__: pytest.fail("fitted")} for key in BASELINES}
    monkeypatch.setattr("galaxyvotes.evaluation.evaluate.BASELINES", baselines)
    how = {"settings": PackSettings(32, 32), "progress": False}
    unlike = pack(blobs, tmp_path / "unlike", settings=PackSettings(32, 16), progress=False)
    seen = pack(blobs, tmp_path / "seen", splits=SplitSettings(key="again"), **how)
    untested = pack(blobs, tmp_path / "untested", splits=SplitSettings(0.5, 0.5, 0.0), **how)
    for name in ("report", "file"):
        (tmp_path / name).write_text("", "utf-8")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "report.json").write_text("{}", "utf-8")
    for problem, store, out in (
        ("cannot write into .*report: Not a directory", blob_store, "report"),
        ("cannot write into .*deep: Not a directory", blob_store, "file/deep"),
        ("holds a report already", blob_store, "there"),
        ("32 px brought to 16 px", unlike, "new"),
        ("are in the training or validation set", seen, "new"),
        ("has no galaxy with a class in its test split", untested, "new"),
    ):
        with pytest.raises(GalaxyVotesError, match=problem):
            evaluate(store, blob_run, out=tmp_path / out, progress=False)
    assert not (tmp_path / "new").exists()


def test_every_galaxy_is_in_a_table_with_its_class_and_its_prediction(evaluation, blob_store):
    with evaluation.report.predictions.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    test = blob_store.rows("test")
    assert [row["id"] for row in rows] == [blob_store.ids[row] for row in test]
    labels = blob_store.values[test].argmax(axis=1)
    assert [row["class"] for row in rows] == [blob_store.tree.columns[i] for i in labels]
    right = np.mean([row["class"] == row["predicted"] for row in rows])
    assert evaluation.document["network"]["accuracy"]["value"] == pytest.approx(right)
    sums = [float(row["probability_long"]) + float(row["probability_round"]) for row in rows]
    assert sums == pytest.approx([1.0] * len(rows), abs=1e-6)


def test_without_training_galaxies_there_are_no_baselines_and_the_report_says_so(
    blobs, blob_run, tmp_path
):
    settings, splits = PackSettings(32, 32), SplitSettings(0.0, 0.0, 1.0)
    how = {"settings": settings, "splits": splits, "progress": False}
    store = pack(blobs, tmp_path / "held out", **how)
    result = evaluate(store, blob_run, allow_seen=True, out=tmp_path, resamples=5, progress=False)
    assert result.document["baselines"] == {}
    note = "No baselines: held out has no training galaxies with a class of every answer"
    assert note in result.path.read_text("utf-8")
    seen = result.document["seen"]
    assert seen["training"] == len(blob_run.seen) - seen["validation"] > 0
    assert f"Of these galaxies, {seen['training']} are in the training set" in result.table()


def test_baselines_are_of_the_answers_that_are_known(tmp_path):
    zoo = simulate(tmp_path / "zoo", galaxies=40, size_px=64, processes=1)
    with (zoo / "votes.csv").open(encoding="utf-8") as votes:
        rows = list(csv.DictReader(votes))
    kept = [name for name in rows[0] if name.startswith(("SimulationID", "Class1.", "Class6."))]
    with (zoo / "votes.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, kept, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    how = {"settings": PackSettings(64, 32), "splits": SplitSettings(0.5, 0.1, 0.4)}
    store = pack(zoo, tmp_path / "store", **how, progress=False)
    settings = ("train.epochs=1", "train.objective=cross_entropy", "train.keep=last")
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    result = evaluate(store, run, resamples=5, progress=False)
    assert {"mean vote", "boosted trees"} <= result.document["baselines"].keys()
    assert "5 predicted vote fractions (the labels of 32 others are not known)" in result.table()


def test_a_comparison_holds_labels_predictions_and_images_of_the_same_rows(blob_run, blob_store):
    rows = blob_store.rows("test")[:5]
    comparison = compare(blob_run.network(), blob_store, rows, progress=False)
    assert comparison.predicted.ids == tuple(blob_store.ids[row] for row in rows.tolist())
    assert np.array_equal(comparison.labels, blob_store.values[rows])
    assert np.array_equal(comparison.images(np.array([3, 0])), blob_store.images(rows[[3, 0]]))
    assert comparison.conditional is None
    assert comparison.nominal_coverage is None
    assert comparison.shift is None
