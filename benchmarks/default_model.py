"""The model that comes with the package: trained, calibrated, judged and, with --ship, put in its
place.

    python benchmarks/default_model.py --json benchmarks/json/default_model.json --ship

A network learns from five catalogues at once, in two stages: first on few pixels, then a little
longer on more of the same sky. Of the 2014 challenge it learns 37 fractions of 6,892 galaxies, 17
of them of 3,809 more, which fraction is the largest of 23,273 and five classes of 24,943; and
Galaxy Zoo 2's weighted fractions of 785 galaxies. Each catalogue is divided 80 : 10 : 10 by the
hash of its ids; a galaxy that one of them holds out teaches through none. Validation galaxies
choose nothing; they calibrate the intervals. What is printed is of the test galaxies, which nothing
has seen. The network of seed 0 is the one that is shipped; of others (--seeds) come their figures
and those of all joined, to say what a seed is worth. A stopped run goes on."""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, GZ2, IN_PART, LARGER, LARGEST, PACK, Catalogue
from galaxyvotes.evaluation.baselines import mean_vote
from galaxyvotes.metrics.coverage import coverage_per_answer, mean_width
from galaxyvotes.runs.tensors import read_tensors, write_tensors
from provenance import write

KEPT = ("config.toml", "run.json", "seen.parquet", "metrics.jsonl", "weights.safetensors")
CATALOGUES = {
    "fractions": (FRACTIONS, {}),
    "in_part": (IN_PART, {}),
    "largest": (LARGEST, {"labels": gv.LabelSettings(largest="largest")}),
    "classes": (CLASSES, {}),
    "gz2": (GZ2, {}),
}
JUDGED = ("fractions", "classes", "gz2")  # those with all labels of their trees
COMMON = ("model.width=64", "model.views=4")
FIRST = (*COMMON, "train.epochs=36", "train.learning_rate=2e-3")
SECOND = (*COMMON, "train.epochs=6", "train.learning_rate=1e-3")
RANDOM_SAMPLE = 174_391  # galaxies up to this id are a random sample of the challenge
CIGAR = "cigar-shaped-smooth"
PLACE = Path(__file__).parents[1] / "src" / "galaxyvotes" / "weights"


def milliseconds(run: gv.Run, images: Path, work: Path, count: int = 200) -> float:
    """How long a galaxy takes on one core, from its JPEG to its row of the table, in
    milliseconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        how = {"device": "cpu", "workers": 1, "overwrite": True, "progress": False}
        gv.predict(images, work / "warm.parquet", run=run, **how)
        start = time.process_time()
        gv.predict(images, work / "timed.parquet", run=run, **how)
        return 1000 * (time.process_time() - start) / count
    finally:
        torch.set_num_threads(threads)


def halved(run: gv.Run) -> None:
    """Keep the weights in half precision, so that the package is small; before anything is measured
    of them."""
    tensors, note = read_tensors(run.path / "weights.safetensors")
    for name, tensor in tensors.items():
        tensors[name] = tensor.half() if tensor.is_floating_point() else tensor
    write_tensors(run.path / "weights.safetensors", tensors, note)


def calibrated(run: gv.Run, stores: list[gv.Store]) -> None:
    """Calibrate every head, and measure what is familiar in the catalogue with most galaxies."""
    largest = max(stores, key=len)
    for store in stores:
        gv.calibrate(store, run, familiar=largest, seed=0, overwrite=True)


def trained(stores: list[gv.Store], out: Path, seed: int, start: gv.Run | None = None) -> gv.Run:
    """The first stage, or the second from another run; what is there already goes on."""
    resume, settings = out.exists(), FIRST if start is None else SECOND
    chosen = (*settings, f"train.seed={seed}")
    if start is None:
        return gv.train(stores, out, recipe="compact", settings=chosen, resume=resume)
    how = {"recipe": "compact", "other_size": True, "resume": resume}
    return gv.finetune(stores, out, start=start, settings=chosen, **how)


def judged(run: gv.Run, store: gv.Store, out: Path) -> dict:
    """The report's numbers of the test galaxies, and how often the intervals held."""
    how = {"overwrite": True, "baselines": False, "seed": 0}
    document = gv.evaluate(store, run, out=out, **how).document
    numbers = {
        name: document["network"][name]
        for name in ("rmse", "argmax_accuracy", "mean_auc_of_frequent", "accuracy", "cross_entropy")
        if name in document["network"]
    }
    rows = store.rows("test")
    predicted = gv.predict_store(run.network(tree=store.tree.name), store, rows)
    labels = store.values[rows]
    numbers["galaxies"] = len(rows)
    numbers["mean_vote_rmse"] = float(
        np.sqrt(np.nanmean((mean_vote(store, rows).values - labels) ** 2))
    )
    if store.path.name == "fractions":
        sample = np.array([int(store.ids[row]) <= RANDOM_SAMPLE for row in rows])
        numbers["random_sample"] = {
            "galaxies": int(sample.sum()),
            "rmse": float(np.sqrt(np.mean((predicted.values - labels)[sample] ** 2))),
        }
    if predicted.bounds is not None:
        covered = coverage_per_answer(labels, *predicted.bounds)
        numbers["coverage"] = float(np.nanmean(covered))
        numbers["coverage_lowest"] = float(np.nanmin(covered))
        numbers["width"] = float(mean_width(labels, *predicted.bounds))
    if asked := document.get("conditional_intervals"):
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
            numbers[f"mean_cross_entropy{name}"] = float(
                -np.log(answers.values[labels == 1].clip(1e-9)).mean()
            )
            of_class = answers.values.argmax(axis=1) == labels.argmax(axis=1)
            numbers[f"share_right{name}"] = float(of_class.mean())
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
    few, more = (
        [
            Catalogue(
                given.data, given.work / str(pack.size_px), name, sources, settings=pack, **how
            ).whole
            for name, (sources, how) in CATALOGUES.items()
        ]
        for pack in (PACK, LARGER)
    )
    stores = [store for store in more if store.path.name in JUDGED]
    runs: list[gv.Run] = []
    seconds: list[float] = []
    for seed in range(given.seeds):
        first = trained(few, given.work / f"first-{seed}", seed)
        runs.append(trained(more, given.work / f"second-{seed}", seed, start=first))
        halved(runs[-1])
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
