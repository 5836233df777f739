"""Mosaics with a WCS as FITS files, and tables of positions in them."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

ARCSEC_PX = 0.25


def wcs_of(
    height: int, width: int, ra: float = 150.0, dec: float = 2.0, arcsec: float = ARCSEC_PX
) -> WCS:
    """A tangential projection, north up, whose middle pixel is there."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(width + 1) / 2, (height + 1) / 2]
    wcs.wcs.cd = np.array([[-arcsec, 0], [0, arcsec]]) / 3600
    return wcs


def pixels(height: int = 300, width: int = 400, seed: int = 0) -> np.ndarray:
    """Noise, of which every pixel is another."""
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def write_mosaic(
    path: Path, data: np.ndarray, wcs: WCS | None = None, *, packed: bool = False, **cards: Any
) -> Path:
    """A FITS file of these pixels; packed, in tiles in HDU 1."""
    header = (wcs or wcs_of(*data.shape[-2:])).to_header()
    if packed:
        unit = fits.CompImageHDU(data, header, compression_type="GZIP_2", quantize_level=0)
        units = [fits.PrimaryHDU(), unit]
    else:
        units = [fits.PrimaryHDU(data, header)]
    for name, value in cards.items():
        units[-1].header[name] = value
    fits.HDUList(units).writeto(path)
    return path


def write_table(path: Path, wcs: WCS, x: Any, y: Any, **columns: Any) -> Path:
    """A table of galaxies at these pixels, counted from 0 on."""
    ra, dec = wcs.all_pix2world(x, y, 0)
    ids = np.arange(1, len(ra) + 1) + 1000
    Table({"objid": ids, "ra": ra, "dec": dec, **columns}).write(path)
    return path
