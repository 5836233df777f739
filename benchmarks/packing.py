"""Claim (e): how fast JPEGs of 424² in a zip become a store, beside a bare decoder and beside the
paper's loop.

    python benchmarks/packing.py --json benchmarks/json/packing.json

Five ways over the same files, in turn, --rounds times after one round to warm up:
- ours: `galaxyvotes.store.pack`, zip → store, with as many threads as cores: the central 128 px as
  they are; the central 208 brought to 64 px, from all of their pixels; the same decoded at half the
  scale (`scaled`)
- bare: libjpeg-turbo alone (simplejpeg), the same bytes already in memory, as many threads as
  cores, pixels thrown away
- loop: as in the paper's notebook: OpenCV reads each file of a folder, crops it, looks its row up
in a pandas table and appends both to lists, on one core The files are --copies of the originals and
test images at 424² (300 JPEGs) under new names, zipped without compression as the challenge's are.
Ratios are taken within each round; last comes how far scaled pixels are from exact ones."""

import argparse
import shutil
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
import simplejpeg

import galaxyvotes as gv
from provenance import spread, write


def make(data: Path, work: Path, copies: int) -> tuple[Path, Path, Path, list[bytes]]:
    """A zip, the same as a folder, and a table of made-up fractions, for images that differ in name
    only."""
    images = []
    for name in ("originals_424.zip", "images_test_rev1.zip"):
        with zipfile.ZipFile(data / name) as archive:
            images += [
                archive.read(entry) for entry in archive.namelist() if entry.endswith(".jpg")
            ]
    images = images * copies
    folder = work / "images"
    folder.mkdir(parents=True)
    header = (data / "training_solutions_rev1.csv").read_text().splitlines()
    with zipfile.ZipFile(work / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        lines = [header[0]]
        for number, image in enumerate(images):
            archive.writestr(f"images/{100001 + number}.jpg", image)
            (folder / f"{100001 + number}.jpg").write_bytes(image)
            lines.append(f"{100001 + number}," + header[1 + number % 700].split(",", 1)[1])
    (work / "solutions.csv").write_text("\n".join(lines) + "\n")
    return work / "images.zip", folder, work / "solutions.csv", images


WAYS = {"ours": (128, 128, False), "ours 208→64": (208, 64, False), "ours scaled": (208, 64, True)}


def ours(archive: Path, table: Path, out: Path, crop_px: int, size_px: int, scaled: bool) -> None:
    gv.pack(
        [archive, table],
        out,
        settings=gv.PackSettings(crop_px, size_px),
        scaled=scaled,
        progress=False,
    )


def difference(work: Path, galaxies: int) -> dict[str, float]:
    """How far the pixels of the first galaxies of the scaled store are from those of the exact one,
    in grey levels."""
    rows = np.arange(galaxies)
    exact, scaled = (
        gv.Store.open(work / name).images(rows).astype(int)
        for name in ("ours 208→64", "ours scaled")
    )
    return {
        "root mean square": float(np.sqrt(np.square(scaled - exact).mean())),
        "largest": float(np.abs(scaled - exact).max()),
    }


def bare(images: list[bytes]) -> None:
    workers = cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        list(
            pool.map(
                lambda part: [simplejpeg.decode_jpeg(image).shape for image in part],
                [images[start::workers] for start in range(workers)],
            )
        )


def loop(folder: Path, table: Path, count: int) -> None:
    import cv2
    import pandas as pd

    solutions = pd.read_csv(table)
    pixels, fractions = [], []
    for path in sorted(folder.iterdir())[:count]:
        image = cv2.imread(str(path))
        pixels.append(image[148:276, 148:276])
        row = solutions.loc[solutions["GalaxyID"] == int(path.stem)]
        fractions.append(row.values[0][1:])
    np.array(pixels), np.array(fractions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--work", type=Path, default=Path(".bench/packing"))
    parser.add_argument("--copies", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    archive, folder, table, images = make(given.data, given.work, given.copies)
    few = min(len(images), 2000)
    jobs: dict[str, Callable[[], None]] = {
        name: partial(ours, archive, table, given.work / name, *way) for name, way in WAYS.items()
    }
    jobs |= {
        "bare decoder": partial(bare, images),
        "paper's loop": partial(loop, folder, table, few),
    }
    ratios = [(name, "bare decoder") for name in WAYS] + [
        ("ours", "paper's loop"),
        ("ours scaled", "ours 208→64"),
    ]
    rates: dict[str, list[float]] = {
        name: [] for name in [*jobs, *(" ÷ ".join(pair) for pair in ratios)]
    }
    for number in range(given.rounds + 1):  # the first is for warming up
        for name, job in jobs.items():
            shutil.rmtree(given.work / name, ignore_errors=True)  # of the round before
            start = time.perf_counter()
            job()
            count = few if name == "paper's loop" else len(images)
            rates[name].append(count / (time.perf_counter() - start))
        for above, below in ratios:
            rates[f"{above} ÷ {below}"].append(rates[above][-1] / rates[below][-1])
        print(
            f"round {number or '-'}",
            {name: round(values[-1], 2) for name, values in rates.items()},
            flush=True,
        )
    rates = {name: values[1:] for name, values in rates.items()}
    for name, values in rates.items():
        shown = spread(values)
        ends = f"{shown['smallest']:.2f} to {shown['largest']:.2f}"
        print(f"{name:28}{shown['mean']:10.2f} ± {shown['deviation']:.2f} ({ends})")
    off = difference(given.work, len(images) // given.copies)
    print(
        "scaled pixels beside exact ones: "
        + ", ".join(f"{name} {value:.2f}" for name, value in off.items())
    )
    rates_told = {name: spread(values) for name, values in rates.items()}
    write(
        given.json,
        {
            "images": len(images),
            "rounds": given.rounds,
            "images_per_second": rates_told,
            "scaled": off,
        },
    )
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
