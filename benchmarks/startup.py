"""Claim: `galaxyvotes --help` takes 0.3 s, and predicting one image with the bundled model 3 s.

    python benchmarks/startup.py --json benchmarks/json/startup.json

Wall time from the start of a process to its end, one core (OMP_NUM_THREADS=1), --rounds processes
of each kind, in turn, after one of each that brings files into the kernel's cache. Beside ours
stands the floor: Python that does nothing, and Python that imports torch, which no prediction goes
without. The image is a made-up JPEG of 424²."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import simplejpeg

from provenance import write


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as work:
        image, out = Path(work) / "one.jpg", Path(work) / "x.csv"
        image.write_bytes(
            simplejpeg.encode_jpeg(
                np.random.default_rng(0).integers(0, 256, (424, 424, 3), np.uint8)
            )
        )
        kinds = {
            "python -c pass": ["-c", "pass"],
            "galaxyvotes --help": ["-m", "galaxyvotes", "--help"],
            "python -c 'import torch'": ["-c", "import torch"],
            "galaxyvotes predict one.jpg": [
                "-m",
                "galaxyvotes",
                "predict",
                str(image),
                "--out",
                str(out),
                "--overwrite",
            ],
        }
        for number in range(given.rounds + 1):
            for name, arguments in kinds.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments],
                    check=True,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
                if number:
                    seconds.setdefault(name, []).append(time.perf_counter() - start)
    found = {}
    for name, values in seconds.items():
        low, median, high = np.percentile(values, [25, 50, 75])
        found[name] = {
            "median": median,
            "quartiles": [low, high],
            "smallest": min(values),
            "largest": max(values),
        }
        ends = f"half of them {low:.3f} to {high:.3f}, all {min(values):.3f} to {max(values):.3f}"
        print(f"{name:30}{median:8.3f} s   ({ends})")
    pairs = (
        ("galaxyvotes --help", "python -c pass"),
        ("galaxyvotes predict one.jpg", "python -c 'import torch'"),
    )
    for ours, floor in pairs:
        above = statistics.median(a - b for a, b in zip(seconds[ours], seconds[floor], strict=True))
        found[ours]["above the floor"] = above
        print(f"{ours} is {above:.3f} s above {floor} (median over rounds)")
    write(given.json, {"rounds": given.rounds, "seconds": found})


if __name__ == "__main__":
    main()
