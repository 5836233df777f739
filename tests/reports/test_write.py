import csv
import io
import json

import numpy as np
import pytest

from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.write import write_report
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
LENS = KAGGLE.columns.index("Class8.2")


def rows_of(report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.csv.read_text("utf-8"))))


def test_a_report_leaves_its_four_files_and_nothing_else(written):
    names = {path.name for path in written.html.parent.iterdir()}
    assert names == {"report.html", "report.json", "report.csv", "predictions.csv"}
    assert json.loads(written.json.read_text("utf-8")) == written.document


def test_the_same_input_gives_the_same_files(tmp_path, written, full_comparison, quick):
    again = write_report(full_comparison, tmp_path, quick)
    for name in ("html", "json", "csv", "predictions"):
        assert getattr(written, name).read_bytes() == getattr(again, name).read_bytes()


def test_the_csv_of_fractions_has_a_row_for_every_answer(written):
    rows = rows_of(written)
    assert [row["answer"] for row in rows] == list(KAGGLE.columns)
    assert (rows[LENS]["question"], rows[LENS]["text"]) == ("Q8", "lens or arc")
    assert (rows[LENS]["auc"], rows[LENS]["positives"]) == ("", "0")
    answers = written.document["network"]["answers"]
    assert [float(row["rmse"]) for row in rows] == [answer["rmse"]["value"] for answer in answers]
    cuts = [row["cuts"][1] for row in written.document["cuts"]["answers"]]
    assert [int(row["chosen_at_0.8"]) for row in rows] == [cut["chosen"] for cut in cuts]
    purities = [cut["purity"]["value"] for cut in cuts]
    assert [float(row["purity_at_0.8"] or "nan") for row in rows] == pytest.approx(
        [np.nan if purity is None else purity for purity in purities], nan_ok=True
    )
    others = written.document["baselines"]["mean vote"]["answers"]
    assert [float(row["rmse_mean_vote"]) for row in rows] == [
        answer["rmse"]["value"] for answer in others
    ]


def test_the_csv_of_quantities_has_a_row_for_every_quantity_and_predictor(tmp_path, quick):
    tree = DecisionTree.of_numbers(["ttype", "colour"])
    labels = np.random.default_rng(0).normal(size=(20, 2))
    predicted = Predictions(tuple("abcdefghijklmnopqrst"), tree.columns, labels + 0.1)
    comparison = Comparison(tree, labels, predicted, baselines={"mean": predicted})
    rows = rows_of(write_report(comparison, tmp_path, quick))
    assert [(row["quantity"], row["predictor"]) for row in rows] == [
        ("ttype", "network"),
        ("colour", "network"),
        ("ttype", "mean"),
        ("colour", "mean"),
    ]
    assert all(float(row["bias"]) == pytest.approx(0.1) for row in rows)
