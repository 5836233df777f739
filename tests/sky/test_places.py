import numpy as np
import pytest

from galaxyvotes import DataError
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import explain_none, find_places, in_other_units
from mosaics import pixels, wcs_of, write_mosaic

WCS = wcs_of(300, 400)
X, Y = np.array([10.25, 200.0, 399.4, -3.0]), np.array([20.5, 150.0, 299.4, 5.0])


@pytest.fixture
def tiles(tmp_path):
    return open_tiles([write_mosaic(tmp_path / "m.fits", pixels())])


def test_positions_are_where_astropy_finds_them(tiles):
    places = find_places(tiles, *WCS.all_pix2world(X, Y, 0))
    assert places.tile.tolist() == [[0, 0, 0, -1]]
    assert np.allclose(places.x[0, :3], X[:3], atol=1e-6)
    assert np.allclose(places.y[0, :3], Y[:3], atol=1e-6)
    assert np.allclose(places.scales[0, :3], 0.25, atol=1e-5)
    assert places.problem(3).startswith("lies outside the mosaic (ra 150.0")


def test_of_tiles_that_overlap_the_one_counts_in_which_a_position_is_deeper(tmp_path):
    left = write_mosaic(tmp_path / "left.fits", pixels(), wcs_of(300, 400, ra=150.0))
    right = write_mosaic(
        tmp_path / "right.fits", pixels(), wcs_of(300, 400, ra=150.0 - 250 * 0.25 / 3600)
    )
    places = find_places(open_tiles([left, right]), *WCS.all_pix2world([300, 350], [150, 150], 0))
    assert places.tile.tolist() == [[0, 1]]


def test_a_band_without_a_tile_at_a_position_is_named(tmp_path):
    paths = [write_mosaic(tmp_path / "m-g.fits", pixels())]
    paths.append(write_mosaic(tmp_path / "m-r.fits", pixels(), wcs_of(300, 400, ra=150.01)))
    places = find_places(open_tiles(paths), *WCS.all_pix2world([200, 399], [150, 150], 0))
    assert places.inside.tolist() == [True, False]
    assert places.problem(1).startswith("lies outside the mosaic of band r")


def test_bands_that_are_turned_against_each_other_are_a_problem(tmp_path):
    turned = wcs_of(300, 400)
    turned.wcs.cd = turned.wcs.cd @ np.array([[0, -1], [1, 0]])
    paths = [write_mosaic(tmp_path / "m-g.fits", pixels())]
    paths.append(write_mosaic(tmp_path / "m-r.fits", pixels(), turned))
    places = find_places(open_tiles(paths), *WCS.all_pix2world([200], [150], 0))
    assert "r is turned or mirrored against g; reproject the mosaic first" in places.problem(0)


def test_positions_that_are_none_have_a_reason_by_row(tiles):
    ra, dec = WCS.all_pix2world([200.0] * 4, [150.0] * 4, 0)
    ra[1], dec[2], dec[3] = np.nan, np.inf, 91
    places = find_places(tiles, ra, dec)
    assert places.inside.tolist() == [True, False, False, False]
    assert places.problem(1).startswith("has no position: ra is nan")
    assert places.problem(2).endswith("dec is inf")
    assert "expected degrees, ra from 0 to 360 and dec from -90 to 90" in places.problem(3)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda ra, dec: (np.radians(ra), np.radians(dec)), "ra and dec are in radians"),
        (lambda ra, dec: (ra / 15, dec), "in hours and degrees"),
        (
            lambda ra, dec: (dec, ra % 90),
            "lies in the mosaic, whose first tile, m.fits, is centred",
        ),
    ],
)
def test_positions_in_other_units_are_told_by_where_they_would_lie(tiles, how, words):
    places = find_places(tiles, *how(*WCS.all_pix2world([200.0, 100], [150.0, 100], 0)))
    assert words in explain_none(tiles, places)
    assert bool(in_other_units(tiles, places)) == ("centred" not in words)


def test_exchanged_columns_are_told(tmp_path):
    wcs = wcs_of(300, 400, ra=40, dec=2)
    tiles = open_tiles([write_mosaic(tmp_path / "m.fits", pixels(), wcs)])
    ra, dec = wcs.all_pix2world([200.0], [150.0], 0)
    assert "ra and dec are exchanged" in in_other_units(tiles, find_places(tiles, dec, ra))


def test_positions_across_the_zero_of_right_ascension_and_near_the_pole_are_found(tmp_path):
    for ra, dec in ((0.0, 0.0), (123.0, 89.999)):
        wcs = wcs_of(300, 400, ra=ra, dec=dec)
        tiles = open_tiles([write_mosaic(tmp_path / f"{ra}.fits", pixels(), wcs)])
        x, y = np.array([5.0, 380, 200]), np.array([250.0, 20, 149])
        places = find_places(tiles, *wcs.all_pix2world(x, y, 0))
        assert np.allclose(places.x, x, atol=1e-4)
        assert np.allclose(places.y, y, atol=1e-4)
        assert np.allclose(places.scales, 0.25, atol=1e-3)


def test_a_band_without_a_file_is_refused(tmp_path):
    tiles = open_tiles([write_mosaic(tmp_path / f"m-{b}.fits", pixels()) for b in "gr"])
    with pytest.raises(DataError, match="the mosaic has no file of the band z, only of g, r"):
        find_places(tiles, np.array([150.0]), np.array([2.0]), ("g", "r", "z"))


def test_a_file_without_a_band_among_others_is_refused(tmp_path):
    paths = [write_mosaic(tmp_path / "m-g.fits", pixels())]
    paths.append(write_mosaic(tmp_path / "other.fits", pixels()))
    with pytest.raises(DataError, match=r"other.fits: nothing says which band it is"):
        find_places(open_tiles(paths), np.array([150.0]), np.array([2.0]))
