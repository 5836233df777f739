import pytest

from galaxyvotes.reports.digits import decimals_for, digits_of, span, written


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
    [
        (12345.0, "12345"),
        (1234567.0, "1.235e+06"),
        (3.0, "3"),
        (-0.0012345, "−0.001234"),
        (1.5e20, "1.5e+20"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_what_has_a_unit_and_no_interval_has_four_significant_digits(value, text):
    assert written(value, None) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (3.24712, 1.50123, 4.93456, ("3.2", "1.5", "4.9")),
        (0.084271, 0.080123, 0.088456, ("0.0843", "0.0801", "0.0885")),
        (5873.21, 3640.4, 8130.9, ("5900", "3600", "8100")),
        (21.5, 18.2, 41.9, ("22", "18", "42")),
        (12.0, -300.0, 400.0, ("10", "−300", "400")),
        (-0.0004, -0.02, 0.03, ("0.000", "−0.020", "0.030")),
        (1.2345e10, 1.0e10, 1.5e10, ("1.23e+10", "1.00e+10", "1.50e+10")),
        (0.0, -2e-5, 3e-5, ("0", "−2.0e−05", "3.0e−05")),
        (1.0, 0.99999999, 1.00000001, ("1.000000", "1.000000", "1.000000")),
        (2.5, 2.5, 2.5, ("2.5", "2.5", "2.5")),
        (2.5, float("nan"), float("nan"), ("2.5", "–", "–")),
    ],
)
def test_what_has_a_unit_ends_at_the_second_digit_of_half_its_interval(value, low, high, text):
    assert digits_of({"value": value, "low": low, "high": high}, None) == text


def test_a_dash_does_not_stand_beside_a_minus():
    ends = {"value": 1.0, "low": -2.0, "high": 4.0}
    assert span(digits_of(ends, None)) == "−2.0 to 4.0"
    assert span(digits_of(ends | {"low": 0.5}, None)) == "0.5–4.0"
