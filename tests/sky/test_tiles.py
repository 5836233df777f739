import numpy as np
import pytest
from astropy.io import fits

from galaxyvotes import DataError
from galaxyvotes.sky import tiles as module
from galaxyvotes.sky.mosaic_files import open_tiles
from mosaics import pixels, wcs_of, write_mosaic

PIXELS = pixels()
ROWS, COLUMNS = range(50, 130), range(200, 290)
PART = PIXELS[50:130, 200:290]


def test_any_part_is_read_as_it_lies_in_the_file_mapped_or_packed(tmp_path):
    for packed in (False, True):
        (tile,) = open_tiles([write_mosaic(tmp_path / f"{packed}.fits", PIXELS, packed=packed)])
        assert np.array_equal(tile.read(ROWS, COLUMNS), PART)
        assert np.array_equal(tile.read(range(300), range(400)), PIXELS)
        tile.close()


def test_what_is_beyond_the_edges_is_nan(tmp_path):
    (tile,) = open_tiles([write_mosaic(tmp_path / "m.fits", PIXELS)])
    part = tile.read(range(-2, 3), range(398, 403))
    assert np.array_equal(part[2:, :2], PIXELS[:3, 398:])
    assert np.isnan(part[:2]).all()
    assert np.isnan(part[:, 2:]).all()
    assert np.isnan(tile.read(range(500, 510), range(10))).all()


def test_scaled_integers_and_masked_pixels_are_read_in_their_unit(tmp_path):
    stored = np.arange(300 * 400, dtype=np.int32).reshape(300, 400) % 30_000
    data = stored.astype(np.int16)
    path = write_mosaic(tmp_path / "m.fits", data, BLANK=7)
    with path.open("rb+") as file:  # astropy would scale back what it writes
        header = file.read(2880)
        file.seek(0)
        cards = "BSCALE  =                  0.5".ljust(80) + "BZERO   =                100.0".ljust(
            80
        )
        end = header.index(b"END ".ljust(80))
        file.write(header[:end] + cards.encode() + header[end:-160])
    (tile,) = open_tiles([path])
    expected = np.where(stored == 7, np.nan, stored * 0.5 + 100).astype(np.float32)
    assert np.array_equal(tile.read(range(300), range(400)), expected, equal_nan=True)


def test_planes_of_a_cube_are_bands_whichever_axis_they_are(tmp_path):
    cube = np.stack([pixels(seed=seed) for seed in range(3)])
    for name, data in (("first", cube), ("last", np.moveaxis(cube, 0, 2)), ("one", cube[:, None])):
        path = tmp_path / f"{name}.fits"
        header = wcs_of(300, 400).to_header()
        fits.PrimaryHDU(np.ascontiguousarray(data), header).writeto(path)
        tiles = open_tiles([path], bands=("g", "r", "z"))
        assert [tile.band for tile in tiles] == ["g", "r", "z"]
        for tile, plane in zip(tiles, cube, strict=True):
            assert np.array_equal(tile.read(ROWS, COLUMNS), plane[50:130, 200:290])


def test_unpacked_tiles_are_kept_while_there_is_room(tmp_path, monkeypatch):
    path = write_mosaic(tmp_path / "m.fits", PIXELS, packed=True)
    monkeypatch.setattr(module, "_KEPT_BYTES", 2 * 64 * 400 * 4)
    (tile,) = open_tiles([path])
    for start in range(0, 250, 50):
        assert np.array_equal(
            tile.read(range(start, start + 40), COLUMNS), PIXELS[start:][:40, 200:290]
        )
        assert len(tile._blocks) <= 2
    tile.close()
    assert not tile._blocks
    assert np.array_equal(tile.read(ROWS, COLUMNS), PART)
    tile.close()


def test_a_file_that_becomes_shorter_is_refused_by_name(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", PIXELS)
    (tile,) = open_tiles([path])
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"m\.fits is cut short: fetch it again"):
        tile.read(ROWS, COLUMNS)


def test_damaged_tiles_are_refused_by_name(tmp_path):
    path = write_mosaic(tmp_path / "m.fits", PIXELS, packed=True)
    data = bytearray(path.read_bytes())
    (tile,) = open_tiles([path])
    data[-200_000:-3000] = bytes(197_000)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"m\.fits cannot be read there"):
        tile.read(range(300), range(400))
    tile.close()
