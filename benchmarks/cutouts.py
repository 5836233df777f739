"""Cut-outs a second of processor time from one mosaic, beside astropy's Cutout2D, on one core.

All cut the same squares at the same positions, in an order that chance draws, and the pixels are
compared: ours are those of Cutout2D. The mosaic is mapped into memory by both, and in the cache of
the system. Positions become pixels in the time that is measured, of ours all together, of Cutout2D
one by one, as it takes them.

    python benchmarks/cutouts.py --json benchmarks/json/cutouts.json
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from galaxyvotes.sky.cutouts import Cutouts
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import find_places
from provenance import write

ARCSEC_PX = 0.262
FEW = 300  # that are resampled


def mosaic(path: Path, side: int) -> WCS:
    """A mosaic of noise."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.2]
    wcs.wcs.crpix = [side / 2] * 2
    wcs.wcs.cd = np.array([[-ARCSEC_PX, 0], [0, ARCSEC_PX]]) / 3600
    pixels = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    fits.writeto(path, pixels, wcs.to_header())
    return wcs


def ours(
    path: Path, ra: np.ndarray, dec: np.ndarray, side_px: int, out_px: int = 0
) -> list[np.ndarray]:
    tiles = open_tiles([path])
    sides = np.full(len(ra), side_px * ARCSEC_PX)
    cutouts = Cutouts(tiles, find_places(tiles, ra, dec), sides)
    made: list[np.ndarray] = [np.empty(0)] * len(ra)
    for row in cutouts.reading_order().tolist():
        made[row] = cutouts.cut(row, out_px).image.bands[0, ::-1]
    return made


def astropys(path: Path, ra: np.ndarray, dec: np.ndarray, side_px: int) -> list[np.ndarray]:
    with fits.open(path) as units_:
        wcs, data = WCS(units_[0].header), units_[0].data
        places = SkyCoord(ra * units.deg, dec * units.deg)
        return [np.array(Cutout2D(data, place, side_px, wcs=wcs).data) for place in places]


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, as others may use the machine, too."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=8000, help="of the mosaic, in pixels")
    parser.add_argument("--galaxies", type=int, default=2000)
    parser.add_argument("--pixels", type=int, default=100, help="of a side of a cut-out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosaic.fits"
        wcs = mosaic(path, args.side)
        places = rng.uniform(args.pixels, args.side - args.pixels, (2, args.galaxies))
        ra, dec = wcs.all_pix2world(*places, 0)
        given = (path, ra, dec, args.pixels)
        few = (path, ra[:FEW], dec[:FEW], args.pixels)
        same = zip(ours(*given), astropys(*given), strict=True)
        differ = sum(not np.array_equal(mine, theirs) for mine, theirs in same)
        rounds = [
            (
                seconds(lambda: ours(*given)),
                seconds(lambda: astropys(*given)),
                seconds(lambda: ours(*few, out_px=424)),
            )
            for _ in range(args.rounds)
        ]
    times = np.array(rounds)
    rates = [args.galaxies, args.galaxies, FEW] / np.median(times, axis=0)
    ratios = times[:, 1] / times[:, 0]
    result = {
        "mosaic_px": args.side,
        "galaxies": args.galaxies,
        "cutout_px": args.pixels,
        "rounds": args.rounds,
        "different": differ,
        "galaxyvotes_per_s": round(float(rates[0])),
        "cutout2d_per_s": round(float(rates[1])),
        "resampled_to_424_px_per_s": round(float(rates[2])),
        "ratio": round(float(np.median(ratios)), 1),
        "ratio_range": [round(float(ratios.min()), 1), round(float(ratios.max()), 1)],
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    write(args.json, result)


if __name__ == "__main__":
    main()
