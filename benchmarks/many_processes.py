"""How much faster two processes train than one, and that they learn the same network but for
rounding.

    python benchmarks/many_processes.py --json benchmarks/json/many_processes.json

The recipe `compact` on simulated galaxies of 64 px, through the command line: one process of one
thread, two processes of one thread each under torchrun, and one process of two threads, alternated
--rounds times on the same two cores. The rate counts the steps of an epoch, validation and start
apart; that of a run is its best epoch after the first, which warms up. Scaling efficiency is the
rate of two processes ÷ twice the rate of one. The first round also says how far the answers of the
networks for test galaxies are apart: early in training Adam makes much of a rounding, so those of
one and two threads, which add up in another order only, stand beside those of one and two
processes."""

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
    """Train as a user would, into `out`; galaxies a second."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        *launcher,
        "-m",
        "galaxyvotes",
        "train",
        str(store.path),
        str(out),
        "--recipe",
        "compact",
    ]
    command += [*(f"--set={each}" for each in settings), "--device", "cpu"]
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
        zoo = gv.simulate(folder / "zoo", galaxies=given.galaxies)
        store = gv.pack(zoo, folder / "store", settings=gv.PackSettings(128, 64), progress=False)
        for number in range(given.rounds):
            for place, (kind, (processes, threads)) in enumerate(KINDS.items()):
                out = folder / f"run-{number}-{place}"
                rates[kind].append(trained(store, out, processes, threads, settings))
                print(
                    f"round {number + 1}: {kind:32}{rates[kind][-1]:8.1f} galaxies a second",
                    flush=True,
                )
        runs = [gv.Run.open(folder / f"run-0-{place}") for place in range(3)]
        alone, *others = (
            gv.predict_store(run.network(), store, store.rows("test")).values for run in runs
        )
        apart, threads_apart = (float(abs(alone - each).max()) for each in others)
    medians = {kind: statistics.median(values) for kind, values in rates.items()}
    one, two, threads = medians.values()
    print(f"two processes: {two / one:.2f} times one, scaling efficiency {two / one / 2:.0%}")
    print(
        f"two threads:   {threads / one:.2f} times one, scaling efficiency {threads / one / 2:.0%}"
    )
    print(
        f"answers: {apart:.1g} apart at most for one and two processes, {threads_apart:.1g} for one"
        " and two threads"
    )
    figures = {
        "galaxies": given.galaxies,
        "settings": settings,
        "rates": {kind: {"each": values, **spread(values)} for kind, values in rates.items()},
        "efficiency_processes": two / one / 2,
        "efficiency_threads": threads / one / 2,
        "answers_apart": apart,
        "answers_of_threads_apart": threads_apart,
    }
    write(given.json, figures)


if __name__ == "__main__":
    main()
