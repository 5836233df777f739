"""The rows of a job in parts, so that any later attempt, on any machine, can go on with it.

    OUT.parts/plan.json       what is predicted, how, and which columns the table has
    OUT.parts/000000.arrow    the rows of a block, or the first ones of it, each file whole or not
                              there

The rows are divided into blocks of one size. A shard is a run of blocks, and a job without shards
is one. After a crash, a kill or a full disk the blocks that are there are kept, and those that are
not are predicted. A block is also written while it grows, once a minute and where Ctrl-C or an
error stops the job, so that small jobs keep their rows, too.
"""

import base64
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.catalogue import CatalogueColumns
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.runtime.files import replacing, write_text

__all__ = ["WHOLE", "Parts", "Plan", "Shard"]

FORMAT = 3
BLOCK = 4096  # rows: some seconds of work, and about two megabytes

_DIFFERS = {
    "galaxies": "other images or another table, or one that has changed",
    "model": "another model or calibration",
    "settings": "other settings",
    "version": "another version of galaxyvotes",
    "rows": "another number of rows",
    "shards": "another number of shards",
}
_SIZES = b"sizes"
_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Shard:
    """One of so many parts of a job, from 1."""

    number: int
    of: int

    @staticmethod
    def parse(text: str) -> "Shard":
        """The shard that a text names, as "2/8"; ConfigError if it names none."""
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        number, of = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= of <= 1_000_000:
            raise ConfigError(
                f"shard is {text!r}; expected e.g. 2/8, the second of eight, the first being 1/8"
            )
        return Shard(number, of)

    def __str__(self) -> str:
        """As it is parsed."""
        return f"{self.number}/{self.of}"


WHOLE = Shard(1, 1)


