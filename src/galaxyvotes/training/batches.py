"""Several stores as one stream of batches: which galaxies teach, with which votes, in what order.

Each catalogue speaks its own tree: 37 fractions of a few hundred galaxies, five classes of many,
another campaign's columns. A network has one head a tree, and every batch holds galaxies of every
store, so all of them teach one encoder. An answer that a store does not know is NaN and costs
nothing.

A galaxy may stand in several stores. Whichever of them keeps it for validation or testing keeps it
from all of them: it teaches nobody, and a test galaxy tunes nobody either. The same galaxy is one
with the same pixels, or the same id in a catalogue that calls its ids alike.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int, Int32, UInt8
from torch import Tensor

from galaxyvotes.config import Recipe, TrainSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.metrics.bootstrap import mean_defined
from galaxyvotes.networks.objectives import Objective, Standard
from galaxyvotes.runs.network import Head
from galaxyvotes.runtime.distributed import count, share_of
from galaxyvotes.store.store import Store

__all__ = ["Answers", "TrainingBatches", "open_stores", "seed_of"]

Images = UInt8[Tensor, "_ side side 3"]
Held = tuple[Images, ...]  # of each store
Rows = Int[np.ndarray, "_"]  # of any one store


@dataclass(frozen=True)
class Answers:
    """What is known of some galaxies, a column an output: joint fractions or quantities (NaN where
    not known) and, if every store of votes has them, whole votes (-1 where not known).
    """

    values: Float32[np.ndarray, "galaxy output"]
    votes: Int32[np.ndarray, "galaxy output"] | None

    @staticmethod
    def together(parts: Sequence["Answers"]) -> "Answers":
        """The galaxies of all parts, in their order."""
        votes = [part.votes for part in parts if part.votes is not None]
        whole = np.concatenate(votes) if len(votes) == len(parts) else None
        return Answers(np.concatenate([part.values for part in parts]), whole)


@dataclass(frozen=True)
class TrainingBatches:
    """Stores to learn from together, the heads they speak to, and each store's galaxies that teach
    and that tune.
    """

    stores: tuple[Store, ...]
    heads: tuple[Head, ...]
    train: tuple[Rows, ...]
    validation: tuple[Rows, ...]
    left_out: int
    settings: TrainSettings

    @staticmethod
    def of(stores: Sequence[Store], recipe: Recipe) -> "TrainingBatches":
        """All galaxies of these stores that may teach or tune; DataError where nothing can be
        learned from a store.
        """
        stores = tuple(stores)
        _refuse_unlike(stores)
        heads: list[Head] = []
        for store in stores:
            columns = _chosen_columns(store, recipe.train)
            if (
                Objective(recipe.train.objective, store.tree, columns).wants_votes
                and store.votes is None
            ):
                raise ConfigError(
                    f"objective {recipe.train.objective} learns from whole votes, and {store.path}"
                    " holds only fractions: pack a table with counts, or use"
                    " train.objective=cross_entropy"
                )
            known = next(
                (head for head in heads if head.tree.questions == store.tree.questions), None
            )
            if known is None and any(head.tree.name == store.tree.name for head in heads):
                same = next(head.tree for head in heads if head.tree.name == store.tree.name)
                raise ConfigError(
                    f"{store.path} and a store before it have different trees {store.tree.name!r}:"
                    f" {same.unlike(store.tree)}"
                )
            if known is None:
                heads.append(Head(store.tree, columns))
        held, tested = (_names(stores, splits) for splits in (("validation", "test"), ("test",)))
        parts: dict[str, list[Rows]] = {"train": [], "validation": []}
        left_out = 0
        for store in stores:
            said = "a known value" if store.tree.of_quantities else "votes"
            for split, kept_apart in (("train", held), ("validation", tested)):
                rows = _labelled(
                    store, split, _head_of(heads, store).columns, recipe.train.objective
                )
                apart = np.array(
                    [bool(_keys(store, row) & kept_apart) for row in rows.tolist()], bool
                )
                left_out += int(apart.sum())
                parts[split].append(rows[~apart])
                if not (~apart).any():
                    raise DataError(
                        f"{store.path} has no galaxy with {said} in its {split} split; pack more"
                        " galaxies"
                    )
        for head in heads:
            _refuse_unmet(head, stores, parts["train"])
        heads = [_standardised(head, stores, parts["train"]) for head in heads]
        return TrainingBatches(
            stores,
            tuple(heads),
            tuple(parts["train"]),
            tuple(parts["validation"]),
            left_out,
            recipe.train,
        )

    def head_of(self, store: Store) -> Head:
        """The head that a store speaks to."""
        return _head_of(self.heads, store)

    def seen(self) -> pa.Table:
        """Every galaxy that teaches or tunes: its id, what its catalogue calls ids, the digest of
        its pixels, split.
        """
        rows: list[dict[str, str | bytes]] = [
            {
                "id": store.ids[row],
                "id_name": store.id_name,
                "pixels": store.pixels[row],
                "split": split,
            }
            for split, parts in (("train", self.train), ("validation", self.validation))
            for store, part in zip(self.stores, parts, strict=True)
            for row in part.tolist()
        ]
        return pa.Table.from_pylist(rows)

    @property
    def quotas(self) -> tuple[int, ...]:
        """How many galaxies of each store stand in a batch.

        Shares go with the number of training galaxies to the power of `balance`: 1 as they come, 0
        the same of each.
        """
        if self.settings.batch_size < count():
            raise ConfigError(
                f"train.batch_size is {self.settings.batch_size}, and there are {count()}"
                " processes: start fewer"
            )
        weights = [len(rows) ** self.settings.balance for rows in self.train]
        shares = [
            max(1, round(self.settings.batch_size * weight / sum(weights))) for weight in weights
        ]
        largest = max(range(len(shares)), key=lambda place: (len(self.train[place]), -place))
        shares[largest] = self.settings.batch_size - (sum(shares) - shares[largest])
        if shares[largest] < 1:
            raise ConfigError(
                f"train.batch_size is {self.settings.batch_size}; {len(shares)} stores want"
                f" {2 * len(shares)} or more"
            )
        return tuple(shares)

    @property
    def steps(self) -> int:
        """Batches of an epoch, which goes once through the store that needs most of them; the
        others begin again.
        """
        if len(self.stores) == 1:
            return math.ceil(len(self.train[0]) / self.settings.batch_size)
        largest = max(range(len(self.train)), key=lambda place: len(self.train[place]))
        return math.ceil(len(self.train[largest]) / self.quotas[largest])

    def galaxies(self, step: int) -> int:
        """How many galaxies the batch of a step has; only the last one of a single store may be
        smaller.
        """
        size = self.settings.batch_size
        return size if len(self.stores) > 1 else min(size, len(self.train[0]) - step * size)

    def held(self, device: torch.device) -> Held | None:
        """All images that teach, in a GPU's own memory if they take less than half of what is free
        there, else None.

        A GPU learns from a batch sooner than a processor reads one; a CPU would have nothing from a
        second copy.
        """
        galaxy = 3 * self.stores[0].size_px ** 2
        if (
            device.type != "cuda"
            or 2 * galaxy * sum(map(len, self.train)) > torch.cuda.mem_get_info(device)[0]
        ):
            return None
        return self.copied(device)

    def copied(self, device: torch.device) -> Held:
        """The images that teach, of each store, in the memory of a device."""
        held: list[Tensor] = []
        for store, rows in zip(self.stores, self.train, strict=True):
            held.append(
                torch.empty(
                    len(rows), store.size_px, store.size_px, 3, dtype=torch.uint8, device=device
                )
            )
            for start in range(0, len(rows), 512):
                held[-1][start : start + 512] = torch.from_numpy(
                    store.images(rows[start : start + 512])
                )
        return tuple(held)

    def batches(
        self, epoch: int, first: int, held: Held | None = None
    ) -> Iterator[tuple[Images, Answers]]:
        """Batches of an epoch from step `first` on; the next one is read while one is being learned
        from.

        Images come from the stores, or from what is held in a device's memory and stay there. Of
        several processes each reads its own share, which may be empty; see `processes`.
        """
        orders = [self._order(place, epoch) for place in range(len(self.stores))]

        def images(place: int, rows: Rows) -> Images:
            if held is None:
                return torch.from_numpy(self.stores[place].images(rows))
            where = torch.from_numpy(
                np.searchsorted(self.train[place], rows)
            )  # rows stand in rising order
            return held[place][where.to(held[place].device)]

        def read(step: int) -> tuple[Images, Answers]:
            parts = [
                order[step * quota : (step + 1) * quota]
                for order, quota in zip(orders, self.quotas, strict=True)
            ]
            whole, starts = share_of(self.galaxies(step)).place, np.cumsum([0, *map(len, parts)])
            parts = [
                part[max(whole.start - start, 0) : max(whole.stop - start, 0)]
                for part, start in zip(parts, starts.tolist()[:-1], strict=True)
            ]
            said = [self.answers(place, rows) for place, rows in enumerate(parts)]
            return torch.cat(
                [images(place, rows) for place, rows in enumerate(parts)]
            ), Answers.together(said)

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, first) if first < self.steps else None
            for step in range(first, self.steps):
                assert ahead is not None
                batch = ahead.result()
                if step + 1 < self.steps:
                    ahead = reader.submit(read, step + 1)
                yield batch

    def answers(self, place: int, rows: Rows) -> "Answers":
        """What volunteers said of these galaxies of a store, for every output of the network."""
        store, width = self.stores[place], sum(len(head.columns) for head in self.heads)
        fractions = np.full((len(rows), width), np.nan, np.float32)
        silent = (
            store.votes is None and not store.tree.of_quantities
        )  # quantities need no votes, nor hinder others
        votes = None if silent else np.full((len(rows), width), -1, np.int32)
        start = 0
        for head in self.heads:
            if head is self.head_of(store):
                places = [store.tree.columns.index(column) for column in head.columns]
                fractions[:, start : start + len(places)] = store.values[rows][:, places]
                if votes is not None and store.votes is not None:
                    votes[:, start : start + len(places)] = store.votes[rows][:, places]
            start += len(head.columns)
        return Answers(fractions, votes)

    def _order(self, place: int, epoch: int) -> Rows:
        """The galaxies of a store in the order of an epoch, as often as its batches want them."""
        rows, wanted = self.train[place], self.steps * self.quotas[place]
        if len(self.stores) == 1:
            wanted = len(rows)
        parts: list[Rows] = []
        for turn in range(math.ceil(wanted / len(rows))):
            position = (epoch, 0) if place == turn == 0 else (epoch, 0, place, turn)
            generator = torch.Generator().manual_seed(seed_of(self.settings.seed, *position))
            parts.append(rows[torch.randperm(len(rows), generator=generator).numpy()])
        return np.concatenate(parts)[:wanted]


def open_stores(stores: Store | str | Path | Sequence[Store | str | Path]) -> list[Store]:
    """One store or several, by name or open already."""
    named = [stores] if isinstance(stores, Store | str | Path) else stores
    return [each if isinstance(each, Store) else Store.open(each) for each in named]


def seed_of(*parts: int) -> int:
    """One 63-bit seed from a few numbers, so that no two positions share their random numbers."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


