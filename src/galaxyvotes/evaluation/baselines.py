"""Baselines: predictions without a network, which a network has to beat.

Each is fitted to the training split of a store alone and predicts any of its rows.

Central pixel is the challenge's own benchmark: the mean colour of the 10 × 10 central pixels,
divided by its intensity (the mean of red, green and blue) and rounded down, channel by channel;
galaxies of the same three whole numbers are a cluster and are predicted its mean votes. So a
cluster is which channels are above the mean, and which above twice the mean; 200 official test
images all fall in the clusters of Kaggle's published submission. Two things are ours: a colour that
no training galaxy has gets the mean vote (Kaggle: zeros), and pixels are those of the store, which
are Kaggle's if it was cropped but not scaled.

All but the zeros do the same for quantities, and for classes, whose boosted trees are a classifier.

Boosted trees stand for the classical approach: gradient-boosted regression trees, one ensemble an
answer, on the features of `galaxyvotes.evaluation.features`.

Sources: central pixel: J. Noah-Vanhoucke, CentralPixelBenchmark.go (Kaggle, 2013). Boosting:
Friedman 2001, Annals of Statistics 29, 1189, in scikit-learn's histogram version (Ke et al. 2017,
NIPS).
"""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.evaluation.features import image_features
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.predictions import Predictions
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.progress import counting
from galaxyvotes.runtime.threads import in_order
from galaxyvotes.tree import DecisionTree

__all__ = [
    "BASELINES",
    "Baseline",
    "Galaxies",
    "all_zeros",
    "boosted_classes",
    "boosted_trees",
    "central_pixel",
    "mean_vote",
]

CENTRE_PX = 10

_BOOSTING: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 16,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "max_features": 0.2,
    "early_stopping": False,
}

_AT_ONCE = 1024


@runtime_checkable
class Galaxies(Protocol):
    """What a baseline needs: a `Store`, or anything with these."""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Each galaxy's id."""
        ...

    @cached_property
    def tree(self) -> DecisionTree:
        """The decision tree of the votes."""
        ...

    @cached_property
    def values(self) -> Float32[np.ndarray, "galaxy answer"]:
        """Joint fractions in the order of the tree's columns, NaN where not known."""
        ...

    def rows(self, split: str, /) -> Int[np.ndarray, " row"]:
        """The rows of a split."""
        ...

    def images(self, rows: Int[np.ndarray, " row"], /) -> UInt8[np.ndarray, "row side side 3"]:
        """The images of these rows."""
        ...


