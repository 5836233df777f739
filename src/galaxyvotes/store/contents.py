"""What stands in a store beside the images: the table of galaxies, the tree, the list of what was
rejected and, written last, the manifest.
"""

from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import tomlkit
from jaxtyping import Int, Shaped

from galaxyvotes.config import SplitSettings
from galaxyvotes.runtime.digests import contents_digest, file_digest
from galaxyvotes.runtime.files import write_text
from galaxyvotes.sources.catalog import Catalog
from galaxyvotes.store.format import FORMAT, LARGEST, OWN_COLUMNS, value_column, votes_column
from galaxyvotes.store.journal import Journal
from galaxyvotes.store.seen_before import BUNDLED, bundled_folder, names_seen, seen_with_duplicates
from galaxyvotes.store.splits import SPLITS, assign_splits, share_given_splits
from galaxyvotes.tables.names import iterate

__all__ = ["write_contents"]

_TOGETHER = 65_536  # rows of the table that are made and written together


def write_contents(
    catalog: Catalog,
    journal: Journal,
    splits: SplitSettings,
    how: dict[str, Any],
    start: Path | None,
) -> None:
    """Complete the store in the folder of a journal that has come to its end.

    `how` says what the pixels depend on beside the images; `start` is the run whose galaxies are
    drawn into the training set alone. OSError if a file cannot be written.
    """
    folder = journal.folder
    rows = np.array(journal.kept, np.int64)
    digests = journal.pixel_digests
    ids = catalog.ids.take(pa.array(rows))
    if catalog.splits is None:
        split_names = assign_splits(iterate(ids), digests, splits)
    else:
        split_names = share_given_splits(catalog.splits[rows], digests)
    seen = np.zeros(len(rows), bool)
    if start is not None:
        seen = seen_with_duplicates(start, _id_name(catalog), ids, digests)
    if catalog.splits is None and seen.any():
        # By the key with which the run's own sets were drawn, all that it has not seen are test
        # galaxies, whatever the shares.
        others = replace(splits, key=f"{splits.key}, not seen")
        split_names = assign_splits(iterate(ids), digests, others)
        split_names[seen] = "train"
    _write_table(folder / "galaxies.parquet", catalog, rows, split_names, digests)
    pacsv.write_csv(_rejected(catalog, journal), folder / "rejected.csv")
    small = ["galaxies.parquet", "rejected.csv"]
    if catalog.tree is not None:
        write_text(folder / "tree.toml", catalog.tree.to_toml())
        small.append("tree.toml")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "galaxyvotes": version("galaxyvotes"),
        "galaxies": len(rows),
        **how,
        "id_name": _id_name(catalog),
        "sources": list(catalog.sources),
        "votes": catalog.votes_from,
        **_known_in_part(catalog, rows),
        "split_settings": _written(splits),
        "splits": {name: int((split_names == name).sum()) for name in SPLITS},
        "duplicates": len(rows) - len(digests.unique()),
        "rejected_images": len(journal.rejected),
        "rows_without_image": len(catalog.rows_without_image),
        "rows_without_votes": len(catalog.rows_without_votes),
        "images_without_row": len(catalog.images_without_row),
        "files_passed_over": len(catalog.passed_over),
        **({"rows_without_split": len(without)} if (without := catalog.rows_without_split) else {}),
        **({"listed_without_galaxy": len(no)} if (no := catalog.listed_without_galaxy) else {}),
        **({"seen_before": _seen_before(start, split_names[seen])} if seen.any() else {}),
        **({"seen_unknown": str(start)} if start is not None and not names_seen(start) else {}),
        **({"unknown_words": dict(catalog.unknown_words)} if catalog.unknown_words else {}),
        **({"columns_of_arrays": list(catalog.arrays)} if catalog.arrays else {}),
        "digests": {name: file_digest(folder / name) for name in small},
    }
    manifest["digest"] = contents_digest(manifest, tomlkit.dumps)
    write_text(folder / "store.toml", tomlkit.dumps(manifest))


def _seen_before(start: Path | None, splits: Shaped[np.ndarray, " seen"]) -> dict[str, Any]:
    """Whose training galaxies are in the store, and how many in each set."""
    name = BUNDLED if start == bundled_folder() else str(start)
    return {"run": name, **{split: int((splits == split).sum()) for split in SPLITS}}


