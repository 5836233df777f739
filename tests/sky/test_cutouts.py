import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from galaxyvotes import DataError
from galaxyvotes.sky import cutouts as module
from galaxyvotes.sky.cutouts import Cutouts, fits_bytes
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import find_places
from mosaics import pixels, wcs_of, write_mosaic

PIXELS, SKY = pixels(), wcs_of(300, 400)
X = np.array([50.2, 200.5, 310.9, 77.0])
Y = np.array([60.7, 149.5, 200.1, 250.4])


def cutouts(paths, x=X, y=Y, side=25.0, bands=(), wcs=SKY, **options) -> Cutouts:
    tiles = open_tiles(paths, bands=bands)
    places = find_places(tiles, *wcs.all_pix2world(x, y, 0), bands)
    return Cutouts(tiles, places, np.full(len(places), side), **options)


def smooth(height: int = 300, width: int = 400) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (np.sin(x / 25) + np.cos(y / 31)).astype(np.float32)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("side_px", [100, 37, 1])
def test_the_mosaics_own_pixels_are_those_of_astropys_cutout2d(tmp_path, packed, side_px):
    path = write_mosaic(tmp_path / "m.fits", PIXELS, packed=packed)
    cut = cutouts([path], side=side_px * 0.25)
    for row, place in enumerate(zip(X, Y, strict=True)):
        peer = Cutout2D(PIXELS, place, side_px, wcs=SKY, mode="partial", fill_value=np.nan)
        mine = cut.cut(row)
        assert np.array_equal(mine.image.bands[0, ::-1], peer.data, equal_nan=True)
        assert mine.image.arcsec_px == pytest.approx(0.25, rel=1e-4)
        ours = WCS(fits.Header(mine.wcs)).all_pix2world([0, side_px], [side_px, 0], 0)
        theirs = peer.wcs.all_pix2world([0, side_px], [side_px, 0], 0)
        assert np.allclose(ours, theirs, atol=1e-4 / 3600, rtol=0)
    cut.close()


