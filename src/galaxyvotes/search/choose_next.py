"""Which galaxies to ask volunteers about next: those from whose answers a network learns most."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64

from galaxyvotes.errors import ConfigError
from galaxyvotes.inference.engine import estimate_views
from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.inference.stream import open_stream, pack_for
from galaxyvotes.metrics.information import entropy, information
from galaxyvotes.networks.batch import Batch
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import image_digest
from galaxyvotes.runtime.files import given_sources, new_file
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.progress import Advance
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.suffixes import called
from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.write import write_table
from galaxyvotes.tables.ids import ids_of
from galaxyvotes.tables.table import Table

__all__ = ["Queue", "choose"]

_WAYS = ("bald", "uncertainty", "random")


@dataclass(frozen=True, eq=False)
class Queue:
    """The ids of galaxies in the order in which to ask about them, and their scores in bits: the
    information that a volunteer's answers are expected to give (`bald`), their entropy
    (`uncertainty`), or random numbers of 0 to 1.

    `seen` is how many galaxies were left out because the run was trained on them, `without` how
    many of the others because their ids were given to leave them out; `rejected` are the images
    that could not be used, each with its reason.
    """

    by: str
    ids: tuple[str, ...]
    scores: Float32[np.ndarray, " chosen"]
    seen: int = 0
    without: int = 0
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.ids)

    def __repr__(self) -> str:
        """One line: how many, and by what."""
        return f"<Queue: {counted(len(self), 'galaxy')} by {self.by}>"

    def to_table(self) -> pa.Table:
        """An Arrow table of the columns id and score."""
        return pa.table([list(self.ids), self.scores.tolist()], schema=_SCHEMA)

    def write(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write the table as the extension says: .csv, .ecsv, .fits, .parquet, .vot or .xml.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if it cannot be written.
        """
        out = new_file(out, overwrite=overwrite)
        write_table(out, _SCHEMA, [self.to_table()])
        return out


_SCHEMA = pa.schema([
    column("id", pa.string(), description="name of the image", ucd="meta.id;meta.main"),
    column("score", pa.float32(), description="the higher, the sooner to ask about it"),
])  # fmt: skip


@enough_memory("lower `workers=…`, each of which holds images, or use `device='cpu'`")
def choose(
    images: str | Path | Sequence[str | Path],
    count: int = 20,
    *,
    by: str = "bald",
    without: Sequence[str] | str | Path = (),
    id_column: str | None = None,
    run: Run | str | Path | None = None,
    tree: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
    layout: FitsLayout = ANYWHERE,
    seed: int = 0,
    progress: bool | Advance = True,
) -> Queue:
    """The `count` galaxies in folders or archives, or in a store, to ask volunteers about next.

    `by` is how: `bald`, where the views of a galaxy and the members of the run disagree most
    (`information.information`); `uncertainty`, where the answers are least certain
    (`information.entropy`); or `random`, from `seed`. Galaxies that the run was trained on are left
    out, and those of the ids in `without`, or of the table at that path: in its `id_column`, or
    else where `tables.ids` finds them. They may be paths of images, too. Images are read and
    cropped as `predict` does; `tree` names the questions of a run that has several. `progress` may
    be a function that gets how many images are done, and how many there are.

    Raises ConfigError for a count below 1, an unknown `by`, a run that predicts quantities, a run
    of one view, by `bald`, and an `id_column` that the table has not, or without a table; DataError
    if no image can be used, if the table cannot be read, or if memory is short; and what `predict`
    raises for images and runs.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; expected 1 or more")
    if by not in _WAYS:
        raise ConfigError(f"by is {by!r}; expected {', '.join(_WAYS)}")
    paths = given_sources(images)
    is_table = isinstance(without, str | Path)
    if id_column is not None and not is_table:
        raise ConfigError(
            "`id_column=…` is for a table of galaxies to leave out, `without=…`, and none is named"
        )
    words = ids_of(Table.open(without), id_column) if is_table else without
    network, origin = open_network(run, device)
    network = network.for_tree(tree).folded
    if not network.tree.kind.bounded:
        raise ConfigError(f"{network.tree.name} asks for quantities, which have no entropy")
    if by == "bald" and network.recipe.model.views * len(network.members) < 2:
        raise ConfigError(
            "bald compares the predictions of several views or members, and this run has one:"
            " choose with `by='uncertainty'`, or make an ensemble of several runs"
        )
    seen = _seen(network, origin)
    pack = pack_for(network.pack, paths, scale=scale, fit=fit, stretch=stretch)
    compute = partial(_score, network, by, seen)
    with open_stream(pack, paths, compute, layout, workers, progress=progress) as stream:
        parts = [*stream]
    ids = np.array([name for part in parts for name in part.ids], object)
    scores = np.concatenate([part.scores for part in parts])
    if by == "random":
        scores = np.random.default_rng(seed).random(len(ids))
    there = {*ids.tolist()}
    left_out = {next(filter(there.__contains__, called(word)), "") for word in words}
    free = [row for row, name in enumerate(ids.tolist()) if name not in left_out]
    order = np.array(free, np.int64)[np.argsort(-scores[free], kind="stable")][:count]
    return Queue(
        by,
        tuple(map(str, ids[order])),
        scores[order].astype(np.float32),
        sum(part.seen for part in parts),
        len(ids) - len(free),
        tuple(stream.rejected),
    )


class _Scored(NamedTuple):
    """The ids of some galaxies and their scores, and how many were left out."""

    ids: tuple[str, ...]
    scores: Float64[np.ndarray, " galaxy"]
    seen: int


def _score(
    network: Network, by: str, seen: frozenset[bytes], batch: Batch, ids: tuple[str, ...]
) -> _Scored:
    """The scores of the images of a batch that the network was not trained on."""
    new = [image_digest(image) not in seen for image in batch.images.numpy()]
    kept = tuple(name for name, fresh in zip(ids, new, strict=True) if fresh)
    scores = np.zeros(len(ids))
    if by != "random" and kept:
        by_view = np.stack(estimate_views(network, batch)[0]).astype(np.float64)
        if by == "bald":
            scores = information(network.tree, by_view, network.columns)
        else:
            scores = entropy(network.tree, by_view.mean(axis=0), network.columns)
    return _Scored(kept, scores[new], len(ids) - len(kept))


def _seen(network: Network, origin: Path) -> frozenset[bytes]:
    """The digests of the images that a run was trained on; of an ONNX file none are known."""
    if isinstance(network.module, OnnxModule):
        return frozenset()
    return frozenset(Run(origin).seen.column("pixels").to_pylist())
