"""Representations of images in folders and archives, or of a store, as a map of galaxies.

What the network computes waits on the disk beside the map while it comes, so memory holds the ids,
places and neighbours of all galaxies (two tenths of a kilobyte each), and neither their images nor
their representations.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.inference.engine import represent_batch
from galaxyvotes.inference.left_out import path_of_left_out, write_left_out
from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.inference.provenance import network_facts
from galaxyvotes.inference.stream import Stream, open_stream, pack_for
from galaxyvotes.networks.batch import Batch
from galaxyvotes.reports.html import jpeg_bytes
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.digests import file_digest
from galaxyvotes.runtime.files import given_sources, new_file, replacing
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import check_workers
from galaxyvotes.search.galaxy_map import PRINCIPAL, GalaxyMap, map_schema
from galaxyvotes.search.index import NeighbourIndex, new_graph, path_of_index, write_index
from galaxyvotes.search.neighbours import Find, Neighbours, Representations, nearest_of_each
from galaxyvotes.search.projection import Projection
from galaxyvotes.search.umap_layout import LEAST_NEIGHBOURS, load_umap, umap_points
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.table_formats.write import write_table

__all__ = ["Embedded", "Represented", "embed", "represent", "weights_digest"]

PROJECTIONS = ("pca", "umap")
_THUMBNAIL_PX = 96
_TOGETHER = 1024  # rows that are written and read at a time


class Represented(NamedTuple):
    """Some galaxies: their ids, representations and, if asked for, thumbnails as JPEG files."""

    ids: tuple[str, ...]
    representations: Representations
    thumbnails: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Embedded:
    """The result of `embed`: the map, the images that could not be used and the files that were
    passed over, each with its reason, and notes on the sizes of images.
    """

    map: GalaxyMap
    rejected: tuple[Rejected, ...] = ()
    passed_over: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the map is."""
        return self.map.path

    @property
    def rejected_path(self) -> Path | None:
        """The table of images that could not be used and of files that were passed over; None if
        there are none.
        """
        return path_of_left_out(self.path) if self.rejected or self.passed_over else None

    def __len__(self) -> int:
        """The number of galaxies."""
        return len(self.map)