def _refuse_unlike(stores: tuple[Store, ...]) -> None:
    if not stores:
        raise ConfigError("there is no store to learn from")
    for store in stores:
        if store.pack != stores[0].pack:
            raise ConfigError(
                f"{store.path} holds images of crop {store.pack.crop_px}, size {store.pack.size_px}"
                f" px, and {stores[0].path} of {stores[0].pack.crop_px}, {stores[0].pack.size_px}:"
                " pack them alike"
            )


def _head_of(heads: Sequence[Head], store: Store) -> Head:
    return next(head for head in heads if head.tree.questions == store.tree.questions)


def _standardised(head: Head, stores: tuple[Store, ...], train: Sequence[Rows]) -> Head:
    """The same head; if it gives quantities, it knows how large they are among the galaxies that
    teach it.
    """
    if not head.tree.of_quantities:
        return head
    teachers = [
        (store, rows)
        for store, rows in zip(stores, train, strict=True)
        if store.tree.questions == head.tree.questions
    ]
    standards: list[Standard] = []
    for column in head.columns:
        place = head.tree.columns.index(column)
        values = np.concatenate([store.values[rows, place] for store, rows in teachers]).astype(
            np.float64
        )
        values = values[~np.isnan(values)]
        if len(values) == 0 or np.ptp(values) == 0:
            told = f"always {values[0]:g}" if len(values) else "never known"
            raise DataError(
                f"{' and '.join(str(store.path) for store, _ in teachers)}: {column} is {told}"
                " among the training galaxies, so there is nothing to learn: pack more galaxies,"
                " or name the others in train.answers"
            )
        standards.append(Standard(float(values.mean()), float(values.std())))
    return replace(head, standards=tuple(standards))


