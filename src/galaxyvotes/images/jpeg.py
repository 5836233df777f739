"""JPEG: what its header says, and its pixels by libjpeg-turbo (simplejpeg).

simplejpeg releases the interpreter's lock. It gives grey and colour as RGB; it leaves an EXIF
orientation alone and cannot read CMYK, so the header says for which images it `is_plain`.
"""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from galaxyvotes.errors import DataError
from galaxyvotes.images.pillow import open_image, read_orientation, refuse_several

__all__ = ["JpegHeader", "check_cmyk", "decode_jpeg", "decode_top_rows", "is_jpeg"]

_MAX_SEGMENTS = 10_000  # before the first scan: a colour profile has up to 255
_MAX_SCANS = 100  # a progressive JPEG has about ten; thousands cost minutes for a few kilobytes
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _PROGRESSIVE = 0xC0, (0xC2, 0xCA)
_APP1, _APP2, _SCAN = 0xE1, 0xE2, 0xDA  # EXIF and XMP; several pictures (MPF); pixels
_MARGIN = 4  # rows below the last one that is asked for, with which its colours are smoothed
_ONLY_CUT = re.compile(r"\d+ extraneous bytes before marker 0xd9$")  # libjpeg, of rows left over


class JpegHeader(NamedTuple):
    """The size of a JPEG and how it is coded."""

    height: int
    width: int
    channels: int
    orientation: int  # of EXIF or XMP, 1 to 8; 1 is upright
    frame: int  # the marker, which says how it is coded
    height_at: int  # the offset at which the height stands

    @property
    def is_plain(self) -> bool:
        """Whether `decode_jpeg` gives its pixels as RGB and upright."""
        return self.channels != 4 and self.orientation not in range(2, 9)

    @staticmethod
    def read(data: bytes) -> "JpegHeader":
        """The header of a JPEG file, from the segments before its first scan.

        DataError if they give no size, if there are more segments or scans than an honest file has,
        or if the file holds several pictures.
        """
        frame, annotated = None, False
        for marker, start in islice(_segments(data), _MAX_SEGMENTS):
            if marker in _FRAME_MARKERS and frame is None:
                frame = marker, start + 5
            elif marker == _APP1 or (marker == _APP2 and data.startswith(b"MPF\0", start + 4)):
                annotated = True
            elif marker == _SCAN:
                break
        if frame is None or len(data) < frame[1] + 5:
            raise DataError("is a damaged or truncated JPEG (its header has no size)")
        if frame[0] in _PROGRESSIVE:
            _refuse_many_scans(data)
        orientation = _read_annotations(data) if annotated else 1
        return JpegHeader(*struct.unpack_from(">HHB", data, frame[1]), orientation, *frame)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of the segments and where these begin, as far as they follow each other."""
    position = 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        yield marker, position
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")


def _read_annotations(data: bytes) -> int:
    """The orientation; DataError for several pictures. What Pillow cannot read turns nothing."""
    try:
        image = open_image(data, ("JPEG",))
        refuse_several(image)
        return read_orientation(image)
    except DataError:
        raise
    except Exception:  # Pillow's parsers raise nearly anything on hostile bytes
        return 1


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


def check_cmyk(data: bytes) -> None:
    """Raise a DataError if a JPEG of four channels is damaged, which Pillow does not notice."""
    try:
        simplejpeg.decode_jpeg(data, "CMYK", strict=True)
    except ValueError as error:
        raise DataError(f"is a damaged or truncated JPEG ({error})") from None


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
