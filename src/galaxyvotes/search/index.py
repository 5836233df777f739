"""An index of a map: nearest neighbours among a million galaxies in milliseconds.

The index is approximate: of the ten nearest galaxies it finds all but one in some hundred, and
their distances are right to a few ten-thousandths (docs/experiments.md). It lies in a file beside
the map, whose metadata have its digest; without it every galaxy is compared.

It consists of graphs of at most `_GALAXIES` galaxies, one after the other in the file, so it is
built in memory for one of them, whatever the number of galaxies, and always comes out the same. It
is searched where it lies on the disk, mapped into memory.

Source: Malkov & Yashunin 2020, IEEE TPAMI 42, 824 (hierarchical navigable small worlds), as usearch
computes them.
"""

import mmap
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int

from galaxyvotes.errors import DataError, MissingExtraError
from galaxyvotes.runtime.digests import digest_of, file_digest
from galaxyvotes.runtime.progress import bar
from galaxyvotes.search.graphs import check_graph, check_that
from galaxyvotes.search.neighbours import Neighbours, Representations, unit_vectors

if TYPE_CHECKING:
    from usearch.index import Index

__all__ = ["NeighbourIndex", "new_graph", "path_of_index", "write_index"]

_GALAXIES = 2**17  # of a graph: 170 MB with 512 features
_TOGETHER = 4096  # galaxies that are added at a time
_BLOCK_BYTES = 2**20
_CANDIDATES = 128  # that a search follows at a time; more find more and take longer


def path_of_index(path: Path) -> Path:
    """Where the index of a map is."""
    return path.with_name(f"{path.name}.index")


def new_graph(features: int) -> "Index":
    """A graph without galaxies; MissingExtraError without usearch."""
    try:
        from usearch.compiled import MetricKind, ScalarKind
        from usearch.index import Index
    except ImportError:
        raise MissingExtraError("usearch", "search") from None
    return Index(
        ndim=features,
        metric=MetricKind.Cos,
        dtype=ScalarKind.F16,
        expansion_search=_CANDIDATES,
        enable_key_lookups=False,
    )


def write_index(
    representations: Representations, out: Path, *, progress: bool = True
) -> dict[str, str]:
    """Write the index of some galaxies; what its map keeps to open it again.

    Raises DataError if it cannot be written, MissingExtraError without usearch.
    """
    sizes: list[int] = []
    part = out.with_name(f"{out.name}.part")
    try:
        with bar(show=progress) as shown, out.open("wb") as file:
            task = shown.add_task("indexing", total=len(representations))
            for start in range(0, len(representations), _GALAXIES):
                graph = new_graph(representations.shape[1])
                stop = min(start + _GALAXIES, len(representations))
                for first in range(start, stop, _TOGETHER):
                    rows = np.arange(first, min(first + _TOGETHER, stop))
                    vectors = unit_vectors(np.asarray(representations[rows[0] : rows[-1] + 1]))
                    graph.add(rows, vectors, threads=1)
                    shown.advance(task, len(rows))
                graph.save(part)
                sizes.append(part.stat().st_size)
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
        part.unlink()
        return {"index": file_digest(out), "graphs": ",".join(map(str, sizes))}
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot write an index in {out.parent}: {error}") from None


@dataclass(frozen=True, eq=False)
class NeighbourIndex:
    """The index of a map, in a file that is mapped into memory."""

    galaxies: int
    graphs: "tuple[Index, ...]"
    contents: memoryview  # where the graphs lie: it must be there as long as they are

    @staticmethod
    def open(path: Path, facts: dict[str, Any], galaxies: int, features: int) -> "NeighbourIndex":
        """The index of a map of so many galaxies and features; `facts` are what `write_index` gave.

        Raises DataError if the file cannot be read, is damaged or is that of another map,
        MissingExtraError without usearch.
        """
        try:
            with path.open("rb") as file:
                contents = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            blocks = range(0, len(contents), _BLOCK_BYTES)
            digest = digest_of(bytes(contents[at : at + _BLOCK_BYTES]) for at in blocks)
            check_that(digest == facts["index"], "its digest", "that in the map")
            sizes = [*map(int, facts["graphs"].split(","))]
            starts = range(0, galaxies, _GALAXIES)
            check_that(len(sizes) == len(starts), "its number of graphs", f"{len(starts)}")
            graphs: list[Index] = []
            place = 0
            for start, size in zip(starts, sizes, strict=True):
                part = contents[place : place + size]
                graphs.append(_view(part, min(galaxies - start, _GALAXIES), features))
                place += size
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError, DataError) as error:
            raise DataError(
                f"{path} cannot be used: {error}; remove it, and galaxies are compared one by one,"
                " or make the map again"
            ) from None
        return NeighbourIndex(galaxies, tuple(graphs), contents)

    def nearest(
        self,
        queries: Float32[np.ndarray, "query feature"],
        count: int,
        own: Int[np.ndarray, " query"] | None = None,
        *,
        threads: int = 1,
    ) -> Neighbours | None:
        """As `neighbours.nearest`, approximately; None if the graphs do not lead to as many."""
        from usearch.index import BatchMatches

        count = max(min(count, self.galaxies - (own is not None)), 0)
        asked = count + (own is not None)
        directions, rows, distances = unit_vectors(queries), list[Any](), list[Any]()
        for graph in self.graphs if asked and len(queries) else ():
            found = graph.search(directions, min(asked, len(graph)), threads=threads)
            one = not isinstance(found, BatchMatches)
            counts = np.array([len(found)]) if one else found.counts
            apart = np.array(found.distances, np.float32).reshape(len(queries), -1)
            keys = found.keys.reshape(apart.shape)
            apart[np.arange(apart.shape[1]) >= counts[:, None]] = np.inf
            apart[keys >= self.galaxies] = np.inf
            if own is not None:
                apart[keys == own[:, None]] = np.inf
            rows.append(keys.astype(np.int64))
            distances.append(np.maximum(apart, 0))
        if not rows:
            empty = np.empty((len(queries), count))
            return Neighbours(empty.astype(np.int64), empty.astype(np.float32))
        all_rows, all_distances = np.concatenate(rows, axis=1), np.concatenate(distances, axis=1)
        order = np.lexsort((all_rows, all_distances))[:, :count]
        nearest = np.take_along_axis(all_distances, order, axis=1)
        if nearest.shape[1] < count or not np.isfinite(nearest).all():
            return None
        return Neighbours(np.take_along_axis(all_rows, order, axis=1), nearest)


def _view(contents: memoryview, galaxies: int, features: int) -> "Index":
    """A graph where it lies in a file."""
    check_graph(contents, galaxies, 2 * features)
    graph = new_graph(features)
    graph.view(contents)
    graph.expansion_search = _CANDIDATES
    return graph
