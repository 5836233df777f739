"""The rows of a table, in slices, and the image that each of them means.

An image is a file whose path stands in a column, or is made from columns by a template; or, where
folders or archives are given beside the table, one of theirs, by its path or its name. Paths are
relative to the table, or absolute. A row whose image is not there keeps its place, with a reason.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.inference.galaxies import Chunk, names_digest, read_squares
from galaxyvotes.inference.image_names import ImageNames
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import file_digest
from galaxyvotes.runtime.files import given_source
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sky.mosaic import Mosaic
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import explain_none, in_other_units
from galaxyvotes.sky.tiles import Tile
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.cut_outs import CutOuts, cut_outs_of, id_column
from galaxyvotes.sources.matching import Images, match_images
from galaxyvotes.sources.members import Member, Members, files_at
from galaxyvotes.sources.no_images import has_positions
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.table_formats.read import MemoryRows, Rows, open_rows
from galaxyvotes.tables.table import Table

__all__ = ["TableImages", "named_table", "open_table_images"]

SLICE = 8192  # rows that are read at a time
_TRIED = 1000  # rows of a slice, to see which column holds paths
_MOST_TRIED = 100_000  # rows, to see whether any image is there

Image = Member | str  # a file, or why there is none
Find = Callable[[Table], tuple[list[str], list[Image]]]  # what rows call their images, and these


@dataclass(frozen=True)
class TableImages:
    """A table of galaxies and their images, while its file is open; `id_column` names them."""

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
        find = _paths(names, folder, layout)
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
                yield Chunk(ids[part], partial(read_squares, images[part]), rows[part])
            start += len(rows)
            if start >= stop:
                return

    def digest(self) -> str:
        """A digest of the table's bytes, and of the names of the images beside it."""
        beside = names_digest(self.beside) if self.beside else ""
        return f"{file_digest(self.path)} {beside}"

    def first_images(self) -> list[Member]:
        """The images of the first rows that are there."""
        return [image for image in self._first(_TRIED)[1] if isinstance(image, Member)]

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

    ConfigError for two tables, DataError as of `Source.open`.
    """
    tables = [path for path in paths if path.is_file() and _is_table(path)]
    if len(tables) > 1:
        raise ConfigError(f"{tables[0]} and {tables[1]} are tables: name one, and its images")
    if not tables or _is_list(tables[0]):
        return None, list(paths)
    return tables[0], [path for path in paths if path != tables[0]]


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
    return any(_is_image(path.parent, name.strip()) for name in names)


@contextmanager
def open_table_images(
    path: Path,
    others: Sequence[Path],
    image: str | None,
    layout: FitsLayout,
    *,
    as_text: bool = False,
) -> Generator[TableImages]:
    """A table and its images, which stay open while the context lasts.

    `others` are folders and archives of images, `image` a template over columns for the path or the
    name of each. Without one, the column is found that names images. `as_text` leaves the cells of
    a table of text as they are written.

    Raises ConfigError for a template that does not fit the table, and for a choice among columns
    that cannot be made; DataError if no row names an image that is there, and as `open_rows` and
    `Source.open`.
    """
    with open_rows(path, as_text=as_text) as rows:
        columns = cast("list[str]", rows.schema.names)
        if layout.mosaic is not None:
            if image is not None or others:
                raise ConfigError(
                    "images are cut from the mosaic: leave out `image=…` and folders of images, or"
                    " the mosaic"
                )
            with closing(_CutFromMosaic.open(rows, layout, layout.mosaic)) as cut:
                yield TableImages(rows, path, cut.id_name or columns[0], None, cut.find)
            return
        names = None if image is None else ImageNames.of(image, columns, rows.name)
        if not others:
            root = given_source(path).parent
            names = names or ImageNames.of_column(_path_column(rows, root))
            find = _paths(names, root, layout)
            named = TableImages(rows, path, _id_column(names, columns), None, find)
            _refuse_absent(named, names, root)
            yield named
            return
        with Source.open(*others, layout=layout) as source:
            if not len(source.images):
                where = ", ".join(map(str, others))
                raise DataError(f"no image (JPEG, PNG …) in {where}{source.passed_over.hint}")
            images = Images(source.images)
            names = names or ImageNames.of_column(_matching_column(rows, images))
            id_column, find = _id_column(names, columns), _members(names, images)
            yield TableImages(rows, path, id_column, source.images, find)


def _id_column(names: ImageNames, columns: Sequence[str]) -> str:
    """The column that tells galaxies apart: that of the template, if it has one, or the first."""
    return names.columns[0] if len(names.columns) == 1 else columns[0]


# ---- images by their paths


def _paths(names: ImageNames, root: Path, layout: FitsLayout) -> Find:
    if names.has_bands and len(layout.bands) < 2:
        raise ConfigError(
            "an image template with {band} needs the names of the bands:"
            ' `layout=FitsLayout(bands=("g", "r", "z"))`'
        )
    of_bands = [names.in_band(band) for band in layout.bands] if names.has_bands else [names]

    def find(rows: Table) -> tuple[list[str], list[Image]]:
        paths = [cast("list[str]", _as_paths(each.of_rows(rows)).to_pylist()) for each in of_bands]
        named = zip(paths[0], files_at(root, paths, layout), strict=True)
        return paths[0], [_unusable(word) or file for word, file in named]

    return find


def _as_paths(words: pa.Array) -> pa.Array:
    """Paths as a file system has them; "" where a row has none."""
    words = pc.replace_substring(pc.fill_null(words, ""), "\\", "/")
    return pc.replace_substring_regex(words, r"^\./", "")


def _unusable(word: str) -> str:
    """Why a word cannot be the path of an image; empty if it can."""
    if not word:
        return "the table names no image"
    suffix = split_suffix(word)[1]
    if "\0" in word:
        return "the path holds a zero byte"
    return "" if not suffix or suffix in IMAGE_SUFFIXES else f"is no image by its name ({suffix})"


def _path_column(rows: Rows, root: Path) -> str:
    """The column that names most images which are there, of the first rows that name any."""
    columns, absent = cast("list[str]", rows.schema.names), ("", "")
    for part in rows.slices(SLICE):
        texts = [
            name
            for name, field in zip(columns, part.schema, strict=True)
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        paths = {name: _image_paths(part.column(name)[:_TRIED]) for name in texts}
        hits = {name: sum(_is_file(root, path) for path in paths[name]) for name in texts}
        best = max(hits, key=hits.__getitem__, default="")
        if hits.get(best):
            return best
        first = ((name, named[0]) for name, named in paths.items() if named)
        absent = absent if any(absent) else next(first, absent)
    if any(absent):
        raise DataError(
            f"{rows.name}: the column {absent[0]!r} names images, and none is there;"
            f" {_where(root, absent[1])}; correct the column, name the folder or archive of the"
            ' images, too, or write a template of their paths, `image="cutouts/{id}.fits"`'
        )
    hint = (
        f"{rows.name} has positions on the sky, but no pixels: " if has_positions(columns) else ""
    )
    raise DataError(
        f"{hint}no column of {rows.name} holds paths of images that are there; give the folder or"
        ' archive of the images, too, or a template of their paths, `image="cutouts/{id}.fits"`'
    )


def _image_paths(words: pa.ChunkedArray) -> list[str]:
    """The words that are paths of images by their suffix, each once."""
    different = _as_paths(pc.utf8_trim_whitespace(pc.unique(words)))
    return [word for word in different.to_pylist() if split_suffix(word)[1] in IMAGE_SUFFIXES]


def _is_image(root: Path, word: str) -> bool:
    return split_suffix(word)[1] in IMAGE_SUFFIXES and _is_file(root, word)


def _is_file(root: Path, word: str) -> bool:
    try:
        return (root / word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _refuse_absent(named: TableImages, template: ImageNames, root: Path) -> None:
    """Raise a DataError if no image is there of the first that are named: paths are wrong, or
    relative to something else.
    """
    looked, word = 0, ""
    for names in named.first_names(_MOST_TRIED):
        if any((root / each).is_file() for each in names if not _unusable(each)):
            return
        looked, word = looked + len(names), word or next(filter(None, names), "")
    where = ", ".join(map(repr, template.columns))
    if not word:
        raise DataError(f"{named.rows.name}: the first {looked:,} rows name no image ({where})")
    raise DataError(
        f"{named.rows.name}: no image of the first {counted(looked, 'row')} is there, as named by"
        f" {where}; {_where(root, word)}"
    )


def _where(root: Path, word: str) -> str:
    """Where the image was looked for that a table names first."""
    looked = f"the first is {word}, and paths are relative to the folder of the table ({root})"
    here = f": it is there from the current one, write {Path.cwd() / word}"
    return looked + (here if _is_file(Path(), word) else "")


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
    return f"no image is called {word}" if word else "the table names no image"


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
