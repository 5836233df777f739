"""Whether galaxies whose representations are near each other have like votes.

    python benchmarks/neighbours.py --json benchmarks/json/neighbours.json

Test galaxies, which the bundled model has never seen, are compared with the other test galaxies. Of
the ten nearest of each: the RMSE of their vote fractions from its own, and the share of them that
has its class. Distances between representations are compared with each other, with those of pixels
and with galaxies drawn at random. And whether galaxies that most volunteers called odd lie far from
all others. Two minutes on two cores, after packing."""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS
from galaxyvotes.inference.engine import compute_rows
from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.runs.run import bundled_run
from galaxyvotes.search.embed import represent
from galaxyvotes.search.neighbours import nearest, unit_vectors
from provenance import write

GALAXIES, NEAREST = 1000, 10
LEAST_SCATTER, LEAST_VARIANCE = 0.01, 1e-3  # of a feature, of a direction; of the largest


def packed(data: Path, work: Path, name: str, sources: tuple[str, str]) -> gv.Store:
    images, table = sources
    if not (work / name).exists():
        gv.pack([*sorted(data.glob(images)), data / table], work / name)
    return gv.Store.open(work / name)


def euclidean(vectors: np.ndarray) -> np.ndarray:
    squares = (vectors**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]


def cosine(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return nearest(vectors, vectors, NEAREST, np.arange(len(vectors))).rows


def whitened(standardised: np.ndarray) -> np.ndarray:
    variances, axes = np.linalg.eigh(np.cov(standardised.T))
    return standardised @ (axes / np.sqrt(np.maximum(variances, LEAST_VARIANCE * variances.max())))


def ways(features: np.ndarray, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The nearest galaxies of each, by each distance."""
    count, side = len(features), images.shape[1]
    random = np.random.default_rng(0)
    others = [np.delete(np.arange(count), row) for row in range(count)]
    yield "random", np.stack([random.choice(rows, NEAREST, replace=False) for rows in others])
    cell = side // 12
    pixels = images[:, : 12 * cell, : 12 * cell].reshape(count, 12, cell, 12, cell, 3)
    yield "pixels, cosine", cosine(pixels.mean(axis=(2, 4)).reshape(count, -1))
    yield "features, Euclidean", euclidean(features)
    yield "features, cosine", cosine(features)
    scatter = features.std(axis=0)
    standardised = features - features.mean(axis=0)
    standardised = standardised / np.maximum(scatter, LEAST_SCATTER * scatter.max())
    yield "standardised, Euclidean", euclidean(standardised)
    yield "standardised, cosine", cosine(standardised)
    axes = np.linalg.svd(standardised, full_matrices=False)[2][:32]
    yield "32 components, cosine", cosine(standardised @ axes.T)
    yield "whitened, Euclidean", euclidean(whitened(standardised))
    yield "whitened, cosine", cosine(whitened(standardised))


def weighted_mean(each: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ each / weights.sum(axis=1)


def weighted_auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    some = [(row[positive].any() and row[~positive].any()) for row in weights]
    return np.array([
        roc_auc_score(positive, scores, sample_weight=row) if enough else np.nan
        for row, enough in zip(weights, some, strict=True)
    ])  # fmt: skip


def interval(statistic: Callable[[np.ndarray], np.ndarray], galaxies: int) -> dict:
    return confidence_intervals({"it": statistic}, galaxies)["it"].measure()


def odd_ones(features: np.ndarray, odd: np.ndarray) -> dict:
    """How well anomaly scores find the galaxies that most volunteers called odd."""
    vectors = features.astype(np.float32)
    near = nearest(vectors, vectors, NEAREST, np.arange(len(vectors)))
    directions, positive = unit_vectors(vectors), odd > 0.5
    forest = IsolationForest(n_estimators=300, random_state=0)
    outliers = LocalOutlierFactor(NEAREST, metric="cosine").fit(features)
    scores = {
        "mean distance": near.distances.mean(axis=1),
        "isolation forest": -forest.fit(directions).score_samples(directions),
        "local outlier factor": -outliers.negative_outlier_factor_,
    }
    results: dict = {"odd": int(positive.sum())}
    for name, score in scores.items():
        highest = np.argsort(-score)[: len(score) // 20]
        auc = interval(partial(weighted_auc, positive, score), len(score))
        results[name] = {"auc": auc, "odd_of_highest_20th": float(positive[highest].mean())}
        print("odd", name, results[name], flush=True)
    return results


def measures(store: gv.Store) -> dict:
    network = bundled_run().network(tree=store.tree.name).folded
    rows = store.rows("test")
    if len(rows) > GALAXIES:
        rows = np.sort(np.random.default_rng(0).choice(rows, GALAXIES, replace=False))
    parts = compute_rows(partial(represent, network), store, rows, progress=True)
    features = np.concatenate([part.representations for part in parts]).astype(np.float64)
    labels = store.values[rows].astype(np.float64)
    results: dict = {"galaxies": len(rows), "features": features.shape[1]}
    if "Class6.1" in store.tree.columns:
        results["odd"] = odd_ones(features, labels[:, store.tree.columns.index("Class6.1")])
    for name, near in ways(features, store.images(rows)):
        if len(store.tree.questions) == 1:
            each = (labels[near].argmax(axis=2) == labels.argmax(axis=1)[:, None]).mean(axis=1)
        else:
            each = np.sqrt(np.square(labels[near] - labels[:, None]).mean(axis=2)).mean(axis=1)
        measured = interval(partial(weighted_mean, each), len(rows))
        results[name] = measured
        print(store.tree.name, name, measured, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/neighbours"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    catalogues = {"fractions": FRACTIONS, "classes": CLASSES}
    results = {
        name: measures(packed(given.data, given.work, name, sources))
        for name, sources in catalogues.items()
    }
    write(given.json, results)


if __name__ == "__main__":
    main()
