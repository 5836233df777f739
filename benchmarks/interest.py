"""How many galaxies of a rare kind a person finds who gives stars, beside other ways to look.

    python benchmarks/interest.py --json benchmarks/json/interest.json

3,809 galaxies of the challenge, a random sample of it, of which the votes on odd features are known
and which the network has never seen (`frozen`). For each of --seeds, 3,000 are drawn. Somebody who
wants one kind only (a fraction of volunteers above a threshold: 5 stars, otherwise 0) looks at
galaxies in the order of the list, ten at a time, and the list is made anew after each ten. How many
of the kind are among the first 50 and 100 looked at? Orders:

- `odd`: by the anomaly score, without stars
- `stars`: as `odd --stars` does
- `Astronomaly`: its formula (alpha = 1) on the same anomaly score, with a random forest
- `forest`: as `stars`, with a random forest in the place of ridge regression
- `regression alone`: by the stars expected, without the anomaly score
- `network`: by the fraction of this kind that the network predicts, which was trained on 5,500
  galaxies' votes
- `Class6.1`: by the predicted fraction of odd galaxies, and `random`

Six minutes on one core, after the features."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestRegressor

import galaxyvotes as gv
from frozen import frozen_features, knows_fractions
from galaxyvotes.search.interest import expected_stars, interest
from galaxyvotes.search.neighbours import nearest, unit_vectors
from provenance import spread, write

KINDS = {
    "ring": ("Class8.1", 0.3),
    "merger": ("Class8.6", 0.3),
    "disturbed": ("Class8.3", 0.2),
    "irregular": ("Class8.4", 0.3),
    "lens or arc": ("Class8.2", 0.1),
    "odd": ("Class6.1", 0.5),
}
DRAWN, TOGETHER, LOOKED_AT = 3000, 10, (20, 50, 100)
Order = Callable[[np.ndarray, np.ndarray], np.ndarray]


def forest(features: np.ndarray, rows: np.ndarray, stars: np.ndarray, seed: int) -> np.ndarray:
    model = RandomForestRegressor(100, random_state=seed)
    return model.fit(features[rows], stars).predict(features)


def orders(features: np.ndarray, oddness: np.ndarray, seed: int) -> dict[str, Order]:
    """The scores of all galaxies, from the rows looked at and their stars."""
    directions = unit_vectors(features)
    share = np.argsort(np.argsort(oddness)) / len(oddness)

    def astronomaly(rows: np.ndarray, stars: np.ndarray) -> np.ndarray:
        cosines = np.minimum(directions @ directions[rows].T, 1)
        apart = np.sqrt(2 - 2 * cosines.max(axis=1))
        expected = 0.1 + 0.85 * forest(directions, rows, stars, seed) / 5
        return oddness * np.tanh(np.exp(apart / apart.mean()) - 1 + np.arctanh(expected))

    return {
        "odd": lambda _rows, _stars: oddness,
        "stars": lambda rows, stars: interest(features, oddness, rows, stars),
        "Astronomaly": astronomaly,
        "forest": lambda rows, stars: share * (0.1 + 0.17 * forest(directions, rows, stars, seed)),
        "regression alone": lambda rows, stars: expected_stars(features, rows, stars),
    }


def found(wanted: np.ndarray, first: np.ndarray, order: Order) -> list[int]:
    """How many are wanted of the first galaxies looked at; the first ten are the oddest."""
    looked, scores = list[int](), first
    while len(looked) < max(LOOKED_AT):
        left = np.setdiff1d(np.arange(len(wanted)), looked)
        looked += left[np.argsort(-scores[left], kind="stable")[:TOGETHER]].tolist()
        rows = np.array(looked)
        scores = order(rows, 5.0 * wanted[rows])
    return [int(wanted[looked[:count]].sum()) for count in LOOKED_AT]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/frozen"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = knows_fractions(given.data, given.work)
    store, rows, by_view = frozen_features(run, given.data, given.work, "in_part")
    features, labels = by_view.mean(axis=0), store.values[rows]
    predicted = gv.predict_store(run.network(), store, rows).values
    answers = list(store.tree.columns)
    known = {name: predicted[:, list(run.network().columns).index(name)] for name in answers}
    counts: dict[str, dict[str, list[list[int]]]] = {kind: {} for kind in KINDS}
    for seed in range(given.seeds):
        drawn = np.sort(np.random.default_rng(seed).choice(len(rows), DRAWN, replace=False))
        some = features[drawn]
        oddness = nearest(some, some, 10, np.arange(DRAWN)).distances.mean(axis=1)
        ways = orders(some, oddness, seed)
        for kind, (column, threshold) in KINDS.items():
            wanted = labels[drawn, answers.index(column)] > threshold
            each = {name: found(wanted, oddness, order) for name, order in ways.items()}
            for name, answer in (("network", column), ("Class6.1", "Class6.1")):
                best = np.argsort(-known[answer][drawn], kind="stable")
                each[name] = [int(wanted[best[:count]].sum()) for count in LOOKED_AT]
            each["random"] = [wanted.mean() * count for count in LOOKED_AT]
            each["of"] = [int(wanted.sum())] * len(LOOKED_AT)
            for name, numbers in each.items():
                counts[kind].setdefault(name, []).append(numbers)
        print("seed", seed, flush=True)
    results = {
        kind: {
            name: {
                str(count): spread(list(map(float, column)))
                for count, column in zip(LOOKED_AT, zip(*numbers, strict=True), strict=True)
            }
            for name, numbers in each.items()
        }
        for kind, each in counts.items()
    }
    for kind, each in results.items():
        for name, by_count in each.items():
            words = [f"{one['mean']:.1f} ± {one['deviation']:.1f}" for one in by_count.values()]
            print(f"{kind:12} {name:18}", *words, sep="  ")
    write(given.json, {"drawn": DRAWN, "looked_at": LOOKED_AT, "seeds": given.seeds, **results})


if __name__ == "__main__":
    main()
