"""What Pillow knows of an image file before it decodes a pixel: its size, whether it holds several
pictures, and how it is turned.
"""

import ctypes
import io
import logging
from contextlib import suppress
from functools import cache
from typing import Any, cast

from PIL import Image

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.quiet import quiet

__all__ = ["open_image", "read_orientation", "refuse_several"]

_ORIENTATION = 0x0112


def open_image(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """The image, its pixels not yet decoded, if it is of one of the formats; no other is tried.

    Raises whatever Pillow's parsers do of hostile bytes, which is nearly anything.
    """
    _silence_remarks()
    with quiet():
        return Image.open(io.BytesIO(data), formats=formats)


def read_orientation(image: Image.Image) -> int:
    """The orientation that EXIF gives, or else XMP, 1 to 8; 1 where neither does."""
    with quiet():
        orientation = image.getexif().get(_ORIENTATION, 1)
    return int(orientation) if orientation in range(1, 9) else 1


def refuse_several(image: Image.Image) -> None:
    """Raise a DataError for an animation, a TIFF of several pages and a JPEG of several pictures:
    nothing says which is the galaxy.
    """
    with quiet():
        several = getattr(image, "is_animated", False)
    if several:
        raise DataError(
            "holds several pages or frames, and nothing says which is the galaxy; save that one"
            " alone"
        )


@cache
def _silence_remarks() -> None:
    """Keep the remarks of libtiff and of Pillow's log from standard error: what matters of them is
    raised.

    libtiff is reached through Pillow's own library; where it is a part of that, as on Windows, it
    goes on printing.
    """
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with suppress(AttributeError, OSError):
        libtiff = ctypes.CDLL(cast("Any", Image).core.__file__)
        for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            set_handler = getattr(libtiff, name)
            set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            set_handler(None)
