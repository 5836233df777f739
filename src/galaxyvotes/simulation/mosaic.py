"""A piece of sky with many simulated galaxies: mosaics in three bands, and what is true of it.

Galaxies lie in cells of a grid, each off its middle, so that they seldom cover each other. Stars
and noise are everywhere. Light is in nanomaggies such that the stretch `legacy` shows galaxies as
the pictures of `painting` do.
"""

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from galaxyvotes.simulation.painting import SKY_NOISE, glow
from galaxyvotes.simulation.volunteers import Galaxy

__all__ = ["ARCSEC_PX", "BANDS", "Sky", "stamp_of"]

ARCSEC_PX = 0.262  # as the Legacy Surveys' mosaics
BANDS = ("g", "r", "z")  # from the bluest, with what one unit of painted light is in each
_NANOMAGGIES = (0.25 / 6.0, 0.25 / 3.4, 0.25 / 2.2)
_CENTRE = (150.0, 2.2)  # right ascension and declination, in degrees
_CELL_PX, _MARGIN_PX, _STAMP_PX = 160, 212, 256
_OFF_MIDDLE_PX = 30.0
_STARS = 4.0  # in a square of _CELL_PX
_FWHM_PX = 4.0  # of stars


class Sky:
    """Mosaics that galaxies are added to, and where each of them lies."""

    def __init__(self, galaxies: int, seed: int) -> None:
        """An empty sky with room for so many."""
        self._across = math.ceil(math.sqrt(galaxies))
        self.side_px = self._across * _CELL_PX + 2 * _MARGIN_PX
        self._seed = seed
        self.wcs: Any = import_module("astropy.wcs").WCS(naxis=2)
        self.wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        self.wcs.wcs.crval = [*_CENTRE]
        self.wcs.wcs.crpix = [(self.side_px + 1) / 2] * 2
        self.wcs.wcs.cd = np.array([[-ARCSEC_PX, 0.0], [0.0, ARCSEC_PX]]) / 3600
        self.wcs.wcs.cunit = ["deg", "deg"]
        self.wcs.wcs.radesys = "ICRS"
        size = (3, self.side_px, self.side_px)
        self._light: Float32[np.ndarray, "3 side side"] = np.zeros(size, np.float32)

    def place(self, index: int) -> tuple[int, int]:
        """The pixel (column, row, from 0 on) right of and above a galaxy's centre."""
        off = self._random(1, index).uniform(-_OFF_MIDDLE_PX, _OFF_MIDDLE_PX, 2)
        row, column = divmod(index, self._across)
        middle = _MARGIN_PX + _CELL_PX // 2
        return (
            middle + column * _CELL_PX + round(float(off[0])),
            middle + row * _CELL_PX + round(float(off[1])),
        )

    def position(self, index: int) -> tuple[float, float]:
        """Right ascension and declination of a galaxy's centre, in degrees."""
        x, y = self.place(index)
        ra, dec = self.wcs.all_pix2world(x - 0.5, y - 0.5, 0)
        return float(ra), float(dec)

    def add(self, index: int, stamp: Float32[np.ndarray, "3 side side"]) -> None:
        """Add the light of a galaxy at its place."""
        x, y = self.place(index)
        half = stamp.shape[1] // 2
        self._light[:, y - half : y + half, x - half : x + half] += stamp

    def write(self, folder: Path) -> None:
        """Write the mosaics with stars and noise, one file a band: `sky-g.fits` and so on."""
        fits: Any = import_module("astropy.io.fits")
        rng = self._random(2)
        self._add_stars(rng)
        folder.mkdir()
        for number, band in enumerate(BANDS):
            plane: Float32[np.ndarray, "side side"] = self._light[2 - number]  # of red, green, blue
            plane += rng.normal(0.0, SKY_NOISE, plane.shape).astype(np.float32)
            plane *= _NANOMAGGIES[number]
            header = self.wcs.to_header()
            header["BAND"], header["BUNIT"] = band, "nanomaggy"
            fits.writeto(folder / f"sky-{band}.fits", plane, header)

    def _add_stars(self, rng: np.random.Generator) -> None:
        half = 12
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        sigma = _FWHM_PX / 2.355
        for _ in range(rng.poisson(_STARS * (self.side_px / _CELL_PX) ** 2)):
            column, row = rng.uniform(half + 1, self.side_px - half - 2, 2)
            flux, colour = 20.0 * math.exp(rng.normal(0.0, 1.4)), rng.uniform(0.6, 1.4, 3)
            away = ((x - column % 1) ** 2 + (y - row % 1) ** 2) / (2 * sigma**2)
            star = flux * np.exp(-away) / (2 * math.pi * sigma**2)
            into = self._light[:, int(row) - half :, int(column) - half :]
            into[:, : 2 * half + 1, : 2 * half + 1] += colour[:, None, None] * star

    def _random(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 10**6, *numbers])


def stamp_of(galaxy: Galaxy, rng: np.random.Generator) -> Float32[np.ndarray, "3 side side"]:
    """The light of a galaxy as it is added to the sky, which fades out at the edges."""
    light = glow(galaxy, rng, size_px=_STAMP_PX)
    # Rows of pictures are counted from the top, those of mosaics from the bottom.
    return (light[:, ::-1] * _fade()).astype(np.float32)


def _fade() -> Float[np.ndarray, "side side"]:
    edge = np.minimum(np.arange(_STAMP_PX), np.arange(_STAMP_PX)[::-1]) / 40
    ramp = np.sin(np.clip(edge, 0, 1) * math.pi / 2) ** 2
    return ramp[:, None] * ramp
