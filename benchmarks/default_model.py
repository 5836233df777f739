"""The model that comes with the package: trained, calibrated, judged and, with --ship, put in its
place.

    python benchmarks/default_model.py --json benchmarks/json/default_model.json --ship

A network learns from three catalogues at once (recipe `compact`, then the second stage of
`catalogues`): 37 fractions of 736 galaxies of the 2014 challenge, five classes of 25,847 of them,
and Galaxy Zoo 2's weighted fractions of 785 more. Each is divided 80 : 10 : 10 by the hash of its
ids; a galaxy that one of them holds out teaches through none. Validation galaxies choose nothing;
they calibrate the intervals. What is printed is of the test galaxies, which nothing has seen. The
network of seed 0 is the one that is shipped; of others (--seeds) come their figures and those of
all joined, to say what a seed is worth. A quarter of an hour a seed on two cores with bfloat16, an
hour and a half on two without AVX-512; a stopped run goes on."""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, GZ2, LARGER, PACK, Catalogue, enlarged, trained
from galaxyvotes.evaluation.baselines import mean_vote
from galaxyvotes.metrics.coverage import coverage_per_answer, mean_width
from provenance import write

KEPT = ("config.toml", "run.json", "seen.parquet", "metrics.jsonl", "weights.safetensors")
CIGAR = "cigar-shaped-smooth"
PLACE = Path(__file__).parents[1] / "src" / "galaxyvotes" / "weights"


def milliseconds(run: gv.Run, images: Path, work: Path, count: int = 200) -> float:
    """How long a galaxy takes on one core, from its JPEG to its row of the table, in
    milliseconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        gv.predict(images, work / "warm.parquet", run=run, device="cpu", workers=1, progress=False)
        start = time.process_time()
        gv.predict(images, work / "timed.parquet", run=run, device="cpu", workers=1, progress=False)
        return 1000 * (time.process_time() - start) / count
    finally:
        torch.set_num_threads(threads)


def calibrated(run: gv.Run, stores: list[gv.Store]) -> None:
    """Calibrate every head, and measure what is familiar in the catalogue with most galaxies."""
    largest = max(stores, key=len)
    for store in stores:
        gv.calibrate(store, run, familiar=largest, seed=0)


def judged(run: gv.Run, store: gv.Store, out: Path) -> dict:
    """The report's numbers of the test galaxies, and how often the intervals held."""
    document = gv.evaluate(store, run, out=out, baselines=False, seed=0).document
    numbers = {
        name: document["network"][name]
        for name in ("rmse", "argmax_accuracy", "mean_auc_of_frequent")
    }
    rows = store.rows("test")
    predicted = gv.predict_store(run.network(tree=store.tree.name), store, rows)
    labels = store.values[rows]
    numbers["galaxies"] = len(rows)
    numbers["mean_vote_rmse"] = float(
        np.sqrt(np.nanmean((mean_vote(store, rows).values - labels) ** 2))
    )
    if predicted.bounds is not None:
        covered = coverage_per_answer(labels, *predicted.bounds)
        numbers["coverage"] = float(np.nanmean(covered))
        numbers["coverage_lowest"] = float(np.nanmin(covered))
        numbers["width"] = float(mean_width(labels, *predicted.bounds))
    if asked := document["conditional_intervals"]:
        held = [
            each["coverage"]["value"]
            for each in asked["answers"]
            if each["coverage"]["value"] is not None
        ]
        numbers |= {
            "conditional_coverage": asked["coverage"],
            "conditional_coverage_lowest": min(held),
        }
    if len(store.tree.questions) == 1:
        right = predicted.values.argmax(axis=1) == labels.argmax(axis=1)
        as_trained = gv.predict_store(
            run.network(tree=store.tree.name, as_trained=True), store, rows
        )
        for name, answers in (("", predicted), ("_as_trained", as_trained)):
            numbers[f"cross_entropy{name}"] = float(
                -np.log(answers.values[labels == 1].clip(1e-9)).mean()
            )
            of_class = answers.values.argmax(axis=1) == labels.argmax(axis=1)
            numbers[f"accuracy{name}"] = float(of_class.mean())
            numbers[f"cigars{name}"] = float(
                of_class[labels[:, store.tree.columns.index(CIGAR)] == 1].mean()
            )
        numbers["accuracy_per_class"] = {
            name: {
                "accuracy": float(right[labels.argmax(axis=1) == place].mean()),
                "galaxies": int((labels.argmax(axis=1) == place).sum()),
            }
            for place, name in enumerate(store.tree.columns)
        }
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/default"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--ship", action="store_true", help="replace the model that comes with the package"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    catalogues = {"fractions": FRACTIONS, "classes": CLASSES, "gz2": GZ2}
    few, stores = (
        [
            Catalogue(
                given.data, given.work / str(settings.size_px), name, sources, settings=settings
            ).whole
            for name, sources in catalogues.items()
        ]
        for settings in (PACK, LARGER)
    )
    runs: list[gv.Run] = []
    seconds: list[float] = []
    for seed in range(given.seeds):
        first = trained(few, given.work / f"first-{seed}", f"train.seed={seed}")
        runs.append(
            enlarged(stores, given.work / f"second-{seed}", f"train.seed={seed}", start=first)
        )
        seconds.append(sum(row["seconds"] for stage in (first, runs[-1]) for row in stage.history))
    run = runs[0]
    calibrated(run, stores)
    results = {
        store.path.name: judged(run, store, given.work / f"report-{store.path.name}")
        for store in stores
    }
    if given.seeds > 1:
        joined = given.work / "joined"
        shutil.rmtree(joined, ignore_errors=True)
        others = {f"seed {seed}": each for seed, each in enumerate(runs)} | {
            "joined": gv.ensemble(runs, joined)
        }
        for each in others.values():
            calibrated(each, stores)
        results["seeds"] = {
            name: {
                store.path.name: judged(each, store, given.work / "report-of-one")
                for store in stores
            }
            for name, each in others.items()
        }
    results["milliseconds_a_galaxy_one_core"] = milliseconds(
        run, given.data / "kaggle/images_test_rev1.zip", given.work
    )
    results["training_seconds"] = seconds
    for name, numbers in results.items():
        print(name, numbers)
    write(given.json, results)
    if given.ship:
        PLACE.mkdir(exist_ok=True)
        kinds = (*KEPT, "tree*.toml", "calibration*.toml", "familiar*.safetensors")
        for path in [path for kind in kinds for path in PLACE.glob(kind)]:
            path.unlink()
        for path in [path for kind in kinds for path in run.path.glob(kind)]:
            shutil.copyfile(path, PLACE / path.name)


if __name__ == "__main__":
    main()
