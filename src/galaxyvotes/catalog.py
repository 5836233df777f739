"""Images and a table, in whatever layout a campaign published them, become one list of galaxies.

Nothing right of here knows about Kaggle, Galaxy Zoo or file layouts. What belongs together is found from the data:

- The table of votes is the one whose header fits a known tree (`votes.find_layout`); if several do, one must be named.
- Its id column is the one whose values name the most images, by file stem or by path. If no column does, a second
  table that shares a column with it may translate (Galaxy Zoo 2 keeps `objid → asset_id` in a file of its own).
- A folder of `<answer>/<image>` sub-folders is a table of classes.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int32

from galaxyvotes.archives import IMAGE_SUFFIXES, Member, Source
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables import Table
from galaxyvotes.tree import DecisionTree
from galaxyvotes.votes import VoteLayout, Votes, closest_layout, find_layout, read_votes

__all__ = ["Catalog", "ids_of", "open_catalog"]

# The challenge ships example submissions beside its solutions; they are nobody's votes.
EXAMPLE_SUBMISSIONS = re.compile(r"benchmark|sample_?submission", re.IGNORECASE)


@dataclass(frozen=True)
class Catalog:
    """One row a galaxy: id, where its image is, votes if there are any, and the table's other columns untouched.

    Rows stand in the order in which their images are read fastest.
    """

    ids: tuple[str, ...]
    images: tuple[Member, ...]
    sources: tuple[str, ...]
    columns: pa.Table
    id_name: str = "id"
    tree: DecisionTree | None = None
    fractions: Float32[np.ndarray, "galaxy answer"] | None = None
    counts: Int32[np.ndarray, "galaxy answer"] | None = None
    votes_from: str = ""
    rows_without_image: tuple[str, ...] = ()
    rows_without_votes: int = 0
    images_without_row: int = 0

    def __len__(self) -> int:
        """The number of galaxies that have an image."""
        return len(self.ids)

    def digest(self) -> str:
        """One digest of everything that decides what packing makes of it."""
        digest = hashlib.blake2b(digest_size=16)
        for name, image in zip(self.ids, self.images, strict=True):
            digest.update(f"{name}\0{image.name}\0".encode())
        digest.update(repr((self.sources, self.votes_from, self.tree)).encode())
        for values in (self.fractions, self.counts):
            digest.update(b"" if values is None else values.tobytes())
        return digest.hexdigest()


@contextmanager
def open_catalog(
    sources: Sequence[Path],
    *,
    table: str | None = None,
    tree: str | DecisionTree | None = None,
    votes: str | None = None,
    classes: str | None = None,
    id_column: str | None = None,
    unlabelled: bool = False,
) -> Iterator[Catalog]:
    """The catalog of some folders, archives and tables, open for reading while the context lasts.

    `table` names the table of votes where several fit; `tree` the decision tree (a name or a file); `votes` the kind
    of columns where a table has several (`weighted`, `debiased`, `votes` …); `classes` a column of class names, which
    becomes a tree of one question; `id_column` the column that names the images. With `unlabelled`, images without
    votes are kept, too.
    """
    asked = DecisionTree.load(tree) if isinstance(tree, str) else tree
    with ExitStack() as stack:
        source = stack.enter_context(Source.open(*sources))
        images = list(source.images)
        if not images:
            raise DataError(f"no image (JPEG, PNG …) in {', '.join(str(path) for path in sources)}")
        tables = [
            Table(file.name, file.read())
            for file in source.tables
            if table is not None or not EXAMPLE_SUBMISSIONS.search(file.name)
        ]
        found = _vote_table(tables, table, asked, votes, classes)
        if found is not None:
            rows = _from_table(*found, tables, images, id_column)
        elif unlabelled:
            rows = _Rows(images=images, ids=ids_of(images), columns=pa.table({}))
        elif (rows := _from_folders(images, asked)) is None:
            raise DataError(_no_votes(tables, asked))
        yield _assemble(rows, images, tuple(path.name for path in sources), keep_all=unlabelled)


@dataclass(frozen=True)
class _Rows:
    """Galaxies with an image, in the order of their table."""

    images: list[Member]
    ids: list[str]
    columns: pa.Table
    id_name: str = "id"
    tree: DecisionTree | None = None
    votes: Votes | None = None
    votes_from: str = ""
    rows_without_image: tuple[str, ...] = ()


def _vote_table(
    tables: list[Table], name: str | None, tree: DecisionTree | None, kind: str | None, classes: str | None
) -> tuple[Table, VoteLayout] | None:
    """The one table that holds votes, and how to read it; None if there is none."""
    if name is not None:
        wanted = [each for each in tables if each.name == name or PurePosixPath(each.name).name == Path(name).name]
        if not wanted:
            raise ConfigError(f"no table {name!r} among the sources; there are {_listed(tables)}")
        tables = wanted
    fitting: list[tuple[Table, VoteLayout]] = []
    for table in tables:
        header = table.header()
        if classes is not None and classes in header:
            names = [each for each in table.texts(classes) if each]
            if len(set(names)) > 100:
                raise DataError(
                    f"{table.name}: the column {classes!r} has {len(set(names))} different values; classes are few (≤ 100)"
                )
            one = tree or DecisionTree.of_classes(names, name=classes)
            fitting.append((table, VoteLayout(one, one.tables[0], None)))
        elif classes is None and (layout := find_layout(header, tree=tree, kind=kind)) is not None:
            fitting.append((table, layout))
    if len(fitting) > 1:
        raise ConfigError(f"several tables hold votes: name one with --table: {_listed([t for t, _ in fitting])}")
    if not fitting and (name is not None or classes is not None or kind is not None):
        raise DataError(_no_votes(tables, tree, classes=classes, kind=kind))
    return fitting[0] if fitting else None


def _no_votes(
    tables: list[Table], tree: DecisionTree | None, *, classes: str | None = None, kind: str | None = None
) -> str:
    if not tables:
        return (
            "no table of votes among the sources: add a CSV or Parquet file, or pass --unlabelled to pack without votes"
        )
    if classes is not None:
        return f"no table has the column {classes!r}: {tables[0].name} has {', '.join(tables[0].header()[:12])} …"
    asked = f" of kind {kind!r}" if kind else ""
    told = "; ".join(f"{table.name}: {closest_layout(table.header(), tree)}" for table in tables[:3])
    return (
        f"no table holds votes{asked} that a known tree describes ({told}). Pass --classes COLUMN for a column of class"
        " names, --tree FILE for another tree, or --unlabelled to pack without votes"
    )


def _from_table(
    table: Table, layout: VoteLayout, tables: list[Table], images: list[Member], id_column: str | None
) -> _Rows:
    data = table.read()
    by_stem: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        by_stem[image.id].append(place)
    id_name, stems = _id_column(table, layout, tables, by_stem, id_column)
    _refuse_duplicates(table, id_name, stems)
    votes = read_votes(data, layout, origin=table.name, first_line=table.first_line)
    present = [row for row, stem in enumerate(stems) if stem in by_stem]
    for row in present:
        if len(same := by_stem[stems[row]]) > 1:
            names = " and ".join(images[place].name for place in same[:2])
            raise DataError(f"id {stems[row]} is the name of {len(same)} images ({names}): leave one of them out")
    places = [by_stem[stems[row]][0] for row in present]
    own = [name for name in data.column_names if name not in layout.column_names and name != id_name]
    return _Rows(
        images=[images[place] for place in places],
        ids=[stems[row] for row in present],
        columns=data.select(own).take(pa.array(present, pa.int64())),
        id_name=id_name,
        tree=layout.tree,
        votes=Votes(votes.fractions[present], None if votes.counts is None else votes.counts[present]),
        votes_from=f"{table.name}: {layout.main.name}",
        rows_without_image=tuple(stem for stem in stems if stem not in by_stem),
    )


def _id_column(
    table: Table, layout: VoteLayout, tables: list[Table], by_stem: dict[str, list[int]], wanted: str | None
) -> tuple[str, list[str]]:
    """The column that names the images, and each row's image stem."""
    header = [name for name in table.header() if name not in layout.column_names]
    if wanted is not None and wanted not in header:
        raise ConfigError(f"{table.name} has no column {wanted!r}; it has {', '.join(header[:12])}")
    texts = {name: [_stem(text) for text in table.texts(name)] for name in ([wanted] if wanted else header)}
    hits = {name: sum(stem in by_stem for stem in stems) for name, stems in texts.items()}
    best = max(hits, key=lambda name: hits[name], default=None)
    if best is not None and hits[best]:
        return best, texts[best]
    # A second table may translate one of our columns into the images' names.
    for other in tables:
        if other.name == table.name or wanted is not None:
            continue
        columns = {name: [_stem(text) for text in other.texts(name)] for name in other.header()}
        target = max(columns, key=lambda name: sum(stem in by_stem for stem in columns[name]))
        if not any(stem in by_stem for stem in columns[target]):
            continue
        for source in columns:
            translation = dict(zip(columns[source], columns[target], strict=True))
            for stems in texts.values():
                if source != target and any(stem in translation for stem in stems):
                    return target, [translation.get(stem, stem) for stem in stems]
    examples = "; ".join(f"{name}: {next(filter(None, stems), '')}" for name, stems in list(texts.items())[:4])
    raise DataError(
        f"no column of {table.name} names an image: images are called {', '.join(list(by_stem)[:3])} …, while the table"
        f" has {examples}. Pass --id-column, or the folder or archive that holds these galaxies"
    )


