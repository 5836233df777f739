"""The HDUs of a FITS file, and which of them hold the image.

astropy parses headers; where each HDU ends, and whether what it claims can be, is checked here,
because a file is hostile until it is. No pixel is read.

Source: FITS Standard 4.0 (2018), sections 3, 4.4 and 10.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from mmap import mmap
from typing import Any, NamedTuple

from galaxyvotes.errors import DataError

__all__ = [
    "DTYPES",
    "Unit",
    "band_names",
    "check_pixels",
    "choose_units",
    "units_of",
    "whole_blocks",
]

_MAX_HDUS = 1000
_MAX_HEADER_BYTES = 4 * 2**20
_BLOCK_BYTES, _CARD_BYTES = 2880, 80
_END = b"END".ljust(_CARD_BYTES)
# What surveys call HDUs that lie beside an image and say how good its pixels are.
_BESIDE_IMAGES = re.compile(
    r"bkg|con|ctx|cov(?:ariance)?|dq|err(?:or)?|exp(?:osure)?|flags?|invvar|ivar|mask(?:bits)?|msk"
    r"|nexp|noise|psf(?:size)?|quality|rms|sky|std|unc(?:ertainty)?|var(?:iance)?|weights?|wgt|wht"
    r"|wt"
)
# Of HCOMPRESS_1, damaged tiles overrun the memory of astropy's unpacker and end the process; PLIO_1
# is for masks.
_SAFE_TILES = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "NOCOMPRESS")
_NAMES = ("IMAGETYP", "EXTTYPE", "EXTNAME")
DTYPES = {  # of pixels, by BITPIX
    8: "u1",
    16: ">i2",
    32: ">i4",
    64: ">i8",
    -32: ">f4",
    -64: ">f8",
}


class Unit(NamedTuple):
    """An HDU: its number, its header, where it and its pixels begin and end, and the sides of its
    image, without those of one pixel; none if it is no image.
    """

    number: int
    header: Any
    start: int
    pixels_at: int
    end: int
    shape: tuple[int, ...]

    @property
    def is_packed(self) -> bool:
        """Whether it is an image in tiles, which are the rows of a table."""
        return self.header.get("ZIMAGE") is True

    @property
    def name(self) -> str:
        """What it is called, in lower case; empty if it is not."""
        words = (self.header.get(card) for card in _NAMES)
        return next((str(word).strip().lower() for word in words if word), "")

    @property
    def is_beside(self) -> bool:
        """Whether it holds weights, a mask or the like of an image."""
        words = (str(self.header.get(card, "")).strip().lower() for card in _NAMES)
        return any(map(_BESIDE_IMAGES.fullmatch, words))

    def __str__(self) -> str:
        """For example "HDU 1 (SCI, 424 × 424)"."""
        sides = " × ".join(map(str, reversed(self.shape)))
        kind = "" if len(self.shape) >= 2 else "no image" if self.header.get("NAXIS") else "empty"
        words = [self.name.upper(), kind or sides]
        return f"HDU {self.number} ({', '.join(filter(None, words))})"


def units_of(data: bytes | mmap) -> Iterator[Unit]:
    """The HDUs of a file, whose last ends where the file does, or where other bytes follow.

    DataError if one is cut short or damaged, or if they are too many.
    """
    fits = import_module("astropy.io.fits")
    start = 0
    for number in range(_MAX_HDUS):
        if number and data[start : start + 8] != b"XTENSION":
            return
        end = data.find(_END, start, start + _MAX_HEADER_BYTES)
        while end >= 0 and (end - start) % _CARD_BYTES:
            end = data.find(_END, end + 1, start + _MAX_HEADER_BYTES)
        if end < 0:
            raise DataError(f"is cut short: the header of HDU {number} has no end; fetch it again")
        pixels_at = start + whole_blocks(end + _CARD_BYTES - start)
        header: Any = fits.Header.fromstring(data[start:pixels_at])
        size = int(header.data_size)
        if size < 0:
            raise DataError(f"is a damaged FITS file (HDU {number} has {size} bytes)")
        yield Unit(number, header, start, pixels_at, pixels_at + size, _sides(header))
        if pixels_at + size > len(data):
            return
        start = pixels_at + whole_blocks(size)
    raise DataError(f"has more than {_MAX_HDUS} HDUs, which only serves to waste time")


def _sides(header: Any) -> tuple[int, ...]:
    """The sides of an HDU's image without those of one pixel, the first axis last; empty if it is
    no image.
    """
    packed = "Z" if header.get("ZIMAGE") is True else ""
    if not packed and header.get("XTENSION", "IMAGE").strip() not in ("IMAGE", "IUEIMAGE"):
        return ()
    count = int(header.get(f"{packed}NAXIS", 0))
    if not 0 <= count <= 999:
        raise DataError(f"is a damaged FITS file (it claims {count} axes)")
    sides = [int(header[f"{packed}NAXIS{axis}"]) for axis in range(count, 0, -1)]
    if header.get("GROUPS") is True or 0 in sides:
        return ()
    return tuple(side for side in sides if side != 1)


def whole_blocks(count: int) -> int:
    """So many bytes with what fills their last block."""
    return -(-count // _BLOCK_BYTES) * _BLOCK_BYTES


# ---- which of them hold the image


def choose_units(units: Sequence[Unit], hdus: Sequence[int | str]) -> list[Unit]:
    """The HDU of the image, or those of its bands in their order.

    DataError if there is none, or several of which none is named.
    """
    if hdus:
        return [_named(units, hdu) for hdu in hdus]
    images = [unit for unit in units if len(unit.shape) >= 2]
    if not images:
        raise DataError(f"holds no image, only {', '.join(map(str, units[:5]))}")
    chosen = [unit for unit in images if not unit.is_beside] or images
    bands = [_band_name(unit) for unit in chosen]
    alike = len({unit.shape for unit in chosen}) == 1 and all(bands)
    if len(chosen) > 1 and not (alike and len(set(bands)) == len(bands)):
        raise DataError(
            f"holds several images, {', '.join(map(str, chosen[:5]))}, and nothing says which is"
            f" the galaxy: name its HDU, such as {chosen[0].number}, or one for each band"
        )
    return chosen


def _named(units: Sequence[Unit], hdu: int | str) -> Unit:
    for unit in units:
        if hdu in (unit.number, str(unit.number)) or str(hdu).strip().lower() == unit.name:
            if len(unit.shape) < 2:
                raise DataError(f"{unit} is not an image: name another HDU")
            return unit
    raise DataError(f"has no HDU {hdu}, only {', '.join(map(str, units[:5]))}")


def _band_name(unit: Unit) -> str:
    """The band that an HDU says it is of."""
    return str(unit.header.get("BAND") or unit.header.get("FILTER") or "").strip()


def band_names(chosen: Sequence[Unit]) -> tuple[str, ...]:
    """The names of the bands, as the Legacy Surveys write them; empty if they are not there."""
    if len(chosen) > 1 or _band_name(chosen[0]):
        names = tuple(map(_band_name, chosen))
        return names if all(names) else ()
    header = chosen[0].header
    return tuple(
        str(header[card]).strip() for card in (f"BAND{n}" for n in range(10)) if card in header
    )


def check_pixels(unit: Unit) -> None:
    """Refuse pixels of a kind that there is not, or tiles as below: a DataError."""
    if unit.is_packed:
        _check_tiles(unit)
    elif int(unit.header["BITPIX"]) not in DTYPES:
        raise DataError(
            f"is a damaged FITS file (BITPIX is {unit.header['BITPIX']} in HDU {unit.number};"
            f" expected one of {', '.join(map(str, DTYPES))})"
        )


def _check_tiles(unit: Unit) -> None:
    """Refuse tiles that are no part of the image, because they are unpacked whole, or of a kind
    whose unpacking a damaged file can make overrun its memory: a DataError.
    """
    kind = str(unit.header.get("ZCMPTYPE", "")).strip()
    if kind not in _SAFE_TILES:
        raise DataError(
            f"is packed in tiles by {kind or 'no method'} in HDU {unit.number}; read are"
            f" {', '.join(_SAFE_TILES)}: unpack it first (funpack)"
        )
    for axis in range(1, int(unit.header["ZNAXIS"]) + 1):
        side, whole = unit.header.get(f"ZTILE{axis}", 1), unit.header[f"ZNAXIS{axis}"]
        if not 1 <= int(side) <= max(int(whole), 1):
            raise DataError(
                f"is a damaged FITS file (HDU {unit.number} has tiles of {side} pixels in a side"
                f" of {whole})"
            )
