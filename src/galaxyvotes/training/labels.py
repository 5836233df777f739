"""What is known of a training galaxy, by whichever stores know it.

One galaxy may have fractions in one store, a class in another and its largest fraction in a third.
Wherever it is drawn, it teaches all of them: an image costs the same with one label or with three.
The same galaxy is one with the same pixels.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32
from torch import Tensor

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.runs.network import Head
from galaxyvotes.store.store import Store
from galaxyvotes.training.heads import Rows, head_of

__all__ = ["KnownLabels", "Labels"]


@dataclass(frozen=True)
class Labels:
    """Labels of some galaxies, a column for every output of the network; see `Batch`."""

    values: Float32[Tensor, "galaxy output"]
    votes: Int32[Tensor, "galaxy output"] | None
    largest: Int32[Tensor, " galaxy"] | None


@dataclass(frozen=True)
class KnownLabels:
    """The labels of the training galaxies of several stores, and those of single stores."""

    stores: tuple[Store, ...]
    heads: tuple[Head, ...]
    train: tuple[Rows, ...]

    def of_store(self, number: int, rows: Rows) -> Labels:
        """What one store knows of these galaxies of its own."""
        store, (start, head) = self.stores[number], self._outputs[number]
        shape = (len(rows), sum(len(head.columns) for head in self.heads))
        indices = [store.tree.columns.index(column) for column in head.columns]
        columns = slice(start, start + len(indices))
        values = np.full(shape, np.nan, np.float32)
        values[:, columns] = store.values[rows][:, indices]
        # A store of quantities needs no votes, and does not prevent another from using its own.
        without = store.votes is None and store.tree.kind is not QUANTITIES
        votes = None if without else np.full(shape, -1, np.int32)
        if votes is not None and store.votes is not None:
            votes[:, columns] = store.votes[rows][:, indices]
        return Labels(
            torch.from_numpy(values),
            None if votes is None else torch.from_numpy(votes),
            self._largest_of(number, rows),
        )

    def of_all(self, number: int, rows: Rows) -> Labels:
        """What all stores know of these training galaxies of one; its own labels come first."""
        labels = self.of_store(number, rows)
        values, votes, largest = labels.values.clone(), labels.votes, labels.largest
        for other, row_of in self._rows_elsewhere[number].items():
            elsewhere = row_of[np.searchsorted(self.train[number], rows)]
            here = torch.from_numpy(np.flatnonzero(elsewhere >= 0))
            if not len(here):
                continue
            more = self.of_store(other, elsewhere[here.numpy()])
            values[here] = torch.where(values[here].isnan(), more.values, values[here])
            if votes is not None and more.votes is not None:
                votes[here] = torch.where(votes[here] < 0, more.votes, votes[here])
            if largest is not None and more.largest is not None:
                largest[here] = torch.where(largest[here] < 0, more.largest, largest[here])
        return Labels(values, votes, largest)

    def _largest_of(self, number: int, rows: Rows) -> Int32[Tensor, " galaxy"] | None:
        """The output whose fraction is the largest, -1 where not known; None if no store says."""
        if all(store.largest is None for store in self.stores):
            return None
        store, (start, head) = self.stores[number], self._outputs[number]
        output_of = np.full(len(store.tree.columns) + 1, -1, np.int32)  # the last one: not known
        for index, column in enumerate(head.columns):
            output_of[store.tree.columns.index(column)] = start + index
        known = np.full(len(rows), -1, np.int32) if store.largest is None else store.largest[rows]
        return torch.from_numpy(output_of[known])

    @cached_property
    def _outputs(self) -> tuple[tuple[int, Head], ...]:
        """The first output of each store's head, and the head."""
        starts = np.cumsum([0, *(len(head.columns) for head in self.heads)]).tolist()
        first = dict(zip((head.tree.name for head in self.heads), starts, strict=False))
        heads = [head_of(self.heads, store) for store in self.stores]
        return tuple((first[head.tree.name], head) for head in heads)

    @cached_property
    def _rows_elsewhere(self) -> tuple[dict[int, Int[np.ndarray, " train"]], ...]:
        """For each store and each other one, the row there of each training galaxy, -1 if none.

        A galaxy that another store has twice is none: its labels there contradict each other.
        """
        if len(self.stores) == 1:
            return ({},)
        rows_of = [
            _rows_by_pixels(store, rows)
            for store, rows in zip(self.stores, self.train, strict=True)
        ]
        return tuple(
            {
                other: np.array([there.get(store.pixels[row], -1) for row in _numbers(rows)])
                for other, there in enumerate(rows_of)
                if other != number
            }
            for number, (store, rows) in enumerate(zip(self.stores, self.train, strict=True))
        )


def _rows_by_pixels(store: Store, rows: Rows) -> dict[bytes, int]:
    numbers = _numbers(rows)
    times = Counter(store.pixels[row] for row in numbers)
    return {store.pixels[row]: row for row in numbers if times[store.pixels[row]] == 1}


def _numbers(rows: Rows) -> list[int]:
    return rows.tolist()
