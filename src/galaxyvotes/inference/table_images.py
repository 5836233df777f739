"""The rows of a table, in slices, and the image that each of them means.

An image is a file whose path stands in a column, or is made from columns by a template; or, where
folders or archives are given beside the table, one of theirs, by its path or its name. Paths are
relative to the table, or absolute. A row whose image is not there keeps its place, with a reason.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.inference.galaxies import Chunk, names_digest, read_squares
from galaxyvotes.inference.image_names import ImageNames
from galaxyvotes.inference.image_paths import (
    NO_NAME,
    SLICE,
    Find,
    Image,
    by_path,
    is_image,
    path_column,
    refuse_absent,
)
from galaxyvotes.runtime.digests import file_digest
from galaxyvotes.runtime.files import given_source
from galaxyvotes.runtime.object_store import digest_of_object, url_of
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sky.mosaic import Mosaic
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import explain_none, in_other_units
from galaxyvotes.sky.tiles import Tile
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.cut_outs import CutOuts, cut_outs_of, id_column
from galaxyvotes.sources.matching import Images, match_images
from galaxyvotes.sources.members import Member, Members
from galaxyvotes.sources.positions import find_position
from galaxyvotes.sources.suffixes import FITS_SUFFIXES, IMAGE_SUFFIXES, split_suffix
from galaxyvotes.table_formats.read import MemoryRows, Rows, open_rows
from galaxyvotes.tables.ids import ids_in
from galaxyvotes.tables.table import Table

__all__ = ["TableImages", "named_table", "open_table_images"]

_LOOKED_AT = 1000  # rows, for the stretch of their FITS images
_MOST_TRIED = 100_000  # rows, to see whether any image is there


@dataclass(frozen=True)
class TableImages:
    """A table of galaxies and their images, while its file is open; `id_column` has their ids."""

    rows: Rows
    path: Path
    id_column: str
    beside: Members | None  # the images of folders and archives, if some are given beside it
    _find: Find

    @staticmethod
    def in_memory(
        rows: pa.Table, columns: Sequence[str], image: str, folder: Path, layout: FitsLayout
    ) -> "TableImages":
        """Rows in memory, of a table that has these columns, and the images whose paths from the
        folder on a template names; none need be there.

        Raises ConfigError for a template that does not fit the table.
        """
        names = ImageNames.of(image, columns, "the table")
        find = by_path(names, folder, layout)
        return TableImages(MemoryRows("the table", rows), folder, names.columns[0], None, find)

    def __len__(self) -> int:
        """The number of rows."""
        return self.rows.count

    def chunks(self, size: int, start: int, stop: int, block: int) -> Iterator[Chunk]:
        """See `Galaxies`; DataError if rows cannot be read, or if ids have lost digits."""
        for read in self.rows.slices(block, start):
            rows = read[: stop - start]
            ids, images = self._find(Table(self.rows.name, rows, start))
            for first in range(0, len(rows), size):
                part = slice(first, first + size)
                these = images[part]
                yield Chunk(ids[part], partial(read_squares, these), these, rows[part])
            start += len(rows)
            if start >= stop:
                return

    def digest(self) -> str:
        """A digest of the table's bytes, and of the names of the images beside it."""
        beside = names_digest(self.beside) if self.beside else ""
        url = url_of(self.path)
        return f"{digest_of_object(url) if url else file_digest(self.path)} {beside}"

    def first_images(self) -> list[Member]:
        """The images of the first rows that are there."""
        return [image for image in self._first(_LOOKED_AT)[1] if isinstance(image, Member)]

    def first_names(self, most: int) -> Iterator[list[str]]:
        """What the first rows call their images, some of them at a time."""
        for start in range(0, min(most, len(self)), SLICE):
            yield self._first(SLICE, start)[0]

    def _first(self, count: int, start: int = 0) -> tuple[list[str], list[Image]]:
        rows = next(self.rows.slices(count, start), None)
        if rows is None:
            return [], []
        return self._find(Table(self.rows.name, rows, start))


