"""Images of galaxies, cut out of mosaics and brought to pixels of any size.

With the mosaic's own pixels a cut-out is those pixels. Else each pixel is the mean of those around
it, weighted by a triangle as wide as the larger of the two pixels, as pictures are resized
(`images.read`): surface brightness stays, and pixels without a value have no weight. Bands whose
pixels do not lie on each other are brought to those of the first.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from io import BytesIO
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from galaxyvotes.errors import DataError
from galaxyvotes.sky.fits import FitsImage
from galaxyvotes.sky.places import Places
from galaxyvotes.sky.tiles import Tile

__all__ = ["MAX_SIDE_PX", "Cutout", "Cutouts", "fits_bytes"]

MAX_SIDE_PX = 4096  # of a cut-out, in pixels of the mosaic or its own
_OPEN_TILES = 64  # whose pixels are at hand: each takes a file handle
_ALIKE = 0.02  # of a pixel's side
_TOGETHER = 0.05  # pixels: bands that lie on each other to this are not resampled
_ROUNDING = 1e-3  # pixels: a position in the middle of one counts as that
_BLOCK_ROWS = 64  # that are read together
_KNOWN = 0.5  # of the weight: what a pixel with a value needs


class Cutout(NamedTuple):
    """An image cut from a mosaic; which share of its pixels is beyond the mosaic's edge, and which
    has no value inside it, in the band that has most of both.

    `position` (right ascension and declination, in degrees) lies at the pixel `place`, counted from
    0 on and from the lowest row up; `turn` takes arcsec to the east and north to pixels.
    """

    image: FitsImage
    off_edge: float
    masked: float
    position: tuple[float, float]
    place: tuple[float, float]
    turn: Float[np.ndarray, "2 2"]

    @property
    def wcs(self) -> dict[str, str | float]:
        """A tangential projection at the position, as cards of FITS."""
        degrees = np.linalg.inv(self.turn) / 3600
        return {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CRVAL1": self.position[0],
            "CRVAL2": self.position[1],
            "CRPIX1": self.place[0] + 1,
            "CRPIX2": self.place[1] + 1,
            "CDELT1": 1.0,
            "CDELT2": 1.0,
            "PC1_1": float(degrees[0, 0]),
            "PC1_2": float(degrees[0, 1]),
            "PC2_1": float(degrees[1, 0]),
            "PC2_2": float(degrees[1, 1]),
            "RADESYS": "ICRS",
        }


@dataclass(frozen=True, eq=False, repr=False)
class Cutouts:
    """The cut-outs at some places, each made when it is asked for, in any thread.

    `sides` are those on the sky, in arcsec, or in pixels of the first band if `in_px`.
    """

    tiles: Sequence[Tile]
    places: Places
    sides: Float[np.ndarray, " row"]
    in_px: bool = False
    size_name: str = "the size"
    _near: "OrderedDict[int, Tile]" = field(default_factory=OrderedDict[int, Tile])
    _lock: Lock = field(default_factory=Lock)

    def __len__(self) -> int:
        """The number of places."""
        return len(self.places)

    def close(self) -> None:
        """Forget all pixels."""
        for tile in self.tiles:
            tile.close()

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Cutouts":
        """Those at some of the places, in that order."""
        return replace(self, places=self.places.take(rows), sides=self.sides[rows])

    def reading_order(self) -> Int[np.ndarray, " row"]:
        """The rows in the order in which they are read fastest: tile by tile, from the bottom up;
        those outside the mosaic are last.
        """
        tile, y = self.places.tile[0], np.nan_to_num(self.places.y[0])
        block = (y // _BLOCK_ROWS).astype(np.int64)
        return np.lexsort((self.places.x[0], block, tile, ~self.places.inside))

    def problem(self, row: int) -> str:
        """Why nothing can be cut out there; "" if it can."""
        if why := self.places.problem(row):
            return why
        side = float(self.sides[row])
        if not (np.isfinite(side) and side > 0):
            return f"has no size: {self.size_name} is {side:g}; expected a number above 0"
        return ""

    def cut(self, row: int, side_px: int = 0, arcsec_px: float = 0.0) -> Cutout:
        """The cut-out of a row, with so many pixels, or pixels of that side, or the mosaic's own.

        DataError if nothing can be cut out there: outside the mosaic, without a size, too large,
        of bands that are turned against each other, or without one pixel that has a value. The
        message does not name the row.
        """
        if why := self.problem(row):
            raise DataError(why)
        scales = self.places.scales[:, row].tolist()
        side = float(self.sides[row]) * (scales[0] if self.in_px else 1.0)
        arcsec_px = side / side_px if side_px else arcsec_px or scales[0]
        side_px = side_px or max(1, round(side / arcsec_px))
        for pixels in (side_px, *(side / scale for scale in scales)):
            if pixels > MAX_SIDE_PX:
                raise DataError(
                    f"would be {pixels:,.0f} pixels wide ({side:g} arcsec); at most"
                    f" {MAX_SIDE_PX:,} are cut out: is {self.size_name} in arcsec?"
                )
        x, y = self.places.x[:, row].tolist(), self.places.y[:, row].tolist()
        grid = _Grid(side_px, arcsec_px, x, y, scales)
        planes: list[Float32[np.ndarray, "side side"]] = []
        off_edge = masked = 0.0
        for band, tile in enumerate(self.places.tile[:, row].tolist()):
            plane, off, unknown = grid.read(self._tile(tile), band)
            planes.append(plane)
            off_edge, masked = max(off_edge, off), max(masked, unknown)
        if off_edge + masked > 0 and not any(np.isfinite(plane).any() for plane in planes):
            raise DataError("has no pixel with a value there: all are NaN, infinite or masked")
        names = tuple(filter(None, self.places.bands))
        image = FitsImage(np.stack(planes)[:, ::-1], names, arcsec_px)
        turn = self.places.turn[0, row] * (scales[0] / arcsec_px)
        position = (float(self.places.ra[row]), float(self.places.dec[row]))
        return Cutout(image, off_edge, masked, position, grid.place, turn)

    def _tile(self, number: int) -> Tile:
        """A tile; of more than some, the one that was not read for longest is closed."""
        with self._lock:
            tile = self._near.pop(number, self.tiles[number])
            self._near[number] = tile
            farthest = self._near.popitem(last=False)[1] if len(self._near) > _OPEN_TILES else None
        if farthest is not None:
            farthest.close()
        return tile


@dataclass(frozen=True, eq=False)
class _Grid:
    """The pixels of a cut-out: how many, their side, and for each band where in its tile the galaxy
    is, and the side of the tile's pixels.
    """

    side_px: int
    arcsec_px: float
    x: list[float]
    y: list[float]
    scales: list[float]

    @cached_property
    def is_native(self) -> bool:
        """Whether the pixels are those of the tiles: of their size, and on each other."""
        apart = [abs((at - ats[0] + 0.5) % 1 - 0.5) for ats in (self.x, self.y) for at in ats[1:]]
        same = all(abs(scale / self.arcsec_px - 1) < _ALIKE for scale in self.scales)
        return same and max(apart, default=0) < _TOGETHER

    @property
    def place(self) -> tuple[float, float]:
        """Where in the cut-out the position is: its middle, or near it."""
        if not self.is_native:
            return (self.side_px - 1) / 2, (self.side_px - 1) / 2
        x, y = self.x[0], self.y[0]
        return x - _first(x, self.side_px), y - _first(y, self.side_px)

    def read(self, tile: Tile, band: int) -> tuple[Float32[np.ndarray, "side side"], float, float]:
        """The pixels of a band, the lowest row first; the shares beyond the edge and without
        value.
        """
        x, y = self.x[band], self.y[band]
        if self.is_native:
            rows, columns = (_whole_pixels(at, self.side_px) for at in (y, x))
            part = tile.read(rows, columns)
            return part, *_shares(part, rows, columns, tile.shape)
        step = self.arcsec_px / self.scales[band]
        rows, down = _weights(y, self.side_px, step)
        columns, across = _weights(x, self.side_px, step)
        part = tile.read(rows, columns)
        shares = _shares(part, rows, columns, tile.shape)
        known = np.isfinite(part)
        if known.all():
            return down @ part @ across.T, *shares
        weight = down @ known.astype(np.float32) @ across.T
        values = down @ np.where(known, part, 0) @ across.T
        with np.errstate(all="ignore"):
            return np.where(weight > _KNOWN, values / weight, np.float32(np.nan)), *shares


def _first(at: float, count: int) -> int:
    """The first of so many pixels around a place, as astropy's Cutout2D has it."""
    return math.ceil(at - count / 2 - _ROUNDING)


