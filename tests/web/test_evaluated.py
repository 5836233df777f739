"""The columns that a table that `evaluate` wrote has while it is served."""

from dataclasses import replace

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.metrics.accuracy import confusion_matrices
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.document import CONTENTS
from galaxyvotes.reports.galaxy_table import galaxy_table
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.answer_table import find_answers
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.evaluated import ERROR, WIDTH, most_columns
from galaxyvotes.web.selection import Selection


@pytest.mark.parametrize("judged", ["judged_fractions", "judged_classes", "judged_quantities"])
def test_galaxies_are_ranked_by_the_errors_of_the_report(request, open_judged, judged):
    comparison = request.getfixturevalue(judged)
    errors = CONTENTS[comparison.kind].errors(comparison.labels, comparison.predicted.values)
    rows = open_judged(comparison).rows(Selection(sort=f"-{ERROR}"))
    assert np.all(np.diff(errors[rows]) <= 1e-7)
    assert rows[0] == errors.argmax()


def test_most_voted_and_most_predicted_answers_are_those_of_the_confusion_matrices(
    open_judged, judged_fractions, kaggle
):
    given = judged_fractions.labels, judged_fractions.predicted.values, kaggle
    table = pq.read_table(open_judged(judged_fractions).file)
    for name, confusion in confusion_matrices(*given).items():
        pairs = list(zip(*(table.column(c).to_pylist() for c in most_columns(name)), strict=True))
        assert sum(pair != (None, None) for pair in pairs) == confusion.galaxies.sum()
        for (row, column), galaxies in np.ndenumerate(confusion.galaxies):
            pair = confusion.columns[row], confusion.columns[column]
            assert pairs.count(pair) == galaxies


def test_the_error_of_a_galaxy_without_labels_is_not_known(open_judged, judged_fractions):
    labels = judged_fractions.labels.copy()
    labels[3] = np.nan
    catalogue = open_judged(replace(judged_fractions, labels=labels))
    assert np.flatnonzero(np.isnan(catalogue.values(ERROR))).tolist() == [3]


def test_quantities_have_the_width_of_their_intervals(open_judged, judged_quantities):
    widths = np.ptp(judged_quantities.predicted.bounds, axis=0)
    expected = (widths / judged_quantities.labels.std(axis=0)).mean(axis=1)
    catalogue = open_judged(judged_quantities)
    np.testing.assert_allclose(catalogue.values(WIDTH), expected, rtol=1e-4)


def test_answers_are_found_by_their_names_and_with_their_intervals(open_judged, judged_fractions):
    catalogue = open_judged(judged_fractions)
    wanted = judged_fractions.predicted.values[:, 0] >= 0.5
    filters = ["Class1.1:0.5.."]
    assert catalogue.rows(Selection.parse(filters)).tolist() == np.flatnonzero(wanted).tolist()
    predictions = catalogue.predictions_in(catalogue.whole_row(9))
    np.testing.assert_allclose(
        predictions.bounds.upper[0], judged_fractions.predicted.bounds.upper[9], rtol=1e-6
    )


def test_a_table_of_predictions_alone_is_not_evaluated(zoo, kaggle):
    names = pq.read_schema(zoo.table).names
    assert not find_answers(names, {"tree": "kaggle"}, []).is_evaluated
    assert find_answers(["id", "x_label", "x_predicted"], {}, []) is None


@pytest.mark.parametrize("names", [["NA", "nan"], ["True", "False"], ["1.0", "2.0"], ["01", "1"]])
def test_classes_are_words_whatever_they_look_like(open_judged, zoo, names):
    tree = DecisionTree.of_classes(names)
    labels = np.tile(np.eye(2, dtype=np.float32), (75, 1))
    comparison = Comparison(tree, labels, Predictions(zoo.predictions.ids, tree.columns, labels))
    catalogue = open_judged(comparison)
    for row, name in enumerate(tree.columns):
        rows = catalogue.rows(Selection.parse([f"class:={name}", f"predicted:={name}"]))
        assert rows.tolist() == [*range(row, 150, 2)]
        labels = catalogue.answers.labels_in(catalogue.whole_row(row))
        assert labels == {one: float(one == name) for one in tree.columns}
    assert catalogue.values(ERROR).max() == 0


def test_a_prediction_that_is_missing_is_named(tmp_path, judged_quantities):
    values = judged_quantities.predicted.values.copy()
    values[4, 1] = np.nan
    predicted = replace(judged_quantities.predicted, values=values)
    table = galaxy_table(replace(judged_quantities, predicted=predicted))
    pacsv.write_csv(table, tmp_path / "edited.csv")
    named = pytest.raises(DataError, match="'g0004' has no prediction in 'colour_predicted'")
    with named, Catalogue.open(tmp_path / "edited.csv", [judged_quantities.tree]):
        pass
