"""The bytes of an image file as pixels: always uint8, always RGB, and a square of the size that was
asked for.

Pure functions, safe in any number of threads. Plain JPEGs, as surveys publish them, go through
libjpeg-turbo (simplejpeg), which releases the interpreter's lock; CMYK JPEGs, PNG, TIFF, BMP and
WebP through Pillow, and no other format is tried. The size is read from the header before any pixel
is decoded. An image that is cut short or damaged is refused whole: half a galaxy is not data.
Reasons name no file; the caller knows it.

Of a JPEG whose bytes a checksum has vouched for, only the rows down to the crop's last are decoded:
for the central 128 of 424 pixels that is two thirds of the work. Bytes that nothing has vouched for
are decoded to the end, because that is how damage shows. Where a crop is made much smaller, libjpeg
can decode to a half, a quarter or an eighth of the scale (`scaled`): each pixel is then the mean of
a few, which the filter would mostly have made of them.

What becomes of unusual pixels
- grey: three equal channels; a palette: its colours; CMYK: Pillow's plain conversion, Adobe's
  inverted kind included
- transparent: laid over black, the colour of the sky
- 16 bits: the high byte, which gives back 8-bit pixels exactly whether they were widened by ×256 or
  by ×257
- turned by an EXIF orientation: upright
- 32-bit integers and floats: refused, because nothing says which values are black and white
"""

import io
import math
import re
import struct
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from galaxyvotes.errors import DataError

__all__ = ["MAX_PIXELS", "crop_and_resize", "decode", "to_square"]

MAX_PIXELS = 64_000_000
_MAX_SCANS = 100  # a progressive JPEG has about ten; thousands cost minutes for a few kilobytes
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_JPEG, _FITS = b"\xff\xd8", b"SIMPLE  ="
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _PROGRESSIVE = 0xC0, (0xC2, 0xCA)
_MARGIN = 4  # rows below the crop that its last row's colours are smoothed with
_LEFT_TO_SHRINK = (
    1.5  # after a scaled decode; with less, means show where the filter would have smoothed
)
_ONLY_CUT = re.compile(
    r"\d+ extraneous bytes before marker 0xd9$"
)  # what libjpeg says of rows it was not asked for
_UPRIGHT = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SCRATCH = (
    threading.local()
)  # what a thread decoded last: the same memory again is still in the processor's cache
_QUIET = threading.Lock()  # warnings.catch_warnings changes the whole process


