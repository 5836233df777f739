"""How many labels each way of choosing galaxies needs for the same accuracy.

    python benchmarks/active_learning.py --json benchmarks/json/active_learning.json

Five classes, from features of a network that was trained on other galaxies' vote fractions and has
never seen these (`frozen`). Only its last layer is fitted, anew after every --step labels: a
logistic regression on the mean over eight views. It begins with --first random labels, and galaxies
are chosen from a pool until --most are labelled:

- `random`
- `uncertainty`: the entropy of the prediction
- `BALD, views`: over eight views of each galaxy, as `choose --by bald` does for one network
- `BALD, ensemble`: over eight views by five layers, each fitted on a bootstrap sample of the
  labels, as `choose --by bald` does for an ensemble

Pool and test galaxies are drawn anew for each of --seeds. Labels needed: the first number of labels
from which on the accuracy, the mean over three fits in a row, reaches a target; --most if never,
which is then too few. Five minutes on one core, after the features."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import galaxyvotes as gv
from frozen import frozen_features, knows_fractions
from galaxyvotes.metrics.information import entropy, information
from provenance import spread, write

POOL, TEST, MEMBERS = 8000, 4000, 5
TARGETS = (0.90, 0.91, 0.92, 0.93)
CLASSES = gv.DecisionTree.load("classes5")


class Layer:
    """A last layer that predicts all classes, also those without a label so far."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.classes = np.unique(labels)
        self.model = LogisticRegression(C=1.0, max_iter=200, tol=1e-3)
        if len(self.classes) > 1:
            self.model.fit(features, labels)

    def fractions(self, features: np.ndarray) -> np.ndarray:
        predicted = np.zeros((len(features), 5))
        known = self.model.predict_proba(features) if len(self.classes) > 1 else 1.0
        predicted[:, self.classes] = known
        return predicted


def scores(
    way: str, layer: Layer, views: np.ndarray, train: tuple[np.ndarray, np.ndarray], random
) -> np.ndarray:
    """How soon to label each galaxy; `views` are their features of each view."""
    if way == "random":
        return random.random(views.shape[1])
    if way == "uncertainty":
        return entropy(CLASSES, layer.fractions(views.mean(axis=0)), CLASSES.columns)
    layers = [layer]
    if way == "BALD, ensemble":
        drawn = [random.integers(len(train[1]), size=len(train[1])) for _ in range(MEMBERS)]
        layers = [Layer(train[0][rows], train[1][rows]) for rows in drawn]
    each = np.stack([one.fractions(view) for one in layers for view in views])
    return information(CLASSES, each, CLASSES.columns)


def curve(
    way: str, seed: int, pool: np.ndarray, labels: np.ndarray, judged: Callable, given
) -> list[float]:
    """The accuracy after each step; `pool` has the features of each view."""
    random = np.random.default_rng(seed)
    labelled = random.choice(pool.shape[1], given.first, replace=False)
    middle, accuracies = pool.mean(axis=0), list[float]()
    while True:
        train = middle[labelled], labels[labelled]
        layer = Layer(*train)
        accuracies.append(judged(layer))
        if len(labelled) >= given.most:
            return accuracies
        left = np.setdiff1d(np.arange(pool.shape[1]), labelled)
        soon = scores(way, layer, pool[:, left], train, random)
        labelled = np.append(labelled, left[np.argsort(-soon, kind="stable")[: given.step]])


def needed(accuracies: list[float], target: float, given) -> int:
    """The number of labels from which on the accuracy is reached."""
    padded = np.array([*accuracies, accuracies[-1], accuracies[-1]])
    smooth = np.mean([padded[:-2], padded[1:-1], padded[2:]], axis=0)
    reached = np.flatnonzero(smooth >= target)
    return given.first + given.step * int(reached[0]) if len(reached) else given.most


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/frozen"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--step", type=int, default=20)
    parser.add_argument("--most", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    run = knows_fractions(given.data, given.work)
    store, rows, by_view = frozen_features(run, given.data, given.work, "classes")
    labels, ways = (
        store.values[rows].argmax(axis=1),
        ("random", "uncertainty", "BALD, views", "BALD, ensemble"),
    )
    scatter = by_view.mean(axis=0).std(axis=0)
    by_view = by_view / max(scatter.mean(), 1e-6)
    curves: dict[str, list[list[float]]] = {way: [] for way in ways}
    ceilings = []
    for seed in range(given.seeds):
        drawn = np.random.default_rng(1000 + seed).permutation(len(rows))[: POOL + TEST]
        pool, test = drawn[:POOL], drawn[POOL:]
        features, truth = by_view[:, test].mean(axis=0), labels[test]

        def judged(layer: Layer, features=features, truth=truth) -> float:
            return float((layer.fractions(features).argmax(axis=1) == truth).mean())

        ceilings.append(judged(Layer(by_view[:, pool].mean(axis=0), labels[pool])))
        for way in ways:
            curves[way].append(curve(way, seed, by_view[:, pool], labels[pool], judged, given))
        print(
            seed,
            ceilings[-1],
            {
                way: [round(each[-1][at], 3) for at in (0, 4, 9, 14, 29) if at < len(each[-1])]
                for way, each in curves.items()
            },
            flush=True,
        )
    results: dict = {"all labels of the pool": spread(ceilings)}
    for way in ways:
        results[way] = {"accuracy": {}, "labels": {}, "÷ random": {}}
        for step, values in enumerate(zip(*curves[way], strict=True)):
            results[way]["accuracy"][given.first + given.step * step] = spread([*values])
        for target in TARGETS:
            own = [needed(one, target, given) for one in curves[way]]
            plain = [needed(one, target, given) for one in curves["random"]]
            ratios = [a / b for a, b in zip(own, plain, strict=True)]
            results[way]["labels"][target] = spread(list(map(float, own))) | {
                "never": sum(count >= given.most for count in own)
            }
            results[way]["÷ random"][target] = spread(ratios)
            print(way, target, results[way]["labels"][target], results[way]["÷ random"][target])
    write(given.json, {"pool": POOL, "test": TEST, "seeds": given.seeds, **results})


if __name__ == "__main__":
    main()
