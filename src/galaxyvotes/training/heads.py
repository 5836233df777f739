"""The heads of a network: one for each tree of the stores, with the columns that it learns.

Each catalogue has its own tree: 37 fractions of a few hundred galaxies, five classes of many,
another campaign's columns. Stores whose trees ask the same questions share a head.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Int

from galaxyvotes.config import TrainSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import QUANTITIES, Standard
from galaxyvotes.metrics.statistic import mean_defined
from galaxyvotes.networks.objectives import objective_for
from galaxyvotes.runs.network import Head
from galaxyvotes.store.store import Store

__all__ = ["Rows", "check_classes", "head_of", "heads_of", "means_of", "standardised"]

Rows = Int[np.ndarray, "_"]  # of any one store


def heads_of(stores: Sequence[Store], settings: TrainSettings) -> tuple[Head, ...]:
    """A head for each tree, in the order of the stores; quantities are not standardised yet.

    Raises ConfigError if two trees of one name or their units differ, if the objective needs whole
    votes and a store has none, if `train.targets` is "majority" and there is none, if
    `train.answers` names an unknown answer, or if no answer is left; DataError if no training
    galaxy of a store has labels.
    """
    heads: list[Head] = []
    for store in stores:
        columns = _chosen_columns(store, settings)
        _check_votes(store, settings.objective, columns)
        _check_majority(store, settings, columns)
        same = next((h for h in heads if h.tree.questions == store.tree.questions), None)
        if same is not None:
            if unlike := same.tree.unlike_unit(store.tree.units):
                raise ConfigError(
                    f"{store.path} and a store before it have different units: {unlike}; pack both"
                    " in one unit"
                )
            continue
        for head in heads:
            if head.tree.name == store.tree.name:
                raise ConfigError(
                    f"{store.path} and a store before it have different trees {store.tree.name!r}:"
                    f" {head.tree.difference_from(store.tree)}"
                )
        heads.append(Head(store.tree, columns))
    return tuple(heads)


def head_of(heads: Sequence[Head], store: Store) -> Head:
    """The head for a store's tree."""
    return next(head for head in heads if head.tree.questions == store.tree.questions)


def standardised(head: Head, stores: Sequence[Store], train: Sequence[Rows]) -> Head:
    """The same head; one of quantities with their mean and standard deviation over the training
    galaxies.

    Raises DataError for a quantity that is constant or never known among them.
    """
    if head.tree.kind is not QUANTITIES:
        return head
    parts = _of_head(head, stores, train)
    standards: list[Standard] = []
    for column in head.columns:
        index = head.tree.columns.index(column)
        values = np.concatenate([store.values[rows, index] for store, rows in parts])
        values = values[~np.isnan(values)].astype(np.float64)
        if len(values) == 0 or np.ptp(values) == 0:
            problem = f"always {values[0]:g}" if len(values) else "never known"
            raise DataError(
                f"{_paths(parts)}: {column} is {problem} among the training galaxies, so there is"
                " nothing to learn: pack more galaxies, or name the others in train.answers"
            )
        standards.append(Standard(float(values.mean()), float(values.std())))
    return replace(head, standards=tuple(standards))


def means_of(
    head: Head, stores: Sequence[Store], train: Sequence[Rows]
) -> Float32[np.ndarray, " answer"]:
    """The mean label of each answer of a head over the training galaxies, in the order of its
    columns; NaN where none is known.
    """
    parts = _of_head(head, stores, train)
    indices = [head.tree.columns.index(column) for column in head.columns]
    values = np.concatenate([store.values[rows][:, indices] for store, rows in parts])
    return mean_defined(values.T).astype(np.float32)


def check_classes(head: Head, stores: Sequence[Store], train: Sequence[Rows]) -> None:
    """DataError if galaxies have a class, but no training galaxy has.

    The network would learn that nothing is of this class.
    """
    if len(head.tree.questions) > 1 or head.tree.kind is QUANTITIES:
        return
    parts = _of_head(head, stores, train)
    for column in head.columns:
        index = head.tree.columns.index(column)
        galaxies = sum(int((store.values[:, index] > 0).sum()) for store, _ in parts)
        if galaxies and not any((store.values[rows, index] > 0).any() for store, rows in parts):
            raise DataError(
                f"{_paths(parts)}: none of the {sum(len(rows) for _, rows in parts)} training"
                f" galaxies is {column!r}, but {galaxies} held out are: pack more of them, try"
                " another `splits=SplitSettings(key=…)`, or name the other classes in train.answers"
            )


def _of_head(
    head: Head, stores: Sequence[Store], train: Sequence[Rows]
) -> list[tuple[Store, Rows]]:
    """The stores of a head's tree, each with its training galaxies."""
    return [
        (store, rows)
        for store, rows in zip(stores, train, strict=True)
        if store.tree.questions == head.tree.questions
    ]


def _paths(parts: Sequence[tuple[Store, Rows]]) -> str:
    return " and ".join(str(store.path) for store, _ in parts)


def _chosen_columns(store: Store, settings: TrainSettings) -> tuple[str, ...]:
    """The answers to learn: those the recipe names, as far as training galaxies give them often
    enough.
    """
    tree, train = store.tree, store.rows("train")
    for column in settings.answers:
        if column not in tree.columns:
            raise ConfigError(
                f"train.answers names {column!r}, which is no answer of tree {tree.name!r}: "
                f"{', '.join(tree.columns)}"
            )
    if not len(train):
        raise _no_votes(store)
    chosen = [column for column in tree.columns if column in (settings.answers or tree.columns)]
    if tree.kind is QUANTITIES:
        return tuple(chosen)
    means: Float32[np.ndarray, " answer"] = mean_defined(store.values[train].T)
    if np.isnan(means).all() and (store.largest is None or store.largest[train].max() < 0):
        raise _no_votes(store)
    least = settings.min_mean_fraction
    kept = [
        column
        for column, mean in zip(tree.columns, means, strict=True)
        if column in chosen and (least == 0 or mean >= least)
    ]
    if not kept:
        raise ConfigError(
            f"no answer has a mean fraction of {least} or more over the training galaxies; the"
            f" largest is {np.nanmax(means):.3f}"
        )
    return tuple(kept)


def _no_votes(store: Store) -> DataError:
    return DataError(f"{store.path} has no galaxy with votes in its training split")


def _check_votes(store: Store, objective: str, columns: tuple[str, ...]) -> None:
    if objective_for(objective, store.tree, columns).uses_votes and store.votes is None:
        raise ConfigError(
            f"objective {objective} learns from whole votes, and {store.path} holds only"
            " fractions: pack a table with counts, or use train.objective=cross_entropy"
        )


def _check_majority(store: Store, settings: TrainSettings, columns: tuple[str, ...]) -> None:
    """Refuse the most voted answers as labels where there are none, or not of all questions."""
    if settings.targets != "majority":
        return
    if store.tree.kind is QUANTITIES:
        problem = f"{store.path} holds quantities, which nobody voted for"
    elif objective_for(settings.objective, store.tree, columns).uses_votes:
        problem = f"objective {settings.objective} learns from whole votes"
    elif columns != store.tree.columns:
        problem = f"it needs all {len(store.tree.columns)} answers of the tree, not {len(columns)}"
    else:
        return
    raise ConfigError(f"train.targets is majority, but {problem}: use train.targets=fractions")
