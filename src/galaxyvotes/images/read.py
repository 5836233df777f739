"""The bytes of an image file as pixels: always uint8, always RGB, and a square of the size that was
asked for.

Pure functions, safe in any number of threads. Plain JPEGs, as surveys publish them, go through
libjpeg-turbo (see `jpeg`); CMYK JPEGs, PNG, TIFF, BMP and WebP through Pillow; FITS
through astropy and a stretch (see `sky`); no other format is tried. The size is read from
the header before any pixel is decoded. An image that is cut short or damaged is refused whole: half
a galaxy is not data. Errors name no file; the caller knows it.

Of a JPEG whose bytes a checksum has vouched for, only the rows down to the crop's last are decoded:
for the central 128 of 424 pixels that saves three tenths of the time. Bytes that nothing has
vouched for are decoded to the end, because that is how damage shows. Where a crop is made much
smaller, libjpeg can decode to a half, a quarter or an eighth of the scale (`scaled`): each pixel is
then the mean of a few, which the filter would mostly have made of them.

What becomes of unusual pixels
- grey: three equal channels; a palette: its colours; CMYK: Pillow's plain conversion, Adobe's
  inverted kind included
- transparent: laid over black, the colour of the sky
- 16 bits: the high byte, which gives back 8-bit pixels exactly whether they were widened by ×256 or
  by ×257
- turned by an orientation in EXIF or XMP: upright
- 32-bit integers and floats: refused, because nothing says which values are black and white
- several pages or frames (TIFF, MPO, animations): refused, because nothing says which is meant
- colour profiles and gamma: left alone
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.jpeg import JpegHeader, check_cmyk, decode_jpeg, decode_top_rows, is_jpeg
from galaxyvotes.images.pillow import open_image, read_orientation, refuse_several
from galaxyvotes.images.png import check_png, is_png, widen_transparent_grey
from galaxyvotes.images.tiff import check_tiff, is_tiff, is_white_zero
from galaxyvotes.sky.fits import ANYWHERE, FitsImage, is_fits, read_bands
from galaxyvotes.sky.fits import MAX_BYTES as MAX_FITS_BYTES
from galaxyvotes.sky.stretch import SINGLE, Stretch, choose_stretch
from galaxyvotes.sources.members import Member
from galaxyvotes.sources.suffixes import FITS_SUFFIXES, split_suffix

__all__ = [
    "MAX_PIXELS",
    "Square",
    "TooSmallError",
    "crop_and_resize",
    "decode",
    "pixels_like",
    "read_square",
    "square_of",
    "to_square",
    "with_stretch",
]

MAX_PIXELS = 64_000_000
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_TRIED = 20  # FITS images, if the first are damaged
_GZIP = b"\x1f\x8b"
_LEFT_TO_SHRINK = 1.5  # after a scaled decode; with less, the means would show
_UPRIGHT = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Square(NamedTuple):
    """What became of an image: its square as a store holds it, or the reason why it cannot be used;
    its width and height in pixels, if they were read; of a FITS image the side of a pixel on the
    sky, in arcsec, if it says so; and of one that was cut from a mosaic which share of it is beyond
    the mosaic's edge, and which share inside it has no value.
    """

    pixels: UInt8[np.ndarray, "side side 3"] | None
    reason: str = ""
    size: tuple[int, int] | None = None
    arcsec_px: float | None = None
    off_edge: float = 0.0
    masked: float = 0.0


class TooSmallError(DataError):
    """An image that is smaller than the crop."""

    def __init__(self, width: int, height: int, side: int) -> None:
        """Name the sizes of both."""
        super().__init__(f"is {width} × {height} pixels, smaller than the crop of {side} × {side}")
        self.size = (width, height)


def read_square(image: Member, settings: PackSettings, *, scaled: bool = False) -> Square:
    """What becomes of an image of a source; what would be a DataError is its reason.

    `scaled`: see `to_square`.
    """
    try:
        if (cutout := image.cut(*pixels_like(settings))) is not None:
            square = _fits_square(_with_scale(cutout.image, image, settings), settings)
            return square._replace(off_edge=cutout.off_edge, masked=cutout.masked)
        data = _read(image)
        if image.suffix in FITS_SUFFIXES or is_fits(data):
            return _fits_square(_read_sky(image, data), settings)
        return _plain_square(data, settings, intact=image.has_checksum, scaled=scaled)
    except DataError as error:
        reason = str(error).removeprefix(f"{image.name}: ")
        return Square(None, reason, error.size if isinstance(error, TooSmallError) else None)


def square_of(name: str, data: bytes, settings: PackSettings) -> Square:
    """What becomes of a file with this name and these bytes, which is in no source; what would be a
    DataError is its reason.
    """
    try:
        if split_suffix(name)[1] in FITS_SUFFIXES or is_fits(data):
            return _fits_square(read_bands([data], ANYWHERE), settings)
        return _plain_square(data, settings)
    except DataError as error:
        return Square(None, str(error), error.size if isinstance(error, TooSmallError) else None)


def _plain_square(
    data: bytes, settings: PackSettings, *, intact: bool = False, scaled: bool = False
) -> Square:
    """The square of an image that is no FITS file."""
    pixels, size = _square(
        data,
        crop_px=settings.square_px or None,
        size_px=settings.size_px,
        intact=intact,
        scaled=scaled,
    )
    return Square(pixels, size=size)


def with_stretch(settings: PackSettings, images: Iterable[Member]) -> PackSettings:
    """The settings with the stretch of the FITS images among some: the one that they name, or
    `single` for images of one band; none if there is no such image.

    ConfigError if they name one that there is not, or if they name none and all images are FITS
    with several bands, by the first of them: it can be told before a million are read. Beside
    others, such images are left to be rejected, each with this reason. DataError if the file that
    they name is no text.
    """
    if settings.stretch:
        Stretch.load(settings.stretch)
    first = [*islice(filter(_may_be_fits, images), _TRIED)]
    if settings.stretch and first:
        return settings
    colour = ""
    for image in first:
        with suppress(DataError):
            cutout = image.cut()
            sky = _read_sky(image, _read(image)) if cutout is None else cutout.image
            try:
                choose_stretch("", sky)
            except DataError as error:
                colour = colour or f"{image.name} {error}"
                continue
            return replace(settings, stretch=SINGLE)
    if colour and all(map(_may_be_fits, images)):
        raise ConfigError(f"`stretch=…` is missing: {colour}")
    return replace(settings, stretch="")


def _may_be_fits(image: Member) -> bool:
    return image.suffix in FITS_SUFFIXES or not image.suffix


def _read(image: Member) -> bytes:
    """The bytes of a file; DataError as of `Member.read`, and of a FITS image for too many."""
    if image.suffix in FITS_SUFFIXES and image.size > MAX_FITS_BYTES:
        raise DataError(
            f"has {image.size:,} bytes; at most {MAX_FITS_BYTES:,} are read of a FITS image: cut"
            " out the galaxies first"
        )
    return image.read()


def _read_sky(image: Member, first: bytes) -> FitsImage:
    """A FITS image, whose first file has these bytes."""
    return read_bands([first, *map(_read, image.bands[1:])], image.layout)


def pixels_like(settings: PackSettings) -> tuple[int, float]:
    """How many pixels an image that is cut from a mosaic has, or the side of each in arcsec, so
    that it is like those that a network is for; neither for whole images.
    """
    if not settings.crop_px:
        return 0, 0.0
    if settings.arcsec_px:
        return 0, settings.arcsec_px / settings.scale
    return round(settings.image_px * settings.scale), 0.0


def _with_scale(sky: FitsImage, image: Member, settings: PackSettings) -> FitsImage:
    """A cut-out without the size of its pixels if that only says how large its galaxy is."""
    mosaic = image.layout.mosaic
    proportional = mosaic is not None and mosaic.in_proportion and not settings.arcsec_px
    return sky._replace(arcsec_px=None) if proportional else sky


def _fits_square(sky: FitsImage, settings: PackSettings) -> Square:
    """The square of a FITS image, whose bands are stretched in it alone."""
    stretch, bands = choose_stretch(settings.stretch, sky)
    _, height, width = bands.shape
    side = settings.square_px or min(height, width)
    if side > min(height, width):
        raise TooSmallError(width, height, side)
    top, left = (height - side) // 2, (width - side) // 2
    picture = stretch.picture(bands, slice(top, top + side), slice(left, left + side))
    return Square(_resize(picture, settings.size_px), size=(width, height), arcsec_px=sky.arcsec_px)


def to_square(
    data: bytes, *, crop_px: int | None, size_px: int, intact: bool = False, scaled: bool = False
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """A file's central square as pixels: `decode`, then `crop_and_resize`; DataError as of both.

    `intact` says that a checksum has vouched for the bytes; the pixels are the same, and come
    sooner. `scaled` lets an upright JPEG be decoded at a smaller scale if that has the crop's edges
    and leaves at least 1.5 times `size_px` of it; of galaxies the pixels then differ by about half
    a grey level (root mean square).
    """
    return _square(data, crop_px=crop_px, size_px=size_px, intact=intact, scaled=scaled)[0]


def _square(
    data: bytes, *, crop_px: int | None, size_px: int, intact: bool, scaled: bool
) -> tuple[UInt8[np.ndarray, "{size_px} {size_px} 3"], tuple[int, int]]:
    """The square of `to_square`, and the width and height of the image."""
    header = JpegHeader.read(data) if is_jpeg(data) else None
    side = 0 if header is None else crop_px or min(header.height, header.width)
    if header is None or not header.is_plain or side > min(header.height, header.width):
        pixels = decode(data)
        size = (pixels.shape[1], pixels.shape[0])
        return crop_and_resize(pixels, crop_px=crop_px, size_px=size_px), size
    _check_size(header.width, header.height)
    top, left = (header.height - side) // 2, (header.width - side) // 2
    shrink = _choose_scale(top, left, side, size_px) if scaled else 1
    pixels = decode_top_rows(data, header, top + side, shrink) if intact else None
    if pixels is None:
        pixels = decode_jpeg(data, header, shrink)
    top, left, side = top // shrink, left // shrink, side // shrink
    square = _resize(pixels[top : top + side, left : left + side].copy(), size_px)
    return square, (header.width, header.height)


def _choose_scale(top: int, left: int, side: int, size_px: int) -> int:
    """The largest n for which 1 / n of the scale has the crop's edges and leaves enough of it."""
    enough = [n for n in (2, 4, 8) if side >= n * _LEFT_TO_SHRINK * size_px]
    return max((n for n in enough if not any(edge % n for edge in (top, left, side))), default=1)