@enough_memory("lower `workers=…`, each of which holds images, or use `device='cpu'`")
def embed(
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    run: Run | str | Path | None = None,
    neighbours: int = 10,
    index: bool = False,
    projection: str = "pca",
    thumbnails: bool = True,
    device: str = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
    layout: FitsLayout = ANYWHERE,
    overwrite: bool = False,
    progress: bool = True,
) -> Embedded:
    """A map of the galaxies in folders or archives, or in a store: a Parquet table with the
    representation of each, its place in two dimensions, its nearest neighbours and a thumbnail.

    A representation is what the last layer of the run's network (by default the bundled one, of an
    ensemble the first) takes, the mean over the views that it predicts from. `neighbours` is how
    many neighbours are kept of each galaxy, 0 to leave them out; every galaxy is compared with all
    others. With `index` an index lies beside the map, `<out>.index`, which finds nearly all
    neighbours, also those of the map, much faster. The map opens in Apple's Embedding Atlas.

    `projection` is how galaxies are placed: by their principal components (`pca`), or by UMAP
    (`umap`), where groups of galaxies that look alike lie apart.

    Images are read, and cropped, as `predict` does; those that cannot be used are left out and
    listed with their reasons in `<out>.rejected.csv`.

    Raises ConfigError for a table that is there already (unless `overwrite`) or whose name does not
    end in .parquet, for a negative number of neighbours, an unknown projection, device or number of
    workers, a store beside images, and FITS images of several bands without a stretch;
    CheckpointError if the run is not finished or damaged, or if the store is packed otherwise;
    DataError if there is no image that can be used, if the table cannot be written, or if memory is
    short; MissingExtraError for an index without usearch, and for UMAP without umap-learn.
    """
    out = new_file(out, overwrite=overwrite)
    if out.suffix.lower() != ".parquet":
        raise ConfigError(f"{out}: a map is a Parquet table; name a file that ends in .parquet")
    new_file(path_of_left_out(out), overwrite=overwrite)
    if neighbours < 0:
        raise ConfigError(f"neighbours is {neighbours}; expected 0 or more")
    check_workers(workers)
    if projection not in PROJECTIONS:
        raise ConfigError(f"projection is {projection!r}; expected {' or '.join(PROJECTIONS)}")
    if projection == "umap":
        load_umap()
    if index:
        new_graph(1)
        new_file(path_of_index(out), overwrite=overwrite)
    paths = given_sources(images)
    network, origin = open_network(run, device)
    network = network.folded
    pack = pack_for(network.pack, paths, scale=scale, fit=fit, stretch=stretch)
    compute = partial(represent, network, thumbnails=thumbnails)
    with (
        locked(out),
        TemporaryDirectory(prefix=f".{out.name}.", suffix=".partial", dir=out.parent) as folder,
        open_stream(pack, paths, compute, layout, workers, progress=progress) as stream,
    ):
        waiting = _Waiting.write(Path(folder), stream)
        network = replace(network, pack=stream.pack)
        meta = network_facts(network, origin) | {
            "weights": weights_digest(network, origin),
            "holds": "representations",
        }
        built, find = Path(folder) / "index", None
        if index:
            numbers = waiting.representations
            meta |= (facts := write_index(numbers, built, progress=progress))
            opened = NeighbourIndex.open(built, facts, *numbers.shape)
            find = partial(opened.nearest, threads=workers or os.cpu_count() or 1)
        how = {"thumbnails": thumbnails, "progress": progress, "umap": projection == "umap"}
        _write_map(out, waiting, meta, neighbours, find, **how)
        if index:
            with replacing(path_of_index(out)) as partial_index:
                built.rename(partial_index)
        elif overwrite:
            path_of_index(out).unlink(missing_ok=True)
        write_left_out(out, stream.left_out)
    return Embedded(GalaxyMap.open(out), tuple(stream.rejected), stream.passed_over, stream.notes)


def represent(
    network: Network, batch: Batch, ids: tuple[str, ...], *, thumbnails: bool = False
) -> Represented:
    """The representations of the images of a batch, and their thumbnails."""
    pictures = batch.images.numpy() if thumbnails else ()
    jpegs = tuple(jpeg_bytes(picture, _THUMBNAIL_PX) for picture in pictures)
    return Represented(ids, represent_batch(network, batch), jpegs)


def weights_digest(network: Network, origin: Path) -> str:
    """The digest of the file with the weights that representations come from."""
    is_file = isinstance(network.module, OnnxModule)
    return file_digest(origin if is_file else Run(origin).weights[0])