def named_table(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """The table among some paths, and the others, which hold its images; none if no table is named,
    or one that is a list of images without a header.

    ConfigError for two tables, or for images in an object store; DataError as of `Source.open`.
    """
    tables = [path for path in paths if url_of(path) or (path.is_file() and _is_table(path))]
    if len(tables) > 1:
        raise ConfigError(f"{tables[0]} and {tables[1]} are tables: name one, and its images")
    if tables and (url := url_of(tables[0])):
        _refuse_images(url)
        return tables[0], [path for path in paths if path != tables[0]]
    if not tables or _is_list(tables[0]):
        return None, list(paths)
    return tables[0], [path for path in paths if path != tables[0]]


def _refuse_images(url: str) -> None:
    folder, _, name = url.rpartition("/")
    if split_suffix(name)[1] in (IMAGE_SUFFIXES - FITS_SUFFIXES) | {"", ".zip"}:
        raise ConfigError(
            f"{url} is no table: images in a store of objects or on the web are named by a table,"
            f' whose column has their URLs, or `image="{folder}/{{id}}.jpg"`'
        )


def _is_table(path: Path) -> bool:
    with Source.open(path) as source:
        return bool(source.tables)


def _is_list(path: Path) -> bool:
    """Whether the header is itself a path of an image: a list of paths has none."""
    try:
        with open_rows(path) as rows:
            names = cast("list[str]", rows.schema.names)
    except DataError:  # a path alone has no rows
        names = Table(path.name, path.read_bytes()).header()
    return any(is_image(path.parent, name.strip()) for name in names)


@contextmanager
def open_table_images(
    path: Path,
    others: Sequence[Path],
    image: str | None,
    layout: FitsLayout,
    *,
    id_column: str | None = None,
    as_text: bool = False,
) -> Generator[TableImages]:
    """A table and its images, which stay open while the context lasts.

    `others` are folders and archives of images, `image` a template over columns for the path or the
    name of each. Without one, the column is found that names images. The ids of the galaxies are in
    `id_column`, or else where `tables.ids` finds them. `as_text` leaves the cells of a table of
    text as they are written.

    Raises ConfigError for a template that does not fit the table, for a choice among columns that
    cannot be made, and if there is no column `id_column`; DataError if no row names an image that
    is there, and as `open_rows` and `Source.open`.
    """
    with open_rows(path, as_text=as_text) as rows:
        columns, ids = cast("list[str]", rows.schema.names), _id_column(rows, id_column)
        if layout.mosaic is not None:
            if image is not None or others:
                raise ConfigError(
                    "images are cut from the mosaic: leave out `image=…` and folders of images, or"
                    " the mosaic"
                )
            with closing(_CutFromMosaic.open(rows, layout, layout.mosaic)) as cut:
                yield TableImages(rows, path, ids, None, cut.find)
            return
        names = None if image is None else ImageNames.of(image, columns, rows.name)
        if not others:
            root = given_source(path).parent
            names = names or ImageNames.of_column(path_column(rows, root))
            find = by_path(names, root, layout)
            named = TableImages(rows, path, ids, None, find)
            refuse_absent(rows.name, named.first_names(_MOST_TRIED), names, root)
            yield named
            return
        with Source.open(*others, layout=layout) as source:
            if not len(source.images):
                where = ", ".join(map(str, others))
                raise DataError(f"no image (JPEG, PNG …) in {where}{source.passed_over.hint}")
            images = Images(source.images)
            names = names or ImageNames.of_column(_matching_column(rows, images))
            yield TableImages(rows, path, ids, source.images, _members(names, images))


def _id_column(rows: Rows, wanted: str | None) -> str:
    """The column of ids, which is no position; the first if none could be one."""
    first = next(rows.slices(SLICE))
    if all(pa.types.is_large_string(kind) for kind in first.schema.types):
        first = _typed(first)
    without = find_position(first.schema) or ()
    try:
        return ids_in(first.schema, first.select, rows.name, wanted, without)
    except DataError:
        return first.column_names[0]


def _typed(rows: pa.Table) -> pa.Table:
    """Rows of text with the types that columns have by what is written in them."""
    sink = pa.BufferOutputStream()
    csv.write_csv(rows, sink)
    options = csv.ReadOptions(use_threads=False), csv.ParseOptions(newlines_in_values=True)
    return csv.read_csv(pa.BufferReader(sink.getvalue()), *options)


# ---- images of folders and archives


def _members(names: ImageNames, images: Images) -> Find:
    def find(rows: Table) -> tuple[list[str], list[Image]]:
        keys = images.keys(pc.fill_null(names.of_rows(rows), ""))
        words, places = cast("list[str]", keys.to_pylist()), images.place_of_each(keys).tolist()
        found: list[Image] = [
            images.members[place] if place >= 0 else _no_image(word)
            for word, place in zip(words, places, strict=True)
        ]
        return words, found

    return find


def _no_image(word: str) -> str:
    return f"no image is called {word}" if word else NO_NAME


def _matching_column(rows: Rows, images: Images) -> str:
    """The column that names images, by the first rows that name any; as `match_images`."""
    first_error: DataError | None = None
    columns, start = cast("list[str]", rows.schema.names), 0
    for part in rows.slices(8 * SLICE):
        try:
            table = Table(rows.name, part, start)
            return match_images(table, images, columns=columns, choose='`image="{COLUMN}"`')[0]
        except DataError as error:
            first_error = first_error or error
        start += len(part)
    assert first_error is not None
    raise first_error


# ---- images that are cut from mosaics


@dataclass(frozen=True)
class _CutFromMosaic:
    """A table with positions, and the tiles of the mosaic that its images are cut from."""

    tiles: Sequence[Tile]
    layout: FitsLayout
    mosaic: Mosaic
    id_name: str | None

    @staticmethod
    def open(rows: Rows, layout: FitsLayout, mosaic: Mosaic) -> "_CutFromMosaic":
        """DataError as `open_tiles` and `find_places`, and for positions in other units."""
        tiles, first = open_tiles(mosaic.files, layout.hdus, layout.bands), next(rows.slices(SLICE))
        cut = _CutFromMosaic(tiles, layout, mosaic, id_column(first))
        places = cut._of(Table(rows.name, first)).cutouts.places
        if other := in_other_units(tiles, places):
            raise DataError(f"{rows.name}: {other}")
        if rows.count == len(first) and not places.inside.any():
            raise DataError(f"{rows.name}: {explain_none(tiles, places)}")
        return cut

    def find(self, rows: Table) -> tuple[list[str], list[Image]]:
        """What rows are called, and the images at their positions."""
        images = self._of(rows)
        members = (Member(images, row, self.layout) for row in range(len(images.ids)))
        problems = map(images.cutouts.problem, range(len(images.ids)))
        found: list[Image] = [why or image for why, image in zip(problems, members, strict=True)]
        return images.ids.to_pylist(), found

    def _of(self, rows: Table) -> CutOuts:
        assert isinstance(rows.data, pa.Table)
        return cut_outs_of(
            rows.data,
            rows.name,
            self.mosaic,
            self.tiles,
            self.layout.bands,
            rows.at,
            id_name=self.id_name,
            first=rows.first_row,
        )

    def close(self) -> None:
        """Close the tiles."""
        for tile in self.tiles:
            tile.close()
