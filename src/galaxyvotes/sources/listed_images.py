"""Images that only a table names, by their paths: relative to the table, or from the root.

A catalogue is then enough to be read: `pack("catalogue.csv", "store")`. It is looked at if no image
lies among the sources themselves.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.folders import Folder
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.tables.names import iterate

if TYPE_CHECKING:
    from galaxyvotes.tables.table import Table

__all__ = ["open_source"]

_TRIED = 100  # words of a column: if none of them is an image, the column is not one of paths


def open_source(paths: Sequence[str | Path], layout: FitsLayout = ANYWHERE) -> Source:
    """`Source.open`, and where that has tables but no image, the images whose paths these name.

    DataError as of `Source.open`.
    """
    source = Source.open(*paths, layout=layout)
    if len(source.images) or not source.tables:
        return source
    source.close()
    return Source.open(*paths, listed=list(_listed(paths)), layout=layout)


def _listed(paths: Sequence[str | Path]) -> Iterator[Folder]:
    """The files that the tables among these paths name."""
    from galaxyvotes.tables.table import Table  # takes long, and a source mostly has images

    for path in map(Path, paths):
        with Source.open(path) as source:
            for file in source.tables:
                if file.has_checksum:  # in a zip, where no path leads out of
                    continue
                folder = path.parent if path.is_file() else (path / file.entry).parent
                with suppress(DataError):  # whoever needs the table says what is wrong with it
                    if names := _image_paths(Table(file.name, file.read()), folder):
                        yield Folder.listed(folder, names)


def _image_paths(table: "Table", folder: Path) -> list[str]:
    """The paths in the column that names most images."""
    header = table.header()
    best: list[str] = []
    for words in table.text_columns(header):
        different = pc.unique(words.texts.combine_chunks())
        if any(_is_image(folder, word) for word in islice(_as_paths(different), _TRIED)):
            there = [word for word in _as_paths(different) if _is_image(folder, word)]
            best = max(best, there, key=len)
    return best


def _as_paths(words: pa.Array) -> Iterator[str]:
    """Words as `matching` writes paths."""
    paths = (word.strip().replace("\\", "/").removeprefix("./") for word in iterate(words))
    return iter(dict.fromkeys(path for path in paths if path))


def _is_image(folder: Path, word: str) -> bool:
    try:
        return split_suffix(word)[1] in IMAGE_SUFFIXES and (folder / word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
