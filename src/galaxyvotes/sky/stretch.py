"""Bands as pictures: the stretches in which surveys show their galaxies, as data.

A stretch (`stretches/*.toml`) takes bands from the bluest to the reddest, and each pixel's values
to 0–1 by an inverse hyperbolic sine, which is linear for the sky and logarithmic for bright cores.
One band makes a grey picture; of two the first is blue, the second red, and green their mean; of
three they are blue, green and red.

`colour` says of what the asinh is taken. With "brightness" all bands are multiplied by one factor,
gain · asinh(softening · I) / I of their mean I, which keeps colours (Lupton et al. 2004, PASP 116,
133, equation 2); "bands" takes the asinh of each band by itself.
"""

import difflib
import math
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import read_text
from galaxyvotes.runtime.toml import from_table, parsed
from galaxyvotes.sky.fits import FitsImage

__all__ = ["SINGLE", "Stretch", "choose_stretch", "stretch_names"]

SINGLE = "single"  # the stretch of one band of any survey

Bands = Float32[np.ndarray, "band height width"]
Limits = Float32[np.ndarray, "band 1 1"]

_STRETCHES = resources.files("galaxyvotes") / "stretches"
_TINY, _LARGEST = 1e-12, 1e9


@dataclass(frozen=True)
class Stretch:
    """How bands become a picture.

    title       for which survey and unit
    bands       their names, from the bluest to the reddest
    fewest      a picture may be made of so many of them, the first ones (0: of all only)
    scale       what each band is multiplied by, one number for each
    zscale      bring each band first to 0–1 between the limits that IRAF's zscale finds in it: for
                pixels of any unit
    offset      is added to each band then
    softening   of the asinh
    gain        is what the asinh is multiplied by
    colour      whether the asinh is of the mean "brightness" of the bands, or of each of the
                "bands"
    saturated   what becomes of a pixel of which a band is above 1: "clip" takes 1 for it, so that
                bright cores are white; "hue" divides all bands by it
    black       the value (after the asinh) that is black …
    white       … and the one that is white,
    percentile  or, above 0, the percentile of each band that is white, in the whole image
    """

    title: str
    bands: tuple[str, ...]
    scale: tuple[float, ...]
    fewest: int = 0
    zscale: bool = False
    offset: float = 0.0
    softening: float = 1.0
    gain: float = 1.0
    colour: Literal["brightness", "bands"] = "brightness"
    saturated: Literal["clip", "hue"] = "clip"
    black: float = 0.0
    white: float = 1.0
    percentile: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers of which no picture can be made."""
        if not 1 <= len(self.bands) <= 3 or len(self.scale) != len(self.bands):
            raise ConfigError(
                f"{len(self.bands)} bands and {len(self.scale)} scales: expected one to three"
                " bands, and a scale for each"
            )
        if not 0 <= self.fewest <= len(self.bands):
            raise ConfigError(f"fewest is {self.fewest} of {len(self.bands)} bands")
        if not (self.softening > 0 and self.gain > 0 and self.black < self.white):
            raise ConfigError(
                f"softening {self.softening}, gain {self.gain}, black {self.black}, white"
                f" {self.white}: the first two are above 0, and white is above black"
            )
        if not 0 <= self.percentile <= 100:
            raise ConfigError(f"percentile is {self.percentile}; it lies from 0 (none) to 100")

    @staticmethod
    def load(name: str | Path) -> "Stretch":
        """A stretch that comes with the package, by its name, or one from a TOML file.

        Raises ConfigError if there is none, or if it holds what cannot be; DataError if the file is
        no text.
        """
        return _load(str(name))

    @property
    def counts(self) -> range:
        """Of how many bands a picture can be made."""
        return range(self.fewest or len(self.bands), len(self.bands) + 1)

    def order(self, image: FitsImage, called: str) -> Bands:
        """The bands of an image that this stretch, `called` so, takes, in its order: by their names
        if it knows any of them, else as they stand.

        DataError if the image has others, or another number of them.
        """
        names = [name.lower() for name in image.names]
        wanted = [name.lower() for name in self.bands]
        if set(names) & set(wanted):
            for few in reversed(self.counts):
                if set(wanted[:few]) <= set(names):
                    return image.bands[[names.index(name) for name in wanted[:few]]]
            raise DataError(
                f"has the bands {', '.join(image.names)}; the stretch {called} is for"
                f" {', '.join(self.bands)}: name another stretch, or, if they are these, the bands"
                f" ({','.join(self.bands)})"
            )
        if len(image.bands) not in self.counts:
            if len(image.bands) == 1:
                raise DataError(
                    f"has one band; the stretch {called} is for {', '.join(self.bands)}: name"
                    f" another, such as {SINGLE}"
                )
            raise DataError(
                f"has {_counted(image)}; the stretch {called} is for {len(self.bands)}"
                f" ({', '.join(self.bands)}): name another stretch, or all bands of the file in"
                " their order"
            )
        return image.bands

    def picture(
        self,
        bands: Bands,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> UInt8[np.ndarray, "rows columns 3"]:
        """The RGB picture of these rows and columns of an image; pixels without value are black.

        Limits (`zscale`, `percentile`) are those of the whole image. DataError if no pixel of the
        part has a value.
        """
        part = bands[:, rows, columns]
        known = np.isfinite(part)
        if not known.any():
            raise DataError("has no pixel with a value there: all are NaN, infinite or masked")
        with np.errstate(all="ignore"):
            shift, scale, white = self._limits(bands)
            values = np.clip((part - shift) * scale + self.offset, -_LARGEST, _LARGEST)
            values[~known] = 0
            if self.colour == "brightness":
                mean = np.maximum(values, 0).mean(0)
                values *= self.gain * np.arcsinh(self.softening * mean) / np.maximum(mean, _TINY)
            else:
                values = self.gain * np.arcsinh(self.softening * values)
            values = (values - self.black) / (white - self.black)
            if self.saturated == "hue":
                values /= np.maximum(values.max(0), 1)
        values[~known] = 0
        return _as_rgb(values)

    def _limits(self, bands: Bands) -> tuple[Limits, Limits, Limits]:
        """What is subtracted from each band, what it is multiplied by then, and what is white after
        the asinh.
        """
        shift, white = (np.full((len(bands), 1, 1), fill, np.float32) for fill in (0, self.white))
        scale = np.array(self.scale[: len(bands)], np.float32).reshape(-1, 1, 1)
        for index, band in enumerate(bands if self.zscale or self.percentile else ()):
            values = band[np.isfinite(band)]
            if not len(values):
                continue
            low, factor = 0.0, self.scale[index]
            if self.zscale:
                interval: Any = import_module("astropy.visualization").ZScaleInterval()
                low, high = map(float, interval.get_limits(values))
                factor /= high - low or 1.0
            if self.percentile:
                top = (float(np.percentile(values, self.percentile)) - low) * factor + self.offset
                brightest = self.gain * math.asinh(self.softening * top)
                white[index] = max(brightest, self.black + _TINY)
            shift[index], scale[index] = low, factor
        return shift, scale, white


def choose_stretch(name: str, image: FitsImage) -> tuple[Stretch, Bands]:
    """The stretch of that name, or, without one, `single` for one band; and the bands of an image
    in its order.

    DataError if an image of several bands has no stretch, or one that is for others; ConfigError as
    of `Stretch.load`.
    """
    if name in ("", SINGLE) and len(image.bands) > 1:
        raise DataError(
            f"has {_counted(image)}, and nothing says how they become colours: name a stretch, such"
            f" as {_fitting(image)}; known are {_listed()}"
        )
    stretch = Stretch.load(name or SINGLE)
    return stretch, stretch.order(image, str(name or SINGLE))


def stretch_names() -> tuple[str, ...]:
    """The names of the stretches that come with the package."""
    names = (entry.name for entry in _STRETCHES.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def _load(name: str) -> Stretch:
    if name in stretch_names():
        text = (_STRETCHES / f"{name}.toml").read_text("utf-8")
        return from_table(parsed(text, name), Stretch, f"stretch {name}")
    path = Path(name)
    if path.suffix != ".toml":
        near = difflib.get_close_matches(name, stretch_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {_listed()}"
        raise ConfigError(f"no stretch {name!r}; {hint}; or give a .toml file")
    if not path.is_file():
        raise ConfigError(f"no stretch file {path}")
    return from_table(parsed(read_text(path), name), Stretch, name)


def _listed() -> str:
    """The stretches that come with the package, each with its bands."""
    return ", ".join(f"{name} ({' '.join(_load(name).bands)})" for name in stretch_names())


def _fitting(image: FitsImage) -> str:
    """The first stretch for bands that an image has, by their names; else `legacy`."""
    names = {name.lower() for name in image.names}
    fit = (
        name
        for name in ("legacy", *stretch_names())
        if (bands := _load(name).bands) and {band.lower() for band in bands} <= names
    )
    return next(fit, "legacy")


def _counted(image: FitsImage) -> str:
    """For example "3 bands (g, r, z)"."""
    names = f" ({', '.join(image.names)})" if image.names else ""
    return f"{counted(len(image.bands), 'band')}{names}"


def _as_rgb(values: Bands) -> UInt8[np.ndarray, "height width 3"]:
    """One to three planes, the bluest first, as pixels; 0 is black, 1 white."""
    values = np.clip(values, 0, 1)
    if len(values) == 2:
        values = np.stack([values[0], values.mean(0), values[1]])
    pixels = (values[::-1] * 255 + 0.5).astype(np.uint8)
    planes = np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))
