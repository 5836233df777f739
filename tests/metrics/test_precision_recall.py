import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from galaxyvotes.metrics.precision_recall import precision_recall_curve


def test_the_curve_and_its_average_precision_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    positive = random.random(200) < 0.1
    predicted = (0.3 * positive + random.random(200)).round(2)
    curve = precision_recall_curve(positive, predicted)
    assert curve.average_precision == pytest.approx(
        sklearn_metrics.average_precision_score(positive, predicted)
    )
    assert (curve.recall[0], curve.recall[-1]) == (0, 1)
    assert (np.diff(curve.recall) >= 0).all()
    assert curve.positives == positive.mean()
    assert curve.precision[-1] == pytest.approx(curve.positives)


@pytest.mark.parametrize("positive", [np.zeros(5, bool), np.ones(5, bool)])
def test_without_positives_or_without_negatives_there_is_no_curve(positive):
    curve = precision_recall_curve(positive, np.linspace(0, 1, 5))
    assert len(curve.recall) == len(curve.precision) == 0
    assert np.isnan(curve.average_precision)
