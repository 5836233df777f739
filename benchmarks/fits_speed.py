"""How fast FITS cut-outs become the pixels that a network takes, beside JPEGs and beside astropy.

    python benchmarks/fits_speed.py --json benchmarks/json/fits_speed.json

Cut-outs of 3 × 424 × 424 float32 (2.2 MB each), drawn from a seed, in a folder whose files are in
the system's cache. Ways over the same galaxies, in turn, --rounds times after one round to warm up:
- ours: `read_square` as `predict` calls it: read, checked, the central 208 px stretched (`legacy`)
  and brought to 96 px
- read: `astropy.io.fits.getdata` and a copy in float32, the file checked in no way, no picture made
- rgb: the same, then `astropy.visualization.make_lupton_rgb` of the whole image
- jpeg: `read_square` of JPEGs of the same pictures
One thread; seconds are those of the processor, so that other work on the machine counts less.
Ratios are taken within each round."""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from astropy.io import fits
from astropy.visualization import make_lupton_rgb

from galaxyvotes import PackSettings
from galaxyvotes.images.read import read_square
from galaxyvotes.sky.stretch import Stretch
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.members import Member
from provenance import spread, write

SETTINGS = PackSettings(208, 96, stretch="legacy")
CARDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -7.3e-5, "CD2_2": 7.3e-5}


def make(work: Path, galaxies: int) -> None:
    """The galaxies as FITS and as JPEG."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:424, :424] / 424 - 0.5
    for number in range(galaxies):
        width, height = random.uniform(6, 20, 2)
        light = np.exp(-np.hypot(rows * width, columns * height) * 2)
        bands = light * random.uniform(0.1, 1, (3, 1, 1)) + random.normal(0, 0.005, (3, 424, 424))
        bands = bands.astype(np.float32)
        header = fits.Header(
            {**CARDS, "CRVAL1": random.uniform(0, 360), "BAND0": "g", "BAND1": "r", "BAND2": "z"}
        )
        fits.writeto(work / "fits" / f"{number}.fits", bands, header)
        picture = simplejpeg.encode_jpeg(Stretch.load("legacy").picture(bands), quality=90)
        (work / "jpeg" / f"{number}.jpg").write_bytes(picture)


def ours(image: Member) -> Any:
    """The square of an image; it must be usable."""
    square = read_square(image, SETTINGS)
    assert square.pixels is not None, square.reason
    return square.pixels


def read(path: Path) -> Any:
    """The pixels alone."""
    return fits.getdata(path).astype(np.float32)


def rgb(path: Path) -> Any:
    """A picture of the whole image."""
    g, r, z = read(path)
    return make_lupton_rgb(z, r, g, stretch=0.5, Q=8)


def rate(function: Callable[[Any], Any], images: list[Any]) -> float:
    """Images a second of the processor."""
    start = time.process_time()
    for image in images:
        function(image)
    return len(images) / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("fits", "jpeg"):
            (work / name).mkdir()
        make(work, options.galaxies)
        paths = sorted((work / "fits").iterdir())
        with Source.open(work / "fits") as cutouts, Source.open(work / "jpeg") as jpegs:
            ways: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
                "ours": (ours, list(cutouts.images)),
                "read": (read, paths),
                "rgb": (rgb, paths),
                "jpeg": (ours, list(jpegs.images)),
            }
            rates: dict[str, list[float]] = {}
            for turn in range(options.rounds + 1):
                for name, (function, images) in ways.items():
                    speed = rate(function, images)
                    if turn:
                        rates.setdefault(name, []).append(speed)
    results = {"images a second": {name: spread(values) for name, values in rates.items()}}
    results["ours ÷"] = {
        name: spread([a / b for a, b in zip(rates["ours"], rates[name], strict=True)])
        for name in ("read", "rgb", "jpeg")
    }
    for title, figures in results.items():
        for name, figure in figures.items():
            print(f"{title} {name}: {figure['mean']:.3g} ± {figure['deviation']:.2g}")
    write(options.json, results)


if __name__ == "__main__":
    main()