class Baseline(Protocol):
    """Predictions for rows of a store.

    `columns` are the answers to predict, all of the tree's unless given; `seed` is of whatever is
    random; `progress` shows on a terminal how far those are that take a while.
    """

    def __call__(
        self,
        store: Galaxies,
        rows: Int[np.ndarray, " row"],
        *,
        columns: Sequence[str] | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Predictions:
        """Fit to the training split, predict the rows.

        Raises:
            ConfigError: A column is no answer of the tree.
            DataError: No training galaxy has a known label of an answer.
        """
        ...


def all_zeros(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,  # noqa: ARG001 - nothing is random
    progress: bool = False,  # noqa: ARG001 - done in a moment
) -> Predictions:
    """Zero for every answer: the challenge's first benchmark. Most fractions are near it.

    Raises ConfigError for a column that is no answer of the store's tree.
    """
    names, _ = _answers(store, columns)
    return _predictions(store, rows, names, np.zeros((len(rows), len(names))))


def mean_vote(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,  # noqa: ARG001 - nothing is random
    progress: bool = False,  # noqa: ARG001 - done in a moment
) -> Predictions:
    """For every galaxy the mean label of the training galaxies: the best constant.

    Raises ConfigError for a column that is no answer of the store's tree, DataError for an answer
    that is not known for any training galaxy.
    """
    names, _, fractions = _training(store, columns)
    return _predictions(
        store, rows, names, np.tile(np.nanmean(fractions, axis=0, dtype=np.float64), (len(rows), 1))
    )


def central_pixel(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,  # noqa: ARG001 - nothing is random
    progress: bool = False,  # noqa: ARG001 - done in a moment
) -> Predictions:
    """The mean fractions of the training galaxies whose centre has the same colour, very coarsely.

    The mean vote where no training galaxy of that colour has the answer. Raises ConfigError and
    DataError as `mean_vote`.
    """
    names, training, fractions = _training(store, columns)
    colours = _of_images(central_colour, store, np.concatenate([training, rows]))
    clusters, cluster = np.unique(colours, axis=0, return_inverse=True)
    member = cluster.ravel()[: len(training)] == np.arange(len(clusters))[:, None]
    known = ~np.isnan(fractions)
    votes = np.where(known, fractions, 0)
    counts: np.ndarray = member.astype(np.float64) @ known
    means = np.divide(
        member.astype(np.float64) @ votes, counts, out=np.zeros(counts.shape), where=counts > 0
    )
    means = np.where(counts > 0, means, np.nanmean(fractions, axis=0, dtype=np.float64))
    return _predictions(store, rows, names, means[cluster.ravel()[len(training) :]])


def boosted_trees(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Predictions:
    """Gradient-boosted regression trees on the features of the images, one ensemble an answer.

    A hundred small trees (16 leaves of 20 galaxies or more, a fifth of the features tried at each
    split), the same for 700 galaxies as for 50,000: nothing is tuned. A galaxy whose fraction is
    not known is left out for that answer; an answer that never varies is predicted as it is. The
    same seed gives the same predictions on any number of cores: answers are shared out among them,
    each ensemble grows on one. Raises ConfigError and DataError as `mean_vote`.
    """
    names, training, fractions = _training(store, columns)
    of_training, of_rows = _features(store, (training, rows), progress=progress)

    def predicted(votes: Float32[np.ndarray, " galaxy"]) -> Float[np.ndarray, " row"]:
        known = ~np.isnan(votes)
        if not len(of_rows) or np.ptp(votes[known]) == 0:
            return np.full(len(of_rows), votes[known][0])
        trees: Any = HistGradientBoostingRegressor(**_BOOSTING, random_state=seed)
        with threadpool_limits(1, user_api="openmp"):
            return trees.fit(of_training[known], votes[known]).predict(of_rows)

    answers: list[Float[np.ndarray, " row"]] = []
    with counting("fitting boosted trees", len(names), show=progress) as shown:
        for _, values in in_order(predicted, list(fractions.T), os.cpu_count() or 1):
            answers.append(values)
            shown(len(answers), len(names))
    values = np.reshape(answers, (len(names), len(rows))).T
    bounded = np.clip(values, 0, 1) if store.tree.kind.bounded else values
    return _predictions(store, rows, names, bounded)


def boosted_classes(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Predictions:
    """Gradient-boosted classification trees, otherwise as `boosted_trees`: probabilities of the
    classes.

    A class without training galaxies has the probability 0. Raises ConfigError and DataError as
    `mean_vote`.
    """
    names, training, fractions = _training(store, columns)
    known = np.nan_to_num(fractions).max(axis=1) > 0
    own = fractions[known].argmax(axis=1)
    values = np.zeros((len(rows), len(names)))
    if len(rows) and len(np.unique(own)) > 1:
        of_training, of_rows = _features(store, (training[known], rows), progress=progress)
        trees: Any = HistGradientBoostingClassifier(**_BOOSTING, random_state=seed)
        with (
            counting("fitting boosted trees", 1, show=progress),
            threadpool_limits(1, user_api="openmp"),
        ):
            values[:, np.unique(own)] = trees.fit(of_training, own).predict_proba(of_rows)
    else:
        values[:, own[:1]] = 1
    return _predictions(store, rows, names, values)


BASELINES: dict[Kind, dict[str, Baseline]] = {
    FRACTIONS: {
        "all zeros": all_zeros,
        "mean vote": mean_vote,
        "central pixel": central_pixel,
        "boosted trees": boosted_trees,
    },
    CLASSES: {
        "class frequencies": mean_vote,
        "central pixel": central_pixel,
        "boosted trees": boosted_classes,
    },
    QUANTITIES: {
        "mean": mean_vote,
        "central pixel": central_pixel,
        "boosted trees": boosted_trees,
    },
}


def central_colour(images: UInt8[np.ndarray, "galaxy side side 3"]) -> Int[np.ndarray, "galaxy 3"]:
    """Red, green and blue of the central pixels over their mean, rounded down; zeros where they are
    black.
    """
    half, reach = images.shape[1] // 2, CENTRE_PX // 2
    centre = images[:, max(half - reach, 0) : half + reach, max(half - reach, 0) : half + reach]
    colours = centre.sum(axis=(1, 2), dtype=np.int64)
    return 3 * colours // np.maximum(colours.sum(axis=1, keepdims=True), 1)


def _training(
    store: Galaxies, columns: Sequence[str] | None
) -> tuple[tuple[str, ...], Int[np.ndarray, " row"], Float32[np.ndarray, "row answer"]]:
    """Answers to predict, the training rows, and their labels.

    Raises:
        DataError: No training galaxy has a known label of an answer.
    """
    names, places = _answers(store, columns)
    rows = store.rows("train")
    fractions = store.values[rows][:, places]
    unknown = [
        name for name, column in zip(names, fractions.T, strict=True) if np.isnan(column).all()
    ]
    if unknown:
        raise DataError(
            f"none of {counted(len(rows), 'training galaxy')} has a known fraction of"
            f" {', '.join(unknown[:5])}: pack more galaxies, or leave these answers out"
        )
    return names, rows, fractions


def _answers(store: Galaxies, columns: Sequence[str] | None) -> tuple[tuple[str, ...], list[int]]:
    """The answers to predict, and their places among the tree's."""
    held = store.tree.columns
    names = held if columns is None else tuple(columns)
    wrong = [name for name in names if name not in held]
    if wrong:
        raise ConfigError(
            f"tree {store.tree.name!r} has no answer {wrong[0]!r}; its answers are"
            f" {', '.join(held)}"
        )
    return names, [held.index(name) for name in names]


def _predictions(
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
    names: tuple[str, ...],
    fractions: Float[np.ndarray, "row answer"],
) -> Predictions:
    ids = store.ids
    return Predictions(tuple(ids[int(row)] for row in rows), names, fractions.astype(np.float32))


def _features(
    store: Galaxies, parts: Sequence[Int[np.ndarray, " _"]], *, progress: bool
) -> list[Float32[np.ndarray, "_ feature"]]:
    """The features of the images of some parts of the rows."""
    total, done = sum(map(len, parts)), 0
    with counting("measuring images", total, show=progress) as shown:

        def measured(images: UInt8[np.ndarray, "row side side 3"]) -> np.ndarray:
            nonlocal done
            features = image_features(images)
            done += len(images)
            shown(done, total)
            return features

        return [_of_images(measured, store, part) for part in parts]


def _of_images(
    measure: Callable[[UInt8[np.ndarray, "row side side 3"]], np.ndarray],
    store: Galaxies,
    rows: Int[np.ndarray, " row"],
) -> np.ndarray:
    """The measure of the images of these rows, some of them in memory at a time."""
    starts = range(0, max(len(rows), 1), _AT_ONCE)
    return np.concatenate(
        [measure(store.images(rows[start : start + _AT_ONCE])) for start in starts]
    )
