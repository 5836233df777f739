"""Claim: predicting the images that a table names is as fast as predicting those of a folder.

    python benchmarks/table_speed.py --data ../shared/data/kaggle --json FILE

The same --galaxies JPEGs of 424², predicted by the bundled model into a Parquet table, in turn from
their folder and from a FITS table of 40 columns that names each by a template, --rounds times after
one round to warm up. Ratios are taken within each round, by the clock and by the processor's
seconds, because others may use the machine. Then the table alone: --rows rows of such a table and a
tenth of them, read in slices and joined to the names of their images in a process of its own, with
the peak of its memory."""

import argparse
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from astropy.table import Table

import galaxyvotes as gv
import provenance
from galaxyvotes.inference.stream import _BLOCK as BLOCK
from galaxyvotes.inference.table_images import open_table_images
from galaxyvotes.sky.fits import ANYWHERE


def make(data: Path, work: Path, galaxies: int) -> None:
    """A folder of images, and a table that names them."""
    (work / "images").mkdir(parents=True, exist_ok=True)
    archive = zipfile.ZipFile(data / "originals_424.zip")
    names = [name for name in archive.namelist() if name.endswith(".jpg")]
    images = [archive.read(name) for name in names]
    for number in range(galaxies):
        (work / "images" / f"J{number}.jpg").write_bytes(images[number % len(images)])


def write_table(path: Path, rows: int, galaxies: int) -> None:
    """A FITS table of 40 columns."""
    random = np.random.default_rng(0)
    table = Table({"iauname": np.char.add("J", (np.arange(rows) % galaxies).astype(str))})
    table["objid"] = np.arange(rows) + 587722984439545906
    for number in range(38):
        table[f"flux_{number}"] = random.random(rows).astype("f4")
    table.write(path, overwrite=True)


def timed(source: Path, out: Path, **how) -> np.ndarray:
    """The seconds that one prediction takes, by the clock and of the processor."""
    start = np.array([time.perf_counter(), time.process_time()])
    gv.predict(source, out, overwrite=True, progress=False, **how)
    return np.array([time.perf_counter(), time.process_time()]) - start


def peak_mb() -> float:
    """The peak of this process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def join(path: Path) -> None:
    """Read and join a table; print the rows, the processor's seconds, and memory in MB."""
    start, rows = time.process_time(), 0
    with open_table_images(path, [], "images/{iauname}.jpg", ANYWHERE) as named:
        before = peak_mb()
        for chunk in named.chunks(128, 0, len(named), BLOCK):
            rows += len(chunk.ids)
    print(rows, time.process_time() - start, before, peak_mb())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("table_speed"))
    parser.add_argument("--galaxies", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--join", type=Path)
    given = parser.parse_args()
    if given.join:
        join(given.join)
        return
    make(given.data, given.work, given.galaxies)
    table, large = given.work / "table.fits", given.work / "large.fits"
    write_table(table, given.galaxies, given.galaxies)
    ratios, rates = list[np.ndarray](), list[float]()
    for number in range(given.rounds + 1):
        folder = timed(given.work / "images", given.work / "a.parquet")
        rows = timed(table, given.work / "b.parquet", image="images/{iauname}.jpg")
        if number:
            ratios.append(folder / rows)
            rates.append(given.galaxies / rows[0])
    clock, processor = np.array(ratios).T.tolist()
    print("rows/s from a table ÷ from a folder:", provenance.spread(clock))
    print("the same by the processor's seconds:", provenance.spread(processor))
    joined = []
    for rows in (given.rows // 10, given.rows):
        write_table(large, rows, given.galaxies)
        command = [sys.executable, __file__, "--data", str(given.data), "--join", str(large)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        count, seconds, before, peak = map(float, printed.split())
        joined.append(
            {
                "rows": count,
                "seconds": seconds,
                "rows_s": count / seconds,
                "memory_before_mb": before,
                "peak_mb": peak,
                "table_mb": large.stat().st_size / 1e6,
            }
        )
        print("read and joined:", joined[-1])
        large.unlink()
    provenance.write(
        given.json,
        {
            "rows_s_of_a_table": statistics.median(rates),
            "table_over_folder": provenance.spread(clock),
            "table_over_folder_of_processor": provenance.spread(processor),
            "read_and_joined": joined,
        },
    )


if __name__ == "__main__":
    main()
