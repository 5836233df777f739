"""JPEG: what its header says, and its pixels by libjpeg-turbo (simplejpeg).

simplejpeg releases the interpreter's lock. It gives grey and colour as RGB; it leaves an EXIF
orientation alone and cannot read CMYK, so the header says for which images it `is_plain`.
"""

import re
import struct
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from galaxyvotes.errors import DataError

__all__ = ["JpegHeader", "decode_jpeg", "decode_top_rows", "is_jpeg", "read_orientation"]

_MAX_SCANS = 100  # a progressive JPEG has about ten; thousands cost minutes for a few kilobytes
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _PROGRESSIVE = 0xC0, (0xC2, 0xCA)
_EXIF = 0xE1
_MARGIN = 4  # rows below the last one that is asked for, with which its colours are smoothed
_ONLY_CUT = re.compile(r"\d+ extraneous bytes before marker 0xd9$")  # libjpeg, of rows left over


class JpegHeader(NamedTuple):
    """The size of a JPEG and how it is coded."""

    height: int
    width: int
    channels: int
    orientation: int  # EXIF's, 1 to 8; 1 is upright
    frame: int  # the marker, which says how it is coded
    height_at: int  # the offset at which the height stands

    @property
    def is_plain(self) -> bool:
        """Whether `decode_jpeg` gives its pixels as RGB and upright."""
        return self.channels != 4 and self.orientation not in range(2, 9)

    @staticmethod
    def read(data: bytes) -> "JpegHeader":
        """The header of a JPEG file, from the segments before its first scan.

        DataError if they give no size, or if there are more scans than an honest file has.
        """
        orientation, position = 1, 2
        try:
            while data[position] == 0xFF:
                marker = data[position + 1]
                if marker == 0xFF:  # padding
                    position += 1
                    continue
                if marker in _FRAME_MARKERS:
                    if marker in _PROGRESSIVE:
                        _refuse_many_scans(data)
                    size = struct.unpack_from(">HHB", data, position + 5)
                    return JpegHeader(*size, orientation, marker, position + 5)
                if marker == _EXIF and data.startswith(b"Exif\0\0", position + 4):
                    orientation = read_orientation(data[position + 10 : position + 65_600])
                position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        except (IndexError, struct.error):
            pass
        raise DataError("is a damaged or truncated JPEG (its header has no size)")


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins as a JPEG does."""
    return data.startswith(b"\xff\xd8")


def decode_jpeg(
    data: bytes, header: JpegHeader, shrink: int = 1
) -> UInt8[np.ndarray, "height width 3"]:
    """All pixels as they lie in the file, at 1 / `shrink` (1, 2, 4 or 8) of their scale.

    DataError if the file is damaged or cut short.
    """
    try:
        return simplejpeg.decode_jpeg(
            data, "RGB", strict=True, **_scale(header.height, header.width, shrink)
        )
    except ValueError as error:
        raise DataError(f"is a damaged or truncated JPEG ({error})") from None


def decode_top_rows(
    data: bytes, header: JpegHeader, rows: int, shrink: int = 1
) -> UInt8[np.ndarray, "height width 3"] | None:
    """At least the first `rows` of a baseline JPEG at 1 / `shrink` of their scale; None where only
    `decode_jpeg` can give them.

    Warning: this deceives libjpeg. It is given a copy whose header claims an image that ends a few
    rows below. It decodes that, finds the rest of the data and remarks on it; if that remark is its
    only one, the rows are there and are those of the whole image. The remark is recognised by
    libjpeg-turbo's words; should these change, the answer is None. Damage below the rows is not
    found, so this is only for bytes that a checksum has vouched for.
    """
    rows += _MARGIN * shrink
    if header.frame != _BASELINE or rows >= header.height:
        return None
    shorter = bytearray(data)
    struct.pack_into(">H", shorter, header.height_at, rows)
    scale = _scale(rows, header.width, shrink)
    pixels = np.empty((-(-rows // shrink), -(-header.width // shrink), 3), np.uint8)
    try:
        simplejpeg.decode_jpeg(shorter, "RGB", strict=True, buffer=pixels, **scale)
    except ValueError as remark:
        return pixels if _ONLY_CUT.search(str(remark)) else None
    return None


def read_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block, which is a small TIFF; 1 where it does not say."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if (tag, kind) == (0x0112, 3):
                return value
    except struct.error:
        pass
    return 1


def _scale(rows: int, width: int, shrink: int) -> dict[str, int]:
    """The options that make simplejpeg decode at 1 / `shrink`."""
    if shrink == 1:
        return {}
    return {"min_height": -(-rows // shrink), "min_width": -(-width // shrink)}


def _refuse_many_scans(data: bytes) -> None:
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise DataError(
            f"is a JPEG in more than {_MAX_SCANS} scans, which only serves to waste time"
        )
