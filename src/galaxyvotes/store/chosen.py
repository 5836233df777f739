"""Which galaxies of a catalogue are packed, and sets that somebody has given them.

Sets are given by a column of the table, or by three lists of ids. A galaxy without a set is left
out. A limit takes so many galaxies, as many of each class (and given set) as its share, drawn by a
keyed hash of the id: the same ones again, whatever the order of the rows.
"""

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from jaxtyping import Int, Shaped

from galaxyvotes.config import SplitSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import CLASSES
from galaxyvotes.runtime.counted import counted
from galaxyvotes.sources.catalog import Catalog
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.store.splits import SPLITS, hash_number
from galaxyvotes.tables.cells import is_unknown
from galaxyvotes.tables.encodings import to_utf8
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.lines import split_lines
from galaxyvotes.tables.names import as_shown, iterate

__all__ = ["choose_galaxies"]

_SYNONYMS = {
    "train": ("train", "training", "learn", "learning", "trainset"),
    "validation": ("validation", "valid", "validate", "val", "dev", "development"),
    "test": ("test", "testing", "holdout", "hold-out", "held-out", "held out", "testset"),
}
_SPLIT_OF = {word: split for split, words in _SYNONYMS.items() for word in words}

_EXPECTED = "train, validation or test, or a usual word for one of them; empty leaves a galaxy out"


def choose_galaxies(catalog: Catalog, settings: SplitSettings) -> Catalog:
    """The galaxies that have a set, if sets are given, and of them no more than the limit.

    ConfigError if there is no such column. DataError if a set is none of the three, if an id is in
    two lists, if a list names no galaxy, or if no galaxy is left.
    """
    given, unknown = _given(catalog, settings)
    if given is not None:
        without = catalog.ids.filter(pa.array(given == "")).to_pylist()
        rows = np.flatnonzero(given != "")
        if not len(rows):
            raise DataError(
                f"not one of {counted(len(catalog), 'galaxy')} has a set: see `splits=…`"
            )
        catalog = replace(
            catalog.take(rows),
            splits=given[rows],
            rows_without_split=tuple(without),
            listed_without_galaxy=tuple(unknown),
        )
    if 0 < settings.limit < len(catalog):
        catalog = catalog.take(_limited(catalog, settings))
    return catalog


# ---- given sets


def _given(
    catalog: Catalog, settings: SplitSettings
) -> tuple[Shaped[np.ndarray, " galaxy"] | None, list[str]]:
    """The set of each galaxy, "" if none, or None if sets are not given; and the names in lists
    that are those of no galaxy.
    """
    if settings.column is not None:
        return _from_column(catalog, settings.column), []
    return _from_lists(catalog, settings.lists) if settings.lists else (None, [])


def _from_column(catalog: Catalog, column: str) -> Shaped[np.ndarray, " galaxy"]:
    names = catalog.columns.column_names
    if (found := Header(names).find(column)) is None:
        listed = ", ".join(names[:12]) or "no column beside ids and labels"
        raise ConfigError(
            f"`splits=SplitSettings(column={column!r})`: the table has no such column; it has"
            f" {listed}"
        )
    try:
        words = catalog.columns.column(found).cast(pa.large_string()).to_pylist()
    except pa.ArrowException:
        raise DataError(f"the column {found!r} holds no texts: expected {_EXPECTED}") from None
    splits = np.full(len(catalog), "", object)
    for row, word in enumerate(words):
        if word is None or is_unknown(word):
            continue
        split = _SPLIT_OF.get(word.strip().lower())
        if split is None:
            name = catalog.ids[row].as_py()
            raise DataError(f"galaxy {name}: {found} is {word!r}; expected {_EXPECTED}")
        splits[row] = split
    return splits


def _from_lists(
    catalog: Catalog, files: tuple[str, ...]
) -> tuple[Shaped[np.ndarray, " galaxy"], list[str]]:
    row_of = {as_shown(name): row for row, name in enumerate(iterate(catalog.ids))}
    row_of |= {name: row for row, name in enumerate(iterate(catalog.ids))}
    splits, unknown = np.full(len(catalog), "", object), list[str]()
    for file, split in zip(files, SPLITS, strict=True):
        names = _read_list(Path(file))
        rows = {row: name for name in names if (row := _find(name, row_of)) is not None}
        if names and not rows:
            raise DataError(
                f"{file}: not one of {len(names):,} ids is that of a galaxy with an image: the"
                f" first is {names[0]!r}, and galaxies are called {', '.join(list(row_of)[:3])} …"
            )
        unknown += [name for name in names if _find(name, row_of) is None]
        for row, name in rows.items():
            if splits[row]:
                other = files[SPLITS.index(splits[row])]
                raise DataError(f"{file}: {name} is in {other}, too; leave it out of one")
            splits[row] = split
    return splits, unknown


def _read_list(path: Path) -> list[str]:
    """The ids in a text file, one a line; blank lines and comments (#) are none."""
    try:
        text = to_utf8(path.read_bytes()).decode()
    except (OSError, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{path}: cannot be read as a list of ids: {error}") from None
    lines = (line.strip().strip('",') for line in split_lines(text))
    return [line for line in lines if line and not line.startswith("#")]


def _find(name: str, row_of: dict[str, int]) -> int | None:
    """The row of the galaxy that a line names, by its id, its file or its path."""
    for word in (name, as_shown(name)):
        if word in row_of:
            return row_of[word]
    file = PurePosixPath(as_shown(name).replace("\\", "/")).name
    stem, suffix = split_suffix(file)
    return row_of.get(stem if suffix in IMAGE_SUFFIXES else file)


# ---- the limit


def _limited(catalog: Catalog, settings: SplitSettings) -> Int[np.ndarray, " chosen"]:
    """The rows of so many galaxies, in their order, each stratum with its share."""
    # The key is another than that of the sets: those are decided by where the same numbers lie.
    key = blake2b(f"limit {settings.key}".encode(), digest_size=32).digest()
    numbers = np.array([hash_number(name, key) for name in iterate(catalog.ids)])
    strata = _strata(catalog)
    sizes = np.bincount(strata)
    taken = _shares(sizes, settings.limit)
    order = np.lexsort((numbers, strata))
    starts = np.cumsum([0, *sizes[:-1]])
    chosen = [order[start : start + count] for start, count in zip(starts, taken, strict=True)]
    return np.sort(np.concatenate(chosen))


def _strata(catalog: Catalog) -> Int[np.ndarray, " galaxy"]:
    """A number for each galaxy, the same for those of one class and one given set."""
    labels = np.zeros(len(catalog), np.int64)
    if catalog.tree is not None and catalog.tree.kind is CLASSES and catalog.values is not None:
        known = ~np.isnan(catalog.values).any(axis=1)
        labels[known] = 1 + catalog.values[known].argmax(axis=1)
    sets = np.zeros(len(catalog), np.int64)
    if catalog.splits is not None:
        sets = np.array([SPLITS.index(split) for split in catalog.splits])
    return np.unique(np.stack([labels, sets]), axis=1, return_inverse=True)[1].reshape(-1)


def _shares(sizes: Int[np.ndarray, " stratum"], limit: int) -> Int[np.ndarray, " stratum"]:
    """How many to take of each stratum: its share of the limit, by largest remainder, and one at
    least where the limit allows one of each.
    """
    exact = sizes * limit / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    if len(sizes) <= limit:
        shares = shares.clip(1)
    while shares.sum() > limit:
        shares[shares.argmax()] -= 1
    for stratum in np.argsort(shares - exact, kind="stable")[: limit - shares.sum()]:
        shares[stratum] += 1
    return shares
