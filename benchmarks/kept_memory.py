"""Claim in (f): keeping freed memory makes a training step of VGG-6 on a CPU half as fast again or
more.

    python benchmarks/kept_memory.py --json benchmarks/json/kept_memory.json

One batch of 256 random images, forward, backward and Adam, each kind in a process of its own,
alternated --rounds times: with and without `galaxyvotes.runtime.memory`, in float32 and in
bfloat16. The rate is the best of three steps after a first one."""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from provenance import write

STEP = """
import sys, time
if sys.argv[1] == "kept":
    from galaxyvotes.runtime.memory import keep_freed_memory
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
    keep_freed_memory()
else:
    import os
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"
import torch
from galaxyvotes.config import ModelSettings
from galaxyvotes.networks.build import build, to_input
torch.manual_seed(0)
images = torch.randint(0, 256, (256, 128, 128, 3), dtype=torch.uint8)
truth = torch.rand(256, 37)
network = build(ModelSettings("vgg6"), answers=37).train()
optimiser = torch.optim.Adam(network.parameters(), fused=True)
seconds = []
for _ in range(4):
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=sys.argv[2] == "bfloat16"):
        logits = network(to_input(images))
    optimiser.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), truth).backward()
    optimiser.step()
    seconds.append(time.perf_counter() - start)
print(256 / min(seconds[1:]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for precision in ("float32", "bfloat16"):
            for kind in ("kept", "plain"):
                done = subprocess.run(
                    [sys.executable, "-c", STEP, kind, precision],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                rates.setdefault(f"{precision}, {kind}", []).append(float(done.stdout))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(
            f"{name:20}{value:8.0f} images a second   ({min(rates[name]):.0f} to"
            f" {max(rates[name]):.0f})"
        )
    for precision in ("float32", "bfloat16"):
        print(
            f"{precision}: kept ÷ plain"
            f" {medians[f'{precision}, kept'] / medians[f'{precision}, plain']:.2f}"
        )
    write(given.json, {"rounds": given.rounds, "images_per_second": rates, "medians": medians})


if __name__ == "__main__":
    main()
