"""What training and inference pass to a network, and the share of it that a process has."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from jaxtyping import Float32, Int32, UInt8
from torch import Tensor

from galaxyvotes.runtime.distributed import count, rank

__all__ = ["Batch", "Share", "share_of"]


@dataclass(frozen=True)
class Batch:
    """Some galaxies on one device: images as packed, or what a frozen encoder made of versions of
    them; and what is known of them.

    `values` are joint fractions (0–1) or quantities, one column an output of the network, NaN where
    not known. `votes` are whole counts, -1 where not known. `largest` is the output whose fraction
    is known to be the largest of its tree, -1 where not known. Each is None where nobody asks for
    it: at inference, votes where a store has only fractions, and the largest where no store says.
    """

    images: UInt8[Tensor, "galaxy side side 3"] | Float32[Tensor, "galaxy version feature"]
    values: Float32[Tensor, "galaxy output"] | None = None
    votes: Int32[Tensor, "galaxy output"] | None = None
    largest: Int32[Tensor, " galaxy"] | None = None

    def __len__(self) -> int:
        """The number of galaxies."""
        return len(self.images)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        values, votes, largest = (
            None if each is None else each.to(device)
            for each in (self.values, self.votes, self.largest)
        )
        return Batch(self.images.to(device), values, votes, largest)

    def part(self, rows: slice) -> "Batch":
        """These galaxies of it."""
        values, votes, largest = (
            None if each is None else each[rows] for each in (self.values, self.votes, self.largest)
        )
        return Batch(self.images[rows], values, votes, largest)

    @staticmethod
    def concatenate(parts: Sequence["Batch"]) -> "Batch":
        """The galaxies of all parts, in order; labels of a kind only if every part has them."""
        kinds = zip(*[(part.values, part.votes, part.largest) for part in parts], strict=True)
        labels = [
            None if any(part is None for part in kind) else torch.cat(cast("list[Tensor]", kind))
            for kind in kinds
        ]
        return Batch(torch.cat([part.images for part in parts]), *labels)


class Share(NamedTuple):
    """The galaxies `start` to `stop`, of a batch of `of`, that one of several processes has; none
    if there are fewer galaxies than processes.
    """

    start: int
    stop: int
    of: int

    @property
    def own(self) -> slice:
        """The galaxies of this process."""
        return slice(self.start, self.stop)

    @property
    def galaxies(self) -> int:
        """How many they are."""
        return self.stop - self.start

    @property
    def rows(self) -> slice:
        """The galaxies that it passes through a network: its own or, if there are none, the
        first.
        """
        return self.own if self.galaxies else slice(0, 1)

    def parts(self, most: int) -> tuple["Share", ...]:
        """It in parts of `most` galaxies or fewer, as many as the largest share of a process has;
        as it is if `most` is 0. With two or more, no part is empty.
        """
        largest = math.ceil(self.of / count())
        number = max(1, math.ceil(largest / most)) if most else 1
        ends = [self.start + self.galaxies * part // number for part in range(number + 1)]
        return tuple(Share(*pair, self.of) for pair in pairwise(ends))


def share_of(galaxies: int) -> Share:
    """This process's share of so many galaxies; shares differ by one at most."""
    start, stop = (galaxies * number // count() for number in (rank(), rank() + 1))
    return Share(start, stop, galaxies)
