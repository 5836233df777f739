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
import torch
from rich.progress import Progress

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.read import read_square, with_stretch
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.engine import chunks_of, compute_rows
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.networks.batch import Batch
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.members import Members
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.store.store import Store

__all__ = ["Stream", "open_stream", "pack_for"]

Result = TypeVar("Result")
Compute = Callable[[Batch, tuple[str, ...]], Result]


@dataclass(frozen=True)
class _Part(Generic[Result]):
    """What was computed from some images, None if none of them can be used; those that cannot, and
    the sizes of all.
    """

    result: Result | None
    rejected: Sequence[Rejected] = ()
    sizes: ImageSizes | None = None


@dataclass(frozen=True)
class Stream(Generic[Result]):
    """What is computed from images, some of them at a time; their number, and how they become
    pixels.

    `rejected` has the images so far that could not be used, each with its reason, `sizes` the sizes
    of all so far, and `passed_over` the files that are no images.
    """

    parts: Iterator[_Part[Result]]
    images: int
    pack: PackSettings
    passed_over: tuple[Rejected, ...] = ()
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    sizes: ImageSizes = field(default_factory=ImageSizes)

    def __iter__(self) -> Iterator[Result]:
        """The results, once; DataError at the end if no image could be used."""
        usable = False
        for part in self.parts:
            self.rejected.extend(part.rejected)
            if part.sizes is not None:
                self.sizes.add(part.sizes)
            if part.result is not None:
                usable = True
                yield part.result
        if self.rejected and not usable:
            too_small = self.sizes.too_small(self.pack)
            why = f": {too_small}" if too_small else f"; the first: {': '.join(self.rejected[0])}"
            raise DataError(f"not one of {counted(self.images, 'image')} could be used{why}")

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
            sizes.pixel_scales(),
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
    progress: bool,
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
        rows = np.arange(len(store))
        results = compute_rows(compute, store, rows, workers, progress=progress)
        yield Stream((_Part(result) for result in results), len(store), store.pack)
        return
    with open_source(paths, layout) as source, bar(show=progress) as shown:
        refuse_without_images(source, paths)
        pack = with_stretch(pack, source.images)
        parts = _of_images(compute, pack, source.images, workers or os.cpu_count() or 1, shown)
        yield Stream(parts, len(source.images), pack, tuple(source.passed_over))


def _of_images(
    compute: Compute[Result], pack: PackSettings, images: Members, workers: int, shown: Progress
) -> Iterator[_Part[Result]]:
    ids = images.unique_ids()
    task = shown.add_task("predicting", total=len(images))

    def compute_chunk(chunk: slice) -> _Part[Result]:
        squares = [
            (name, read_square(image, pack))
            for name, image in zip(ids[chunk].to_pylist(), images[chunk], strict=True)
        ]
        usable = {name: square.pixels for name, square in squares if square.pixels is not None}
        rejected = [(name, square.reason) for name, square in squares if square.pixels is None]
        sizes = ImageSizes()
        for _, square in squares:
            sizes.count(square.size, square.arcsec_px)
        if not usable:
            return _Part(None, rejected, sizes)
        batch = Batch(torch.from_numpy(np.stack(list(usable.values()))))
        return _Part(compute(batch, tuple(usable)), rejected, sizes)

    for chunk, part in on_a_core_each(compute_chunk, chunks_of(len(images), workers), workers):
        shown.advance(task, chunk.stop - chunk.start)
        yield part
