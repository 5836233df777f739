"""Galaxies to compute something for, some of them at a time, each with its image or the reason why
there is none: images of folders and archives, or of a store. `table_images` has those of a table.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from galaxyvotes.config import PackSettings
from galaxyvotes.images.read import Square, read_square
from galaxyvotes.runtime.digests import blake2b_digest
from galaxyvotes.sources.members import Member, Members
from galaxyvotes.store.store import Store

__all__ = [
    "Chunk",
    "Galaxies",
    "ImageGalaxies",
    "StoreGalaxies",
    "cut",
    "names_digest",
    "read_squares",
]


@dataclass(frozen=True)
class Chunk:
    """Some galaxies: their ids, what reads their images, in any thread, these images or why there
    are none, unless they are in a store, the rows of the table that names them, if one does, and
    the files of a folder or archive.
    """

    ids: Sequence[str]
    squares: Callable[[PackSettings], list[Square]]
    images: Sequence[Member | str] = ()
    rows: pa.Table | None = None
    files: Members | None = None

    def stamps(self) -> Int[np.ndarray, " galaxy"]:
        """A number for each image, another one if its file has changed; 0 without a file."""
        stamps = [0 if isinstance(image, str) else image.stamp for image in self.images]
        return np.array(stamps or [0] * len(self.ids), np.int64)

    def file(self, row: int) -> str:
        """The file that an image is in or cut from."""
        image = self.images[row]
        return self.ids[row] if isinstance(image, str) else image.newest_file

    def name(self, row: int) -> str:
        """What a galaxy is called whose image cannot be used: its file, or its id."""
        return self.ids[row] if self.files is None else self.files[row].name


@runtime_checkable
class Galaxies(Protocol):
    """Galaxies in an order that stays the same."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def chunks(self, size: int, start: int, stop: int, block: int) -> Iterator[Chunk]:
        """Those from a place on, up to another, at most `size` at a time, and of one block each:
        these have so many galaxies, and the first begins at `start`.
        """
        ...

    def digest(self) -> str:
        """A digest of which they are."""
        ...


@dataclass(frozen=True)
class ImageGalaxies:
    """Images of folders and archives."""

    images: Members

    @cached_property
    def ids(self) -> pa.LargeStringArray:
        """The id of each; DataError as of `Members.unique_ids`."""
        return self.images.unique_ids()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.images)

    def chunks(self, size: int, start: int, stop: int, block: int) -> Iterator[Chunk]:
        """See `Galaxies`."""
        for part in cut(size, start, stop, block):
            ids, files = self.ids[part].to_pylist(), self.images[part]
            yield Chunk(ids, partial(read_squares, files), files, files=files)

    def digest(self) -> str:
        """A digest of their names."""
        return names_digest(self.images)


@dataclass(frozen=True)
class StoreGalaxies:
    """The galaxies of a store."""

    store: Store

    def __len__(self) -> int:
        """How many there are."""
        return len(self.store)

    def chunks(self, size: int, start: int, stop: int, block: int) -> Iterator[Chunk]:
        """See `Galaxies`."""
        ids = self.store.ids
        for part in cut(size, start, stop, block):
            yield Chunk(ids[part], partial(self._squares, part))

    def digest(self) -> str:
        """The digest of the store."""
        return self.store.digest

    def _squares(self, part: slice, _: PackSettings) -> list[Square]:
        rows = np.arange(int(part.start), int(part.stop))
        return [*map(Square, self.store.images(rows))]


def read_squares(images: Iterable[Member | str], pack: PackSettings) -> list[Square]:
    """What becomes of these images, or of why there is none."""
    return [
        Square(None, image) if isinstance(image, str) else read_square(image, pack)
        for image in images
    ]


def names_digest(images: Iterable[Member]) -> str:
    """A digest of the names of images, in their order."""
    return blake2b_digest(f"{image.name}\0".encode() for image in images)


def cut(size: int, start: int, stop: int, block: int) -> Iterator[slice]:
    """The rows from a place on, up to another, as slices of at most so many, and of one block each;
    the first block begins at `start`.
    """
    for first in range(start, stop, block):
        end = min(first + block, stop)
        for place in range(first, end, size):
            yield slice(place, min(place + size, end))
