"""How many simulated galaxies `detect` finds, in how many pieces and how large, and how much of the
sky around them the bundled model should be shown.

    python benchmarks/detection.py --json benchmarks/json/detection.json

Each sky is drawn twice, with stars and without: without them, whatever is found beside the galaxies
is a piece of one. With them, predictions for the galaxies that were found are compared with the
votes, for images of several sizes in proportion to the radius that was measured. Needs two minutes
on one core."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

import galaxyvotes as gv
from galaxyvotes.simulation import mosaic
from provenance import write

GALAXIES, SEEDS = 60, (0, 1)
CONTRASTS = (0.005, 0.02, 0.05, 0.1)
RADII = (8, 16, 20, 30, 38)


def found(sky: Path, settings: gv.DetectionSettings) -> tuple[Table, Table, Table]:
    """The galaxies with a source within 0.4 of their radius, those sources, and all sources."""
    truth = Table.read(sky / "catalogue.fits")
    out = sky / "sources.fits"
    gv.detect(sky / "mosaic" / "sky-r.fits", out, settings=settings, overwrite=True)
    rows = Table.read(out)
    across = (truth["ra"][:, None] - rows["ra"]) * np.cos(np.radians(truth["dec"][:, None]))
    away = 3600 * np.hypot(across, truth["dec"][:, None] - rows["dec"])
    near = away.min(axis=1) < 0.4 * truth["radius"]
    return truth[near], rows[away.argmin(axis=1)[near]], rows


def rmse(sky: Path, radii: int, truth: Table, rows: Table) -> float:
    """Of the predictions for these galaxies, from images of so many of the measured radii."""
    tree = gv.DecisionTree.load("kaggle")
    rows.write(sky / "galaxies.fits", overwrite=True)
    layout = gv.FitsLayout(mosaic=gv.Mosaic((sky / "mosaic",), f"{radii}*radius"))
    table = gv.predict(sky / "galaxies.fits", layout=layout, stretch="legacy", progress=False)
    votes = np.stack([truth[column] for column in tree.columns], axis=1)
    return float(np.sqrt(np.mean((np.asarray(table.values) - votes) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results: list[dict[str, Any]] = []
    usual_stars = mosaic._STARS
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            skies = {}
            for name, stars in (("stars", usual_stars), ("none", 0.0)):
                mosaic._STARS = stars
                skies[name] = gv.simulate(
                    Path(folder, f"{name}-{seed}"),
                    galaxies=GALAXIES,
                    seed=seed,
                    mosaic=True,
                    processes=1,
                )
            for contrast in CONTRASTS:
                settings = gv.DetectionSettings(contrast=contrast)
                truth, rows, every = found(skies["stars"], settings)
                _, whole, all_whole = found(skies["none"], settings)
                results.append(
                    {
                        "seed": seed,
                        "contrast": contrast,
                        "found": len(truth),
                        "sources": len(every),
                        "found without stars": len(whole),
                        "pieces without stars": len(all_whole) - len(whole),
                        "radius / true": float(np.median(rows["radius"] / truth["radius"])),
                    }
                )
                print(results[-1], flush=True)
            truth, rows, _ = found(skies["stars"], gv.DetectionSettings())
            for radii in RADII:
                of = {
                    "seed": seed,
                    "radii": radii,
                    "RMSE": rmse(skies["stars"], radii, truth, rows),
                }
                results.append(of)
                print(of, flush=True)
    if asked.json:
        write(asked.json, {"results": results})


if __name__ == "__main__":
    main()