def _written(splits: SplitSettings) -> dict[str, Any]:
    """The settings as TOML has them, without sets or a limit that are not given."""
    table = asdict(splits) | {"lists": list(splits.lists)}
    del table["start"]
    given = ("limit", "column", "lists")
    return {name: value for name, value in table.items() if value or name not in given}


def _known_in_part(catalog: Catalog, rows: Int[np.ndarray, " galaxy"]) -> dict[str, Any]:
    """Which questions are unknown, and of how many galaxies the largest fraction is known."""
    facts: dict[str, Any] = {}
    if catalog.unknown_questions:
        facts["unknown_questions"] = dict(catalog.unknown_questions)
    if catalog.largest is not None:
        facts[LARGEST] = int((catalog.largest[rows] >= 0).sum())
    return facts


def _id_name(catalog: Catalog) -> str:
    """The table's word for the id, unless it is one of the store's own."""
    own = OWN_COLUMNS if catalog.largest is None else (*OWN_COLUMNS, LARGEST)
    return "id" if catalog.id_name in own else catalog.id_name


def _write_table(
    path: Path,
    catalog: Catalog,
    rows: Int[np.ndarray, " galaxy"],
    splits: Shaped[np.ndarray, " galaxy"],
    digests: pa.FixedSizeBinaryArray,
) -> None:
    parts = [slice(start, start + _TOGETHER) for start in range(0, len(rows), _TOGETHER)]
    tables = (_table(catalog, rows[part], splits[part], digests[part]) for part in parts)
    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _table(
    catalog: Catalog,
    rows: Int[np.ndarray, " galaxy"],
    splits: Shaped[np.ndarray, " galaxy"],
    digests: pa.FixedSizeBinaryArray,
) -> pa.Table:
    """These rows of the catalog as rows of the store's table."""
    table: dict[str, Any] = {
        _id_name(catalog): catalog.ids.take(pa.array(rows)).cast(pa.string()),
        "split": pa.array(splits, pa.string()),
        "source": pa.array((image.name for image in catalog.images[rows]), pa.string()),
        "pixels": digests.cast(pa.binary()),
    }
    if catalog.tree is not None and catalog.values is not None:
        for index, answer in enumerate(catalog.tree.columns):
            table[value_column(catalog.tree, answer)] = catalog.values[rows, index]
        if catalog.counts is not None:
            for index, answer in enumerate(catalog.tree.columns):
                table[votes_column(answer)] = catalog.counts[rows, index]
        if catalog.largest is not None:
            table[LARGEST] = _names(catalog.tree.columns, catalog.largest[rows])
    for name, column in zip(catalog.columns.column_names, catalog.columns.columns, strict=True):
        table[f"table:{name}" if name in table else name] = column.take(pa.array(rows))
    return pa.table(table)


def _names(columns: tuple[str, ...], indices: Int[np.ndarray, " galaxy"]) -> pa.StringArray:
    """The answers of these indices, null for -1."""
    return pa.array((columns[i] if i >= 0 else None for i in indices.tolist()), pa.string())


def _rejected(catalog: Catalog, journal: Journal) -> pa.Table:
    """Every image, row and file that is not in the store, with the reason."""
    lines = [
        (catalog.images[row].name, catalog.ids[row].as_py(), reason)
        for row, reason in journal.rejected
    ]
    lines += [("", name, "the row has no image") for name in catalog.rows_without_image]
    lines += [("", name, "the row has no votes") for name in catalog.rows_without_votes]
    lines += [("", name, "the galaxy is in no set") for name in catalog.rows_without_split]
    no_galaxy = "a list of a set names it, and no galaxy is called so"
    lines += [("", name, no_galaxy) for name in catalog.listed_without_galaxy]
    without_row = "no row of the table names the image"
    lines += [(name, "", without_row) for name in catalog.images_without_row]
    lines += [(name, "", reason) for name, reason in catalog.passed_over]
    columns = [list(column) for column in zip(*lines, strict=True)] or [[], [], []]
    texts = [pa.array(column, pa.string()) for column in columns]
    return pa.table(texts, ["image", "id", "reason"])
