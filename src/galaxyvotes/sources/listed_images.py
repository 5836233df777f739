"""Images that only a table names, by their paths: relative to the table, or from the root.

A catalogue is then enough to be read: `pack("catalogue.csv", "store")`. It is looked at if no image
lies among the sources themselves. A list of paths need not have a header. Images that it names and
that are not there are passed over, and counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.folders import Folder
from galaxyvotes.sources.mosaic_source import open_mosaic_source
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.tables.names import iterate

if TYPE_CHECKING:
    from galaxyvotes.tables.table import Table

__all__ = ["open_source"]

_TRIED = 100  # words of a column: if none of them is an image, the column is not one of paths


def open_source(paths: Sequence[str | Path], layout: FitsLayout = ANYWHERE) -> Source:
    """`Source.open`, and where that has tables but no image, the images whose paths these name.

    DataError as of `Source.open`, and with a mosaic as of `open_mosaic_source`.
    """
    if layout.mosaic is not None:
        return open_mosaic_source(paths, layout, layout.mosaic)
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
                    there, absent = _image_paths(Table(file.name, file.read()), folder)
                    if there:
                        yield Folder.listed(folder, there)
                        problem = f"is named in {file.name}, and is not there"
                        yield Folder.listed(folder, absent, problem)


def _image_paths(table: "Table", folder: Path) -> tuple[list[str], list[str]]:
    """The paths in the column that names most images, and those of images that are not there."""
    best: list[str] = []
    absent: list[str] = []
    for words in _columns(table):
        first = (word for word in islice(words, _TRIED) if _is_image(folder, word))
        if next(first, None) is None:
            continue
        there = [word for word in words if _is_image(folder, word)]
        if len(there) > len(best):
            known = {*there}
            best, absent = there, [w for w in words if w not in known and _is_named_so(w)]
    return best, absent


def _columns(table: "Table") -> Iterator[list[str]]:
    """The different words of each column, as `matching` writes paths, its name among them: it is a
    path where there is no header.
    """
    header = table.header()
    try:
        for name, words in zip(header, table.text_columns(header), strict=True):
            different = pc.unique(words.texts.combine_chunks())
            yield _as_paths(chain([name], iterate(different)))
    except DataError:  # the table has no rows, or damaged ones
        yield from (_as_paths([name]) for name in header)


def _as_paths(words: Iterable[str]) -> list[str]:
    paths = (word.strip().replace("\\", "/").removeprefix("./") for word in words)
    return list(dict.fromkeys(path for path in paths if path))


def _is_named_so(word: str) -> bool:
    return split_suffix(word)[1] in IMAGE_SUFFIXES


def _is_image(folder: Path, word: str) -> bool:
    try:
        return _is_named_so(word) and (folder / word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
