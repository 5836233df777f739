"""FITS files as bytes."""

import io
from typing import Any

import numpy as np
from astropy.io import fits

ARCSEC = 1 / 3600
LEGACY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -0.262 * ARCSEC, "CD1_2": 0.0}
LEGACY |= {"CD2_1": 0.0, "CD2_2": 0.262 * ARCSEC, "CRVAL1": 10.0, "CRVAL2": 20.0}


def fits_of(*units: Any, **cards: Any) -> bytes:
    """A file of these arrays (the first in the primary HDU; None is an empty one) or HDUs, with
    cards in the last."""
    hdus = [
        (fits.ImageHDU if number else fits.PrimaryHDU)(unit)
        if unit is None or isinstance(unit, np.ndarray)
        else unit
        for number, unit in enumerate(units)
    ]
    for name, value in cards.items():
        hdus[-1].header[name] = value
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file)
    return file.getvalue()


def header_of(*cards: str, size: int = 0) -> bytes:
    """A file of one header as it is written here, and so many zeros."""
    text = "".join(card.ljust(80) for card in (*cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode() + bytes(size)


def bands_of(count: int = 3, side: int = 40, seed: int = 0) -> np.ndarray:
    """Bands of a galaxy off the middle, in nanomaggies, above a noisy sky."""
    rows, columns = np.mgrid[:side, :side] / side
    light = np.exp(-(((rows - 0.6) * 8) ** 2 + ((columns - 0.4) * 12) ** 2))
    noise = np.random.default_rng(seed).normal(0, 0.005, (count, side, side))
    return (np.arange(1, count + 1)[:, None, None] * light * 0.2 + noise).astype(np.float32)