def _refuse_duplicates(table: Table, id_name: str, stems: list[str]) -> None:
    first: dict[str, int] = {}
    for row, stem in enumerate(stems):
        if stem and stem in first:
            raise DataError(f"{table.at(row)}: {id_name} {stem} stands already in {table.at(first[stem])}")
        first[stem] = row


def _from_folders(images: list[Member], tree: DecisionTree | None) -> _Rows | None:
    """Galaxies whose class is the name of their folder; None if they do not lie in two or more folders."""
    folders = [PurePosixPath(image.name).parent.name for image in images]
    if len(set(folders)) < 2 or "" in folders:
        return None
    one = tree or DecisionTree.of_classes(folders, name="class")
    layout = VoteLayout(one, one.tables[0], None)
    votes = read_votes(pa.table({layout.main.columns: folders}), layout, origin="folders", first_line=1)
    return _Rows(images, ids_of(images), pa.table({}), tree=one, votes=votes, votes_from="the names of the folders")


def ids_of(images: Sequence[Member]) -> list[str]:
    """File stems, or whole paths where two images share a stem."""
    stems = [image.id for image in images]
    return stems if len(set(stems)) == len(stems) else [image.name for image in images]


def _assemble(rows: _Rows, images: list[Member], sources: tuple[str, ...], *, keep_all: bool) -> Catalog:
    keep = list(range(len(rows.ids)))
    without_votes = 0
    if rows.votes is not None:
        empty = np.isnan(rows.votes.fractions).all(axis=1)
        without_votes = int(empty.sum())
        if not keep_all:
            keep = np.flatnonzero(~empty).tolist()
        if without_votes == len(rows.ids):
            raise DataError(f"{rows.votes_from}: not one of {len(rows.ids):,} galaxies with an image has votes")
    ids, chosen, columns = (
        [rows.ids[k] for k in keep],
        [rows.images[k] for k in keep],
        rows.columns.take(pa.array(keep, pa.int64())),
    )
    fractions = None if rows.votes is None else rows.votes.fractions[keep]
    counts = None if rows.votes is None or rows.votes.counts is None else rows.votes.counts[keep]
    used = set(rows.images)
    rest = [image for image in images if image not in used]
    if keep_all and rest and rows.tree is not None:
        ids, chosen = [*ids, *(image.id for image in rest)], [*chosen, *rest]
        columns = pa.table(
            {
                name: pa.chunked_array([*column.chunks, pa.nulls(len(rest), column.type)])
                for name, column in zip(columns.column_names, columns.columns, strict=True)
            }
        )
        assert fractions is not None
        fractions = np.concatenate([fractions, np.full((len(rest), fractions.shape[1]), np.nan, np.float32)])
        if counts is not None:
            counts = np.concatenate([counts, np.full((len(rest), counts.shape[1]), -1, np.int32)])
        rest = []
    order = sorted(range(len(ids)), key=lambda k: chosen[k].order_key)
    return Catalog(
        ids=tuple(ids[k] for k in order),
        images=tuple(chosen[k] for k in order),
        sources=sources,
        columns=columns.take(pa.array(order, pa.int64())),
        id_name=rows.id_name,
        tree=rows.tree,
        fractions=None if fractions is None else fractions[order],
        counts=None if counts is None else counts[order],
        votes_from=rows.votes_from,
        rows_without_image=rows.rows_without_image,
        rows_without_votes=without_votes,
        images_without_row=len(rest) if rows.tree is not None else 0,
    )


def _stem(text: str) -> str:
    """What an image is called, from its name or path: no folders, no image suffix (ids may hold dots)."""
    name = text.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def _listed(tables: list[Table]) -> str:
    return ", ".join(table.name for table in tables) or "none"