def _chosen_columns(store: Store, settings: TrainSettings) -> tuple[str, ...]:
    """The answers to learn: those the recipe names, that enough training galaxies have."""
    if not len(store.rows("train")):
        raise DataError(f"{store.path} has no galaxy with votes in its training split")
    columns = store.tree.columns
    wanted = settings.answers or columns
    for column in wanted:
        if column not in columns:
            raise ConfigError(
                f"train.answers names {column!r}, which is no answer of tree {store.tree.name!r}: "
                f"{', '.join(columns)}"
            )
    if store.tree.of_quantities:
        return tuple(column for column in columns if column in wanted)
    means = mean_defined(store.values[store.rows("train")].T)
    if np.isnan(means).all():
        raise DataError(f"{store.path} has no galaxy with votes in its training split")
    floor = settings.min_mean_fraction
    kept = tuple(
        c
        for c, mean in zip(columns, means, strict=True)
        if c in wanted and (floor == 0 or mean >= floor)
    )
    if len(kept) < 1:
        raise ConfigError(
            f"no answer has a mean fraction of {floor} or more over the training galaxies; the largest "
            f"is {np.nanmax(means):.3f}"
        )
    return kept


def _labelled(store: Store, split: str, columns: tuple[str, ...], objective: str) -> Rows:
    """The galaxies of a split that an objective can learn from."""
    rows = store.rows(split)
    places = [store.tree.columns.index(column) for column in columns]
    if Objective(objective, store.tree, columns).wants_votes and store.votes is not None:
        return rows[(store.votes[rows][:, places] > 0).any(axis=1)]
    return rows[~np.isnan(store.values[rows][:, places]).all(axis=1)]