def crop_and_resize(
    pixels: UInt8[np.ndarray, "height width 3"], *, crop_px: int | None, size_px: int
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """The centred square of side `crop_px` (None: the largest), brought to `size_px`; contiguous in
    memory.

    The crop starts at (side − crop_px) // 2 on each axis and is exact: pixels are only resampled if
    the two sizes differ, with a bilinear filter that widens when it shrinks (so nothing aliases)
    and never rings around a bright star: torch's, whose pixels are Pillow's, in a third of the
    time. TooSmallError, a DataError, if the image is smaller than `crop_px`.
    """
    height, width, _ = pixels.shape
    side = min(height, width) if crop_px is None else crop_px
    if side > min(height, width):
        raise TooSmallError(width, height, side)
    top, left = (height - side) // 2, (width - side) // 2
    return _resize(pixels[top : top + side, left : left + side], size_px)


def _resize(
    square: UInt8[np.ndarray, "side side 3"], size_px: int
) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    square = np.ascontiguousarray(square)
    if len(square) == size_px:
        return square
    import torch  # takes seconds, and who only crops has no use for it

    # Strides that torch knows as channels last.
    planes = torch.from_numpy(square[None]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        resized = torch.nn.functional.interpolate(
            planes, (size_px, size_px), mode="bilinear", antialias=True
        )
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1)[0].numpy())


