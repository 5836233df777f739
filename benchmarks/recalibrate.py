"""What `calibrate` makes of 50, 100 or 200 labelled galaxies of another survey.

    python benchmarks/recalibrate.py --json benchmarks/json/recalibrate.json
    python benchmarks/recalibrate.py RUN

The other survey are test galaxies of the challenge that the run has never seen, changed in one way
(as in `robustness.py`). Some of them are the labelled ones, drawn by the seed, and calibrate a copy
of the run; all others are predicted by the run as it is and by the copy. Of both: the error, how
often the intervals hold the volunteers' fraction, their mean width, and their interval score; mean
over the seeds. Half an hour on one core."""

import argparse
import csv
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

import galaxyvotes as gv
from catalogues import FRACTIONS, IMAGES, LARGER, Catalogue
from galaxyvotes.evaluation.seen import calibrated_on, seen_by
from galaxyvotes.metrics.coverage import empirical_coverage, interval_score, mean_width
from galaxyvotes.metrics.scores import rmse
from galaxyvotes.runs.run import open_run
from provenance import write
from robustness import AS_IS, CHANGES, TREE, Change, Pixels, read_images

SURVEYS = (AS_IS, "0.5 x, mirrored sky", "0.67 x, mirrored sky", "1.5 x", "grey", "gamma 0.5")
SURVEYS = (*SURVEYS, "gamma 2", "noise 0.08", "blur 3 px")
LABELLED = (50, 100, 200)


def packed(
    galaxies: dict[str, Pixels],
    labels: dict[str, np.ndarray],
    columns: tuple[str, ...],
    change: Change,
    labelled: set[str],
    work: Path,
) -> gv.Store:
    """A store of the changed galaxies: the labelled ones for validation, the others for testing."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with zipfile.ZipFile(work / "images.zip", "w") as archive:
        for name in labels:
            file = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(change(galaxies[name]))).save(file, "PNG")
            archive.writestr(f"{name}.png", file.getvalue())
    with (work / "votes.csv").open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("GalaxyID", *columns, "split"))
        for name, values in labels.items():
            rows.writerow((name, *values, "validation" if name in labelled else "test"))
    sources = [work / "images.zip", work / "votes.csv"]
    splits = gv.SplitSettings(column="split", start=None)
    how = {"settings": LARGER, "splits": splits, "progress": False}
    return gv.pack(sources, work / "store", **how)


def figures(network, store: gv.Store) -> dict[str, float]:
    """The figures of the test galaxies of a store."""
    rows = store.rows("test")
    predicted, labels = gv.predict_store(network, store, rows), store.values[rows]
    bounds = predicted.bounds
    return {
        "rmse": rmse(labels, predicted.values),
        "coverage": empirical_coverage(labels, *bounds),
        "width": mean_width(labels, *bounds),
        "interval_score": interval_score(labels, *bounds, coverage=0.9),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", help="a run folder; the bundled run without")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/recalibrate"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = open_run(given.run)
    whole = Catalogue(given.data, given.work, "fractions", FRACTIONS, settings=LARGER).whole
    head = next(head for head in run.heads if head.tree.name == TREE)
    rows = whole.rows("test")
    rows = rows[~(seen_by(run, whole) | calibrated_on(run, whole, head))[rows]]
    labels = {whole.ids[row]: whole.values[row] for row in rows}
    galaxies = read_images(sorted(given.data.glob(IMAGES)), labels)
    results: dict[str, dict] = {"galaxies": {"all": len(labels)}}
    for survey in SURVEYS:
        for labelled in LABELLED:
            measured: list[tuple[dict, dict]] = []
            for seed in range(given.seeds):
                drawn = np.random.default_rng(seed).permutation(sorted(labels))[:labelled]
                copy = given.work / "calibrated"
                shutil.rmtree(copy, ignore_errors=True)
                store = packed(
                    galaxies,
                    labels,
                    whole.tree.columns,
                    CHANGES[survey],
                    set(drawn.tolist()),
                    given.work / "survey",
                )
                gv.calibrate(store, run, out=copy, seed=seed, progress=False)
                networks = (run.network(tree=TREE), open_run(copy).network(tree=TREE))
                measured.append(tuple(figures(network, store) for network in networks))
            results[f"{survey}, {labelled} labels"] = {
                when: {
                    name: float(np.mean([each[number][name] for each in measured]))
                    for name in measured[0][number]
                }
                for number, when in enumerate(("as it is", "calibrated"))
            }
            print(survey, labelled, results[f"{survey}, {labelled} labels"], flush=True)
    write(given.json, results)


if __name__ == "__main__":
    main()
