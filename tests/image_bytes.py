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


def exif(orientation: int, order: str = "II", *, kind: int = 3, apart: int = 0) -> bytes:
    """An EXIF block; `kind` is the TIFF type of the number, `apart` how far behind the header the
    directory begins, in which another tag comes first.
    """
    sign = "<" if order == "II" else ">"
    header = order.encode() + struct.pack(f"{sign}HI", 42, 8 + apart) + bytes(apart)
    number = struct.pack(f"{sign}{'I' if kind == 4 else 'H'}", orientation).ljust(4, b"\0")
    first = struct.pack(f"{sign}HHII", 0x0100, 4, 1, 64) if apart else b""
    entry = struct.pack(f"{sign}HHI", 0x0112, kind, 1) + number
    count = struct.pack(f"{sign}H", 2 if apart else 1)
    return b"Exif\0\0" + header + count + first + entry + bytes(4)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(
    width: int,
    height: int,
    *,
    bits: int,
    colour: int,
    rows: bytes,
    interlaced: bool = False,
    before: bytes = b"",
) -> bytes:
    """A PNG of these filtered rows; `before` are the chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + before
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def raw_tiff(tags: dict[int, tuple[int, ...]], *planes: bytes, order: str = "<", pages: int = 1):
    """An uncompressed TIFF of one strip a plane; tags of numbers up to 65,535, by number."""
    file, links = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4)), [4]
    for _ in range(pages):
        offsets = []
        for plane in planes:
            offsets.append(len(file))
            file += plane
        entries = tags | {273: tuple(offsets), 279: tuple(map(len, planes))}
        directory = struct.pack(f"{order}H", len(entries))
        for tag, numbers in sorted(entries.items()):
            kind, sign = (4, "I") if tag in (273, 279) else (3, "H")
            values = struct.pack(f"{order}{len(numbers)}{sign}", *numbers)
            if len(values) > 4:
                at = len(file)
                file += values
                values = struct.pack(f"{order}I", at)
            directory += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + values.ljust(
                4, b"\0"
            )
        struct.pack_into(f"{order}I", file, links[-1], len(file))
        links.append(len(file) + len(directory))
        file += directory + bytes(4)
    return bytes(file)


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
