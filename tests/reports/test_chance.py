from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.chance import at_chance
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.document import document_of
from galaxyvotes.reports.write import write_report
from galaxyvotes.tree import DecisionTree

HANDS = DecisionTree.of_classes(["anticlockwise", "clockwise", "smooth"], "hand")


@pytest.fixture(scope="module")
def hands() -> Comparison:
    """A network that tells smooth galaxies from spirals, but not the sense of their arms."""
    random = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.float32)[random.integers(3, size=300)]
    smooth = 0.1 + 0.8 * labels[:, 2]
    share = random.random(300)
    values = np.stack([share * (1 - smooth), (1 - share) * (1 - smooth), smooth], axis=1)
    ids = tuple(map(str, range(300)))
    return Comparison(HANDS, labels, Predictions(ids, HANDS.columns, values), mirrored=True)


def test_a_pair_at_chance_is_named_with_the_reason(hands, quick, tmp_path, read_page):
    found = at_chance(hands, quick)
    assert found is not None
    (pair,) = found["pairs"]
    assert pair["answers"] == ["anticlockwise", "clockwise"]
    assert pair["auc"]["low"] <= 0.5
    assert "train again with --no-mirror (train.mirror=false)" in found["why"]
    page = read_page(write_report(hands, tmp_path, quick).html.read_text("utf-8"))
    assert "Not better than chance" in page.text
    assert "anticlockwise or clockwise" in page.text
    assert found["why"] in page.text
    summary = document_of(hands, quick)["summary"]
    assert "anticlockwise and clockwise are not told apart better than by chance" in summary


def test_a_run_that_was_not_mirrored_is_not_told_to_leave_mirrors_out(hands, quick):
    found = at_chance(replace(hands, mirrored=False), quick)
    assert found is not None
    assert "train.mirror" not in found["why"]
    assert "Images were not mirrored in training" in found["why"]


def test_answers_that_are_told_apart_are_not_at_chance(class_comparison, quick):
    assert at_chance(class_comparison, quick) is None
    assert document_of(class_comparison, quick)["chance"] is None


def test_a_quantity_that_is_predicted_no_better_than_by_its_mean_is_named(quick):
    tree = DecisionTree.of_numbers(["angle", "size"])
    random = np.random.default_rng(1)
    labels = random.normal(size=(200, 2))
    values = np.stack([random.normal(0, 0.1, 200), labels[:, 1] + 0.1], axis=1)
    predicted = Predictions(tuple(map(str, range(200))), tree.columns, values)
    comparison = Comparison(tree, labels, predicted, mirrored=True)
    summary = document_of(comparison, quick)["summary"]
    assert "Not predicted better than by the mean: angle." in summary
    found = at_chance(comparison, quick)
    assert found is not None
    assert [row["quantity"] for row in found["quantities"]] == ["angle"]
    assert "an angle on the sky" in found["why"]