@dataclass(frozen=True)
class Plan:
    """What a job predicts and how, as `facts`, which an attempt to go on with it must share; the
    columns of the table; the number of references of familiarity scores, 0 without these; and the
    files that are passed over.
    """

    facts: Mapping[str, str]
    rows: int
    shards: int
    columns: CatalogueColumns
    references: int = 0
    passed_over: tuple[Rejected, ...] = ()

    @property
    def block(self) -> int:
        """The number of rows of a block; the last may have fewer."""
        return min(BLOCK, -(-self.rows // self.shards))

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return -(-self.rows // self.block)

    def blocks_of(self, shard: Shard) -> range:
        """The blocks of a shard."""
        first, last = (self.blocks * end // shard.of for end in (shard.number - 1, shard.number))
        return range(first, last)

    def rows_of(self, blocks: range) -> tuple[int, int]:
        """The first row of some blocks, and the row behind their last."""
        return blocks.start * self.block, min(blocks.stop * self.block, self.rows)

    def unlike(self, other: "Plan") -> str:
        """How another plan differs, in words; empty if it does not."""
        ours, theirs = (
            {**plan.facts, "rows": plan.rows, "shards": plan.shards} for plan in (self, other)
        )
        return " and ".join(word for name, word in _DIFFERS.items() if ours[name] != theirs[name])

    def to_json(self) -> str:
        """The plan as text."""
        columns = self.columns
        return json.dumps(
            {
                "format": FORMAT,
                "facts": dict(self.facts),
                "rows": self.rows,
                "shards": self.shards,
                "references": self.references,
                "schema": base64.b64encode(columns.schema.serialize()).decode(),
                "answers": columns.answers,
                "own": columns.own,
                "bounds": columns.bounds,
                "familiarity": columns.familiarity,
                "summary": columns.summary,
                "shares": columns.shares,
                "passed_over": self.passed_over,
            },
            indent=1,
        )

    @staticmethod
    def of_json(text: str) -> "Plan":
        """The plan that `to_json` wrote; ValueError, KeyError or TypeError if it is none."""
        plan: dict[str, Any] = json.loads(text)
        if plan["format"] != FORMAT:
            raise ValueError("of another format")
        columns = CatalogueColumns(
            pa.ipc.read_schema(pa.py_buffer(base64.b64decode(plan["schema"]))),
            tuple(plan["answers"]),
            plan["own"],
            plan["bounds"],
            plan["familiarity"],
            plan["summary"],
            plan["shares"],
        )
        passed_over = tuple((str(name), str(reason)) for name, reason in plan["passed_over"])
        facts, rows, shards = dict(plan["facts"]), int(plan["rows"]), int(plan["shards"])
        return Plan(facts, rows, shards, columns, int(plan["references"]), passed_over)


@dataclass(frozen=True)
class Parts:
    """The folder of a job's blocks."""

    folder: Path
    plan: Plan

    @staticmethod
    def begin(out: Path, plan: Plan, *, anew: bool) -> "Parts":
        """Make the folder, or go on with what an earlier attempt left there. `anew` removes what a
        job of another plan has left.

        Raises ConfigError if the plans differ otherwise, or the folder is something else.
        """
        parts = Parts(_folder_of(out), plan)
        if parts.folder.exists() and not _is_unbegun(parts.folder):
            before = _plan_of(parts.folder)
            differs = before.unlike(plan) if before else "no plan that can be read"
            if not differs:
                return parts
            if not anew:
                raise ConfigError(
                    f"{parts.folder} has a part of a job with {differs}: repeat the command that"
                    " began it to finish it, or remove the folder to begin anew"
                )
            shutil.rmtree(parts.folder)
        write_text(parts.folder / "plan.json", plan.to_json())
        return parts

    @staticmethod
    def open(out: Path) -> "Parts":
        """The parts of the table at `out`; DataError if there are none."""
        folder = _folder_of(out)
        plan = _plan_of(folder)
        if plan is None:
            raise DataError(
                f"{folder} is not there, or has no plan that can be read: it holds the parts of"
                f" {out} while `galaxyvotes.predict(…, shard=…)` computes them"
            )
        return Parts(folder, plan)

    @staticmethod
    def are_there(out: Path) -> bool:
        """Whether a job for the table at `out` has begun."""
        return _folder_of(out).is_dir()

    def missing(self, blocks: range) -> list[int]:
        """Those of some blocks that are not there as a whole, or are damaged."""
        return [block for block in blocks if self._rows_there(block) < self._rows_of(block)]

    def count(self, blocks: range) -> int:
        """How many rows of some blocks are there."""
        return sum(map(self._rows_there, blocks))

    def write(self, block: int, rows: pa.Table, sizes: ImageSizes) -> None:
        """Write a block, or its first rows, in one step; DataError if it cannot be written."""
        counts = [[*size, number] for size, number in sizes.counts.items()]
        texts = {_SIZES: json.dumps([counts, [*sizes.arcsec.items()]])}
        schema = self.plan.columns.of_rows.with_metadata(texts)
        with (
            replacing(self._path(block)) as partial,
            pa.OSFile(str(partial), "wb") as file,
            pa.ipc.new_file(file, schema) as writer,
        ):
            writer.write_table(rows.cast(schema))

    def read(self, block: int) -> tuple[pa.Table, ImageSizes]:
        """The rows of a block, and the sizes of their images; DataError if it is damaged."""
        there = self.begun(block)
        if there is None or len(there[0]) < self._rows_of(block):
            raise DataError(
                f"{self._path(block)} is damaged or not there any more: run the same command again"
            )
        return there

    def drop(self, block: int) -> None:
        """Remove a block."""
        self._path(block).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def runs(self, blocks: range) -> Iterator[range]:
        """Those of some blocks that are missing, as runs of blocks that follow each other; one that
        is begun is a run by itself.
        """
        missing = np.array(self.missing(blocks), np.int64)
        begun = np.array([self._rows_there(int(block)) > 0 for block in missing], bool)
        ends = (np.diff(missing) > 1) | begun[1:] | begun[:-1]
        for run in np.split(missing, np.flatnonzero(ends) + 1):
            if len(run):
                yield range(int(run[0]), int(run[-1]) + 1)

    def _path(self, block: int) -> Path:
        return self.folder / f"{block:06}.arrow"

    def _rows_of(self, block: int) -> int:
        first, last = self.plan.rows_of(range(block, block + 1))
        return last - first

    def _rows_there(self, block: int) -> int:
        there = self.begun(block)
        return 0 if there is None else len(there[0])

    def begun(self, block: int) -> tuple[pa.Table, ImageSizes] | None:
        """The first rows of a block, or all, and the sizes of their images; None if it is damaged
        or not there.
        """
        try:
            with pa.OSFile(str(self._path(block))) as file:
                rows = pa.ipc.open_file(file).read_all()
            rows.validate(full=True)
            counts, arcsec = json.loads(rows.schema.metadata[_SIZES])
            sizes = ImageSizes({(w, h): n for w, h, n in counts}, dict(arcsec))
            rows = rows.cast(self.plan.columns.of_rows)
        except _BROKEN:
            return None
        return (rows, sizes) if len(rows) <= self._rows_of(block) else None


def _folder_of(out: Path) -> Path:
    return out.with_name(out.name + ".parts")


def _is_unbegun(folder: Path) -> bool:
    """Whether there is nothing but what a kill or a full disk leaves of a plan that was written."""
    return folder.is_dir() and all(path.name.startswith(".plan.json.") for path in folder.iterdir())


def _plan_of(folder: Path) -> Plan | None:
    try:
        return Plan.of_json((folder / "plan.json").read_text("utf-8"))
    except _BROKEN:
        return None
