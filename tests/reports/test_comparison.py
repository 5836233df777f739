import numpy as np
import pytest

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.reports.comparison import ReportSettings


def test_baselines_are_cut_to_the_columns_of_the_network_in_their_order(make_comparison):
    comparison = make_comparison(3)
    baseline = comparison.of_baseline("mean vote")
    assert baseline.predicted.columns == comparison.predicted.columns
    whole = comparison.baselines["mean vote"].values
    assert np.array_equal(baseline.predicted.values, whole[:, :3])
    assert baseline.labels is comparison.labels


def test_a_baseline_of_other_galaxies_or_answers_is_a_bug(
    make_comparison, make_labels, make_predictions
):
    other = make_predictions(make_labels(), 0.1, ids=tuple(f"other-{i}" for i in range(40)))
    with pytest.raises(ValueError, match="'mean vote' is of other galaxies"):
        make_comparison(baselines={"mean vote": other})
    few = make_predictions(make_labels()[:, :2], 0.1)
    with pytest.raises(ValueError, match=r"'mean vote' has no column 'Class1\.3'"):
        make_comparison(baselines={"mean vote": few})


def test_a_comparison_of_no_galaxies_is_refused(make_comparison, make_labels, make_predictions):
    none = make_labels(0)[:, :5]
    with pytest.raises(DataError, match="needs galaxies with known fractions; here is none"):
        make_comparison(labels=none, predicted=make_predictions(none, 0.1), baselines={})


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resamples": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected 0 or more, and 1 or more"):
        ReportSettings(**wrong)


def test_areas_have_fewer_resamples():
    assert ReportSettings(resamples=1000).auc_resamples == 200
    assert ReportSettings(resamples=50).auc_resamples == 50
