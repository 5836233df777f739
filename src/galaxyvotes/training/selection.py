"""Which galaxies train a network, and which validate it.

A galaxy may stand in several stores. A galaxy held out in any of them, for validation or testing,
is never used for training, and a test galaxy never for validation either. The same galaxy is one
with the same pixels, or the same id in catalogues whose column of ids has one name.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from galaxyvotes.errors import DataError
from galaxyvotes.networks.objectives import objective_for
from galaxyvotes.runs.network import Head
from galaxyvotes.store.store import Store
from galaxyvotes.training.heads import Rows, head_of

__all__ = ["Selection", "select"]

Key = bytes | tuple[str, str]  # the digest of pixels, or the name of the column of ids and an id


class Selection(NamedTuple):
    """The rows of each store that train and that validate, and how many were left out because
    another store holds them out.
    """

    train: tuple[Rows, ...]
    validation: tuple[Rows, ...]
    left_out: int


def select(stores: Sequence[Store], heads: Sequence[Head], objective: str) -> Selection:
    """The labelled galaxies of each store that no store holds out.

    Raises DataError for a store that is left without a galaxy for training or for validation.
    """
    held_out = _keys_of(stores, "validation", "test")
    test = _keys_of(stores, "test")
    train, left_out_of_train = _split(stores, heads, objective, "train", held_out)
    validation, left_out = _split(stores, heads, objective, "validation", test)
    return Selection(train, validation, left_out_of_train + left_out)


def _split(
    stores: Sequence[Store], heads: Sequence[Head], objective: str, split: str, excluded: set[Key]
) -> tuple[tuple[Rows, ...], int]:
    """The labelled galaxies of a split of each store that are not excluded, and how many are."""
    parts: list[Rows] = []
    left_out = 0
    for store in stores:
        rows = _labelled(store, split, head_of(heads, store).columns, objective)
        kept = rows[
            np.array([excluded.isdisjoint(_keys(store, row)) for row in rows.tolist()], bool)
        ]
        if not len(kept) and (split == "train" or store.largest is None):
            raise DataError(
                f"{store.path} has no galaxy with {store.tree.kind.label} in its {split} split;"
                " pack more galaxies, or with a larger share for that split"
            )
        left_out += len(rows) - len(kept)
        parts.append(kept)
    return tuple(parts), left_out


def _labelled(store: Store, split: str, columns: tuple[str, ...], objective: str) -> Rows:
    """The galaxies of a split that have a label for the objective."""
    rows = store.rows(split)
    indices = [store.tree.columns.index(column) for column in columns]
    if objective_for(objective, store.tree, columns).uses_votes and store.votes is not None:
        return rows[(store.votes[rows][:, indices] > 0).any(axis=1)]
    # Which fraction is the largest teaches; how right a prediction is, it does not say.
    labelled = ~np.isnan(store.values[rows][:, indices]).all(axis=1)
    return rows[
        labelled
        if store.largest is None or split == "validation"
        else labelled | (store.largest[rows] >= 0)
    ]


def _keys(store: Store, row: int) -> tuple[Key, Key]:
    return store.pixels[row], (store.id_name, store.ids[row])


def _keys_of(stores: Sequence[Store], *splits: str) -> set[Key]:
    return {
        key
        for store in stores
        for split in splits
        for row in store.rows(split).tolist()
        for key in _keys(store, row)
    }
