import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from galaxyvotes import DataError
from galaxyvotes.sky.mosaic_files import open_tiles
from mosaics import pixels, wcs_of, write_mosaic

PIXELS = pixels(40, 60)


def refused(path, match: str, **options):
    with pytest.raises(DataError, match=match) as caught:
        open_tiles([path], **options)
    assert str(path) in str(caught.value)


def test_bands_come_from_headers_names_or_the_order_of_the_files(tmp_path):
    for name in ("tile_g.fits", "tile_r.fits.fz"):
        write_mosaic(tmp_path / name, PIXELS, packed=name.endswith("fz"))
    assert [tile.band for tile in open_tiles([tmp_path])] == ["g", "r"]
    filtered = write_mosaic(tmp_path / "a.fits", PIXELS, FILTER="z DECam SDSS c0002")
    assert open_tiles([filtered])[0].band == "z"
    one, two = (write_mosaic(tmp_path / f"{n}.fits", PIXELS) for n in ("one", "two"))
    assert [tile.band for tile in open_tiles([one, two], bands=("g", "i"))] == ["g", "i"]


def test_an_hdu_for_each_band_gives_a_tile_each(tmp_path):
    header = wcs_of(40, 60).to_header()
    units = [fits.PrimaryHDU()]
    for band in "gr":
        units.append(fits.ImageHDU(PIXELS, header, name=f"SCI_{band}"))
        units[-1].header["BAND"] = band
    fits.HDUList(units).writeto(tmp_path / "m.fits")
    tiles = open_tiles([tmp_path / "m.fits"])
    assert [(tile.band, tile.name) for tile in tiles] == [("g", "m.fits[1]"), ("r", "m.fits[2]")]
    assert len(open_tiles([tmp_path / "m.fits"], hdus=("SCI_r",))) == 1


def test_files_that_are_no_mosaic_say_why(tmp_path):
    good = write_mosaic(tmp_path / "good.fits", PIXELS)
    refused(tmp_path / "absent.fits", "cannot be read: No such file")
    (tmp_path / "empty.fits").write_bytes(b"")
    refused(tmp_path / "empty.fits", "is empty")
    (tmp_path / "page.fits").write_bytes(b"<html>")
    refused(tmp_path / "page.fits", "does not begin as a FITS file does")
    (tmp_path / "m.fits.gz").write_bytes(gzip.compress(good.read_bytes()))
    refused(tmp_path / "m.fits.gz", r"unpack it first \(gunzip, bunzip2\), or pack it in tiles")
    (tmp_path / "short.fits").write_bytes(good.read_bytes()[:-4000])
    refused(tmp_path / "short.fits", "is cut short: the last .* bytes of HDU 0 are missing")
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "none.fits")
    refused(tmp_path / "none.fits", r"holds no image, only HDU 0 \(empty\)")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "holds no FITS file")


def test_a_wcs_that_is_no_use_is_refused(tmp_path):
    fits.writeto(tmp_path / "none.fits", PIXELS)
    refused(tmp_path / "none.fits", "has no WCS in HDU 0 .*: nothing says where on the sky")
    wcs = wcs_of(40, 60)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    write_mosaic(tmp_path / "galactic.fits", PIXELS, wcs)
    refused(tmp_path / "galactic.fits", "has its WCS in galactic coordinates .*reproject it first")
    wcs = wcs_of(40, 60)
    wcs.wcs.cd = wcs.wcs.cd * np.array([[1, 1], [1, 2]])
    write_mosaic(tmp_path / "oblong.fits", PIXELS, wcs)
    refused(tmp_path / "oblong.fits", r"pixels of 0.25 × 0.5 arcsec; expected square ones")


def test_a_wcs_in_the_first_hdu_counts_for_the_image_after_it(tmp_path):
    units = [fits.PrimaryHDU(header=wcs_of(40, 60).to_header()), fits.ImageHDU(PIXELS)]
    fits.HDUList(units).writeto(tmp_path / "m.fits")
    assert open_tiles([tmp_path / "m.fits"])[0].wcs.wcs.crval.tolist() == [150, 2]


def test_two_files_of_one_band_that_show_the_same_sky_are_refused(tmp_path):
    paths = [write_mosaic(tmp_path / f"{name}.fits", PIXELS) for name in ("one", "two")]
    with pytest.raises(DataError, match=r"two.fits shows the same sky as one.fits, both in a band"):
        open_tiles(paths)


def test_cubes_whose_bands_nothing_names_are_refused(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", np.stack([PIXELS] * 3), wcs_of(40, 60))
    refused(path, "holds 3 bands, and nothing names them")


def test_the_circle_around_a_tile_holds_its_corners(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", PIXELS, wcs_of(40, 60, arcsec=60))
    (tile,) = open_tiles([path])
    from galaxyvotes.sky.tiles import unit_vectors

    corners = unit_vectors(*WCS(fits.getheader(path)).all_pix2world([0, 59], [0, 39], 0))
    assert (np.linalg.norm(corners - tile.centre, axis=1) < tile.radius).all()
