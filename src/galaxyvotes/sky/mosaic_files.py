"""The files of mosaics: which tiles are in them, of which band, and where on the sky they lie.

A file is hostile until it is checked: of each the headers are read, and whether the pixels that
they claim are there.
"""

import math
import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.sky.bands import split_band
from galaxyvotes.sky.hdus import Unit, band_names, check_pixels, choose_units, units_of
from galaxyvotes.sky.stretch import Stretch, stretch_names
from galaxyvotes.sky.tiles import Tile, unit_vectors

__all__ = ["open_tiles"]

_MAX_BANDS = 10
_SQUARE = 1.05  # what sides of a pixel may differ by, as a factor
_SUFFIXES = (".fits", ".fit", ".fts", ".fz")
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"


def open_tiles(
    files: Sequence[str | Path], hdus: Sequence[int | str] = (), bands: Sequence[str] = ()
) -> tuple[Tile, ...]:
    """The tiles in FITS files, or in folders of them, of which only headers are read.

    `hdus` are those of the image, or of its bands. A tile's band is what its HDU or the name of its
    file says; `bands` are the names of all, and without such a word the bands of the files in their
    order. DataError for a file that is not there, cut short, packed as a whole, damaged, without
    image, or without a WCS of right ascension and declination, and for bands that nothing tells
    apart; the message names the file.
    """
    paths = [path for file in files for path in _files_of(Path(file))]
    tiles = [tile for path in paths for tile in _tiles_of(path, hdus, bands)]
    if bands and len(paths) == len(tiles) == len(bands) and not any(tile.band for tile in tiles):
        tiles = [_renamed(tile, band) for tile, band in zip(tiles, bands, strict=True)]
    wanted = {band.lower() for band in bands}
    if bands:
        tiles = [tile for tile in tiles if tile.band.lower() in wanted] or tiles
    _refuse_alike(tiles)
    return tuple(tiles)


