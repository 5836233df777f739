"""A prediction job that writes a table: its blocks are predicted, each is kept, and in the end they
become one table.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.catalogue import stamps_of
from galaxyvotes.inference.left_out import path_of_left_out, write_left_out
from galaxyvotes.inference.outcome import Outcome
from galaxyvotes.inference.parts import Parts, Plan, Shard
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.inference.stream import Stream
from galaxyvotes.predictions import Predictions
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.files import given_path, new_file
from galaxyvotes.runtime.locks import locked
from galaxyvotes.table_formats.write import check_format, write_table

__all__ = [
    "Merged",
    "begun",
    "count_outcome",
    "merge",
    "new_table",
    "predict_blocks",
    "write_whole",
]

PERIOD = 60.0  # seconds after which the rows of a block that is not whole yet are kept, too


@dataclass(frozen=True)
class Merged:
    """The one table of a job's parts: its path, the number of galaxies that are predicted, the
    images that could not be used, each with its reason (of a table of the user's the first hundred
    of so many `unpredicted` rows), the files that were passed over, and how the galaxies compare
    with those of the calibration.
    """

    path: Path
    galaxies: int
    rejected: tuple[Rejected, ...]
    unpredicted: int
    passed_over: tuple[Rejected, ...]
    shift: Shift | None

    @property
    def rejected_path(self) -> Path | None:
        """The list of what was left out of the table; None if nothing was."""
        path = path_of_left_out(self.path)
        return None if self.unpredicted or not (self.rejected or self.passed_over) else path

    @property
    def warning(self) -> str | None:
        """A warning if the galaxies are unlike the calibration galaxies."""
        return str(self.shift) if self.shift is not None and self.shift.detected else None


def new_table(out: str | Path, *, overwrite: bool) -> Path:
    """The path of a table to write; nothing that `predict` writes is there, or it may be replaced,
    or an attempt that was stopped while it wrote has left it.

    Raises ConfigError for a file that is there, and for an unknown format.
    """
    out = new_file(out, overwrite=overwrite)
    check_format(out)
    new_file(path_of_left_out(out), overwrite=overwrite or Parts.are_there(out))
    return out


@contextmanager
def begun(out: Path, plan: Plan, shard: Shard, *, overwrite: bool) -> Generator[Parts]:
    """The parts of a shard, or of a whole job, which nobody else writes while the context lasts;
    where it is left by an error or Ctrl-C, that says what is kept and how to go on.

    Raises DataError if another process writes them, ConfigError as `Parts.begin`.
    """
    parts = Parts.begin(out, plan, anew=overwrite and shard.of == 1)
    try:
        with locked(parts.folder / f"shard-{shard.number}"):
            yield parts
    except KeyboardInterrupt as stop:
        if kept := _kept(parts, shard):
            stop.args = (f"stopped: {kept}; run the same command again to go on",)
        raise
    except DataError as error:
        if kept := _kept(parts, shard):
            raise DataError(f"{error}; {kept}: run the same command again to go on") from error
        raise
    except BaseException:
        _kept(parts, shard)
        raise


def _kept(parts: Parts, shard: Shard) -> str:
    """How many rows of a shard are there, in words; if none is, nothing stays of a whole job."""
    blocks = parts.plan.blocks_of(shard)
    rows = parts.count(blocks)
    if not rows:
        if shard.of == 1:
            parts.discard()
        return ""
    first, last = parts.plan.rows_of(blocks)
    return (
        f"{rows:,} of {counted(last - first, 'row')} {agreeing(rows, 'is')} kept in {parts.folder}"
    )


def predict_blocks(stream: Stream[Predictions], parts: Parts, shard: Shard) -> tuple[str, ...]:
    """Predict the blocks of a shard that are missing, or have an image whose file has changed
    since, and keep each; what an earlier attempt has left, in words.
    """
    blocks = parts.plan.blocks_of(shard)
    changed = _drop_changed(stream, parts, blocks)
    before = parts.count(blocks)
    for run in parts.runs(blocks):
        _predict_run(stream, parts, run)
    if not before:
        return tuple(changed)
    first, last = parts.plan.rows_of(blocks)
    rows = f"{before:,} of {counted(last - first, 'row')} {agreeing(before, 'was')}"
    return (f"{rows} predicted by an earlier attempt", *changed)


def _drop_changed(stream: Stream[Predictions], parts: Parts, blocks: range) -> list[str]:
    """Remove the blocks that have an image whose file has changed since; which one, in words."""
    plan = parts.plan
    there = [block for block in blocks if parts.begun(block)]
    if not there:
        return []
    blocks = range(there[0], there[-1] + 1)
    chunks = stream.galaxies.chunks(plan.block, *plan.rows_of(blocks), plan.block)
    dropped, images, first = 0, 0, ""
    for block, chunk in zip(blocks, chunks, strict=True):
        begun = parts.begun(block)
        if begun is None:
            continue
        before = stamps_of(begun[0])
        differ = np.flatnonzero(chunk.stamps()[: len(before)] != before)
        if len(differ):
            dropped, images = dropped + len(before), images + len(differ)
            first = first or chunk.file(int(differ[0]))
            parts.drop(block)
    if not dropped:
        return []
    why = f"{counted(images, 'image', 'has')} changed since an earlier attempt (the first: {first})"
    return [f"{counted(dropped, 'row', 'was')} predicted again, because {why}"]


def _predict_run(stream: Stream[Predictions], parts: Parts, run: range) -> None:
    """Predict blocks that follow each other; of the first one, some rows may be there."""
    plan, block = parts.plan, run.start
    kept, sizes = parts.begun(block) or (None, ImageSizes())
    waiting = [] if kept is None else [kept]
    start, stop = plan.rows_of(run)
    written = time.monotonic()
    try:
        for part in stream.parts(start + sum(map(len, waiting)), stop, plan.block):
            waiting.append(plan.columns.rows(part))
            sizes.add(part.sizes)
            block_start, block_stop = plan.rows_of(range(block, block + 1))
            is_whole = sum(map(len, waiting)) == block_stop - block_start
            if is_whole or time.monotonic() - written > PERIOD:
                parts.write(block, pa.concat_tables(waiting), sizes)
                written = time.monotonic()
            if is_whole:
                waiting, sizes, block = [], ImageSizes(), block + 1
    except BaseException:
        if waiting:
            with suppress(DataError, OSError):
                parts.write(block, pa.concat_tables(waiting), sizes)
        raise


def count_outcome(parts: Parts, blocks: range, id_column: str = "") -> Outcome:
    """What became of the galaxies of some blocks, whose ids are in a column of the table, if they
    are wanted; DataError if a block is damaged.
    """
    plan = parts.plan
    outcome = Outcome(plan.rows, plan.references, plan.columns.keeps_all, id_column)
    for block in blocks:
        rows, sizes = parts.read(block)
        outcome.add(plan.columns.part(rows))
        outcome.sizes.add(sizes)
    return outcome


def write_whole(parts: Parts, out: Path, outcome: Outcome) -> None:
    """Write the one table, and beside it the images that could not be used; then remove the parts.

    Raises DataError if it cannot be written.
    """
    if not parts.plan.columns.keeps_all:
        write_left_out(out, [*outcome.rejected, *parts.plan.passed_over])
    write_table(out, parts.plan.columns.schema, _Written(parts))
    parts.discard()


@dataclass(frozen=True)
class _Written:
    """The rows of all blocks as the table has them, to be gone through any number of times."""

    parts: Parts

    def __iter__(self) -> Iterator[pa.Table]:
        """A block at a time."""
        for block in range(self.parts.plan.blocks):
            yield self.parts.plan.columns.written(self.parts.read(block)[0])


def merge(out: str | Path, *, overwrite: bool = False) -> Merged:
    """Make one table of the shards that `predict` has written for `out`, row for row that of one
    job without shards, and remove these.

    Raises ConfigError if the table is there already, unless `overwrite` and there are shards to
    replace it; DataError if there is neither a table nor a shard, if rows of some shards are
    missing (the message names these), or if the table cannot be written.
    """
    out = given_path(out)
    if out.exists() and not Parts.are_there(out):
        raise ConfigError(
            f"{out} is there, and no shards are beside it: there are none to merge, or they have"
            " been merged"
        )
    out = new_table(out, overwrite=overwrite)
    with locked(out):
        parts = Parts.open(out)
        plan = parts.plan
        missing = {*parts.missing(range(plan.blocks))}
        shards = (Shard(number, plan.shards) for number in range(1, plan.shards + 1))
        lacking = [str(shard) for shard in shards if missing & {*plan.blocks_of(shard)}]
        if lacking:
            raise DataError(
                f"{parts.folder} lacks rows of {counted(len(lacking), 'shard')} of {plan.shards}"
                f" ({', '.join(lacking[:12])}{' …' if len(lacking) > 12 else ''}): run"
                f" {agreeing(len(lacking), 'it')} to the end, again if"
                f" {agreeing(len(lacking), 'it was')} stopped"
            )
        outcome = count_outcome(parts, range(plan.blocks))
        write_whole(parts, out, outcome)
    return Merged(
        out,
        outcome.predicted,
        tuple(outcome.rejected),
        outcome.unpredicted,
        plan.passed_over,
        outcome.shift,
    )
