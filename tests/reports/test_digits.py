import pytest

from galaxyvotes.reports.digits import decimals_for, digits_of, written


@pytest.mark.parametrize(("galaxies", "decimals"), [(10, 3), (999, 3), (1000, 4), (80_000, 4)])
def test_the_number_of_galaxies_decides_the_decimals_of_what_has_no_unit(galaxies, decimals):
    assert decimals_for(galaxies) == decimals


def test_a_measure_and_its_interval_have_as_many_decimals():
    measure = {"value": 0.91344, "low": -0.87, "high": 0.95}
    assert digits_of(measure, 3) == ("0.913", "−0.870", "0.950")
    assert digits_of(measure, 4).ends == "−0.8700 to 0.9500"
    assert digits_of({"value": None, "low": None, "high": None}, 3) == ("–", "–", "–")


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.0, "1.234e+04"), (-0.0012345, "−0.001234"), (1.5e20, "1.5e+20"), (None, "–")],
)
def test_what_has_a_unit_has_four_significant_digits(value, text):
    assert written(value, None) == text
