"""Several stores as one stream of batches, drawn from the seed and the epoch.

Every batch holds galaxies of every store, so that all of them train one encoder. A galaxy of
several is drawn from the first that has it, and has the labels of all; those that nobody knows are
NaN and cost nothing. Of several processes, each reads its share of the same batch.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from galaxyvotes.config import Recipe, TrainSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.batch import Batch, share_of
from galaxyvotes.runs.network import Head
from galaxyvotes.runtime.distributed import count
from galaxyvotes.store.store import Store
from galaxyvotes.training.heads import Rows, check_classes, head_of, heads_of, standardised
from galaxyvotes.training.labels import KnownLabels
from galaxyvotes.training.selection import select

__all__ = ["TrainingBatches", "open_stores", "seed_of"]

Images = UInt8[Tensor, "_ side side 3"] | Float32[Tensor, "_ version feature"]


@dataclass(frozen=True)
class TrainingBatches:
    """Stores to learn from together, the heads for their trees, and the rows of each store that
    train and that validate.

    `left_out` galaxies of their splits do neither, because another store holds them out.
    """

    stores: tuple[Store, ...]
    heads: tuple[Head, ...]
    train: tuple[Rows, ...]
    validation: tuple[Rows, ...]
    left_out: int
    settings: TrainSettings

    @staticmethod
    def of(stores: Sequence[Store], recipe: Recipe) -> "TrainingBatches":
        """All galaxies of these stores that may train or validate.

        Raises ConfigError if the stores and the recipe do not fit together, DataError if a store
        has nothing to learn from; see `heads`, `selection` and `check`.
        """
        _check_packed_alike(stores)
        heads = heads_of(stores, recipe.train)
        train, validation, left_out = select(stores, heads, recipe.train.objective)
        for head in heads:
            check_classes(head, stores, train)
        heads = tuple(standardised(head, stores, train) for head in heads)
        batches = TrainingBatches(tuple(stores), heads, train, validation, left_out, recipe.train)
        batches.check()
        return batches

    def check(self) -> None:
        """ConfigError if a batch is too small for a galaxy of each store, or for one of each
        process.
        """
        size = self.settings.batch_size
        if size < count():
            raise ConfigError(
                f"train.batch_size is {size}, and there are {count()} processes: start fewer"
            )
        drawn = sum(len(rows) > 0 for rows in self.drawn)
        if self.galaxies_per_store[self.largest] < 1:
            raise ConfigError(
                f"train.batch_size is {size}; {drawn} stores want {2 * drawn} or more"
            )

    @cached_property
    def labels(self) -> KnownLabels:
        """What is known of the galaxies."""
        return KnownLabels(self.stores, self.heads, self.train)

    def head_of(self, store: Store) -> Head:
        """The head for a store's tree."""
        return head_of(self.heads, store)

    def seen(self) -> pa.Table:
        """A row for every galaxy that trains or validates: its id, the name of the catalogue's
        column of ids, the digest of its pixels, its split; one row if several stores have it.
        """
        rows: dict[tuple[str, str, bytes, str], None] = {
            (store.ids[row], store.id_name, store.pixels[row], split): None
            for split, parts in (("train", self.train), ("validation", self.validation))
            for store, part in zip(self.stores, parts, strict=True)
            for row in part.tolist()
        }
        columns = [list(column) for column in zip(*rows, strict=True)]
        return pa.table(columns, ["id", "id_name", "pixels", "split"])

    @cached_property
    def drawn(self) -> tuple[Rows, ...]:
        """The training galaxies that are drawn from each store: those that no store before it has.

        They have the labels of all stores, so that to draw them again would only take the place of
        others in a batch.
        """
        if len(self.stores) == 1:
            return self.train
        seen: set[bytes] = set()
        drawn: list[Rows] = []
        for store, rows in zip(self.stores, self.train, strict=True):
            pixels: list[bytes] = [store.pixels[row] for row in rows.tolist()]
            drawn.append(rows[[digest not in seen for digest in pixels]])
            seen.update(pixels)
        return tuple(drawn)

    @property
    def largest(self) -> int:
        """The number of the store from which most galaxies are drawn."""
        return max(range(len(self.stores)), key=lambda number: len(self.drawn[number]))

    @property
    def galaxies_per_store(self) -> tuple[int, ...]:
        """How many galaxies of each store a batch holds.

        They go with the number of galaxies `drawn` from it to the power of `train.balance`: 1 in
        proportion, 0 the same of each. Every store of which any is drawn has one at least; the
        largest has the rest.
        """
        size = self.settings.batch_size
        weights = [len(rows) ** self.settings.balance if len(rows) else 0 for rows in self.drawn]
        galaxies = [
            max(1, round(size * weight / sum(weights))) if weight else 0 for weight in weights
        ]
        galaxies[self.largest] += size - sum(galaxies)
        return tuple(galaxies)

    @property
    def steps(self) -> int:
        """Batches of an epoch, which passes once through the largest store; the others begin
        again.
        """
        return math.ceil(len(self.drawn[self.largest]) / self.galaxies_per_store[self.largest])

    @property
    def galaxies(self) -> int:
        """How many galaxies of all stores an epoch has."""
        return (self.steps - 1) * self.settings.batch_size + self.size_of(self.steps - 1)

    def size_of(self, step: int) -> int:
        """How many galaxies the batch of a step has; only the last one of a single store may have
        fewer.
        """
        size = self.settings.batch_size
        return size if len(self.stores) > 1 else min(size, len(self.train[0]) - step * size)

    def images_on_gpu(self, device: torch.device) -> tuple[Images, ...] | None:
        """All training images of each store in a GPU's memory, if they take less than half of what
        is free there, else None.

        A GPU learns from a batch faster than a processor reads one; a CPU would gain nothing.
        """
        bytes_each = 3 * self.stores[0].size_px ** 2
        if (
            device.type != "cuda"
            or 2 * bytes_each * sum(map(len, self.train)) > torch.cuda.mem_get_info(device)[0]
        ):
            return None
        return self.images_on(device)

    def images_on(self, device: torch.device) -> tuple[Images, ...]:
        """All training images of each store in the memory of a device."""
        copies: list[Images] = []
        for store, rows in zip(self.stores, self.train, strict=True):
            shape = (len(rows), store.size_px, store.size_px, 3)
            images = torch.empty(shape, dtype=torch.uint8, device=device)
            for start in range(0, len(rows), 512):
                part = slice(start, start + 512)
                images[part] = torch.from_numpy(store.images(rows[part]))
            copies.append(images)
        return tuple(copies)

    def batches(
        self, epoch: int, first: int, copies: Sequence[Images] | None = None
    ) -> Iterator[Batch]:
        """This process's share of each batch of an epoch, from step `first` on; the next one is
        read while one is learned from.

        Images come from the stores, or from `copies` of them in a device's memory, where they stay;
        copies may also be features (see `training.frozen`).
        A process without a galaxy of its own has the first one without labels, because networks
        need an image.
        """
        orders = [self._order(number, epoch) for number in range(len(self.stores))]

        def read(step: int) -> Batch:
            parts = [
                order[step * galaxies : (step + 1) * galaxies]
                for order, galaxies in zip(orders, self.galaxies_per_store, strict=True)
            ]
            share = share_of(self.size_of(step))
            batch = Batch.concatenate(
                [
                    self._read(number, rows, copies)
                    for number, rows in enumerate(_within(parts, share.rows))
                ]
            )
            return batch if share.galaxies else _without_labels(batch)

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, first) if first < self.steps else None
            for step in range(first, self.steps):
                assert ahead is not None
                batch = ahead.result()
                if step + 1 < self.steps:
                    ahead = reader.submit(read, step + 1)
                yield batch

    def _read(self, number: int, rows: Rows, copies: Sequence[Images] | None) -> Batch:
        """These galaxies of a store, on the device of the copies if there are some."""
        if copies is None:
            images = torch.from_numpy(self.stores[number].images(rows))
        else:
            copy, sorted_rows = copies[number], self.train[number]
            images = copy[torch.from_numpy(np.searchsorted(sorted_rows, rows)).to(copy.device)]
        labels = self.labels.of_all(number, rows)
        return Batch(images, labels.values, labels.votes, labels.largest).to(images.device)

    def _order(self, number: int, epoch: int) -> Rows:
        """The galaxies of a store in the order of an epoch, again and again until its batches are
        full.
        """
        rows, galaxies = self.drawn[number], self.steps * self.galaxies_per_store[number]
        if not galaxies:
            return rows[:0]
        if len(self.stores) == 1:
            galaxies = len(rows)
        parts: list[Rows] = []
        for repeat in range(math.ceil(galaxies / len(rows))):
            position = (epoch, 0) if number == repeat == 0 else (epoch, 0, number, repeat)
            generator = torch.Generator().manual_seed(seed_of(self.settings.seed, *position))
            parts.append(rows[torch.randperm(len(rows), generator=generator).numpy()])
        return np.concatenate(parts)[:galaxies]