def _files_of(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    inside = [each for each in sorted(path.iterdir()) if each.suffix.lower() in _SUFFIXES]
    if not inside:
        raise DataError(f"{path} holds no FITS file: name the files of the mosaic")
    yield from inside


def _tiles_of(path: Path, hdus: Sequence[int | str], bands: Sequence[str]) -> Iterator[Tile]:
    try:
        units = _units(path)
        chosen = choose_units(units, hdus)
        planes = [(unit, plane) for unit in chosen for plane in range(_planes(unit))]
        names = _names(path, chosen, len(planes), bands)
        for (unit, plane), name in zip(planes, names, strict=True):
            yield _tile(path, unit, units[0], _known_band(name, bands), plane)
    except DataError as error:
        raise DataError(f"{path} {error}") from None


def _names(
    path: Path, chosen: Sequence[Unit], planes: int, bands: Sequence[str]
) -> tuple[str, ...]:
    """The band of each plane of a file."""
    if planes == len(bands) > 1:
        return tuple(bands)
    names = band_names(chosen)
    if len(names) == planes:
        return names
    if planes == 1:
        return (_band_in(path, bands),)
    raise DataError(
        f"holds {planes} bands, and nothing names them: name each in the order of the file,"
        " `layout=FitsLayout(bands=…)`"
    )


def _units(path: Path) -> tuple[Unit, ...]:
    """The HDUs of a file, whose pixels are not read."""
    try:
        with path.open("rb") as file:
            _check_start(file.read(9))
            with quiet(), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                units, size = tuple(units_of(data)), len(data)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None
    except DataError:
        raise
    except Exception as error:  # astropy raises nearly anything on hostile bytes
        raise DataError(f"is a damaged FITS file ({error or type(error).__name__})") from None
    if units[-1].end > size:
        raise DataError(
            f"is cut short: the last {units[-1].end - size:,} bytes of HDU {units[-1].number} are"
            " missing; fetch it again"
        )
    return units


def _check_start(start: bytes) -> None:
    """Refuse a file that does not begin as one that pixels can be read from."""
    if not start:
        raise DataError("is empty (0 bytes)")
    if start.startswith((_GZIP, _BZIP2)):
        raise DataError(
            "is packed as a whole, so all of it would have to be unpacked for each galaxy: unpack"
            " it first (gunzip, bunzip2), or pack it in tiles (fpack)"
        )
    if start != b"SIMPLE  =":
        raise DataError("does not begin as a FITS file does (SIMPLE  = T)")


def _planes(unit: Unit) -> int:
    """How many bands an HDU holds."""
    check_pixels(unit)
    if len(unit.shape) == 2:
        return 1
    count = min(unit.shape[0], unit.shape[-1])
    if len(unit.shape) > 3 or count > _MAX_BANDS:
        raise DataError(f"holds {unit}, which is no image of one to {_MAX_BANDS} bands")
    return count


def _band_in(path: Path, bands: Sequence[str]) -> str:
    """The band that a file is called by; "" if by none."""
    known = bands or [band for name in stretch_names() for band in Stretch.load(name).bands]
    stem = path.name
    for suffix in (".fz", ".fits", ".fit", ".fts"):
        stem = stem.removesuffix(suffix)
    return split_band(stem, [*dict.fromkeys(known)])[1]


def _known_band(name: str, bands: Sequence[str]) -> str:
    """A band as it is written in `bands`; of a filter's whole name ("r DECam SDSS …") the first
    word.
    """
    words = name.split()
    first = words[0] if words else ""
    return next((band for band in bands if band.lower() in (name.lower(), first.lower())), first)


def _tile(path: Path, unit: Unit, first: Unit, band: str, plane: int) -> Tile:
    wcs = _wcs(unit) or _wcs(first)
    if wcs is None:
        raise DataError(
            f"has no WCS in {unit}: nothing says where on the sky its pixels are; expected CTYPE1 ="
            " 'RA---TAN' and the like, as astrometry.net writes them"
        )
    tile = Tile(path, unit, band, plane, wcs, np.zeros(3), 2.0)
    high, wide = tile.shape
    with quiet():
        utils: Any = import_module("astropy.wcs.utils")
        sides = [3600 * float(side) for side in utils.proj_plane_pixel_scales(wcs)]
        x, y = (
            [(wide - 1) / 2, 0, 0, wide - 1, wide - 1],
            [(high - 1) / 2, 0, high - 1, 0, high - 1],
        )
        points = unit_vectors(*wcs.all_pix2world(x, y, 0, ra_dec_order=True))
    if not all(math.isfinite(side) and side > 0 for side in sides):
        raise DataError(f"has a WCS that is no use in {unit}: a pixel has no size there")
    if max(sides) > _SQUARE * min(sides):
        raise DataError(
            f"has pixels of {sides[0]:.3g} × {sides[1]:.3g} arcsec; expected square ones: reproject"
            " it first"
        )
    whole = bool(np.isfinite(points).all())
    radius = 1.01 * float(np.linalg.norm(points - points[0], axis=1).max()) if whole else 2.0
    centre = points[0] if whole else np.array([1.0, 0.0, 0.0])
    return Tile(path, unit, band, plane, wcs, centre, radius)


def _wcs(unit: Unit) -> Any:
    """The celestial part of an HDU's WCS; None without one."""
    module, utils = import_module("astropy.wcs"), import_module("astropy.wcs.utils")
    with quiet():
        try:
            wcs = module.WCS(unit.header).celestial
        except Exception as error:  # of a WCS that is no use
            raise DataError(f"has a WCS that is no use in {unit} ({error})") from None
        if wcs.naxis != 2:
            return None
        frame = ""
        with suppress(ValueError):
            frame = str(utils.wcs_to_celestial_frame(wcs).name)
    if frame not in ("icrs", "fk5"):
        kind = "/".join(wcs.wcs.ctype)
        raise DataError(
            f"has its WCS in {frame or 'unknown'} coordinates ({kind}); expected right ascension"
            " and declination (ICRS or FK5): reproject it first"
        )
    return wcs


def _renamed(tile: Tile, band: str) -> Tile:
    return Tile(tile.path, tile.unit, band, tile.plane, tile.wcs, tile.centre, tile.radius)


def _refuse_alike(tiles: Sequence[Tile]) -> None:
    """Refuse two tiles of one band that show the same sky: they are two bands, or one is twice."""
    seen: dict[tuple[str, tuple[float, ...], tuple[int, int]], Tile] = {}
    for tile in tiles:
        near = tuple(np.round(tile.centre, 6).tolist())
        other = seen.setdefault((tile.band.lower(), near, tile.shape), tile)
        if other is not tile:
            band = f"band {tile.band}" if tile.band else "a band without name"
            raise DataError(
                f"{tile.path} shows the same sky as {other.path.name}, both in {band}: leave out"
                " one, or, if they are bands, name them in the order of the files,"
                " `layout=FitsLayout(bands=…)`"
            )
