"""A catalog becomes a store: every image read, decoded, cropped and written once, in parallel.

Packing writes beside its goal, in `<out>.partial`, and renames the folder when everything is there.
Its journal has one line for every few dozen images, with their digests: after a crash, a kill or a
full disk the same command checks what is there against the journal and goes on behind it. An image
that cannot be used is recorded with its reason and never stops the others.
"""

import errno
import io
import json
import os
import shutil
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import tomlkit
from jaxtyping import UInt8

from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.digests import (
    IMAGE_DIGEST_BYTES,
    contents_digest,
    file_digest,
    image_digest,
)
from galaxyvotes.runtime.files import write_text
from galaxyvotes.runtime.memory import keep_freed_memory
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import in_order
from galaxyvotes.sources.catalog import Catalog, open_catalog
from galaxyvotes.sources.images import read_square
from galaxyvotes.sources.names import iterate
from galaxyvotes.store.splits import assign_splits
from galaxyvotes.store.store import (
    FORMAT,
    OWN_COLUMNS,
    Store,
    value_column,
)

__all__ = ["pack"]

CHUNK = 64  # images that one thread takes at a time, and that one line of the journal answers for
TOGETHER = 65_536  # rows of the store's table that are made and written together
HEADER_BYTES = 128  # of images.npy, rewritten with the final number of galaxies


def pack(
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    labels: LabelSettings | None = None,
    settings: PackSettings | None = None,
    splits: SplitSettings | None = None,
    scaled: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Store:
    """Pack images and labels into the folder `out`; see `open_catalog` for the sources and `labels`.

    `scaled` has JPEGs that are made much smaller decoded at a smaller scale (`sources.images`),
    which the store's manifest then says.

    ConfigError if `out` exists or the settings contradict each other. DataError if a table or an
    archive is not what it should be, if there is no space left (what is packed stays, and the same
    call goes on), or if not one image could be used.
    """
    settings, splits, out = settings or PackSettings(), splits or SplitSettings(), Path(out)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}; the smallest is 1")
    if out.exists():
        raise ConfigError(f"{out} exists already: name another folder, or remove it first")
    sources = [Path(source)] if isinstance(source, str | Path) else [Path(each) for each in source]
    with open_catalog(sources, labels) as catalog:
        partial = out.with_name(out.name + ".partial")
        packing = _Packing(catalog, partial, settings, splits, scaled)
        try:
            packing.begin()
            packing.images(workers or os.cpu_count() or 1, progress=progress)
            packing.finish()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = (
                "no space left"
                if full
                else f"{partial} cannot be written ({error.strerror or error})"
            )
            raise DataError(
                f"{reason} while packing {out}: {len(packing.kept):,} of {len(catalog):,} images"
                f" are packed in {partial}; {'free some space' if full else 'mend that'} and run"
                " the same command again"
            ) from error
        partial.rename(out)
        for name in ("plan.json", "journal.jsonl"):
            (out / name).unlink()
    return Store.open(out)


@dataclass(frozen=True)
class _Chunk:
    """What became of a few images: those kept with their rows and digests, those rejected with
    their reasons.
    """

    images: UInt8[np.ndarray, "galaxy side side 3"]
    kept: list[int]
    digests: list[bytes]
    rejected: list[tuple[int, str]]


