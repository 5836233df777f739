"""Galaxies of a table, cut from mosaics into files: FITS, or JPEG pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import simplejpeg

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.read import pixels_like
from galaxyvotes.runtime.files import given_path, given_source, new_folder
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import check_workers, in_order
from galaxyvotes.sky.cutouts import MAX_SIDE_PX, Cutout, fits_bytes
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sky.mosaic import Mosaic
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import explain_none, in_other_units
from galaxyvotes.sky.stretch import Stretch, choose_stretch
from galaxyvotes.sky.tiles import Tile
from galaxyvotes.sources.cut_outs import CutOuts, cut_outs_of, id_column
from galaxyvotes.table_formats.read import Rows, open_rows
from galaxyvotes.table_formats.write import open_table

__all__ = ["CutoutFolder", "cutout"]

_SLICE = 8192  # rows that are read at a time
_TOGETHER = 32  # cut-outs that one thread makes
_A_FOLDER = 10_000  # files
_QUALITY = 95
_COLUMNS = pa.schema(
    [
        pa.field("cutout", pa.string(), metadata={"description": "File of the image"}),
        pa.field(
            "cutout_off_edge",
            pa.float32(),
            metadata={"description": "Share of the image beyond the mosaic's edge"},
        ),
        pa.field(
            "cutout_masked",
            pa.float32(),
            metadata={"description": "Share of the image without value inside the mosaic"},
        ),
        pa.field("cutout_problem", pa.string(), metadata={"description": "Why there is no image"}),
    ]
)
_FORMATS = (".csv", ".ecsv", ".fits", ".parquet", ".vot", ".xml")


@dataclass(frozen=True)
class CutoutFolder:
    """A folder of cut-outs: `table` has the rows of the table that they are of, with the file of
    each, or the reason why there is none; `galaxies` have one, `at_edge` of them reach beyond the
    mosaic, and `problems` counts the others by reason.
    """

    path: Path
    table: Path
    galaxies: int
    at_edge: int
    problems: dict[str, int]


def cutout(
    table: str | Path,
    out: str | Path,
    *,
    mosaic: Mosaic,
    layout: FitsLayout = ANYWHERE,
    side_px: int | None = None,
    like: PackSettings | None = None,
    stretch: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> CutoutFolder:
    """A folder with an image of each galaxy of a table, cut from a mosaic at its position, and the
    table with the file of each.

    An image has the mosaic's own pixels, or `side_px` of them, or those that a network takes
    (`like`, as `Run.open(…).pack`). It is a FITS file, with its WCS, one band or a cube of them;
    with a `stretch` a JPEG. `layout` names the HDUs and the bands of the mosaic. Rows keep their
    place and their columns; behind them are the file, which share of the image is beyond the
    mosaic's edge and which is masked, and why there is none. The folder appears whole at the end.

    Raises ConfigError for a folder that is not empty, a table without positions in degrees, a
    column that is not there or would be there twice, and a stretch that is not known; DataError for
    a mosaic or a table that cannot be read, if not one galaxy can be cut out, or if the folder
    cannot be written.
    """
    check_workers(workers)
    if side_px is not None and (like is not None or not 1 <= side_px <= MAX_SIDE_PX):
        raise ConfigError(
            f"side_px is {side_px}; expected 1 to {MAX_SIDE_PX}, and no `like=…` beside it"
        )
    if stretch is not None:
        Stretch.load(stretch)
    pixels = (side_px or 0, 0.0) if like is None else pixels_like(like)
    source, named = given_source(table), given_path(out)
    out = named.absolute()
    tiles = open_tiles(mosaic.files, layout.hdus, layout.bands)
    suffix = _suffix_of(source.name)
    with (
        open_rows(source, as_text=suffix == ".csv") as rows,
        new_folder(out) as folder,
        open_table(folder / f"cutouts{suffix}", _schema(rows)) as write,
        bar(show=progress) as shown,
    ):
        task = shown.add_task("cutting out", total=rows.count)
        work = _Work(rows, mosaic, layout, tiles, partial(_bytes_of, pixels, stretch), folder)
        try:
            counts = work.run(write, workers or cpu_count() or 1, partial(shown.advance, task))
        finally:
            for tile in tiles:
                tile.close()
    problems = dict(counts.problems.most_common())
    return CutoutFolder(named, named / f"cutouts{suffix}", counts.made, counts.at_edge, problems)


def _suffix_of(name: str) -> str:
    """The format in which a table is written again: its own if it can be written."""
    name = name.lower().removesuffix(".gz")
    return next((suffix for suffix in _FORMATS if name.endswith(suffix)), ".csv")


def _schema(rows: Rows) -> pa.Schema:
    for name in _COLUMNS.names:
        if name in rows.schema.names:
            raise ConfigError(
                f"{rows.name} has a column {name} already, which would be there twice: rename it"
            )
    return pa.schema([*rows.schema, *_COLUMNS], rows.schema.metadata)


def _bytes_of(pixels: tuple[int, float], stretch: str | None, images: CutOuts, row: int) -> "_Made":
    """One cut-out as a file, or why there is none."""
    try:
        cut = images.cut(row, *pixels)
        data = fits_bytes(cut, {}) if stretch is None else _jpeg(cut, stretch)
    except DataError as error:
        return _Made(b"", None, str(error))
    return _Made(data, cut, "")


def _jpeg(cut: Cutout, stretch: str) -> bytes:
    chosen, bands = choose_stretch(stretch, cut.image)
    return simplejpeg.encode_jpeg(chosen.picture(bands), quality=_QUALITY, colorsubsampling="444")


class _Made(NamedTuple):
    data: bytes
    cut: Cutout | None
    problem: str


@dataclass
class _Counts:
    made: int
    at_edge: int
    problems: Counter[str]


@dataclass(frozen=True)
class _Work:
    """A table, and what becomes of its rows."""

    rows: Rows
    mosaic: Mosaic
    layout: FitsLayout
    tiles: Sequence[Tile]
    make: Callable[[CutOuts, int], _Made]
    folder: Path

    def run(
        self,
        write: Callable[[pa.Table], None],
        workers: int,
        advance: Callable[[float], None],
    ) -> _Counts:
        counts, first, id_name = _Counts(0, 0, Counter()), 0, None
        for part in self.rows.slices(_SLICE):
            id_name = id_column(part) if first == 0 else id_name
            images = self._images(part, first, id_name)
            write(self._cut(part, images, first, workers, counts))
            first += len(part)
            advance(len(part))
        if not counts.made:
            places = self._images(next(self.rows.slices(_SLICE)), 0, id_name).cutouts.places
            why = next(iter(counts.problems))
            if not places.inside.any():
                why = explain_none(self.tiles, places)
            raise DataError(f"{self.rows.name}: no galaxy can be cut out: {why}")
        return counts

    def _images(self, part: pa.Table, first: int, id_name: str | None) -> CutOuts:
        images = cut_outs_of(
            part,
            self.rows.name,
            self.mosaic,
            self.tiles,
            self.layout.bands,
            lambda row: f"{self.rows.name} row {first + row + 1}",
            id_name=id_name,
            first=first,
        )
        if first == 0 and (other := in_other_units(self.tiles, images.cutouts.places)):
            raise DataError(f"{self.rows.name}: {other}")
        return images

    def _cut(
        self, part: pa.Table, images: CutOuts, first: int, workers: int, counts: _Counts
    ) -> pa.Table:
        """Write the images of some rows; the rows with what became of them."""
        order = images.cutouts.reading_order().tolist()
        groups = [order[at : at + _TOGETHER] for at in range(0, len(order), _TOGETHER)]
        files: list[str | None] = [None] * len(part)
        problems: list[str | None] = [None] * len(part)
        shares = np.full((2, len(part)), np.nan, np.float32)

        def make(group: list[int]) -> list[_Made]:
            return [self.make(images, row) for row in group]

        for group, made in in_order(make, groups, workers):
            for row, each in zip(group, made, strict=True):
                if each.cut is None:
                    problems[row] = each.problem
                    counts.problems[_kind(each.problem)] += 1
                    continue
                files[row] = self._write(images.path(row), first + row, each.data)
                shares[:, row] = each.cut.off_edge, each.cut.masked
                counts.made += 1
                counts.at_edge += each.cut.off_edge > 0
        columns = [pa.array(files, pa.string()), *map(_shares, shares)]
        columns.append(pa.array(problems, pa.string()))
        return pa.table([*part.columns, *columns], schema=_schema(self.rows))

    def _write(self, name: str, row: int, data: bytes) -> str:
        """Write a file; its path below the folder. Of two of one name the second has its row."""
        folder = "images"
        if self.rows.count > _A_FOLDER:
            folder += f"/{row // _A_FOLDER:04}"
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        suffix = ".fits" if data.startswith(b"SIMPLE") else ".jpg"
        stem = name.removesuffix(".fits") or f"row-{row + 1}"
        path = self.folder / folder / f"{stem}{suffix}"
        if path.exists():
            path = path.with_name(f"{stem}-row-{row + 1}{suffix}")
        path.write_bytes(data)
        return f"{folder}/{path.name}"


def _shares(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float32(), mask=np.isnan(values))


def _kind(problem: str) -> str:
    """A reason without what differs from row to row."""
    return problem.partition(" (ra")[0].partition(":")[0]
