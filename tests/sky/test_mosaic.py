import pytest

from galaxyvotes import ConfigError, Mosaic
from galaxyvotes.sky.mosaic import CutoutSize


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("30arcsec", CutoutSize(30.0)),
        ('30"', CutoutSize(30.0)),
        ("0.5 arcmin", CutoutSize(30.0)),
        ("1'", CutoutSize(60.0)),
        ("0.01deg", CutoutSize(36.0)),
        ("200px", CutoutSize(200.0, "px")),
        ("8*petro_r50", CutoutSize(8.0, column="petro_r50")),
        ("2.5 × `R eff`", CutoutSize(2.5, column="R eff")),
    ],
)
def test_a_size_is_an_angle_pixels_or_times_a_column(text, size):
    assert CutoutSize.parse(text) == size


@pytest.mark.parametrize(
    "text", ["30", "30parsec", "0arcsec", "-3px", "8*", "nan*r", "", "1e999px"]
)
def test_a_size_that_is_none_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match=r"such as 30arcsec, 0.5arcmin or 200px"):
        CutoutSize.parse(text)


def test_a_mosaic_without_files_and_a_position_of_one_column_are_refused():
    with pytest.raises(ConfigError, match="no mosaic is named"):
        Mosaic(())
    with pytest.raises(ConfigError, match="expected two columns"):
        Mosaic(("a.fits",), position=("ra",))


def test_what_images_are_cut_from_stands_in_the_manifest():
    mosaic = Mosaic(("folder/g.fits",), "30arcsec")
    assert mosaic.to_table() == {"mosaic": ["g.fits"], "cutout_size": "30arcsec"}