def decode(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """An image file's pixels as RGB, upright; DataError with the reason if it cannot be used."""
    if not data:
        raise DataError("is empty (0 bytes)")
    if not is_jpeg(data):
        return _decode_with_pillow(data)
    header = JpegHeader.read(data)
    _check_size(header.width, header.height)
    if header.channels == 4:
        check_cmyk(data)
        return _decode_with_pillow(data)
    pixels = decode_jpeg(data, header)
    if header.orientation in _UPRIGHT:
        return np.array(Image.fromarray(pixels).transpose(_UPRIGHT[header.orientation]))
    return pixels


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(f"is {width} × {height} pixels; at most {MAX_PIXELS:,} pixels are read")


def _decode_with_pillow(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    try:
        image = open_image(check_png(data) if is_png(data) else data, _FORMATS)
        _check_size(*image.size)
        refuse_several(image)
        if image.format == "TIFF":
            check_tiff(image)
        elif image.format == "PNG":
            widen_transparent_grey(image, data)
        image.load()
        orientation = read_orientation(image)
        rgb = _to_rgb(image)
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"is far too large; at most {MAX_PIXELS:,} pixels are read") from None
    except UnidentifiedImageError:
        raise DataError(_explain_unread(data)) from None
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        raise DataError(
            f"is a damaged or truncated image ({error or type(error).__name__})"
        ) from None
    return np.array(rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb)


def _explain_unread(data: bytes) -> str:
    if is_tiff(data):
        return (
            "is a TIFF whose layout of pixels is not read, or is cut short; save it with 8 or 16"
            " bits, grey or RGB"
        )
    if data.startswith(_GZIP):
        return "is compressed by gzip; unpack it first"
    return f"is not an image of a kind that is read ({', '.join(_FORMATS)}), or is cut short"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray(_high_bytes(image)).convert("RGB")
    if image.mode in ("I", "F"):
        raise DataError(
            "has 32-bit pixels, whose black and white nothing says; save it with 8 or 16 bits"
        )
    if not image.has_transparency_data and image.mode != "La":
        return image.convert("RGB")
    # Pillow takes grey of which alpha is a factor to colours by this way only.
    coloured = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    sky = Image.new("RGB", image.size)
    sky.paste(coloured, mask=coloured.getchannel("A"))
    return sky


def _high_bytes(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    values = np.asarray(image)
    if is_white_zero(image):
        values = 65_535 - values
    transparent = values == image.info.get("transparency", -1)
    return np.where(transparent, 0, values >> 8).astype(np.uint8)