def open_stores(stores: Store | str | Path | Sequence[Store | str | Path]) -> list[Store]:
    """One store or several, by path or open already.

    Raises ConfigError if there is none, DataError if one cannot be read.
    """
    paths = [stores] if isinstance(stores, Store | str | Path) else stores
    if not paths:
        raise ConfigError("there is no store to learn from")
    return [path if isinstance(path, Store) else Store.open(path) for path in paths]


def seed_of(*position: int) -> int:
    """One 63-bit seed from a few numbers, so that no two positions share their random numbers."""
    return int.from_bytes(blake2b(repr(position).encode(), digest_size=8).digest()) >> 1


def _check_packed_alike(stores: Sequence[Store]) -> None:
    pack = stores[0].pack
    for store in stores:
        if store.pack != pack:
            raise ConfigError(
                f"{store.path} holds images of {store.pack}, and {stores[0].path} of {pack}: pack"
                " them alike"
            )


def _within(parts: Sequence[Rows], share: slice) -> Iterator[Rows]:
    """What a share of a batch takes of each store's part of it."""
    start = 0
    for rows in parts:
        yield rows[max(share.start - start, 0) : max(share.stop - start, 0)]
        start += len(rows)


def _without_labels(batch: Batch) -> Batch:
    assert batch.values is not None
    values = torch.full_like(batch.values, torch.nan)
    votes = None if batch.votes is None else torch.full_like(batch.votes, -1)
    largest = None if batch.largest is None else torch.full_like(batch.largest, -1)
    return Batch(batch.images, values, votes, largest)