def _refuse_unmet(head: Head, stores: tuple[Store, ...], train: Sequence[Rows]) -> None:
    """A class that galaxies have, but none that teaches, would be learned as one that nothing
    is.
    """
    if len(head.tree.questions) > 1 or head.tree.of_quantities:
        return
    own = [
        (store, rows)
        for store, rows in zip(stores, train, strict=True)
        if store.tree.questions == head.tree.questions
    ]
    for column in head.columns:
        place = head.tree.columns.index(column)
        have = sum(int((store.values[:, place] > 0).sum()) for store, _ in own)
        if have and not any((store.values[rows, place] > 0).any() for store, rows in own):
            raise DataError(
                f"{' and '.join(str(store.path) for store, _ in own)}: none of the"
                f" {sum(len(rows) for _, rows in own)} training galaxies is {column!r}, but {have}"
                " held out are: pack more of them, try another --split-key, or name the other"
                " classes in train.answers"
            )


def _keys(store: Store, row: int) -> set[bytes | tuple[str, str]]:
    """What a galaxy is known by."""
    return {store.pixels[row], (store.id_name, store.ids[row])}


def _names(stores: tuple[Store, ...], splits: tuple[str, ...]) -> set[bytes | tuple[str, str]]:
    return {
        key
        for store in stores
        for split in splits
        for row in store.rows(split).tolist()
        for key in _keys(store, row)
    }
