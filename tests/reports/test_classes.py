import csv
import json
import re

import numpy as np
import pytest

from galaxyvotes.kinds import CLASSES
from galaxyvotes.metrics.classification import class_statistics, confusion_matrix
from galaxyvotes.metrics.statistic import value_of
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.classes import differences
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.headline import text_table
from galaxyvotes.reports.write import write_report
from galaxyvotes.tree import DecisionTree


@pytest.fixture(scope="module")
def report(class_comparison, quick, tmp_path_factory):
    return write_report(class_comparison, tmp_path_factory.mktemp("classes"), quick)


@pytest.fixture(scope="module")
def page(report, read_page):
    return read_page(report.html.read_text("utf-8"))


def test_the_numbers_of_classes_are_those_of_the_metrics(report, class_comparison):
    labels, values = class_comparison.labels, class_comparison.predicted.values
    network = report.document["network"]
    for name, statistic in class_statistics(labels, values).items():
        value = value_of(statistic, len(labels))
        if value.ndim:
            assert [row[name]["value"] for row in network["classes"]] == pytest.approx(value)
        else:
            assert network[name]["value"] == pytest.approx(float(value))
    assert network["confusion"] == confusion_matrix(labels, values).tolist()
    assert sum(row["galaxies"] for row in network["classes"]) == 60
    assert json.loads(report.json.read_text("utf-8")) == report.document


def test_the_difference_from_a_baseline_is_that_of_the_two(class_comparison, quick):
    found = differences(class_comparison, class_comparison.of_baseline("guess"), quick)
    own, guess = (
        class_statistics(class_comparison.labels, predicted.values)
        for predicted in (class_comparison.predicted, class_comparison.baselines["guess"])
    )
    accuracy = value_of(own["accuracy"], 60) - value_of(guess["accuracy"], 60)
    brier = value_of(guess["brier"], 60) - value_of(own["brier"], 60)
    assert found["accuracy"]["value"] == pytest.approx(float(accuracy))
    assert found["brier"]["value"] == pytest.approx(float(brier))


def test_a_page_of_classes_speaks_of_classes_and_not_of_votes(page):
    for title in ("Confusion matrix", "Each class", "Calibration of the probabilities"):
        assert title in page.text
    html = re.sub(r"<style>.*?</style>", "", page.html, flags=re.DOTALL)
    html = html.replace("galaxyvotes calibrate", "")
    for word in ("volunteer", "vote", "fraction", "RMSE", "prediction interval"):
        assert word not in html, word


def test_a_class_of_few_galaxies_is_not_judged(report, page):
    few = [row for row in report.document["network"]["classes"] if not row["judged"]]
    assert [row["class"] for row in few] == ["ring"]
    assert 0 < few[0]["galaxies"] < 10
    assert f"ring {few[0]['galaxies']} {few[0]['predicted']} not judged not judged" in page.text


def test_every_galaxy_shown_has_its_class_and_an_id_that_does_not_break(report, page):
    shown = [galaxy for group in report.document["shown"].values() for galaxy in group]
    assert all(re.fullmatch(r"\d{18}", galaxy["id"]) for galaxy in shown)
    titles = [attributes["title"] for tag, attributes in page.tags if tag == "h4"]
    assert titles == [galaxy["id"] for galaxy in shown]
    assert re.search(r"\.galaxy h4 \{[^}]*white-space: nowrap", page.html)
    for galaxy in shown:
        verdict = "predicted rightly" if galaxy["class"] == galaxy["predicted"] else "predicted "
        assert f"{galaxy['id']} {galaxy['class']} {verdict}" in page.text
        assert galaxy["class"] in [row["class"] for row in galaxy["probabilities"]]


@pytest.mark.parametrize(("classes", "curves"), [(["a", "b"], 1), (["a", "b", "c"], 3)])
def test_two_classes_have_one_curve(classes, curves, tmp_path, quick, read_page):
    tree = DecisionTree.of_classes(classes)
    random = np.random.default_rng(0)
    labels = np.eye(len(classes), dtype=np.float32)[random.integers(len(classes), size=90)]
    values = random.dirichlet([1.0] * len(classes), 90).astype(np.float32)
    predicted = Predictions(tuple(map(str, range(90))), tree.columns, values)
    page = write_report(Comparison(tree, labels, predicted), tmp_path, quick).html
    widths = [
        int(a["width"])
        for tag, a in read_page(page.read_text("utf-8")).tags
        if tag == "img" and a["alt"].startswith("ROC")
    ]
    assert widths == [round(96 * (0.55 + 1.7 * curves))]


def test_the_csv_of_classes_has_a_row_for_every_class_and_predictor(report):
    rows = list(csv.DictReader(report.csv.read_text("utf-8").splitlines()))
    assert [(row["predictor"], row["class"]) for row in rows] == [
        (name, column)
        for name in ("network", "guess")
        for column in ("barred spiral", "ring", "spiral")
    ]
    classes = report.document["network"]["classes"]
    assert [float(row["recall"]) for row in rows[:3]] == [row["recall"]["value"] for row in classes]


def test_the_headline_of_classes_begins_with_accuracy(report):
    header, network, *_ = text_table(report.document, CLASSES).splitlines()
    assert header.split()[0] == "Accuracy"
    assert f"{report.document['network']['accuracy']['value']:.3f}" in network
