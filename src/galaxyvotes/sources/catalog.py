"""Images and a table, in whatever layout a campaign published them, become one list of galaxies.

Nothing right of here knows about Kaggle, Galaxy Zoo or file layouts. What belongs together is found
from the data:

- The table of votes is the one whose header fits a known tree (`vote_table`).
- Its id column is the one whose values name the images (`matching.match_images`).
- Without any table, a folder of `<answer>/<image>` sub-folders is a table of classes.
"""

import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Int, Int32, Shaped

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import blake2b_digest
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.class_folders import class_folders
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.matching import Images, match_images
from galaxyvotes.sources.members import Members
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.tables.cells import is_unknown
from galaxyvotes.tables.class_words import ClassWords
from galaxyvotes.tables.names import codes_of, first_repeated, iterate, name_column
from galaxyvotes.tables.reductions import by_subject
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_layout import VoteLayout
from galaxyvotes.tables.vote_table import class_layout, explain_no_votes, find_vote_table
from galaxyvotes.tables.votes import Votes, read_votes
from galaxyvotes.tree import DecisionTree

__all__ = ["Catalog", "open_catalog"]

# The challenge ships example submissions beside its solutions; they are nobody's votes.
EXAMPLE_SUBMISSIONS = re.compile(r"benchmark|sample_?submission", re.IGNORECASE)


