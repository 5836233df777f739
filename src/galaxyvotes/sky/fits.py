"""FITS images: one band, a cube of bands, or one band in each of several HDUs, as float32.

astropy parses headers, scales integers (BZERO, BSCALE), makes masked pixels (BLANK) NaN and unpacks
tiles. Everything before that is checked here, because a file is hostile until it is: where each HDU
ends, whether its pixels are there, and how many they are. Only an HDU that is asked for is read.

Source: FITS Standard 4.0 (2018), sections 3, 4.4 and 10.
"""

import bz2
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.sky.hdus import (
    Unit,
    band_names,
    check_pixels,
    choose_units,
    units_of,
    whole_blocks,
)
from galaxyvotes.sky.mosaic import Mosaic

__all__ = ["ANYWHERE", "MAX_BYTES", "FitsImage", "FitsLayout", "is_fits", "read_bands"]

MAX_BYTES = 256 * 2**20  # of a file, unpacked
MAX_PIXELS = 64_000_000  # of all bands together
_MAX_BANDS = 10
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_SCALE_CARDS = ("CTYPE", "CUNIT", "CDELT", "CROTA", "CD", "PC")


@dataclass(frozen=True)
class FitsLayout:
    """Where in FITS files the images are.

    `hdu` names the HDU of the image, by its number (the first is 0) or EXTNAME, or those of its
    bands; by default it is the only one that holds an image. `bands` are the names of the bands in
    the order in which they lie in the file, where the file does not say. With a `mosaic`, images
    are cut from its files, at the positions that a table has.
    """

    hdu: int | str | tuple[int | str, ...] | None = None
    bands: tuple[str, ...] = ()
    mosaic: Mosaic | None = None

    def __post_init__(self) -> None:
        """Refuse bands that are named twice."""
        if len({band.lower() for band in self.bands}) < len(self.bands):
            raise ConfigError(f"bands {', '.join(self.bands)}: one is named twice")

    def check_scale(self, scale: float | None) -> None:
        """Raise ConfigError for a scale of images from a mosaic: they are cut to the pixels that a
        network takes, so that it would change nothing but their resolution.
        """
        if self.mosaic is not None and scale is not None:
            raise ConfigError(
                "how much of the sky an image from a mosaic shows is its `size=…`: change that, and"
                " leave out `scale=…`"
            )

    def to_table(self) -> dict[str, Any]:
        """What is named, as TOML has it; empty if nothing is."""
        named = {"hdu": list(self.hdus), "bands": list(self.bands)}
        cut = self.mosaic.to_table() if self.mosaic else {}
        return {name: values for name, values in named.items() if values} | cut

    @property
    def hdus(self) -> tuple[int | str, ...]:
        """The HDUs that are named."""
        if self.hdu is None:
            return ()
        return self.hdu if isinstance(self.hdu, tuple) else (self.hdu,)


ANYWHERE = FitsLayout()  # the files say themselves where their images are


class FitsImage(NamedTuple):
    """The bands of an image, the uppermost row first; NaN where a pixel has no value.

    `names` are those of the bands, empty if nothing says them. `arcsec_px` is the side of a pixel
    on the sky, None without WCS.
    """

    bands: Float32[np.ndarray, "band height width"]
    names: tuple[str, ...] = ()
    arcsec_px: float | None = None


def is_fits(data: bytes) -> bool:
    """Whether a file begins as FITS does."""
    return data.startswith(b"SIMPLE  =")


def read_fits(data: bytes, layout: FitsLayout = ANYWHERE) -> FitsImage:
    """The image in a FITS file, which gzip or bzip2 may have packed.

    FITS counts rows from the bottom, pictures from the top: rows are turned round, so that north is
    up where it is up in the survey's own pictures.

    DataError if the file is damaged or cut short, too large, or holds no image, several of which
    none is named, or a cube of more than ten planes. The message does not name the file.
    """
    data = _unpacked(data)
    if not is_fits(data):
        raise DataError("does not begin as a FITS file does (SIMPLE  = T)")
    try:
        with quiet():
            units = tuple(units_of(data))
            chosen = choose_units(units, layout.hdus)
            header = chosen[0].header
            arcsec_px = _pixel_scale(header) or _pixel_scale(units[0].header)
            names = layout.bands or band_names(chosen)
            opened = [_opened(unit, data) for unit in chosen]
        planes = [plane for unit, hdu in opened for plane in _planes(unit, hdu)]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # astropy raises nearly anything on hostile bytes
        raise DataError(f"is a damaged FITS file ({error or type(error).__name__})") from None
    if layout.bands and len(layout.bands) != len(planes):
        raise DataError(
            f"has {len(planes)} bands, and {len(layout.bands)} are named"
            f" ({', '.join(layout.bands)}): name each, in the order of the file"
        )
    return FitsImage(np.stack(planes)[:, ::-1], names, arcsec_px)


