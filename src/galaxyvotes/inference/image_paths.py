"""Images that the rows of a table name by their paths, relative to the table or absolute, or by
their URLs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.inference.image_names import ImageNames
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.object_store import url_of
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sources.members import Member, files_at
from galaxyvotes.sources.no_images import has_positions
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.table_formats.read import Rows
from galaxyvotes.tables.table import Table

__all__ = [
    "NO_NAME",
    "SLICE",
    "Find",
    "Image",
    "by_path",
    "is_image",
    "path_column",
    "refuse_absent",
]

SLICE = 8192  # rows that are read at a time
NO_NAME = "the table names no image"
_TRIED = 1000  # rows of a slice, to see which column holds paths

Image = Member | str  # a file, or why there is none
Find = Callable[[Table], tuple[list[str], list[Image]]]  # what rows call their images, and these


def by_path(names: ImageNames, root: Path, layout: FitsLayout) -> Find:
    """What finds the images of rows, whose paths are from a folder on; ConfigError for a template
    with bands that `layout` does not name.
    """
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
        return NO_NAME
    if url_of(word):
        return ""
    suffix = split_suffix(word)[1]
    if "\0" in word:
        return "the path holds a zero byte"
    return "" if not suffix or suffix in IMAGE_SUFFIXES else f"is no image by its name ({suffix})"


def path_column(rows: Rows, root: Path) -> str:
    """The column that names most images which are there, of the first rows that name any; DataError
    if none does.
    """
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
        by_url = (name for name in texts if any(url_of(root) or url_of(one) for one in paths[name]))
        if named := next(by_url, ""):
            return named
        first = ((name, named[0]) for name, named in paths.items() if named)
        absent = absent if any(absent) else next(first, absent)
    if any(absent):
        raise DataError(
            f"{rows.name}: the column {absent[0]!r} names images, and none is there;"
            f" {_where(root, absent[1])}; correct the column, name the folder or archive of the"
            ' images, too, or write a template of their paths, `image="cutouts/{id}.fits"`'
        )
    hint = (
        f"{rows.name} has positions on the sky, but no pixels: name the mosaic that galaxies are"
        " cut from, `layout=FitsLayout(mosaic=Mosaic(files=('sky.fits',), size='30arcsec'))`, or"
        " their images; "
        if has_positions(columns)
        else ""
    )
    raise DataError(
        f"{hint}no column of {rows.name} holds paths of images that are there; give the folder or"
        ' archive of the images, too, or a template of their paths, `image="cutouts/{id}.fits"`'
    )


def _image_paths(words: pa.ChunkedArray) -> list[str]:
    """The words that are paths of images by their suffix, each once."""
    different = _as_paths(pc.utf8_trim_whitespace(pc.unique(words)))
    return [word for word in different.to_pylist() if split_suffix(word)[1] in IMAGE_SUFFIXES]


def is_image(root: Path, word: str) -> bool:
    """Whether a word is the path of an image that is there."""
    return split_suffix(word)[1] in IMAGE_SUFFIXES and _is_file(root, word)


def _is_file(root: Path, word: str) -> bool:
    try:
        return (root / word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def refuse_absent(
    table: str, first_names: Iterator[list[str]], template: ImageNames, root: Path
) -> None:
    """Raise a DataError if no image is there of the first that a table names: paths are wrong, or
    relative to something else.
    """
    looked, word = 0, ""
    for names in first_names:
        if url_of(root) or any(
            url_of(each) or _is_file(root, each) for each in names if not _unusable(each)
        ):
            return  # of a URL nobody knows before it is read
        looked, word = looked + len(names), word or next(filter(None, names), "")
    where = ", ".join(map(repr, template.columns))
    if not word:
        raise DataError(f"{table}: the first {looked:,} rows name no image ({where})")
    raise DataError(
        f"{table}: no image of the first {counted(looked, 'row')} is there, as named by"
        f" {where}; {_where(root, word)}"
    )


def _where(root: Path, word: str) -> str:
    """Where the image was looked for that a table names first."""
    looked = f"the first is {word}, and paths are relative to the folder of the table ({root})"
    here = f": it is there from the current one, write {Path.cwd() / word}"
    return looked + (here if _is_file(Path(), word) else "")
