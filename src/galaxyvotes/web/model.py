"""The network that a server predicts with, and images that strangers send to it.

Images go through the readers of all images, which take no file on trust; a few threads decode, and
those of the batcher predict.
"""

import asyncio
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from galaxyvotes.errors import DataError
from galaxyvotes.images.read import Square, square_of
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.inference.stream import none_usable
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.sky.stretch import Stretch
from galaxyvotes.sources.suffixes import split_suffix
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.batcher import Batcher

__all__ = ["Ask", "Image", "Model", "Replies"]


class Ask(NamedTuple):
    """What is asked about images; see `predict`."""

    tree: str | None = None
    fractions: FractionKind = "joint"
    scale: float | None = None
    fit: bool = False
    stretch: str | None = None


class Image(NamedTuple):
    """A file that was sent: its name, which is for people, and its bytes."""

    name: str
    data: bytes

    @property
    def id(self) -> str:
        """The name without folders and suffix, always printable."""
        stem = split_suffix(self.name)[0] or "image"
        return stem if stem.isprintable() else stem.encode("unicode_escape").decode()


class Replies(NamedTuple):
    """The predictions for the images that can be used, in their order, and what the network takes
    of them; the others with their reasons.
    """

    tree: DecisionTree
    predictions: Predictions
    rejected: tuple[Rejected, ...]
    pixels: tuple[UInt8[np.ndarray, "side side 3"], ...]


@dataclass(frozen=True)
class Model:
    """A network that answers at any time; `Model.open` starts its threads. FITS images get its
    `stretch` where a request names none.
    """

    network: Network
    origin: Path
    batcher: Batcher
    _decoders: ThreadPoolExecutor
    stretch: str | None = None
    _networks: dict[tuple[str | None, FractionKind], Network] = field(
        default_factory=dict[tuple[str | None, FractionKind], Network]
    )

    @staticmethod
    @contextmanager
    def open(
        run: Run | str | Path | None, workers: int | None = None, stretch: str | None = None
    ) -> "Generator[Model]":
        """The network of a run, by default the bundled one, and its threads, by default as many as
        there are cores.

        Raises what `open_network` and `Stretch.load` raise.
        """
        if stretch is not None:
            Stretch.load(stretch)
        network, origin = open_network(run, "cpu")
        cores = workers or os.cpu_count() or 1
        with ExitStack() as stack:
            batcher = stack.enter_context(Batcher.open(cores))
            decoders = stack.enter_context(ThreadPoolExecutor(cores))
            yield Model(network.folded, origin, batcher, decoders, stretch)

    @property
    def trees(self) -> tuple[DecisionTree, ...]:
        """The trees that it predicts."""
        return tuple(head.tree for head in self.network.heads)

    def for_ask(self, tree: str | None, fractions: FractionKind) -> Network:
        """The network used so, the same object each time; ConfigError as of `Network.for_tree` and
        `Network.as_conditional`.
        """
        key = (tree, fractions)
        if key not in self._networks:
            network = self.network.for_tree(tree)
            self._networks[key] = network.as_conditional if fractions == "conditional" else network
        return self._networks[key]

    async def predict(self, images: Sequence[Image], ask: Ask) -> Replies:
        """The predictions for these images, as `predict` gives them.

        Raises ConfigError as `predict`; DataError if not one can be used; Busy if too many wait.
        """
        network = self.for_ask(ask.tree, ask.fractions)
        stretch = ask.stretch or self.stretch
        pack = network.pack.for_images(scale=ask.scale, fit=ask.fit, stretch=stretch)
        loop = asyncio.get_running_loop()
        squares: list[Square] = await asyncio.gather(*(
            loop.run_in_executor(self._decoders, square_of, image.name, image.data, pack)
            for image in images
        ))  # fmt: skip
        usable, rejected = list[tuple[str, UInt8[np.ndarray, "side side 3"]]](), list[Rejected]()
        for image, square in zip(images, squares, strict=True):
            if square.pixels is None:
                rejected.append((image.id, square.reason))
            else:
                usable.append((image.id, square.pixels))
        if not usable:
            sizes = ImageSizes()
            for square in squares:
                sizes.count(square.size, square.arcsec_px)
            first = (images[0].name, squares[0].reason)
            raise DataError(none_usable(len(images), first, sizes, pack))
        pixels = tuple(square for _, square in usable)
        futures = [self.batcher.submit(network, square) for square in pixels]
        parts = await asyncio.gather(*map(asyncio.wrap_future, futures))
        predictions = Predictions.concatenate(parts)
        ids = tuple(name for name, _ in usable)
        return Replies(network.tree, replace(predictions, ids=ids), tuple(rejected), pixels)
