"""PNG: its chunks, checked before anything is decoded.

Every chunk ends with a checksum of its own, which Pillow compares for some of them only: not for
the pixels. And Pillow refuses a picture for a long text beside it, so texts are left out.
Source: W3C, Portable Network Graphics (PNG) Specification (Third Edition), sections 5.3 and 11.3.
"""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from galaxyvotes.errors import DataError

__all__ = ["check_png", "is_png", "widen_transparent_grey"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS_AT = 24  # of the file
_MAX_CHUNKS = 100_000
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_TEXTS_OF_ORIENTATION = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_MAX_TEXT_BYTES = 2**24


def is_png(data: bytes) -> bool:
    """Whether a file begins as a PNG does."""
    return data.startswith(_SIGNATURE)


def check_png(data: bytes) -> bytes:
    """The PNG without its texts, its colour profile and whatever stands after its end.

    DataError if it is cut short, if it does not begin with its header, or if the checksum of any
    chunk does not match.
    """
    if data[12:16] != b"IHDR":
        raise DataError("is a damaged or truncated PNG (it does not begin with its header)")
    return b"".join([_SIGNATURE, *(chunk for chunk in _chunks(data) if _decides_pixels(chunk))])


def _chunks(data: bytes) -> Iterator[memoryview]:
    """The chunks from their length to their checksum, up to the last."""
    view, at = memoryview(data), len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", view, at) if at + 8 <= len(view) else (0, b"")
        end = at + 12 + length
        if end > len(view):
            raise DataError("is a damaged or truncated PNG (it ends in the middle of a chunk)")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise DataError(
                "is a damaged PNG: the checksum (CRC-32) of its"
                f" {kind.decode('ascii', 'backslashreplace')} chunk does not match"
            )
        yield view[at:end]
        if kind == b"IEND":
            return
        at = end
    raise DataError(
        f"is a PNG of more than {_MAX_CHUNKS:,} chunks, which only serves to waste time"
    )


def _decides_pixels(chunk: memoryview) -> bool:
    kind = bytes(chunk[4:8])
    if kind in _TEXTS:
        return len(chunk) < _MAX_TEXT_BYTES and any(
            bytes(chunk[8:40]).startswith(word) for word in _TEXTS_OF_ORIENTATION
        )
    return kind != b"iCCP"


def widen_transparent_grey(image: Image.Image, data: bytes) -> None:
    """Bring the grey value that is transparent to the eight bits of the image's pixels.

    Pillow widens grey pixels of one, two or four bits and leaves that value as it is. DataError for
    16-bit colours of which one is transparent: Pillow forgets their lower bytes.
    """
    key, bits = image.info.get("transparency"), data[_BITS_AT]
    if bits == 16 and image.mode == "RGB" and key is not None:
        raise DataError(
            "is a PNG of 16-bit colours of which one is transparent, which is not read; save it"
            " with an alpha channel, or with 8 bits"
        )
    if bits < 8 and image.mode == "L" and isinstance(key, int):
        largest = 2**bits - 1
        image.info["transparency"] = (key & largest) * 255 // largest
