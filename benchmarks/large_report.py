"""Claim: judging 80,000 galaxies × 37 answers, 95 % bootstrap and page included, takes ten seconds
or less.

    python benchmarks/large_report.py --json benchmarks/json/large_report.json

Volunteers' fractions are drawn from a seed and obey the challenge's tree; predictions are those of
a network that is off by chance, calibrated as the one that comes with the package. Timed is what
`galaxyvotes evaluate` does once the network has predicted: bounds for as many volunteers as there
were, the volunteers' own noise, every measure with its interval (1,000 resamples, 200 of the AUCs),
reliability, consistency, how often bounds held, the figures, and report.html, .json and .csv. Once
for the network alone, as with --no-baselines, and once beside four baselines, each of which is
judged like the network and compared with it. Fitting baselines needs images and minutes of
training; it is no part of this, nor is predicting. Beside the wall's seconds stand the process's
own, which others on the same cores do not lengthen."""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.metrics.coverage import noise_floor
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison, ReportSettings
from galaxyvotes.reports.write import write_report
from galaxyvotes.runs.run import bundled_run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.tree import DecisionTree
from provenance import spread, write

VOLUNTEERS = 40
REFERENCES = 10_000


def make(galaxies: int, seed: int) -> tuple[np.ndarray, dict[str, Predictions]]:
    """What volunteers said of made-up galaxies; what a network and, each further off, four
    baselines say of them."""
    random = np.random.default_rng(seed)
    tree = DecisionTree.load("kaggle")
    behind = np.hstack([random.dirichlet([0.4] * len(q.answers), galaxies) for q in tree.questions])
    votes = np.zeros(behind.shape, np.int64)
    for index in tree.depth_first:
        where, parent = tree.slices[index], tree.parents[index]
        asked = np.full(galaxies, VOLUNTEERS) if parent is None else votes[:, parent]
        votes[:, where] = random.multinomial(asked, behind[:, where])
    labels = (votes / VOLUNTEERS).astype(np.float32)
    ids = tuple(str(100_000 + row) for row in range(galaxies))

    def off_by(noise: float) -> Predictions:
        said = np.clip(tree.joint(behind) + random.normal(0, noise, labels.shape), 0, 1).astype(
            np.float32
        )
        return Predictions(ids, tree.columns, said)

    said = {
        name: off_by(noise)
        for name, noise in (("network", 0.08), ("a", 0.1), ("b", 0.12), ("c", 0.16), ("d", 0.2))
    }
    return labels, said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--galaxies", type=int, default=80_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tree = DecisionTree.load("kaggle")
    labels, said = make(given.galaxies, given.seed)
    ranks = np.random.default_rng(given.seed).integers(1, REFERENCES + 2, given.galaxies) / (
        REFERENCES + 1
    )
    network = replace(said.pop("network"), familiarity=ranks)
    volunteers = np.full(labels.shape, float(VOLUNTEERS))
    calibration = bundled_run().network(choose_device("cpu"), tree="kaggle").intervals
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as work:
        for _ in range(given.rounds):
            for name, baselines in (("network alone", {}), ("beside four baselines", said)):
                start, started = time.perf_counter(), time.process_time()
                bounds = calibration.bounds(
                    network.values, np.zeros_like(network.values), volunteers=volunteers
                )
                comparison = Comparison(
                    tree,
                    labels,
                    replace(network, bounds=bounds),
                    baselines=baselines,
                    nominal_coverage=calibration.coverage,
                    noise_floor=noise_floor(labels, volunteers),
                    shift=Shift.count(ranks, REFERENCES),
                    on_leaderboard=True,
                    images=lambda rows: np.zeros((len(rows), 128, 128, 3), np.uint8),
                )
                report = write_report(comparison, work, ReportSettings(given.seed))
                for kind, took in (
                    ("wall", time.perf_counter() - start),
                    ("process", time.process_time() - started),
                ):
                    seconds.setdefault(f"{name}, {kind}", []).append(took)
    for name, values in seconds.items():
        print(
            f"{name:32}{spread(values)['mean']:8.2f} s   ({min(values):.2f} to {max(values):.2f})"
        )
    write(
        given.json,
        {
            "galaxies": given.galaxies,
            "answers": len(tree.columns),
            "bootstrap": report.document["bootstrap"],
            "rounds": given.rounds,
            "seconds": {name: spread(values) for name, values in seconds.items()},
        },
    )


if __name__ == "__main__":
    main()
