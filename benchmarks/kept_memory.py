"""Keeping freed memory makes a training step of VGG-6 on a CPU half as fast again, or faster.

    python benchmarks/kept_memory.py --json benchmarks/json/kept_memory.json

One batch of 256 random images, forward, backward and Adam, each kind in a process of its own,
alternated --rounds times: with and without `galaxyvotes.runtime.memory` and torch's large pages, in
float32 and in bfloat16. The rate is the best of three steps after a first one."""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from provenance import write

STEP = """
import os, sys, time
os.environ["THP_MEM_ALLOC_ENABLE"] = "1" if sys.argv[1] == "kept" else "0"  # torch reads it once
if sys.argv[1] == "kept":
    from galaxyvotes.runtime.memory import keep_freed_memory
    keep_freed_memory()
import torch
from galaxyvotes.config import ModelSettings
from galaxyvotes.networks.build import build, to_input
galaxies = int(sys.argv[3])
images = torch.randint(0, 256, (galaxies, 128, 128, 3), dtype=torch.uint8)
labels = torch.rand(galaxies, 37)
network = build(ModelSettings("vgg6"), answers=37).train()
optimiser = torch.optim.Adam(network.parameters(), fused=True)
seconds = []
for _ in range(4):
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=sys.argv[2] == "bfloat16"):
        logits = network(to_input(images))
    optimiser.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
    optimiser.step()
    seconds.append(time.perf_counter() - start)
print(galaxies / min(seconds[1:]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--galaxies", type=int, default=256, help="of a batch")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for precision in ("float32", "bfloat16"):
            for kind in ("kept", "plain"):
                done = subprocess.run(
                    [sys.executable, "-c", STEP, kind, precision, str(given.galaxies)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                rates.setdefault(f"{precision}, {kind}", []).append(float(done.stdout))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(
            f"{name:20}{value:8.0f} images per second   ({min(rates[name]):.0f} to"
            f" {max(rates[name]):.0f})"
        )
    for precision in ("float32", "bfloat16"):
        print(
            f"{precision}: kept ÷ plain"
            f" {medians[f'{precision}, kept'] / medians[f'{precision}, plain']:.2f}"
        )
    figures = {"rounds": given.rounds, "galaxies": given.galaxies}
    write(given.json, {**figures, "images_per_second": rates, "medians": medians})


if __name__ == "__main__":
    main()
