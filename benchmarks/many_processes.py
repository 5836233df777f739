"""How much faster two processes train than one, and how far apart their networks are.

    python benchmarks/many_processes.py --json benchmarks/json/many_processes.json

The recipe `compact` on simulated galaxies of 64 px, through the command line: one process of one
thread, two processes of one thread each under torchrun, and one process of two threads, alternated
--rounds times on the same two cores. The rate counts the steps of an epoch, without validation and
start; that of a run is its best epoch after the first, which warms up. Scaling efficiency is the
rate of two processes ÷ twice the rate of one.

The networks of two processes differ from those of one, because on a CPU each process has batch norm
and dropout of its own. Their validation RMSE and the largest difference of a fraction for test
galaxies stand beside those of one process of two threads, which differs by rounding alone; early in
training Adam makes much of a rounding, too."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import galaxyvotes as gv
from provenance import spread, write

KINDS = {  # processes, threads of each
    "one process, one thread": (1, 1),
    "two processes, one thread each": (2, 1),
    "one process, two threads": (1, 2),
}


def trained(
    store: gv.Store, out: Path, processes: int, threads: int, settings: tuple[str, ...]
) -> float:
    """Train as a user would, in the folder `out`; galaxies per second."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        *launcher,
        "-m",
        "galaxyvotes",
        "train",
        str(store.path),
        "--out",
        str(out),
        "--recipe",
        "compact",
    ]
    command += [*(f"--set={setting}" for setting in settings), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    history = gv.Run.open(out).history
    return len(store.rows("train")) / min(row["seconds"] for row in history[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--galaxies", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], help="a setting, e.g. model.width=8"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settings = (f"train.epochs={given.epochs}", *given.settings)
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = gv.simulate(folder / "zoo", galaxies=given.galaxies, size_px=160)
        store = gv.pack(zoo, folder / "store", settings=gv.PackSettings(128, 64), progress=False)
        for number in range(given.rounds):
            for kind, (processes, threads) in KINDS.items():
                out = folder / f"{kind}, {number}"
                rates[kind].append(trained(store, out, processes, threads, settings))
                print(
                    f"round {number + 1}: {kind:32}{rates[kind][-1]:8.1f} galaxies per second",
                    flush=True,
                )
        runs = [gv.Run.open(folder / f"{kind}, 0") for kind in KINDS]
        alone, *others = (
            gv.predict_store(run.network(), store, store.rows("test")).values for run in runs
        )
        apart, threads_apart = (float(abs(alone - predicted).max()) for predicted in others)
        rmse = {
            kind: run.history[-1]["validation_mse"] ** 0.5
            for kind, run in zip(KINDS, runs, strict=True)
        }
    medians = {kind: statistics.median(values) for kind, values in rates.items()}
    one, two, threads = medians.values()
    print(f"two processes: {two / one:.2f} times one, scaling efficiency {two / one / 2:.0%}")
    print(
        f"two threads:   {threads / one:.2f} times one, scaling efficiency {threads / one / 2:.0%}"
    )
    print(
        f"fractions: {apart:.1g} apart at most for one and two processes, {threads_apart:.1g} for"
        " one and two threads"
    )
    print("validation RMSE: " + ", ".join(f"{kind} {value:.4f}" for kind, value in rmse.items()))
    figures = {
        "galaxies": given.galaxies,
        "settings": settings,
        "rates": {kind: {"each": values, **spread(values)} for kind, values in rates.items()},
        "efficiency_processes": two / one / 2,
        "efficiency_threads": threads / one / 2,
        "answers_apart": apart,
        "answers_of_threads_apart": threads_apart,
        "validation_rmse": rmse,
    }
    write(given.json, figures)


if __name__ == "__main__":
    main()
