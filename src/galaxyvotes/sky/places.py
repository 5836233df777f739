"""Where in the tiles of mosaics positions on the sky are: which tile of each band shows a position,
at which pixel, and how large and how turned its pixels are there.

All positions of a tile are computed together. Of tiles that overlap, the one counts in which a
position is farthest from the edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.sky.tiles import Tile, unit_vectors

__all__ = ["Places", "explain_none", "find_places", "in_other_units"]

_TURNED_DEG = 1.0
_STEP_ARCSEC = 10.0  # between the points whose pixels tell how large these are
_AS_WRITTEN = {  # what people write instead of degrees, and the degrees of each
    "in radians (they would lie in the mosaic)": (180 / np.pi, 180 / np.pi),
    "in hours and degrees (right ascension × 15 would lie in the mosaic)": (15.0, 1.0),
}

Degrees = Float[np.ndarray, " row"]


@dataclass(frozen=True, eq=False, repr=False)
class Places:
    """Where positions are, for each band and row.

    `tile` is the number of the tile, -1 where none shows the position; `x` and `y` are pixels from
    0 on, the centre of the first; `turn` is the matrix that takes arcsec to the east and north to
    pixels.
    """

    bands: tuple[str, ...]
    ra: Degrees
    dec: Degrees
    tile: Int32[np.ndarray, "band row"]
    x: Float[np.ndarray, "band row"]
    y: Float[np.ndarray, "band row"]
    turn: Float32[np.ndarray, "band row 2 2"]

    def __len__(self) -> int:
        """The number of positions."""
        return self.tile.shape[1]

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Places":
        """Some of the positions, in that order."""
        return Places(
            self.bands,
            self.ra[rows],
            self.dec[rows],
            self.tile[:, rows],
            self.x[:, rows],
            self.y[:, rows],
            self.turn[:, rows],
        )

    @cached_property
    def scales(self) -> Float[np.ndarray, "band row"]:
        """The side of a pixel, in arcsec; NaN where no tile shows the position."""
        return 1 / np.sqrt(abs(_determinant(self.turn)))

    @cached_property
    def _unlike(self) -> Bool[np.ndarray, "band row"]:
        """Where the pixels of a band are turned or mirrored against those of the first."""
        north = np.degrees(np.arctan2(self.turn[..., 0, 1], self.turn[..., 1, 1]))
        sign = np.sign(_determinant(self.turn))
        with np.errstate(invalid="ignore"):
            apart = abs((north - north[0] + 180) % 360 - 180)
        return (apart > _TURNED_DEG) | (sign * sign[0] < 0)

    @property
    def inside(self) -> Bool[np.ndarray, " row"]:
        """Which positions a tile of every band shows."""
        return np.all(self.tile >= 0, axis=0)

    def problem(self, row: int) -> str:
        """Why nothing can be cut out at a position; "" if it can."""
        ra, dec = float(self.ra[row]), float(self.dec[row])
        if not (np.isfinite(ra) and np.isfinite(dec)):
            return f"has no position: ra is {ra:g}, dec is {dec:g}"
        if not (-360 <= ra <= 360 and -90 <= dec <= 90):
            return (
                f"has no position on the sky: ra is {ra:g}, dec is {dec:g}; expected degrees, ra"
                " from 0 to 360 and dec from -90 to 90"
            )
        absent = [
            band for band, tile in zip(self.bands, self.tile[:, row], strict=True) if tile < 0
        ]
        if not absent:
            return self._problem_of_bands(row)
        of = "" if len(absent) == len(self.bands) else f" of band {', '.join(absent)}"
        return f"lies outside the mosaic{of} (ra {ra:.5f}, dec {dec:.5f})"

    def _problem_of_bands(self, row: int) -> str:
        turned = zip(self.bands, self._unlike[:, row].tolist(), strict=True)
        unlike = [band for band, is_so in turned if is_so]
        if not unlike:
            return ""
        return (
            f"has bands that do not lie on each other: {unlike[0]} is turned or mirrored against"
            f" {self.bands[0]}; reproject the mosaic first"
        )


def _determinant(turn: Float32[np.ndarray, "band row 2 2"]) -> Float32[np.ndarray, "band row"]:
    return turn[..., 0, 0] * turn[..., 1, 1] - turn[..., 0, 1] * turn[..., 1, 0]


def _bands_of(tiles: Sequence[Tile], bands: Sequence[str] = ()) -> tuple[str, ...]:
    """The bands of some tiles, in the order of `bands`, or as they come."""
    there = [*dict.fromkeys(tile.band for tile in tiles)]
    if len(there) > 1 and "" in there:
        unnamed = next(tile for tile in tiles if not tile.band)
        raise DataError(
            f"{unnamed.path}: nothing says which band it is; the other files are of"
            f" {', '.join(filter(None, there))}: write the band into its name, as in tile-g.fits"
        )
    lower = {band.lower(): band for band in there}
    if bands and [*lower] != [""]:
        if absent := [band for band in bands if band.lower() not in lower]:
            raise DataError(
                f"the mosaic has no file of the band {', '.join(absent)}, only of"
                f" {', '.join(there)}"
            )
        return tuple(lower[band.lower()] for band in bands)
    return tuple(there)


def find_places(
    tiles: Sequence[Tile], ra: Degrees, dec: Degrees, bands: Sequence[str] = ()
) -> Places:
    """Where positions in degrees are in the tiles of each band; DataError if one of `bands` has
    no tile, or only some of the tiles have a name of a band.
    """
    return _find(tiles, np.array(ra, float), np.array(dec, float), _bands_of(tiles, bands))


def _find(tiles: Sequence[Tile], ra: Degrees, dec: Degrees, names: tuple[str, ...]) -> Places:
    size = (len(names), len(ra))
    places = Places(
        names,
        ra,
        dec,
        np.full(size, -1, np.int32),
        np.full(size, np.nan),
        np.full(size, np.nan),
        np.full((*size, 2, 2), np.nan, np.float32),
    )
    depth = np.full(size, -1.0)
    spatial: Any = import_module("scipy.spatial")
    with np.errstate(invalid="ignore"):
        known = np.flatnonzero(np.isfinite(ra) & (abs(ra) <= 360) & (abs(dec) <= 90))
    tree = spatial.cKDTree(unit_vectors(ra[known], dec[known]))
    for number, tile in enumerate(tiles):
        if tile.band in names:
            rows = known[sorted(tree.query_ball_point(tile.centre, tile.radius))]
            if len(rows):
                _add(places, depth, tile, number, rows)
    return places


def _add(
    places: Places, depth: Float[np.ndarray, "band row"], tile: Tile, number: int, rows: np.ndarray
) -> None:
    """Add a tile where positions are deeper in it than in those before."""
    ra, dec = _with_neighbours(places.ra[rows], places.dec[rows])
    with quiet():
        x, y = tile.wcs.all_world2pix(ra, dec, 0, ra_dec_order=True, quiet=True)
    points = np.stack([x, y]).reshape(2, 3, len(rows))
    (x, y), steps = points[:, 0], points[:, 1:] - points[:, :1]
    turn = steps / _STEP_ARCSEC
    height, width = tile.shape
    with np.errstate(invalid="ignore"):
        from_edge = np.minimum.reduce([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y])
        band = places.bands.index(tile.band)
        deeper = (from_edge >= 0) & (from_edge > depth[band, rows]) & np.isfinite(turn).all((0, 1))
    into = rows[deeper]
    depth[band, into], places.tile[band, into] = from_edge[deeper], number
    places.x[band, into], places.y[band, into] = x[deeper], y[deeper]
    places.turn[band, into] = np.moveaxis(turn[..., deeper], 2, 0)


def _with_neighbours(
    ra: Degrees, dec: Degrees
) -> tuple[Float[np.ndarray, " three_rows"], Float[np.ndarray, " three_rows"]]:
    """Positions, then those a step to the east of each, then those to the north."""
    a, d, step = np.radians(ra), np.radians(dec), math.radians(_STEP_ARCSEC / 3600)
    here, flat = unit_vectors(ra, dec), np.zeros(len(ra))
    east = np.stack([-np.sin(a), np.cos(a), flat], axis=-1)
    north = np.stack([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)], axis=-1)
    x, y, z = np.concatenate([here, here + step * east, here + step * north]).T
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def in_other_units(tiles: Sequence[Tile], places: Places) -> str:
    """What is wrong with positions of which none lies in the mosaic, but would if they were meant
    otherwise; "" if one cannot tell.
    """
    if not len(places) or places.inside.any():
        return ""
    ra, dec = places.ra, places.dec
    for words, (a, d) in _AS_WRITTEN.items():
        if _find(tiles, ra * a, dec * d, places.bands).inside.any():
            return f"ra and dec are {words}: write them in degrees"
    if _find(tiles, dec, ra, places.bands).inside.any():
        return 'ra and dec are exchanged: name them the other way round, `position=("RA", "DEC")`'
    return ""


def explain_none(tiles: Sequence[Tile], places: Places) -> str:
    """Why no position lies in the mosaic, as far as one can tell."""
    where = f"not one of {counted(len(places), 'position')} lies in the mosaic"
    if other := in_other_units(tiles, places):
        return f"{where}: {other}"
    known = np.isfinite(places.ra) & np.isfinite(places.dec)
    if not known.any():
        return f"{where}: ra or dec is NaN in every row"
    row, (x, y, z) = int(np.flatnonzero(known)[0]), tiles[0].centre.tolist()
    return (
        f"{where}, whose first tile, {tiles[0].name}, is centred at ra"
        f" {math.degrees(math.atan2(y, x)) % 360:.5f}, dec {math.degrees(math.asin(z)):.5f}; the"
        f" first position is ra {places.ra[row]:.5f}, dec {places.dec[row]:.5f}; expected degrees"
    )
