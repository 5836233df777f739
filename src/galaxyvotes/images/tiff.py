"""TIFF: whether Pillow reads a layout of pixels as it is meant.

TIFF can hold nearly any array of numbers. Pillow reads some layouts wrongly and without a word: the
planes of 16-bit colours as if they were interleaved, 12 bits as if they were 16, signed bytes as if
they had no sign, a volume as its first slice. What is not known to be read rightly is refused.
Source: Adobe, TIFF Revision 6.0; DataError names what stands against a file.
"""

from collections.abc import Mapping
from typing import Any, cast

from PIL import Image

from galaxyvotes.errors import DataError

__all__ = ["check_tiff", "is_tiff", "is_white_zero"]

_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 258, 259, 262, 266
_PLANES, _SAMPLE_FORMAT, _DEPTH = 284, 339, 32_997
_WHITE_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 2, 5, 6
_PHOTOMETRICS = (_WHITE_IS_ZERO, 1, _RGB, 3, _CMYK, _YCBCR)
_SEPARATE, _REVERSED, _JPEG, _UNSIGNED = 2, 2, 7, 1


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as a TIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def check_tiff(image: Image.Image) -> None:
    """Raise a DataError if a TIFF's pixels are not known to be read as they are meant."""
    if problem := _find_problem(cast("Any", image).tag_v2):
        raise DataError(f"is a TIFF with {problem}; save it with 8 or 16 bits, grey or RGB")


def is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF's grey pixels count from white to black."""
    return image.format == "TIFF" and cast("Any", image).tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _find_problem(tags: Mapping[int, Any]) -> str | None:
    bits, photometric = set(tags.get(_BITS, (1,))), tags.get(_PHOTOMETRIC)
    if set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED} or not bits <= {1, 2, 4, 8, 16}:
        return "signed, 12-bit or 32-bit pixels, whose black and white nothing says"
    if photometric not in _PHOTOMETRICS:
        return f"colours of a kind that is not read (photometric interpretation {photometric})"
    if photometric == _YCBCR and tags.get(_COMPRESSION) != _JPEG:
        return "YCbCr colours that are not compressed as JPEG"
    if tags.get(_PLANES) == _SEPARATE and (photometric not in (_RGB, _CMYK) or bits != {8}):
        return "a plane for each colour, and not of 8 bits each"
    if tags.get(_FILL_ORDER) == _REVERSED and bits == {16}:
        return "16-bit pixels in reversed order of bits"
    if tags.get(_DEPTH, 1) != 1:
        return f"{tags[_DEPTH]} slices of a volume"
    return None
