import json
from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.metrics.coverage import coverage_per_answer
from galaxyvotes.metrics.roc import auc_per_answer
from galaxyvotes.metrics.scores import bootstrap_scores
from galaxyvotes.reports.classes import summarise as summarise_classes
from galaxyvotes.reports.comparison import ReportSettings
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.judge import judged, judged_answer
from galaxyvotes.web.selection import Selection


@pytest.fixture(scope="module")
def fractions(open_judged, judged_fractions):
    """The catalogue of the zoo with labels."""
    return open_judged(judged_fractions)


@pytest.fixture(scope="module")
def classes(open_judged, judged_classes):
    return open_judged(judged_classes)


@pytest.fixture(scope="module")
def quantities(open_judged, judged_quantities):
    return open_judged(judged_quantities)


def counts_in(value):
    """Everything that counts galaxies and names their filter."""
    if isinstance(value, dict):
        if {"galaxies", "filter"} <= value.keys():
            yield value
        for item in value.values():
            yield from counts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from counts_in(item)


def check_counts(catalogue, document):
    counts = list(counts_in(document))
    for one in counts:
        assert len(catalogue.rows(Selection.parse(one["filter"]))) == one["galaxies"], one
    return counts


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("fractions", "Class1.2"), ("classes", "ring: b"), ("quantities", "colour")],
)
def test_a_filter_finds_the_galaxies_that_were_counted(request, kind, answer):
    catalogue = request.getfixturevalue(kind)
    counts = check_counts(catalogue, judged_answer(catalogue, answer))
    assert sum(one["galaxies"] > 0 for one in counts) > 20


@pytest.mark.parametrize("kind", ["fractions", "classes"])
def test_a_cell_of_a_confusion_matrix_finds_its_galaxies(request, kind):
    catalogue = request.getfixturevalue(kind)
    first = judged(catalogue)["confusions"][0]
    assert len(check_counts(catalogue, first)) == len(first["answers"]) ** 2
    assert sum(cell["galaxies"] for row in first["cells"] for cell in row) > 90


def test_every_galaxy_of_known_label_is_counted_once(fractions):
    found = judged_answer(fractions, "Class1.2")
    known = 150 - 7
    assert found["galaxies"] == known
    assert sum(one["galaxies"] for one in found["reliability"]) == known
    assert sum(one["galaxies"] for one in found["grid"]["cells"]) == known
    for point in found["roc"]["points"]:
        groups = [point[name]["galaxies"] for name in ("found", "wrong", "missed", "left")]
        assert sum(groups) == known
        positives, negatives = found["roc"]["positives"], found["roc"]["negatives"]
        assert point["true_positive_rate"] == pytest.approx(groups[0] / positives)
        assert point["false_positive_rate"] == pytest.approx(groups[1] / negatives)


def test_measures_are_those_of_the_report(fractions, judged_fractions, kaggle):
    found = judged(fractions)
    given = judged_fractions.labels, judged_fractions.predicted.values
    expected = bootstrap_scores(*given, kaggle, auc_resamples=1)
    for one in found["measures"][:4]:
        measure = expected[one["name"]].measure()
        assert [one[end] for end in measure] == pytest.approx([*measure.values()], abs=1e-6)
    aucs = [one["auc_per_answer"] for one in found["answers"]]
    held = [one["coverage_per_answer"] for one in found["answers"]]
    undefined = [np.nan if one is None else one for one in aucs]
    np.testing.assert_allclose(undefined, auc_per_answer(*given).auc, atol=1e-6)
    bounds = judged_fractions.predicted.bounds
    np.testing.assert_allclose(held, coverage_per_answer(given[0], *bounds), atol=0.02)


def test_measures_of_classes_are_those_of_the_report(classes, judged_classes):
    found = {one["name"]: one["value"] for one in judged(classes)["measures"]}
    expected = summarise_classes(judged_classes, ReportSettings(resamples=1))
    for name, value in found.items():
        assert value == pytest.approx(expected[name]["value"], abs=1e-6)


def test_quantities_have_no_measures_in_common_but_the_coverage(
    quantities, judged_quantities, open_judged
):
    found = judged(quantities)
    assert [one["name"] for one in found["measures"]] == ["coverage"]
    assert [one["rmse"] for one in found["answers"]] == pytest.approx([1.0, 0.1], rel=0.2)
    predicted = judged_quantities.predicted
    single = replace(
        judged_quantities,
        tree=DecisionTree.of_numbers(["ttype"]),
        labels=judged_quantities.labels[:, :1],
        predicted=replace(
            predicted, columns=("ttype",), values=predicted.values[:, :1], bounds=None
        ),
    )
    found = judged(open_judged(single))
    assert [one["name"] for one in found["measures"]] == ["rmse", "mae", "bias", "r2"]
    assert found["measures"][0]["low"] < found["answers"][0]["rmse"] < found["measures"][0]["high"]
    assert [group["name"] for group in found["groups"]] == ["worst", "best"]


def test_galaxies_come_worst_best_least_familiar_and_most_uncertain(fractions, quantities):
    names = ["worst", "best", "least_familiar", "most_uncertain"]
    groups = judged(fractions)["groups"]
    assert [group["name"] for group in groups] == names
    for group in groups:
        rows = fractions.rows(Selection(sort=group["sort"]))[:12].tolist()
        assert [one["id"] for one in group["galaxies"]] == [f"g{row:04d}" for row in rows]
    without_familiarity = [group["name"] for group in judged(quantities)["groups"]]
    assert without_familiarity == ["worst", "best", "most_uncertain"]


def test_the_coverage_that_was_promised_is_read_in_the_report_beside_the_table(fractions):
    report = fractions.path.with_name("report.json")
    assert judged(fractions)["nominal_coverage"] is None
    report.write_text(json.dumps({"intervals": {"nominal": 0.9}}), "utf-8")
    assert judged(fractions)["nominal_coverage"] == 0.9
    report.write_text("[", "utf-8")
    assert judged(fractions)["nominal_coverage"] is None


def test_without_labels_there_is_nothing_to_judge(zoo, fractions):
    with pytest.raises(ConfigError, match="no answer 'bar'; it has"):
        judged_answer(fractions, "bar")
    with Catalogue.open(zoo.table) as catalogue:
        for ask in (judged, lambda table: judged_answer(table, "Class1.1")):
            with pytest.raises(ConfigError, match="no labels beside its predictions"):
                ask(catalogue)
