"""VGG-6 beside the paper's network in Keras: the target is 1.3 times its rate in training and 2
times in prediction.

    python benchmarks/keras_speed.py --json benchmarks/json/keras_speed.json

Both learn from and predict the same galaxies of one store (random pixels, or with --data real
ones), batch 256, the paper's recipe, on the same cores, in two processes of which one waits while
the other works. Alternated --rounds times, each side going first in turn: Keras trains, we train;
Keras predicts, we predict.

- Keras: `fit` and `predict`, float32, on arrays already in memory and divided by 255, compiled and
  warmed up
- ours: the second epoch of `galaxyvotes.train` by its own clock, and `galaxyvotes.predict_store`;
  both read uint8 images from the store. Precision as --precision says; auto is bfloat16 where the
  processor multiplies it faster, so the difference of our fractions from those in float32 is
  printed, too.

The ratio is taken within each round. On a shared machine trust the median, and `others`: the share
of the machine's processor time that neither side used."""

import argparse
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from keras_vgg6 import paper_network, refuse_without_keras
from provenance import write

TARGETS = {"train": 1.3, "predict": 2.0}


def make_store(work: Path, data: Path | None, galaxies: int, seed: int) -> Path:
    """A store of real galaxies, or of random pixels with random fractions in the challenge's
    form."""
    import simplejpeg

    import galaxyvotes as gv

    paper = gv.Recipe.load("paper").pack
    if data:
        sources = [
            *sorted(data.glob("images_training_rev1_part*.zip")),
            data / "training_solutions_rev1.csv",
        ]
        return gv.pack(sources, work / "store", settings=paper, progress=False).path
    random = np.random.default_rng(seed)
    tree = gv.DecisionTree.load("kaggle")
    conditional = [
        random.dirichlet(np.ones(len(question.answers)), galaxies) for question, _ in tree
    ]
    fractions = tree.joint(np.concatenate(conditional, axis=1))
    lines = [",".join(["GalaxyID", *tree.columns])]
    with zipfile.ZipFile(work / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        for number, row in enumerate(fractions.tolist()):
            pixels = random.integers(0, 256, (128, 128, 3), np.uint8)
            archive.writestr(f"{100001 + number}.jpg", simplejpeg.encode_jpeg(pixels, quality=90))
            lines.append(",".join([str(100001 + number), *(f"{value:.8f}" for value in row)]))
    (work / "solutions.csv").write_text("\n".join(lines) + "\n")
    return gv.pack(
        [work / "images.zip", work / "solutions.csv"],
        work / "store",
        settings=paper,
        progress=False,
    ).path


def keras_side(path: Path, _work: Path, _precision: str) -> dict[str, Callable[[], float]]:
    """Jobs of Keras, which return galaxies per second."""
    network = paper_network(37, seed=0)
    import keras

    import galaxyvotes as gv

    store = gv.Store.open(path)
    images, fractions = {}, {}
    for split in ("train", "all"):
        rows = store.rows("train") if split == "train" else np.arange(len(store))
        images[split] = store.images(rows) / np.float32(255)
        fractions[split] = store.values[rows]
    network.compile(
        keras.optimizers.Adam(1e-3), loss="binary_crossentropy", metrics=["mse", "accuracy"]
    )

    def train() -> float:
        start = time.perf_counter()
        network.fit(images["train"], fractions["train"], batch_size=256, verbose=0)
        return len(images["train"]) / (time.perf_counter() - start)

    def predict() -> float:
        start = time.perf_counter()
        network.predict(images["all"], batch_size=256, verbose=0)
        return len(images["all"]) / (time.perf_counter() - start)

    return {"train": train, "predict": predict}


def our_side(path: Path, work: Path, precision: str) -> dict[str, Callable[[], float]]:
    """Jobs of ours, which return galaxies per second."""
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # before torch is imported, as the command line does
    import galaxyvotes as gv

    store = gv.Store.open(path)
    runs: list[gv.Run] = []

    def train() -> float:
        settings = ("train.epochs=2", f"train.precision={precision}")
        runs.append(
            gv.train(
                store, work / f"run-{len(runs)}", settings=settings, device="cpu", progress=False
            )
        )
        return len(store.rows("train")) / runs[-1].history[-1]["seconds"]

    def predict() -> float:
        network = runs[0].network("cpu")
        start = time.perf_counter()
        gv.predict_store(network, store)
        return len(store) / (time.perf_counter() - start)

    return {"train": train, "predict": predict}


def busy() -> float:
    """Processor seconds that all processes of this machine have used so far, as Linux counts
    them."""
    if not Path("/proc/stat").is_file():
        return float("nan")
    user, nice, system, _, _, *interrupts = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def serve(connection: Connection, side: str, path: Path, work: Path, precision: str) -> None:
    """Do jobs until there are no more: the body of either process. Sends the rate and the share of
    others."""
    jobs = {"Keras": keras_side, "ours": our_side}[side](path, work, precision)
    while (job := connection.recv()) is not None:
        start, used, all_used = time.perf_counter(), time.process_time(), busy()
        rate = jobs[job]()
        others = busy() - all_used - (time.process_time() - used)
        connection.send((rate, others / (time.perf_counter() - start) / (os.cpu_count() or 1)))


def difference_from_float32(path: Path, work: Path) -> dict[str, float]:
    """How far the fractions of a trained run lie from those of the same weights in plain
    float32."""
    import torch

    import galaxyvotes as gv
    from galaxyvotes.networks.build import to_input

    store = gv.Store.open(path)
    network = gv.Run.open(work / "run-0").network("cpu")
    rows = np.arange(min(len(store), 256))
    with torch.inference_mode():
        plain = network.objective.values(
            network.module(to_input(torch.from_numpy(store.images(rows))))
        ).numpy()
    difference = gv.predict_store(network, store, rows).values - plain
    return {
        "largest": float(np.abs(difference).max()),
        "root mean square": float(np.sqrt(np.square(difference).mean())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="real galaxies, such as ../shared/data/kaggle; without it, random pixels",
    )
    parser.add_argument(
        "--galaxies",
        type=int,
        default=1280,
        help="how many with random pixels; four fifths are trained on",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", help="ours: auto, float32 or bfloat16")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    refuse_without_keras()
    rates: dict[str, dict[str, list[float]]] = {
        job: {"Keras": [], "ours": [], "ratio": []} for job in TARGETS
    }
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with context.Pool(1) as pool:
            path = pool.apply(make_store, (work, given.data, given.galaxies, 0))
        lines, processes = {}, []
        for side in ("Keras", "ours"):
            lines[side], theirs = context.Pipe()
            processes.append(
                context.Process(
                    target=serve, args=(theirs, side, path, work, given.precision), daemon=True
                )
            )
            processes[-1].start()
        for number in range(given.rounds + 1):  # the first is for warming up
            for job, rate in rates.items():
                others: dict[str, float] = {}
                for side in ("Keras", "ours") if number % 2 else ("ours", "Keras"):
                    lines[side].send(job)
                    done, others[side] = lines[side].recv()
                    rate[side].append(done)
                rate["ratio"].append(rate["ours"][-1] / rate["Keras"][-1])
                shown = "".join(f"{name:>8} {values[-1]:7.2f}" for name, values in rate.items())
                shares = ", ".join(f"{share:.0%} beside {side}" for side, share in others.items())
                print(f"round {number or '-'} {job:8}{shown}   others {shares}", flush=True)
        for side, process in zip(lines, processes, strict=True):
            lines[side].send(None)
            process.join()
        with context.Pool(1) as pool:
            difference = pool.apply(difference_from_float32, (path, work))
    print(f"\n{'galaxies per second':20}{'':8}{'median':>10}{'lowest':>10}{'highest':>10}")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for job, rate in rates.items():
        for name, values in rate.items():
            of = {
                "median": statistics.median(values[1:]),
                "lowest": min(values[1:]),
                "highest": max(values[1:]),
            }
            table.setdefault(job, {})[name] = of
            title = f"ours ÷ Keras, target {TARGETS[job]}" if name == "ratio" else f"{job}, {name}"
            print(
                f"{title:28}"
                + "".join(f"{value:>10.{2 if name == 'ratio' else 0}f}" for value in of.values())
            )
    print(
        "\nour fractions beside float32: "
        + ", ".join(f"{name} difference {value:.1e}" for name, value in difference.items())
    )
    write(
        given.json,
        {
            "rounds": given.rounds,
            "precision": given.precision,
            "real": bool(given.data),
            "reach": TARGETS,
            "galaxies_per_second": table,
            "difference_from_float32": difference,
        },
    )


if __name__ == "__main__":
    main()
