"""The tiles of mosaics: what part of the sky each shows, and its pixels, of which only those that
are asked for are read.

Pixels that are not packed are mapped into memory; of packed ones (`.fits.fz`) the tiles that hold
what is asked for are unpacked, and kept as long as they may be asked for again, so reading from top
to bottom is fastest. Nothing is opened before it is read.

Source: Greisen and Calabretta 2002 (A&A 395, 1061) and Calabretta and Greisen 2002 (A&A 395, 1077)
for positions, which astropy computes.
"""

import math
import mmap
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.sky.hdus import DTYPES, Unit

__all__ = ["Tile", "unit_vectors"]

_BLOCK_PX = (64, 256)  # rows and columns at least, of packed tiles that are unpacked together
_KEPT_BYTES = 64 * 2**20  # unpacked, of each tile


@dataclass(frozen=True, eq=False, repr=False)
class Tile:
    """One band of one image: its height and width in pixels, and where on the sky they are.

    `centre` and `radius` are of a circle around all of it, as a unit vector and a chord.
    """

    path: Path
    unit: Unit
    band: str
    plane: int
    wcs: Any
    centre: Float[np.ndarray, " 3"]
    radius: float
    _lock: Lock = field(default_factory=Lock)
    _open: dict[str, Any] = field(default_factory=dict[str, Any])
    _blocks: "OrderedDict[tuple[int, int], np.ndarray]" = field(
        default_factory=OrderedDict[tuple[int, int], np.ndarray]
    )

    @property
    def name(self) -> str:
        """The file, and the HDU if it is not the first."""
        return f"{self.path.name}[{self.unit.number}]" if self.unit.number else self.path.name

    @cached_property
    def _sky_axes(self) -> tuple[int, ...]:
        """Which axes of the image without those of one pixel are rows and columns."""
        shape = self.unit.shape
        return (0, 1) if len(shape) == 2 or shape[0] > shape[2] else (1, 2)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Its height and width."""
        rows, columns = self._sky_axes
        return self.unit.shape[rows], self.unit.shape[columns]

    def close(self) -> None:
        """Forget the pixels."""
        with self._lock:
            if file := self._open.get("file"):
                file.close()
            self._open.clear()
            self._blocks.clear()

    def read(self, rows: range, columns: range) -> Float32[np.ndarray, "rows columns"]:
        """Pixels, the lowest row first, NaN without value, and where these are beyond its edges.

        DataError if they cannot be read; the message names the file.
        """
        height, width = self.shape
        part = np.full((len(rows), len(columns)), np.nan, np.float32)
        top, bottom = max(rows.start, 0), min(rows.stop, height)
        left, right = max(columns.start, 0), min(columns.stop, width)
        if top < bottom and left < right:
            into = part[top - rows.start : bottom - rows.start]
            into = into[:, left - columns.start : right - columns.start]
            try:
                self._fill(into, slice(top, bottom), slice(left, right))
            except (DataError, MemoryError):
                raise
            except Exception as error:  # astropy raises nearly anything on hostile bytes
                what = error or type(error).__name__
                raise DataError(f"{self.path} cannot be read there ({what})") from None
        return part

    def _fill(self, into: Float32[np.ndarray, "rows columns"], rows: slice, columns: slice) -> None:
        if not self.unit.is_packed:
            with np.errstate(all="ignore"):
                into[:] = self._scaled(self._mapped()[self._index(rows, columns)])
            return
        with self._lock:
            height, width = self._block_px
            for row in range(rows.start // height, -(-rows.stop // height)):
                for column in range(columns.start // width, -(-columns.stop // width)):
                    block = self._block(row, column)
                    y, x = row * height, column * width
                    top, bottom = max(rows.start, y), min(rows.stop, y + height)
                    left, right = max(columns.start, x), min(columns.stop, x + width)
                    target = into[top - rows.start : bottom - rows.start]
                    target = target[:, left - columns.start : right - columns.start]
                    target[:] = block[top - y : bottom - y, left - x : right - x]

    def _index(self, rows: slice, columns: slice) -> tuple[slice | int, ...]:
        """Where in the image, with the axes of one pixel."""
        sky = dict(zip(self._sky_axes, (rows, columns), strict=True))
        places = iter([sky.get(axis, self.plane) for axis in range(len(self.unit.shape))])
        return tuple(0 if side == 1 else next(places) for side in self._sides)

    @cached_property
    def _sides(self) -> tuple[int, ...]:
        """The sides of the image, with those of one pixel, the first axis last."""
        header, packed = self.unit.header, "Z" if self.unit.is_packed else ""
        axes = range(int(header[f"{packed}NAXIS"]), 0, -1)
        return tuple(int(header[f"{packed}NAXIS{axis}"]) for axis in axes)

    # ---- pixels that are not packed

    def _mapped(self) -> np.ndarray:
        """The image as it lies in the file."""
        pixels = self._open.get("pixels")
        if pixels is None:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self.unit.end:
                    raise DataError(f"{self.path} is cut short: fetch it again")
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            kind = np.dtype(DTYPES[int(self.unit.header["BITPIX"])])
            pixels = np.frombuffer(data, kind, math.prod(self._sides), self.unit.pixels_at)
            self._open["pixels"] = pixels = pixels.reshape(self._sides)
        return pixels

    @cached_property
    def _scaling(self) -> tuple[float, float, int | None]:
        """The factor and the zero of values, and the integer that means none."""
        header = self.unit.header
        blank = header.get("BLANK") if int(header["BITPIX"]) > 0 else None
        factor, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
        return factor, zero, None if blank is None else int(blank)

    def _scaled(self, stored: np.ndarray) -> np.ndarray:
        factor, zero, blank = self._scaling
        if stored.dtype.kind == "f" and (factor, zero) == (1, 0):
            return stored
        values = stored * factor + zero
        if blank is not None:
            values[stored == blank] = np.nan
        return values

    # ---- pixels in packed tiles

    @cached_property
    def _block_px(self) -> tuple[int, int]:
        """The height and width of what is unpacked together: whole tiles."""
        sides, (rows, columns) = self._sides, self._sky_axes
        # As the standard has it: rows, if the header does not say.
        usual = [1] * (len(sides) - 1) + [sides[-1]]
        tiles = [
            int(self.unit.header.get(f"ZTILE{len(sides) - axis}", usual[axis]))
            for axis, side in enumerate(sides)
            if side != 1
        ]
        high, wide = tiles[rows], tiles[columns]
        least_high, least_wide = _BLOCK_PX
        return high * -(-least_high // high), wide * -(-least_wide // wide)

    def _block(self, row: int, column: int) -> np.ndarray:
        block = self._blocks.get((row, column))
        if block is not None:
            self._blocks.move_to_end((row, column))
            return block
        section = self._open.get("section")
        if section is None:
            fits: Any = import_module("astropy.io.fits")
            with quiet():
                self._open["file"] = file = fits.open(self.path)
                self._open["section"] = section = file[self.unit.number].section
        (height, width), (rows, columns) = self._block_px, self.shape
        inside = (
            slice(row * height, min((row + 1) * height, rows)),
            slice(column * width, min((column + 1) * width, columns)),
        )
        with np.errstate(all="ignore"):
            block = np.asarray(section[self._index(*inside)], np.float32)
        self._blocks[row, column] = block
        while len(self._blocks) > 1 and len(self._blocks) * block.nbytes > _KEPT_BYTES:
            self._blocks.popitem(last=False)
        return block


def unit_vectors(
    ra: Float[np.ndarray, " n"], dec: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3"]:
    """Positions in degrees as points on a sphere of radius 1."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)