def _whole_pixels(at: float, count: int) -> range:
    return range(_first(at, count), _first(at, count) + count)


def _weights(
    at: float, count: int, step: float
) -> tuple[range, Float32[np.ndarray, "count pixel"]]:
    """Which pixels of a row make so many others of `step` pixels, centred there, and their
    weights.
    """
    centres = at + (np.arange(count) - (count - 1) / 2) * step
    reach = max(step, 1.0)
    pixels = range(int(np.floor(centres[0] - reach)), int(np.ceil(centres[-1] + reach)) + 1)
    away = abs(np.arange(pixels.start, pixels.stop) - centres[:, None]) / reach
    weights = np.maximum(1 - away, 0)
    return pixels, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _shares(
    part: np.ndarray, rows: range, columns: range, shape: tuple[int, int]
) -> tuple[float, float]:
    """Which share of pixels is beyond the edge, and which has no value inside it."""
    high, wide = (
        max(0, min(span.stop, side) - max(span.start, 0))
        for span, side in zip((rows, columns), shape, strict=True)
    )
    unknown = part.size - int(np.count_nonzero(np.isfinite(part)))
    off = part.size - high * wide
    return off / part.size, (unknown - off) / part.size


def fits_bytes(cutout: Cutout, cards: dict[str, Any]) -> bytes:
    """A cut-out as a FITS file: one band, or a cube of them, with its WCS and these cards."""
    fits: Any = import_module("astropy.io.fits")
    bands = cutout.image.bands[:, ::-1]
    header = fits.Header()
    for number, name in enumerate(cutout.image.names):
        header["BAND" if len(bands) == 1 else f"BAND{number}"] = name
    for name, value in {**cutout.wcs, **cards}.items():
        header[name] = value
    file = BytesIO()
    fits.PrimaryHDU(np.ascontiguousarray(bands[0] if len(bands) == 1 else bands), header).writeto(
        file
    )
    return file.getvalue()