@dataclass(frozen=True)
class Catalog:
    """One row a galaxy: id, where its image is, votes if there are any, and the table's other
    columns untouched.

    Rows stand in the order in which their images were found, whatever the table's order: they are
    read fastest so.
    """

    ids: pa.LargeStringArray
    images: Members
    sources: tuple[str, ...]
    columns: pa.Table
    arrays: tuple[str, ...] = ()  # columns that are left out, with several values a row
    id_name: str = "id"
    tree: DecisionTree | None = None
    values: Float32[np.ndarray, "galaxy answer"] | None = None
    counts: Int32[np.ndarray, "galaxy answer"] | None = None
    largest: Int32[np.ndarray, " galaxy"] | None = None  # which answer's fraction; -1: not known
    unknown_questions: Mapping[str, str] = field(default_factory=dict[str, str])  # and why
    votes_from: str = ""
    rows_without_image: tuple[str, ...] = ()
    rows_without_votes: tuple[str, ...] = ()
    images_without_row: tuple[str, ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()  # files that are not read, each with its reason
    unknown_words: Mapping[str, int] = field(default_factory=dict[str, int])  # and in how many rows
    splits: Shaped[np.ndarray, " galaxy"] | None = None  # if somebody has given galaxies one
    rows_without_split: tuple[str, ...] = ()
    listed_without_galaxy: tuple[str, ...] = ()  # what lists of sets name, and no galaxy is called

    def __repr__(self) -> str:
        """One line: the number of galaxies, and where their labels are from."""
        labels = f", labels from {self.votes_from}" if self.votes_from else ""
        return f"<Catalog: {counted(len(self), 'galaxy')}{labels}>"

    def __len__(self) -> int:
        """The number of galaxies that have an image."""
        return len(self.ids)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Catalog":
        """Some of the galaxies."""
        return replace(
            self,
            ids=self.ids.take(pa.array(rows)),
            images=self.images[rows],
            columns=self.columns.take(pa.array(rows)) if self.columns.num_columns else self.columns,
            values=None if self.values is None else self.values[rows],
            counts=None if self.counts is None else self.counts[rows],
            largest=None if self.largest is None else self.largest[rows],
            splits=None if self.splits is None else self.splits[rows],
        )

    def digest(self) -> str:
        """One digest of everything that decides what packing makes of it."""
        return blake2b_digest(self._parts())

    def _parts(self) -> Iterator[bytes]:
        for name, image in zip(iterate(self.ids), self.images, strict=True):
            yield f"{name}\0{image.name}\0".encode()
        yield f"({self.sources!r}, {self.votes_from!r}, {_whole_text(self.tree)})".encode()
        for values in (self.values, self.counts):
            yield b"" if values is None else values.tobytes()
        if self.largest is not None:
            yield self.largest.tobytes()


def _whole_text(tree: DecisionTree | None) -> str:
    """All of a tree, in the text that packings of older versions have in their digest: these knew
    no `handed`, units or `names`.
    """
    if tree is None:
        return "None"
    parts = (f"{part.name}={getattr(tree, part.name)!r}" for part in fields(tree))
    text = f"DecisionTree({', '.join(parts)})"
    for later in (", handed=False", ", units={}", ", names={}"):
        text = text.replace(later, "")
    return text


@contextmanager
def open_catalog(
    sources: str | Path | Sequence[str | Path],
    labels: LabelSettings | None = None,
    layout: FitsLayout = ANYWHERE,
) -> Generator[Catalog]:
    """The catalog of some folders, archives and tables, open for reading while the context lasts.

    `labels` says where the votes are, if they are not found or others are meant; `layout` where in
    FITS files the images are. DataError if the
    sources hold no image, or no table or several that could be meant; ConfigError if the settings
    contradict each other.
    """
    labels = labels or LabelSettings()
    paths = [sources] if isinstance(sources, str | Path) else sources
    tree = DecisionTree.load(labels.tree) if isinstance(labels.tree, str | Path) else labels.tree
    tree = DecisionTree.of_numbers(labels.quantity) if labels.quantity else tree
    with ExitStack() as stack:
        source = stack.enter_context(open_source(paths, layout))
        refuse_without_images(source, paths)
        rows = _rows(source, labels, tree)
        names = tuple(_as_text(Path(path).resolve().name) for path in paths)
        catalog = _assemble(rows, source.images, names, keep_all=labels.unlabelled)
        del rows  # as large as the catalog, which lives while the context does
        pa.default_memory_pool().release_unused()  # what reading tables took
        yield replace(catalog, passed_over=tuple(source.passed_over))


def _as_text(name: str) -> str:
    """A name of a file system, whose bytes need not be UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


@dataclass(frozen=True)
class _Rows:
    """Galaxies with an image, in the order of their table: which of the images and which row of the
    table is theirs.
    """

    images: Int[np.ndarray, " galaxy"]
    rows: Int[np.ndarray, " galaxy"]
    ids: pa.LargeStringArray
    columns: pa.Table
    arrays: tuple[str, ...] = ()
    id_name: str = "id"
    tree: DecisionTree | None = None
    votes: Votes | None = None
    votes_from: str = ""
    unknown_questions: Mapping[str, str] = field(default_factory=dict[str, str])
    rows_without_image: tuple[str, ...] = ()
    unknown_words: Mapping[str, int] = field(default_factory=dict[str, int])


def _rows(source: Source, labels: LabelSettings, tree: DecisionTree | None) -> _Rows:
    """The galaxies that a source's table or folders name, or all its images without either."""
    images, every_image = source.images, np.arange(len(source.images))
    everything = [by_subject(Table(file.name, file.read())) for file in source.tables]
    tables = [table for table in everything if not EXAMPLE_SUBMISSIONS.search(table.name)]
    table = find_vote_table(tables if labels.table is None else everything, labels, tree)
    if table is not None:
        return _from_table(*table, tables, Images(images), labels)
    if labels.unlabelled:
        return _Rows(every_image, every_image, images.unique_ids(), pa.table({}))
    rows = None if tables else _from_folders(images, labels, tree)
    if rows is None:
        raise DataError(explain_no_votes(tables, labels, tree) + source.passed_over.hint)
    return rows


def _from_table(
    table: Table, layout: VoteLayout, tables: list[Table], images: Images, labels: LabelSettings
) -> _Rows:
    data = table.read()
    if layout.tree.kind is QUANTITIES:
        layout = replace(layout, tree=_in_units(table, data.schema, layout))
    unknown_words: dict[str, int] = {}
    if layout.main.holds == "class":  # as it is written: a class may be called 01, or True
        (name,) = layout.column_names
        written, words = table.text(name), ClassWords.of(labels, layout.tree)
        unknown_words = words.unknown(written)
        data = data.set_column(data.column_names.index(name), name, words.read(written))
    of_votes = layout.column_names
    arrays = [field.name for field in data.schema if pa.types.is_nested(field.type)]
    wanted = {*table.header()} - of_votes - ({*arrays} - {labels.id_column})
    columns = [name for name in table.header() if name in wanted]
    others = [other for other in tables if other.name != table.name]
    id_name, keys = match_images(
        table, images, columns=columns, others=others, id_column=labels.id_column
    )
    places = images.place_of_each(keys)
    _refuse_repeated_rows(table, id_name, keys, places)
    votes = read_votes(data, layout, at=table.at, missing=labels.missing_words)
    rows = np.flatnonzero(places >= 0)
    stems = images.ids.take(pa.array(places[rows]))
    own = [name for name in columns if name != id_name]
    return _Rows(
        images=places[rows],
        rows=rows,
        ids=keys.take(pa.array(rows)) if first_repeated(codes_of(stems)) else stems,
        columns=data.select(own),
        arrays=tuple(arrays),
        id_name=id_name.strip(),
        tree=layout.tree,
        votes=votes,
        votes_from=f"{table.name}: {layout.main.name}",
        unknown_questions=layout.unknown,
        rows_without_image=tuple(keys.filter(pa.array(places < 0)).to_pylist()),
        unknown_words=unknown_words,
    )


def _in_units(table: Table, schema: pa.Schema, layout: VoteLayout) -> DecisionTree:
    """The tree with the units that the columns of a table have; ConfigError if it has others."""
    tree, units = layout.tree, dict[str, str]()
    for answer in tree.columns:
        metadata: dict[bytes, bytes] = (
            schema.field(layout.name_of(layout.main, answer)).metadata or {}
        )
        if unit := metadata.get(b"unit", b"").decode():
            units[answer] = unit
    if unlike := tree.unlike_unit(units):
        raise ConfigError(
            f"the tree {tree.name!r} and {table.name} have different units: {unlike}; write the"
            " column in the unit of the tree"
        )
    return replace(tree, units={**units, **tree.units})


def _refuse_repeated_rows(
    table: Table, id_name: str, keys: pa.Array, places: Int[np.ndarray, " row"]
) -> None:
    """Refuse two rows of one image, and two of one key without image; an empty key, or a word for
    one, is nobody's.
    """
    nobody = pc.is_in(keys, value_set=_unknown(keys.filter(pa.array(places < 0))))
    rows = np.flatnonzero((places >= 0) | ~nobody.to_numpy(zero_copy_only=False))
    codes = np.where(places < 0, places.max() + 1 + codes_of(keys), places)[rows]
    if repeated := first_repeated(codes):
        earlier, row = rows[list(repeated)].tolist()
        others = len(codes) - len(np.unique(codes)) - 1
        more = f" ({counted(others, 'more row')} like it)" if others else ""
        raise DataError(
            f"{table.at(row)}: {id_name} {keys[row].as_py()} stands already in {table.at(earlier)};"
            f" leave one of them out{more}"
        )


def _unknown(keys: pa.Array) -> pa.LargeStringArray:
    """The keys that are empty, or words for an empty cell."""
    return name_column(key for key in iterate(pc.unique(keys)) if is_unknown(key))


def _from_folders(
    images: Members, labels: LabelSettings, tree: DecisionTree | None
) -> _Rows | None:
    """Galaxies whose class is the name of a folder; None if they do not lie in two or more."""
    folders = class_folders(images, None if tree is None else tree.columns)
    if folders is None:
        return None
    written, words, where = pa.chunked_array([folders]), ClassWords.of(labels, tree), "the folders"
    layout = class_layout(words.classes(written, where), "class", tree, where)
    classes = words.read(written)
    votes = read_votes(pa.table({"class": classes}), layout, at=lambda row: images[row].name)
    every_image = np.arange(len(images))
    return _Rows(
        every_image,
        every_image,
        images.unique_ids(),
        pa.table({}),
        tree=layout.tree,
        votes=votes,
        votes_from="the names of the folders",
        unknown_words=words.unknown(written),
    )


def _assemble(
    named: _Rows, images: Members, sources: tuple[str, ...], *, keep_all: bool
) -> Catalog:
    ids, places, rows, votes = named.ids, named.images, named.rows, named.votes
    keep = np.ones(len(rows), bool)
    if votes is not None:
        keep[:] = votes.labelled[rows]
        if not keep.any():
            what = (named.tree.kind if named.tree else FRACTIONS).label
            raise DataError(
                f"{named.votes_from}: not one of {counted(len(rows), 'galaxy')} with an image has"
                f" {what}"
            )
        keep[:] |= keep_all
    left_out = sorted(ids.filter(pa.array(~keep)).to_pylist())
    without_row = np.delete(np.arange(len(images)), places)
    if keep_all:
        ids = pa.concat_arrays([ids, images[without_row].unique_ids()])
        places = np.append(places, without_row)
        rows, keep = np.append(rows, np.full(len(without_row), -1)), np.ones(len(places), bool)
        without_row = without_row[:0]
    order = np.flatnonzero(keep)
    order = order[np.argsort(places[order])]
    rows = rows[order]
    fractions = None if votes is None else votes.values[rows]
    counts = None if votes is None or votes.counts is None else votes.counts[rows]
    largest = None if votes is None or votes.largest is None else votes.largest[rows]
    for values, unknown in ((fractions, np.nan), (counts, -1), (largest, -1)):
        if values is not None:
            values[rows < 0] = unknown
    return Catalog(
        ids=ids.take(pa.array(order)),
        images=images[places[order]],
        sources=sources,
        columns=named.columns.take(pa.array(rows, mask=rows < 0)),
        arrays=named.arrays,
        id_name=named.id_name,
        tree=named.tree,
        values=fractions,
        counts=counts,
        largest=largest,
        unknown_questions=named.unknown_questions,
        votes_from=named.votes_from,
        rows_without_image=tuple(sorted(named.rows_without_image)),
        rows_without_votes=tuple(left_out),
        images_without_row=tuple(sorted(image.name for image in images[without_row])),
        unknown_words=named.unknown_words,
    )
