import pytest

from galaxyvotes.sky.bands import split_band

GRZ = ("g", "r", "z")


@pytest.mark.parametrize(
    ("stem", "rest", "band"),
    [
        ("12-g", "12", "g"),
        ("12_R", "12", "r"),
        ("g.12", "12", "g"),
        ("frame-g-003836-4-0084", "frame-003836-4-0084", "g"),
        ("g-12-r", "g-12", "r"),
        ("12", "12", ""),
        ("galaxy", "galaxy", ""),
        ("12grz", "12grz", ""),
        ("g", "", "g"),
    ],
)
def test_a_name_is_split_at_its_last_band(stem, rest, band):
    assert split_band(stem, GRZ) == (rest, band)


def test_names_of_filters_may_hold_what_divides_names():
    bands = ("HSC-G", "HSC-R")
    assert split_band("cutout-hsc-g-9813", bands) == ("cutout-9813", "HSC-G")
    assert split_band("9813 HSC-R", bands) == ("9813", "HSC-R")
