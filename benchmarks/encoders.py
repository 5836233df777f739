"""Encoders that were trained in other ways: their features, and their temperature scaling.

    python benchmarks/encoders.py base-0 larger/base-0 larger/base-0+larger/base-1 --json FILE

Each argument is a run in --work that has seen none of the galaxies with fractions, such as the
bases of `five_folds.py`, or several joined by +. Of each:

- kernel ridge regression on its frozen features, mean over eight sides, learns the 37 fractions of
  four folds and answers for the fifth; how strongly it is held back and the width of its kernel are
  chosen within the four. Several encoders see side by side. Also the mean of these answers and of
  the fine-tuned networks of `five_folds.py`.
- the classes of the validation galaxies, mean over eight sides and networks: as trained, and as
  sure as four fifths of these galaxies bear out for the last
  (`galaxyvotes.confidence.temperature`).

A minute or two for each on two cores.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import galaxyvotes as gv
from catalogues import LARGER, PACK, Catalogue, without_judged
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.inference.engine import forward, predict_views
from galaxyvotes.metrics.scores import bootstrap_scores
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.batch import Batch
from galaxyvotes.store.splits import assign_splits
from provenance import write

FOLDS = 5
CIGAR = "cigar-shaped-smooth"
TRIED = {
    "kernelridge__alpha": (0.03, 0.1, 0.3, 1.0),
    "kernelridge__gamma": (0.05, 0.1, 0.2, 0.4),
}  # γ times features


def features(network: gv.Network, store: gv.Store) -> np.ndarray:
    """What an encoder makes of each galaxy, mean over its eight sides."""
    sides = views(torch.from_numpy(store.images(np.arange(len(store)))), 8)
    return np.mean([forward(network.folded, Batch(side)).features for side in sides], axis=0)


def of_others(seen: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The fractions of each fold, learned from the others."""
    found = np.zeros_like(labels)
    grid = {
        name: [v / seen.shape[1] if "gamma" in name else v for v in values]
        for name, values in TRIED.items()
    }
    for fold in range(FOLDS):
        ridge = GridSearchCV(
            make_pipeline(StandardScaler(), KernelRidge(kernel="rbf")),
            grid,
            scoring="neg_mean_squared_error",
        )
        centred = TransformedTargetRegressor(ridge, transformer=StandardScaler(with_std=False))
        found[folds == fold] = centred.fit(seen[folds != fold], labels[folds != fold]).predict(
            seen[folds == fold]
        )
    return found.clip(0, 1)


def classes(said: np.ndarray, labels: np.ndarray, cigar: int) -> dict[str, float]:
    """How often the class is right, how surprising it was, and how many cigars were found."""
    right = said.argmax(axis=1) == labels.argmax(axis=1)
    return {
        "right": float(right.mean()),
        "cross_entropy": float(-np.log(said[labels == 1].clip(1e-9)).mean()),
        "cigars": float(right[labels[:, cigar] == 1].mean()),
    }


def surer(looks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each fifth of the galaxies told as surely as the others bear out."""
    fifths = np.random.default_rng(0).permutation(len(labels)) % 5
    told = np.zeros_like(labels)
    for fifth in range(5):
        sure = TemperatureScaling.fit(looks[:, fifths != fifth], labels[fifths != fifth])
        powers = looks[:, fifths == fifth].clip(1e-6) ** sure.factor * np.exp(sure.shifts)
        told[fifths == fifth] = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=0)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="RUN or RUN+RUN, folders in --work")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/folds"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    stores: dict[int, tuple[Catalogue, list[gv.Store]]] = {
        settings.size_px: without_judged(given.data, work, settings)
        for settings, work in ((PACK, given.work), (LARGER, given.work / "larger"))
    }
    judged = stores[PACK.size_px][0].whole
    labels, digests = judged.values, pa.array(judged.pixels)
    turns = [gv.SplitSettings(0.8, 0.0, 0.2, turn=fold / FOLDS) for fold in range(FOLDS)]
    folds = np.array([assign_splits(judged.ids, digests, turn) == "test" for turn in turns]).argmax(
        axis=0
    )
    tuned = given.work / "larger" / "folds.npy"
    seen: dict[str, np.ndarray] = {}
    looks: dict[str, np.ndarray] = {}
    figures: dict[str, object] = {"galaxies": len(labels)}
    for argument in given.runs:
        names = argument.split("+")
        for name in [each for each in names if each not in seen]:
            run = gv.Run.open(given.work / name)
            catalogue, (told, *_) = stores[run.pack.size_px]
            assert catalogue.whole.ids == judged.ids
            network = run.network(tree=told.tree.name, as_trained=True)
            seen[name] = features(network, catalogue.whole)
            eight = replace(network, recipe=network.recipe.changed("model.views=8"))
            looks[name] = predict_views(eight, told, told.rows("validation"))
        wanted, cigar = told.values[told.rows("validation")], told.tree.columns.index(CIGAR)
        answers = of_others(np.concatenate([seen[name] for name in names], axis=1), labels, folds)
        together = np.concatenate([looks[name] for name in names])
        error = bootstrap_scores(labels, answers, judged.tree)["rmse"]
        figures[argument] = found = {
            "rmse": {end: float(getattr(error, end)) for end in ("value", "low", "high")},
            "classes": classes(together.mean(axis=0), wanted, cigar) | {"galaxies": len(wanted)},
            "classes, surer": classes(surer(together, wanted), wanted, cigar),
        }
        if tuned.exists():
            mean = (answers + np.load(tuned).mean(axis=0)) / 2
            found["rmse with the fine-tuned"] = float(np.sqrt(np.square(mean - labels).mean()))
        print(argument, found, flush=True)
    write(given.json, figures)


if __name__ == "__main__":
    main()