# ---- what waits on the disk


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Representations of galaxies, mapped into memory, and a file with their ids and thumbnails."""

    representations: Representations
    rows: Path

    @staticmethod
    def write(folder: Path, stream: Stream[Represented]) -> "_Waiting":
        """Write what comes to a folder; DataError if there is no galaxy or the disk is full."""
        numbers, rows = folder / "representations", folder / "rows"
        schema = pa.schema([("id", pa.string()), ("jpeg", pa.binary())])
        features = 0
        try:
            with (
                numbers.open("wb") as file,
                pa.OSFile(str(rows), "wb") as table,
                pa.ipc.new_stream(table, schema) as writer,
            ):
                for part in stream:
                    features = part.representations.shape[1]
                    file.write(np.ascontiguousarray(part.representations).data)
                    jpegs = part.thumbnails or (None,) * len(part.ids)
                    columns = [pa.array(part.ids, pa.string()), pa.array(jpegs, pa.binary())]
                    writer.write_batch(pa.record_batch(columns, schema=schema))
        except OSError as error:
            raise DataError(f"cannot write in {folder.parent}: {error.strerror or error}") from None
        if not features:
            raise DataError("there are no galaxies: a map needs one or more")
        mapped = np.memmap(numbers, np.float32, "r").reshape(-1, features)
        return _Waiting(mapped, rows)

    def __iter__(self) -> Iterator[tuple[int, pa.Table]]:
        """Ids and thumbnails of some galaxies at a time, and the row of the first."""
        start, together = 0, list[pa.RecordBatch]()
        with pa.OSFile(str(self.rows)) as file, pa.ipc.open_stream(file) as batches:
            for batch in batches:
                together.append(batch)
                if sum(map(len, together)) >= _TOGETHER:
                    yield start, (table := pa.Table.from_batches(together))
                    start += len(table)
                    together.clear()
            if together:
                yield start, pa.Table.from_batches(together)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a map, to be gone through any number of times."""

    waiting: _Waiting
    points: Float32[np.ndarray, "galaxy 2"]
    neighbours: Neighbours | None
    schema: pa.Schema

    def __iter__(self) -> Iterator[pa.Table]:
        """Some hundred rows at a time."""
        for start, table in self.waiting:
            rows = slice(start, start + len(table))
            numbers = np.ascontiguousarray(self.waiting.representations[rows])
            columns: dict[str, pa.Array | pa.ChunkedArray] = {
                "id": table.column("id"),
                "x": _floats(self.points[rows, 0]),
                "y": _floats(self.points[rows, 1]),
                "representation": pa.FixedSizeListArray.from_arrays(
                    _floats(numbers), numbers.shape[1]
                ),
            }
            if self.neighbours is not None:
                found = [_lists(array[rows]) for array in self.neighbours]
                columns["neighbors"] = pa.StructArray.from_arrays(found, ["ids", "distances"])
            if "thumbnail" in self.schema.names:
                jpegs = table.column("jpeg").combine_chunks()
                names = pa.array([f"{name}.jpg" for name in table.column("id").to_pylist()])
                columns["thumbnail"] = pa.StructArray.from_arrays([jpegs, names], ["bytes", "path"])
            yield pa.table(list(columns.values()), schema=self.schema)


def _write_map(
    out: Path,
    waiting: _Waiting,
    meta: dict[str, str],
    count: int,
    find: Find | None,
    *,
    thumbnails: bool,
    progress: bool,
    umap: bool,
) -> None:
    representations = waiting.representations
    galaxies, features = representations.shape
    projection = Projection.fit(representations)
    points = np.empty((galaxies, 2), np.float32)
    for start in range(0, galaxies, _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        points[rows] = projection.points(np.asarray(representations[rows]))
    found, most = None, max(count, LEAST_NEIGHBOURS) if umap else count
    if most:
        found = _all_neighbours(representations, most, find, progress=progress)
    if found and umap:
        points = umap_points(points, found)
    found = Neighbours(*(array[:, :count] for array in found)) if found and count else None
    axes = ("UMAP, first axis", "UMAP, second axis") if umap else PRINCIPAL
    schema = map_schema(
        features, neighbours=bool(count), thumbnails=thumbnails, meta=meta, axes=axes
    )
    write_table(out, schema, _Rows(waiting, points, found, schema))


def _all_neighbours(
    representations: Representations, count: int, find: Find | None, *, progress: bool
) -> Neighbours:
    parts: list[Neighbours] = []
    with bar(show=progress) as shown:
        task = shown.add_task("comparing", total=len(representations))
        for part in nearest_of_each(representations, count, find):
            parts.append(part)
            shown.advance(task, len(part.rows))
    return Neighbours(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _floats(values: Float32[np.ndarray, "..."]) -> pa.Array:
    packed = np.ascontiguousarray(values, np.float32).reshape(-1)
    return pa.Array.from_buffers(pa.float32(), len(packed), [None, pa.py_buffer(packed)])


def _lists(values: np.ndarray) -> pa.Array:
    """A list of each row of numbers."""
    kind = pa.from_numpy_dtype(values.dtype)
    packed = np.ascontiguousarray(values).reshape(-1)
    flat = pa.Array.from_buffers(kind, len(packed), [None, pa.py_buffer(packed)])
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat)