def read_bands(files: Sequence[bytes], layout: FitsLayout = ANYWHERE) -> FitsImage:
    """The image in one FITS file, or in a file for each band, in the order of `layout.bands`.

    DataError as of `read_fits`, which names the band, and if the bands differ in size or in the
    scale of their pixels, or are several in one file.
    """
    if len(files) == 1:
        return read_fits(files[0], layout)
    images: list[FitsImage] = []
    for band, data in zip(layout.bands, files, strict=True):
        try:
            images.append(read_fits(data, replace(layout, bands=())))
        except DataError as error:
            raise DataError(f"(band {band}) {error}") from None
    sizes = [" × ".join(map(str, image.bands.shape[::-1])) for image in images]
    scales = [f"{image.arcsec_px:.3g}" if image.arcsec_px else "" for image in images]
    for what, values in (("pixels", sizes), ("arcsec a pixel", scales)):
        if len(set(values)) > 1:
            said = ", ".join(f"{band} {v}" for band, v in zip(layout.bands, values, strict=True))
            raise DataError(f"has bands that do not fit each other: {said} {what}")
    if len(images[0].bands) > 1:
        raise DataError(f"has {sizes[0]} pixels in the file of one band; expected one plane")
    bands = np.concatenate([image.bands for image in images])
    return FitsImage(bands, layout.bands, images[0].arcsec_px)


def _unpacked(data: bytes) -> bytes:
    """The file without the gzip or bzip2 around it; DataError if that is damaged or too large."""
    if not data.startswith((_GZIP, _BZIP2)):
        return data
    unpacked = bytearray()
    try:
        while data:
            more = MAX_BYTES + 1 - len(unpacked)
            if data.startswith(_GZIP):
                gzip = zlib.decompressobj(31)
                unpacked += gzip.decompress(data, more)
                whole, data = gzip.eof, gzip.unused_data
            elif data.startswith(_BZIP2):
                bzip2 = bz2.BZ2Decompressor()
                unpacked += bzip2.decompress(data, more)
                whole, data = bzip2.eof, bzip2.unused_data
            else:  # zeros, as tapes end
                break
            if len(unpacked) > MAX_BYTES:
                raise DataError(f"unpacks to more than {MAX_BYTES:,} bytes; no more are read")
            if not whole:
                raise DataError("is cut short: it ends before what is packed does; fetch it again")
    except (zlib.error, OSError, ValueError) as error:
        raise DataError(f"is damaged: it cannot be unpacked ({error}); fetch it again") from None
    return bytes(unpacked)


# ---- pixels


def _opened(unit: Unit, data: bytes) -> tuple[Unit, Any]:
    """The HDU of astropy, nothing of its pixels read; DataError if they are not all there or too
    many.
    """
    fits = import_module("astropy.io.fits")
    if unit.end > len(data):
        raise DataError(
            f"is cut short: the last {unit.end - len(data):,} bytes of HDU {unit.number} are"
            " missing; fetch it again"
        )
    if math.prod(unit.shape) > MAX_PIXELS:
        sides = " × ".join(map(str, reversed(unit.shape)))
        raise DataError(
            f"is {sides} pixels in HDU {unit.number}; at most {MAX_PIXELS:,} are read: cut out the"
            " galaxies first"
        )
    part = data[unit.start : whole_blocks(unit.end)]
    check_pixels(unit)
    if unit.is_packed:
        return unit, fits.CompImageHDU(bintable=fits.BinTableHDU.fromstring(part))
    kind = fits.ImageHDU if unit.number else fits.PrimaryHDU
    return unit, kind.fromstring(part)


def _planes(unit: Unit, hdu: Any) -> Iterator[Float32[np.ndarray, "height width"]]:
    """The bands of an HDU, whose axis is the first or the last."""
    with np.errstate(all="ignore"):
        pixels = np.asarray(hdu.section[...], np.float32).reshape(unit.shape)
    if pixels.ndim == 2:
        yield pixels
        return
    if pixels.ndim > 3 or min(pixels.shape[0], pixels.shape[2]) > _MAX_BANDS:
        raise DataError(
            f"holds {unit}, which is no image of one to {_MAX_BANDS} bands; name another HDU, or"
            " save the bands that matter"
        )
    yield from pixels if pixels.shape[0] <= pixels.shape[2] else np.moveaxis(pixels, 2, 0)


# ---- the sky


def _pixel_scale(header: Any) -> float | None:
    """The side of a pixel in arcsec, the mean of both; None if the header does not say it."""
    names = [name for name in header if name.startswith(_SCALE_CARDS)]
    cards = tuple((name, header[name]) for name in names)
    return _scale_of(cards) if cards else None


@lru_cache(maxsize=64)  # a survey's cut-outs share it, and a WCS takes as long as the pixels
def _scale_of(cards: tuple[tuple[str, Any], ...]) -> float | None:
    fits, wcs = import_module("astropy.io.fits"), import_module("astropy.wcs")
    utils = import_module("astropy.wcs.utils")
    try:
        sky = wcs.WCS(fits.Header(cards)).celestial
        if sky.naxis != 2:
            return None
        side = 3600 * math.sqrt(math.prod(map(float, utils.proj_plane_pixel_scales(sky))))
    except Exception:  # of a WCS that is no use
        return None
    return side if math.isfinite(side) and side > 0 else None
