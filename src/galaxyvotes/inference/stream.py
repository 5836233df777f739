"""Images of folders and archives, or of a store, through a network some galaxies at a time, and
what became of the images that could not be used. Predictions and representations both come from
here.

Each thread decodes images of its own and computes them on one core, from file to result. Several
cores that share a group of images wait for each other after every layer, and for the threads that
decode beside them.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.read import with_stretch
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.engine import chunk_size
from galaxyvotes.inference.galaxies import Chunk, Galaxies, ImageGalaxies, StoreGalaxies
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.networks.batch import Batch
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.progress import Advance, counting
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.store.store import Store

__all__ = ["Part", "Stream", "none_usable", "open_stream", "pack_for"]

_BLOCK = 8192  # galaxies

Result = TypeVar("Result")
Compute = Callable[[Batch, tuple[str, ...]], Result]


@dataclass(frozen=True)
class Part(Generic[Result]):
    """Some galaxies: their ids, why the image of each cannot be used (empty if it can), what was
    computed from the others, None if there are none, the sizes of all, the rows of the table that
    names them, if one does, the stamps of their files (see `Chunk`), and of each image the shares
    beyond the edge of a mosaic and without value inside it.
    """

    ids: Sequence[str]
    problems: Sequence[str]
    result: Result | None
    sizes: ImageSizes = field(default_factory=ImageSizes)
    rows: pa.Table | None = None
    stamps: Int[np.ndarray, " galaxy"] | None = None
    shares: Float32[np.ndarray, "galaxy 2"] | None = None

    @property
    def rejected(self) -> list[Rejected]:
        """The galaxies whose image cannot be used, each with the reason."""
        pairs = zip(self.ids, self.problems, strict=True)
        return [(name, problem) for name, problem in pairs if problem]


@dataclass(frozen=True)
class Stream(Generic[Result]):
    """What is computed from images, some of them at a time; their number, and how they become
    pixels.

    `rejected` has the images so far that could not be used, each with its reason, `sizes` the sizes
    of all so far, and `passed_over` the files that are no images.
    """

    galaxies: Galaxies
    compute: Compute[Result]
    pack: PackSettings
    workers: int
    passed_over: tuple[Rejected, ...] = ()
    progress: bool | Advance = False
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    sizes: ImageSizes = field(default_factory=ImageSizes)

    def __iter__(self) -> Iterator[Result]:
        """The results, once; DataError at the end if no image could be used."""
        usable = False
        for part in self.parts():
            self.rejected.extend(part.rejected)
            self.sizes.add(part.sizes)
            if part.result is not None:
                usable = True
                yield part.result
        if self.rejected and not usable:
            first, images = self.rejected[0], len(self.galaxies)
            raise DataError(none_usable(images, first, self.sizes, self.pack))

    def parts(
        self, start: int = 0, stop: int | None = None, block: int = _BLOCK
    ) -> Iterator[Part[Result]]:
        """What is computed, some galaxies at a time, of those from a place on, up to another; each
        part is of one block of so many.
        """
        stop = len(self.galaxies) if stop is None else stop
        done, total = start, len(self.galaxies)
        with counting("predicting", total, done=done, show=self.progress) as advance:
            for part in self.computed(start, stop, block):
                done += len(part.ids)
                advance(done, total)
                yield part

    def computed(self, start: int, stop: int, block: int) -> Iterator[Part[Result]]:
        """The parts, without a bar."""
        size = chunk_size(stop - start, self.workers)
        chunks = self.galaxies.chunks(size, start, stop, block)
        for _, part in on_a_core_each(self._work, chunks, self.workers):
            yield part

    def _work(self, chunk: Chunk) -> Part[Result]:
        stamps = chunk.stamps()  # before: what changes while it is read has changed since
        squares, sizes = chunk.squares(self.pack), ImageSizes()
        for square in squares:
            sizes.count(square.size, square.arcsec_px)
        pixels = [square.pixels for square in squares if square.pixels is not None]
        named = zip(chunk.ids, squares, strict=True)
        usable = tuple(name for name, square in named if square.pixels is not None)
        result = self.compute(Batch(torch.from_numpy(np.stack(pixels))), usable) if usable else None
        problems = [square.reason for square in squares]
        ids = [chunk.name(row) if bad else chunk.ids[row] for row, bad in enumerate(problems)]
        shares = np.array([(square.off_edge, square.masked) for square in squares], np.float32)
        return Part(ids, problems, result, sizes, chunk.rows, stamps, shares)

    @property
    def left_out(self) -> list[Rejected]:
        """The images that could not be used, then the files that were passed over."""
        return [*self.rejected, *self.passed_over]

    @property
    def notes(self) -> tuple[str, ...]:
        """How FITS images were stretched, which sizes the images have, if they differ, the scale of
        their pixels, and what helps if some are smaller than the crop.
        """
        stretched = f"FITS images: stretch {self.pack.stretch}" if self.pack.stretch else ""
        sizes = self.sizes
        notes = (
            stretched,
            sizes.sentence(),
            sizes.pixel_scales(self.pack),
            sizes.too_small(self.pack),
        )
        return tuple(filter(None, notes))


def pack_for(
    pack: PackSettings,
    paths: Sequence[Path],
    *,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
) -> PackSettings:
    """How a network that takes images as `pack` has it takes those of these paths, in which a
    galaxy covers `scale` times as many pixels, or whole ones, and FITS images of that stretch.

    Raises ConfigError if one of them is a store, whose images are cropped already.
    """
    if (fit or scale is not None or stretch) and any(map(_is_store, paths)):
        raise ConfigError(
            "a store holds images that are cropped already, and stretched: leave out `scale=…`,"
            " `fit=True` and `stretch=…`, or pack it with them"
        )
    return pack.for_images(scale=scale, fit=fit, stretch=stretch)


def _is_store(path: Path) -> bool:
    return (path / "store.toml").is_file()


@contextmanager
def open_stream(
    pack: PackSettings,
    paths: Sequence[Path],
    compute: Compute[Result],
    layout: FitsLayout,
    workers: int | None,
    *,
    progress: bool | Advance,
) -> Generator[Stream[Result]]:
    """What is computed from a store or from images, cropped as `pack` has it, whose files are open
    meanwhile.

    Raises ConfigError for a store beside images, and for FITS images of several bands without a
    stretch; CheckpointError if the store is packed otherwise; DataError if there is no image.
    """
    stores = [path for path in paths if _is_store(path)]
    if stores and len(paths) > 1:
        raise ConfigError(
            f"{stores[0]} is a packed store, which is predicted alone: name one store, or images"
        )
    if stores:
        store = Store.open(stores[0])
        store.must_fit(pack, "the network")
        galaxies, workers = StoreGalaxies(store), workers or torch.get_num_threads()
        yield Stream(galaxies, compute, store.pack, workers, progress=progress)
        return
    with open_source(paths, layout) as source:
        refuse_without_images(source, paths)
        pack = with_stretch(pack, source.images)
        galaxies, workers = ImageGalaxies(source.images), workers or os.cpu_count() or 1
        passed_over = tuple(source.passed_over)
        yield Stream(galaxies, compute, pack, workers, passed_over, progress=progress)


def none_usable(images: int, first: Rejected, sizes: ImageSizes, pack: PackSettings) -> str:
    """That no image can be used, and why: all are too small, or the reason of the first."""
    too_small = sizes.too_small(pack)
    why = f": {too_small}" if too_small else f"; the first: {': '.join(first)}"
    return f"not one of {counted(images, 'image')} could be used{why}"