def to_square(
    data: bytes, *, crop_px: int | None, size_px: int, intact: bool = False, scaled: bool = False
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """A file's central square as pixels: `decode`, then `crop_and_resize`.

    `intact` says that a checksum has vouched for the bytes; the pixels are the same, and come
    sooner. `scaled` lets an upright JPEG be decoded at a smaller scale if that has the crop's edges
    and leaves at least 1.5 times `size_px` of it; of galaxies the pixels then differ by about half
    a grey level (root mean square).
    """
    header = _read_jpeg_header(data) if data.startswith(_JPEG) else None
    side = 0 if header is None else crop_px or min(header.height, header.width)
    if header is None or not header.is_plain or side > min(header.height, header.width):
        return crop_and_resize(decode(data), crop_px=crop_px, size_px=size_px)
    top, left = (header.height - side) // 2, (header.width - side) // 2
    enough = [n for n in (2, 4, 8) if scaled and side >= n * _LEFT_TO_SHRINK * size_px]
    shrink = max(
        (n for n in enough if not any(pixel % n for pixel in (top, left, side))), default=1
    )
    pixels = _decode_rows(data, header, top + side, shrink) if intact else None
    if pixels is None:
        pixels = _decode_jpeg(data, header, shrink)
    top, left, side = top // shrink, left // shrink, side // shrink
    return _resize(pixels[top : top + side, left : left + side].copy(), size_px)


def crop_and_resize(
    pixels: UInt8[np.ndarray, "height width 3"], *, crop_px: int | None, size_px: int
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """The centred square of side `crop_px` (None: the largest), brought to `size_px`; contiguous in
    memory.

    The crop starts at (side − crop_px) // 2 on each axis and is exact: pixels are only resampled if
    the two sizes differ, with a bilinear filter that widens when it shrinks (so nothing aliases)
    and never rings around a bright star: torch's, whose pixels are Pillow's, in a third of the
    time. An image smaller than `crop_px` is a DataError.
    """
    height, width, _ = pixels.shape
    side = min(height, width) if crop_px is None else crop_px
    if side > min(height, width):
        raise DataError(
            f"is {width} × {height} pixels, smaller than the crop of {side} × {side} (--crop, when"
            " it is packed)"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return _resize(pixels[top : top + side, left : left + side], size_px)


def _resize(
    square: UInt8[np.ndarray, "side side 3"], size_px: int
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    square = np.ascontiguousarray(square)
    if len(square) == size_px:
        return square
    import torch  # takes seconds, and who only crops has no use for it

    planes = torch.from_numpy(square[None]).permute(
        0, 3, 1, 2
    )  # strides that torch knows as channels last
    with torch.inference_mode():
        resized = torch.nn.functional.interpolate(
            planes, (size_px, size_px), mode="bilinear", antialias=True
        )
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1)[0].numpy())


def decode(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """An image file's pixels as RGB, upright; DataError with the reason if it cannot be used."""
    if not data:
        raise DataError("is empty (0 bytes)")
    if data.startswith(_FITS):
        raise DataError("FITS images are not read yet")
    if not data.startswith(_JPEG):
        return _decode_with_pillow(data)
    header = _read_jpeg_header(data)
    _check_size(header.width, header.height)
    if header.channels == 4:
        return _decode_with_pillow(data)
    pixels = _decode_jpeg(data, header)
    if header.orientation in _UPRIGHT:
        return np.array(Image.fromarray(pixels).transpose(_UPRIGHT[header.orientation]))
    return pixels


def _decode_jpeg(
    data: bytes, header: "_JpegHeader", shrink: int = 1
) -> UInt8[np.ndarray, "height width 3"]:
    """All pixels of a JPEG as they lie in the file, at 1 / `shrink` of its scale."""
    _check_size(header.width, header.height)
    try:
        return simplejpeg.decode_jpeg(
            data, "RGB", strict=True, **header.at_least(header.height, shrink)
        )
    except ValueError as error:
        raise DataError(f"is a damaged or truncated JPEG ({error})") from None


def _decode_rows(
    data: bytes, header: "_JpegHeader", rows: int, shrink: int
) -> UInt8[np.ndarray, "height width 3"] | None:
    """The first rows of an upright baseline JPEG, until this thread asks for others; None where
    only decoding all of it can tell.

    libjpeg is told of an image that ends below them. It decodes that, finds the rest of the data
    and says so; that remark, alone, means that what was asked for is there.
    """
    rows += _MARGIN * shrink
    _check_size(header.width, header.height)
    if header.frame != _BASELINE or rows >= header.height:
        return None
    shorter = bytearray(data)
    struct.pack_into(">H", shorter, header.height_at, rows)
    shape = (-(-rows // shrink), -(-header.width // shrink), 3)
    size = math.prod(shape)
    if len(getattr(_SCRATCH, "pixels", b"")) < size:
        _SCRATCH.pixels = np.empty(size, np.uint8)
    pixels = _SCRATCH.pixels[:size].reshape(shape)
    try:
        simplejpeg.decode_jpeg(
            shorter, "RGB", strict=True, buffer=pixels, **header.at_least(rows, shrink)
        )
    except ValueError as remark:
        if _ONLY_CUT.search(str(remark)):
            return pixels
    return None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(f"is {width} × {height} pixels; at most {MAX_PIXELS:,} pixels are read")


class _JpegHeader(NamedTuple):
    height: int
    width: int
    channels: int
    orientation: int  # EXIF's, 1 to 8
    frame: int  # the marker, which says how it is coded
    height_at: int  # where in the file the height stands

    @property
    def is_plain(self) -> bool:
        """Whether libjpeg gives its pixels as RGB and upright."""
        return self.channels != 4 and self.orientation not in _UPRIGHT

    def at_least(self, rows: int, shrink: int) -> dict[str, int]:
        """What simplejpeg is told to decode so many rows at 1 / `shrink` of their scale."""
        return (
            {}
            if shrink == 1
            else {"min_height": -(-rows // shrink), "min_width": -(-self.width // shrink)}
        )


def _read_jpeg_header(data: bytes) -> _JpegHeader:
    """What the segments before a JPEG's first scan say."""
    orientation, position = 1, 2
    try:
        while data[position] == 0xFF:
            marker = data[position + 1]
            if marker == 0xFF:  # padding
                position += 1
                continue
            if marker in _FRAME_MARKERS:
                height, width, channels = struct.unpack_from(">HHB", data, position + 5)
                if marker in _PROGRESSIVE and data.count(b"\xff\xda") > _MAX_SCANS:
                    raise DataError(
                        f"is a JPEG in more than {_MAX_SCANS} scans, which only serves to waste"
                        " time"
                    )
                return _JpegHeader(height, width, channels, orientation, marker, position + 5)
            if marker == 0xE1 and data.startswith(b"Exif\0\0", position + 4):
                orientation = _read_orientation(data[position + 10 : position + 65_600])
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    except (IndexError, struct.error):
        pass
    raise DataError("is a damaged or truncated JPEG (its header has no size)")


def _read_orientation(exif: bytes) -> int:
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


def _decode_with_pillow(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        _check_size(*image.size)
        image.load()
        with _quiet():
            orientation = image.getexif().get(0x0112, 1)
        rgb = _to_rgb(image)
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"is far too large; at most {MAX_PIXELS:,} pixels are read") from None
    except UnidentifiedImageError:
        raise DataError(
            f"is not an image of a kind that is read ({', '.join(_FORMATS)}), or is cut short"
        ) from None
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        raise DataError(
            f"is a damaged or truncated image ({error or type(error).__name__})"
        ) from None
    return np.array(rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb)


@contextmanager
def _quiet() -> Generator[None]:
    """Pillow's remarks on odd metadata and large sizes kept from the user, who is told what matters
    by an error.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise DataError(
            "has 32-bit pixels, whose black and white nothing says; save it with 8 or 16 bits"
        )
    if not image.has_transparency_data:
        return image.convert("RGB")
    coloured = image.convert("RGBA")
    sky = Image.new("RGB", image.size)
    sky.paste(coloured, mask=coloured.getchannel("A"))
    return sky
