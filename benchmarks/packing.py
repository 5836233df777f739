"""Claim (e): how fast JPEGs of 424² in a zip become a store, beside a bare decoder and beside the paper's loop.

    python benchmarks/packing.py --json benchmarks/json/packing.json

Three ways over the same files, in turn, --rounds times after one round to warm up:
- ours: `galaxyvotes.pack`, zip → store, with as many threads as cores
- bare: libjpeg-turbo alone (simplejpeg), the same bytes already in memory, as many threads as cores, pixels thrown away
- loop: as in the paper's notebook: OpenCV reads each file of a folder, crops it, looks its row up in a pandas table and
  appends both to lists, on one core
The files are --copies of the originals and test images at 424² (300 JPEGs) under new names, zipped without compression
as the challenge's are. The ratio ours ÷ bare is taken within each round.
"""

import argparse
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import simplejpeg

import galaxyvotes as gv
from provenance import spread, write


def make(data: Path, work: Path, copies: int) -> tuple[Path, Path, Path, list[bytes]]:
    """A zip, the same as a folder, and a table of made-up fractions, for images that differ in name only."""
    images = []
    for name in ("originals_424.zip", "images_test_rev1.zip"):
        with zipfile.ZipFile(data / name) as archive:
            images += [archive.read(entry) for entry in archive.namelist() if entry.endswith(".jpg")]
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


def ours(archive: Path, table: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    gv.pack([archive, table], out, progress=False)


def bare(images: list[bytes]) -> None:
    workers = cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda part: [simplejpeg.decode_jpeg(image).shape for image in part],
                      [images[start::workers] for start in range(workers)]))  # fmt: skip


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--work", type=Path, default=Path(".bench/packing"))
    parser.add_argument("--copies", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    archive, folder, table, images = make(given.data, given.work, given.copies)
    few = min(len(images), 2000)
    rates: dict[str, list[float]] = {
        "ours": [],
        "bare decoder": [],
        "paper's loop": [],
        "ours ÷ bare": [],
        "ours ÷ loop": [],
    }
    for number in range(given.rounds + 1):  # the first is for warming up
        for name, work, count in (
            ("ours", lambda: ours(archive, table, given.work / "store"), len(images)),
            ("bare decoder", lambda: bare(images), len(images)),
            ("paper's loop", lambda: loop(folder, table, few), few),
        ):
            start = time.perf_counter()
            work()
            rates[name].append(count / (time.perf_counter() - start))
        rates["ours ÷ bare"].append(rates["ours"][-1] / rates["bare decoder"][-1])
        rates["ours ÷ loop"].append(rates["ours"][-1] / rates["paper's loop"][-1])
        print(f"round {number or '-'}", {name: round(values[-1], 2) for name, values in rates.items()}, flush=True)
    rates = {name: values[1:] for name, values in rates.items()}
    for name, values in rates.items():
        shown = spread(values)
        ends = f"{shown['smallest']:.2f} to {shown['largest']:.2f}"
        print(f"{name:16}{shown['mean']:10.2f} ± {shown['deviation']:.2f} ({ends})")
    write(
        given.json,
        {"images": len(images), "rounds": given.rounds, "images_per_second": {n: spread(v) for n, v in rates.items()}},
    )
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