def test_an_angle_in_pixels_is_as_many_of_the_mosaics(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", PIXELS)
    in_px = cutouts([path], side=100.0, in_px=True).cut(1).image.bands
    assert np.array_equal(in_px, cutouts([path], side=25.0).cut(1).image.bands)


@pytest.mark.parametrize(("side_px", "tolerance"), [(400, 0.005), (50, 0.005), (97, 0.005)])
def test_resampled_pixels_show_the_same_sky(tmp_path, side_px, tolerance):
    path = write_mosaic(tmp_path / "m.fits", smooth())
    made = cutouts([path]).cut(1, side_px=side_px)
    assert made.image.bands.shape == (1, side_px, side_px)
    assert made.image.arcsec_px == pytest.approx(25 / side_px)
    rows, columns = np.mgrid[:side_px, :side_px]
    sky = WCS(fits.Header(made.wcs)).all_pix2world(columns.ravel(), rows.ravel(), 0)
    x, y = SKY.all_world2pix(*sky, 0)
    expected = (np.sin(x / 25) + np.cos(y / 31)).reshape(side_px, side_px)
    assert np.allclose(made.image.bands[0, ::-1], expected, atol=tolerance)


def test_pixels_of_a_side_on_the_sky_are_as_many_as_fit(tmp_path):
    made = cutouts([write_mosaic(tmp_path / "m.fits", PIXELS)]).cut(1, arcsec_px=0.5)
    assert made.image.bands.shape == (1, 50, 50)
    assert made.image.arcsec_px == 0.5


def test_resampling_keeps_surface_brightness_and_gives_masked_pixels_no_weight(tmp_path):
    data = np.full((300, 400), 3, np.float32)
    data[140:150, 190:195] = np.nan
    made = cutouts([write_mosaic(tmp_path / "m.fits", data)]).cut(1, side_px=60)
    values = made.image.bands[np.isfinite(made.image.bands)]
    assert np.allclose(values, 3, atol=1e-5)
    assert 0 < np.isnan(made.image.bands).mean() < 0.02
    assert made.masked == pytest.approx(50 / 100**2, rel=0.1)
    assert made.off_edge == 0


def test_the_share_beyond_the_edge_is_counted_apart_from_masked_pixels(tmp_path):
    data = PIXELS.copy()
    data[:10, :10] = np.nan
    cut = cutouts([write_mosaic(tmp_path / "m.fits", data)], x=[0.0], y=[49.5])
    made = cut.cut(0)
    assert made.off_edge == 0.5
    assert made.masked == pytest.approx(100 / 10_000)
    assert np.isnan(made.image.bands[0, :, :50]).all()


def test_bands_lie_on_each_other_where_their_pixels_do_not(tmp_path):
    shifted = wcs_of(300, 400)
    shifted.wcs.crpix = [200.9, 150.2]
    half = wcs_of(300, 400, arcsec=0.5)
    y, x = np.mgrid[:300, :400]

    def light(wcs: WCS) -> np.ndarray:
        at_x, at_y = SKY.all_world2pix(*wcs.all_pix2world(x, y, 0), 0)
        return (np.sin(at_x / 25) + np.cos(at_y / 31)).astype(np.float32)

    paths = [
        write_mosaic(tmp_path / f"m-{band}.fits", light(wcs), wcs)
        for band, wcs in (("g", SKY), ("r", shifted), ("z", half))
    ]
    g, r, z = cutouts(paths, side=20.0).cut(1).image.bands
    assert g.shape == (80, 80)
    assert np.allclose(g, r, atol=0.01)
    assert np.allclose(g, z, atol=0.02)


def test_rows_that_cannot_be_cut_out_say_why(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", PIXELS)
    cut = cutouts([path], x=[200, 200, 200, 5000, 200], y=[150] * 5, size_name="petro_r50")
    cut.sides[:3] = [np.nan, 0, 1e5]
    for row, words in enumerate(
        (
            "has no size: petro_r50 is nan; expected a number above 0",
            "has no size: petro_r50 is 0",
            r"would be 40\d,\d\d\d pixels wide .* is petro_r50 in arcsec\?",
            "lies outside the mosaic",
        )
    ):
        with pytest.raises(DataError, match=words):
            cut.cut(row)
    assert cut.problem(4) == ""


def test_a_cutout_without_one_pixel_that_has_a_value_is_refused(tmp_path):
    data = PIXELS.copy()
    data[100:200, 150:250] = np.nan
    cut = cutouts([write_mosaic(tmp_path / "m.fits", data)], side=10.0)
    with pytest.raises(DataError, match="has no pixel with a value there"):
        cut.cut(1)


def test_rows_are_read_tile_by_tile_from_the_bottom_up(tmp_path):
    east = wcs_of(300, 400, ra=150 + 400 * 0.25 / 3600)
    paths = [
        write_mosaic(tmp_path / "a.fits", PIXELS),
        write_mosaic(tmp_path / "b.fits", PIXELS, east),
    ]
    cut = cutouts(paths, x=[-100, 200, 100, 9999, -90], y=[10, 290, 10, 0, 200])
    assert cut.reading_order().tolist() == [2, 1, 0, 4, 3]
    assert cut.take(np.array([1, 0])).places.tile.tolist() == [[0, 1]]


def test_only_so_many_tiles_are_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_TILES", 1)
    east = wcs_of(300, 400, ra=150 + 400 * 0.25 / 3600)
    paths = [
        write_mosaic(tmp_path / "a.fits", PIXELS),
        write_mosaic(tmp_path / "b.fits", PIXELS, east),
    ]
    cut = cutouts(paths, x=[200, -100, 100], y=[100, 100, 100])
    first = cut.cut(0).image.bands
    for row in (1, 2, 0):
        again = cut.cut(row)
        assert sum(bool(tile._open) for tile in cut.tiles) == 1
    assert np.array_equal(again.image.bands, first)


def test_a_cutout_as_a_file_has_its_bands_and_its_wcs(tmp_path):
    paths = [write_mosaic(tmp_path / f"m-{band}.fits", PIXELS) for band in "gr"]
    made = cutouts(paths).cut(0)
    with fits.open(io.BytesIO(fits_bytes(made, {"OBJECT": "7"}))) as units:
        assert units[0].data.shape == (2, 100, 100)
        assert np.array_equal(units[0].data, made.image.bands[:, ::-1])
        header = units[0].header
        assert (header["BAND0"], header["BAND1"], header["OBJECT"]) == ("g", "r", "7")
        x, y = WCS(header).celestial.all_world2pix(*SKY.all_pix2world(X[:1], Y[:1], 0), 0)
    assert (x[0], y[0]) == pytest.approx(made.place)
