"""Claim: packing and predicting need memory for a list of what there is, and for nothing else that
grows with it.

    python benchmarks/memory.py --rows 10000 100000 --json benchmarks/json/memory.json
    python benchmarks/memory.py --rows 10000 1000000 --json benchmarks/json/memory_million.json

Peak resident memory (VmHWM, so Linux only) of a command in a process of its own, for each number of
rows: `pack` of a zip of made-up JPEGs of 40², brought to 32², with a table of classes; `predict` of
the same zip, and of the same files in a folder up to --folder of them, to a Parquet table, by a
tiny network that one epoch taught. The growth a row is the difference between the largest and the
smallest number of rows. What grows: the list of files, 35 bytes and a name for each, its place and
its id, in columns; while names are compared, a sorted copy of them. When packing also the table
with the index that finds its images, which are gone before the first is read, its votes and other
columns, and 16 bytes of digest an image. Pixels, answers and the store's own table do not: they are
written as they come."""

import argparse
import csv
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import simplejpeg

import galaxyvotes as gv
from provenance import write

CLASSES = ("disc", "smooth", "star")


def jpegs(rows: int):
    """A name and the bytes of an image each, no two alike."""
    random = np.random.default_rng(0)
    for number in range(rows):
        small = random.integers(0, 256, (5, 5, 3), np.uint8)
        yield (
            f"{1_000_000 + number}.jpg",
            simplejpeg.encode_jpeg(np.repeat(np.repeat(small, 8, 0), 8, 1), quality=75),
        )


def make(work: Path, rows: int, *, folder: bool) -> None:
    """A zip, a table of classes and, if asked for, a folder."""
    work.mkdir(parents=True)
    if folder:
        (work / "folder").mkdir()
    with (
        zipfile.ZipFile(work / "images.zip", "w") as archive,
        (work / "table.csv").open("w", newline="") as table,
    ):
        lines = csv.writer(table)
        lines.writerow(["id", "class"])
        for number, (name, data) in enumerate(jpegs(rows)):
            archive.writestr(f"images/{name}", data)
            lines.writerow([name.removesuffix(".jpg"), CLASSES[number % 3]])
            if folder:
                (work / "folder" / name).write_bytes(data)


# Not getrusage: its peak is at least what the parent had, which is more than ours after training.
COMMAND = """
import sys
from galaxyvotes.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(*arguments: object) -> tuple[float, float]:
    """The most resident memory in MB that a galaxyvotes command had, and its seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kib = int(done.stdout.rsplit("VmHWM:", 1)[1].split()[0])
    return kib * 1024 / 1e6, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument(
        "--folder", type=int, default=100_000, help="no folder of more files than this"
    )
    parser.add_argument("--work", type=Path, default=Path(".bench/memory"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    make(given.work / "few", 120, folder=False)
    few = given.work / "few"
    store = gv.pack(
        [few / "images.zip", few / "table.csv"],
        few / "store",
        labels=gv.LabelSettings(classes="class"),
        settings=gv.PackSettings(crop_px=0, size_px=32),
        progress=False,
    )
    tiny = ("model.width=8", "model.views=1", "train.epochs=1", "train.batch_size=32")
    gv.train(store, few / "run", recipe="compact", settings=tiny, progress=False)
    found: dict[str, dict[int, dict[str, float]]] = {}
    for rows in sorted(given.rows):
        work = given.work / str(rows)
        make(work, rows, folder=rows <= given.folder)
        out = ("--run", few / "run", "--out", work / "answers.parquet")
        sources = (work / "images.zip", work / "table.csv")
        commands = {
            "pack, zip": (
                "pack",
                *sources,
                "--out",
                work / "store",
                "--classes",
                "class",
                "--crop",
                0,
                "--size",
                32,
            ),
            "predict, zip": ("predict", work / "images.zip", *out),
        }
        if rows <= given.folder:
            commands["predict, folder"] = ("predict", work / "folder", *out)
        for name, arguments in commands.items():
            most, seconds = peak(*arguments)
            found.setdefault(name, {})[rows] = {"peak_mb": most, "seconds": seconds}
            print(f"{name:18}{rows:10,} rows{most:10.0f} MB{seconds:10.1f} s", flush=True)
        shutil.rmtree(work)
    growth: dict[str, float] = {}
    for name, each in found.items():
        fewest, most = min(each), max(each)
        if most > fewest:
            growth[name] = (each[most]["peak_mb"] - each[fewest]["peak_mb"]) * 1e6 / (most - fewest)
            print(f"{name:18}{growth[name]:10.0f} bytes a row, from {fewest:,} to {most:,} rows")
    write(given.json, {"found": found, "bytes_a_row": growth})
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
