"""A piece of sky: the same from the same seed, its galaxies where the catalogue says."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galaxyvotes import simulate

BANDS = "grz"


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("sky") / "sky"
    return simulate(out, galaxies=5, seed=3, mosaic=True, processes=1)


def test_the_same_seed_gives_the_same_bytes(sky, tmp_path):
    again = simulate(tmp_path / "again", galaxies=5, seed=3, mosaic=True, processes=2)
    for name in ("catalogue.fits", *(f"mosaic/sky-{band}.fits" for band in BANDS)):
        assert (sky / name).read_bytes() == (again / name).read_bytes()


def test_galaxies_are_where_the_catalogue_says(sky):
    rows = Table.read(sky / "catalogue.fits")
    assert rows["SimulationID"].tolist() == [100001 + index for index in range(5)]
    assert (rows["ra"].unit, rows["radius"].unit) == ("deg", "arcsec")
    assert np.allclose(rows["radius"], rows["true_radius_px"] * 0.262)
    for band in BANDS:
        pixels = fits.getdata(sky / f"mosaic/sky-{band}.fits")
        x, y = WCS(fits.getheader(sky / f"mosaic/sky-{band}.fits")).all_world2pix(
            rows["ra"], rows["dec"], 0
        )
        for column, row in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True):
            centre = pixels[row - 3 : row + 4, column - 3 : column + 4].mean()
            assert centre > np.median(pixels) + 5 * pixels.std() / 7


def test_the_catalogue_holds_the_votes_of_every_question(sky):
    rows = Table.read(sky / "catalogue.fits")
    total = rows["Class1.1"] + rows["Class1.2"] + rows["Class1.3"]
    assert np.allclose(total, 1)
    votes = rows["Class1.1_votes"] + rows["Class1.2_votes"] + rows["Class1.3_votes"]
    assert np.allclose(rows["Class1.1"] * votes, rows["Class1.1_votes"])
