"""Image files as bytes, ordinary ones and odd ones, for the tests that read them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def some_pixels(height: int = 48, width: int = 64, channels: int = 3) -> np.ndarray:
    """Smooth colours, different in every corner, that JPEG keeps nearly unchanged."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ramps = np.stack([x, y, 1 - x * y, (x + y) / 2], axis=-1)[..., :channels]
    return (ramps * 255).round().astype(np.uint8)


def encoded(picture: Image.Image | np.ndarray, kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


def exif(orientation: int, order: str = "II") -> bytes:
    sign = "<" if order == "II" else ">"
    header = order.encode() + struct.pack(f"{sign}HI", 42, 8)
    return b"Exif\0\0" + header + struct.pack(f"{sign}HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def raw_png(width: int, height: int, *, bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_size(jpeg: bytes, height: int, width: int) -> bytes:
    frame = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera that reports `orientation` stores for an upright picture (EXIF 2.3, table
    6)."""
    flips = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(flips[orientation](pixels))
