"""The small files of a run's folder: run.json, its recipe, trees and the galaxies it has seen."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from galaxyvotes.config import Recipe
from galaxyvotes.runs.calibration import numbered_file
from galaxyvotes.runs.network import Head
from galaxyvotes.runtime.digests import contents_digest
from galaxyvotes.runtime.files import replacing, write_text

__all__ = ["facts_digest", "write_facts", "write_small_files"]


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write run.json, with a digest of its own."""
    facts = {**facts, "digest": facts_digest(facts)}
    write_text(folder / "run.json", json.dumps(facts, indent=2) + "\n")


def write_small_files(
    folder: Path, recipe: Recipe, heads: Sequence[Head], seen: pa.Table
) -> tuple[str, ...]:
    """Write the files whose digests stand in run.json; their names."""
    write_text(folder / "config.toml", recipe.to_toml())
    trees = [numbered_file("tree.toml", number) for number in range(1, len(heads) + 1)]
    for name, head in zip(trees, heads, strict=True):
        write_text(folder / name, head.tree.to_toml())
    with replacing(folder / "seen.parquet") as new:
        pq.write_table(seen, new)
    return ("config.toml", *trees, "seen.parquet")


def facts_digest(facts: dict[str, Any]) -> str:
    """The digest of what run.json says, in whatever order."""
    return contents_digest(facts, partial(json.dumps, sort_keys=True))