@dataclass
class _Packing:
    catalog: Catalog
    folder: Path
    settings: PackSettings
    splits: SplitSettings
    scaled: bool

    def __post_init__(self) -> None:
        self.kept = array("Q")
        self.digests = bytearray()  # IMAGE_DIGEST_BYTES for each of those kept
        self.rejected: list[tuple[int, str]] = []

    @property
    def id_name(self) -> str:
        """The table's word for the id, unless it is one of the store's own."""
        return "id" if self.catalog.id_name in OWN_COLUMNS else self.catalog.id_name

    @property
    def how(self) -> dict[str, Any]:
        """What the pixels of a store depend on beside the images; nothing is said of what was not
        asked for.
        """
        return asdict(self.settings) | ({"scaled": True} if self.scaled else {})

    @property
    def image_bytes(self) -> int:
        return self.settings.size_px**2 * 3

    def begin(self) -> None:
        """Make the folder, or take up what an earlier attempt with the same plan left in it."""
        plan = json.dumps({"format": FORMAT, "catalog": self.catalog.digest(), **self.how})
        plan_file, journal, images = (
            self.folder / name for name in ("plan.json", "journal.jsonl", "images.npy")
        )
        if plan_file.is_file():
            if plan_file.read_text("utf-8", "replace") != plan:
                raise ConfigError(
                    f"{self.folder} holds the beginning of another packing (other images, table or"
                    " size): remove it, or name another folder"
                )
            self._take_up(journal, images)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            images.write_bytes(bytes(HEADER_BYTES))
            journal.write_bytes(b"")
            write_text(plan_file, plan)
        needed = (len(self.catalog) - self.done) * self.image_bytes
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            if not self.done:
                shutil.rmtree(self.folder)  # so that another size can be tried
            raise DataError(
                f"packing {len(self.catalog):,} images needs {needed / 1e6:,.1f} MB more and"
                f" {self.folder.parent} has {free / 1e6:,.1f} MB free: free some space, or pack a"
                " smaller --size"
            )

    @property
    def done(self) -> int:
        """How many images are behind us, kept or rejected."""
        return len(self.kept) + len(self.rejected)

    def _take_up(self, journal: Path, images: Path) -> None:
        whole = 0
        with images.open("rb") as file, journal.open("rb") as lines:
            file.seek(HEADER_BYTES)
            for line in lines:
                try:
                    entry = json.loads(line)
                    digests = [bytes.fromhex(digest) for digest in entry["digests"]]
                    rejected = [(row, reason) for row, reason in entry["rejected"]]
                    rows = sorted([*entry["kept"], *(row for row, _ in rejected)])
                except (ValueError, KeyError, TypeError):  # cut short or damaged
                    break
                as_expected = line.endswith(b"\n") and rows == list(
                    range(self.done, self.done + len(rows))
                )
                found = [
                    image_digest(np.frombuffer(file.read(self.image_bytes), np.uint8))
                    for _ in entry["kept"]
                ]
                if not as_expected or found != digests:
                    break
                self.kept.extend(entry["kept"])
                self.digests += b"".join(digests)
                self.rejected += rejected
                whole += len(line)
        os.truncate(journal, whole)
        os.truncate(images, HEADER_BYTES + len(self.kept) * self.image_bytes)

    def images(self, workers: int, *, progress: bool) -> None:
        """Pack the images that are not yet packed, in the catalog's order."""
        keep_freed_memory()
        rows = range(self.done, len(self.catalog))
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        with (
            (self.folder / "images.npy").open("ab", buffering=0) as pixels,
            (self.folder / "journal.jsonl").open("a", encoding="utf-8") as journal,
            ThreadPoolExecutor(1) as flusher,
            bar(show=progress) as shown,
        ):
            task = shown.add_task("packing", total=len(self.catalog), completed=self.done)
            flushed = flusher.submit(lambda: None)
            for _, chunk in in_order(self._chunk, chunks, workers):
                pixels.write(chunk.images.data)
                if (
                    flushed.done()
                ):  # the disk works while images are decoded, and has little left at the end
                    flushed.result()
                    flushed = flusher.submit(os.fsync, pixels.fileno())
                entry = {
                    "kept": chunk.kept,
                    "digests": [d.hex() for d in chunk.digests],
                    "rejected": chunk.rejected,
                }
                journal.write(json.dumps(entry) + "\n")
                journal.flush()
                self.kept.extend(chunk.kept)
                self.digests += b"".join(chunk.digests)
                self.rejected += chunk.rejected
                shown.update(task, completed=self.done)
            flushed.result()
            os.fsync(pixels.fileno())

    def _chunk(self, rows: range) -> "_Chunk":
        # All of an image's work is done here, so that the one thread that writes never holds up the
        # others.
        side = self.settings.size_px
        chunk = _Chunk(np.empty((len(rows), side, side, 3), np.uint8), [], [], [])
        for row in rows:
            square = read_square(self.catalog.images[row], self.settings, scaled=self.scaled)
            if isinstance(square, str):
                chunk.rejected.append((row, square))
                continue
            chunk.images[len(chunk.kept)] = square
            chunk.digests.append(image_digest(square))
            chunk.kept.append(row)
        return replace(chunk, images=chunk.images[: len(chunk.kept)])

    @property
    def _pixel_digests(self) -> pa.FixedSizeBinaryArray:
        """The digest of each image that was kept."""
        kind, buffer = pa.binary(IMAGE_DIGEST_BYTES), pa.py_buffer(self.digests)
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(self.kept), [None, buffer])

    def finish(self) -> None:
        """Write the table, the tree, the rejected and, last, the manifest."""
        catalog, folder = self.catalog, self.folder
        if not self.kept:
            shutil.rmtree(folder)  # so that other options can be tried
            reason = (
                f"; the first: {catalog.images[0].name}: {self.rejected[0][1]}"
                if self.rejected
                else ""
            )
            raise DataError(f"not one of {len(catalog):,} images could be packed{reason}")
        header = io.BytesIO()
        shape = (len(self.kept), self.settings.size_px, self.settings.size_px, 3)
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )
        assert header.tell() == HEADER_BYTES
        with (folder / "images.npy").open("r+b") as file:
            file.write(header.getvalue())
            os.fsync(file.fileno())
        ids = catalog.ids.take(pa.array(np.array(self.kept, np.int64)))
        splits = assign_splits(iterate(ids), self._pixel_digests, self.splits)
        parts = [slice(start, start + TOGETHER) for start in range(0, len(self.kept), TOGETHER)]
        tables = (self._table(part, splits[part]) for part in parts)
        first = next(tables)
        with pq.ParquetWriter(folder / "galaxies.parquet", first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)
        rejected = [
            (catalog.images[row].name, catalog.ids[row].as_py(), reason)
            for row, reason in self.rejected
        ]
        rejected += [("", each, "the row has no image") for each in catalog.rows_without_image]
        rejected += [("", each, "the row has no votes") for each in catalog.rows_without_votes]
        rejected += [
            (each, "", "no row of the table names the image") for each in catalog.images_without_row
        ]
        columns = [list(column) for column in zip(*rejected, strict=True)] or [[], [], []]
        pacsv.write_csv(
            pa.table(
                {
                    name: pa.array(values, pa.string())
                    for name, values in zip(("image", "id", "reason"), columns, strict=True)
                }
            ),
            folder / "rejected.csv",
        )
        small = ["galaxies.parquet", "rejected.csv"]
        if catalog.tree is not None:
            write_text(folder / "tree.toml", catalog.tree.to_toml())
            small.append("tree.toml")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "galaxyvotes": version("galaxyvotes"),
            "galaxies": len(self.kept),
            **self.how,
            "id_name": self.id_name,
            "sources": list(catalog.sources),
            "votes": catalog.votes_from,
            "split_settings": asdict(self.splits),
            "splits": {
                name: int((splits == name).sum()) for name in ("train", "validation", "test")
            },
            "duplicates": len(self.kept) - len(self._pixel_digests.unique()),
            "rejected_images": len(self.rejected),
            "rows_without_image": len(catalog.rows_without_image),
            "rows_without_votes": len(catalog.rows_without_votes),
            "images_without_row": len(catalog.images_without_row),
            "digests": {name: file_digest(folder / name) for name in small},
        }
        manifest["digest"] = contents_digest(manifest, tomlkit.dumps)
        write_text(folder / "store.toml", tomlkit.dumps(manifest))

    def _table(self, part: slice, splits: np.ndarray) -> pa.Table:
        """Some rows of the store's table."""
        catalog = self.catalog
        rows = np.array(self.kept[part], np.int64)
        table: dict[str, Any] = {
            self.id_name: catalog.ids.take(pa.array(rows)).cast(pa.string()),
            "split": pa.array(splits, pa.string()),
            "source": pa.array((image.name for image in catalog.images[rows]), pa.string()),
            "pixels": self._pixel_digests[part].cast(pa.binary()),
        }
        if catalog.tree is not None and catalog.values is not None:
            for place, answer in enumerate(catalog.tree.columns):
                table[value_column(catalog.tree, answer)] = catalog.values[rows, place]
            if catalog.counts is not None:
                for place, answer in enumerate(catalog.tree.columns):
                    table[f"votes:{answer}"] = catalog.counts[rows, place]
        for name, column in zip(catalog.columns.column_names, catalog.columns.columns, strict=True):
            own = f"table:{name}" if name in table else name
            table[own] = column.take(pa.array(rows))
        return pa.table(table)
