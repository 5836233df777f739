"""The galaxies from which the network would learn most (`search.choose_next`, by `bald`), found in
the background and kept beside the catalogue, `<catalogue>.informative.parquet`.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web.background import Background, tail
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.informative_job import Job
from galaxyvotes.web.parquet_file import values_named

__all__ = ["INFORMATION", "Informative", "Progress"]

INFORMATION = "expected_information"  # bits, by which the catalogue can then be sorted
JOB = ["-m", "galaxyvotes.web.informative_job"]
_MOST = 10_000  # galaxies in the queue


class Progress(NamedTuple):
    """How far the search is: `done` of `total` images; `reason` says why it failed."""

    state: Literal["never", "running", "finished", "failed", "stopped"]
    done: int = 0
    total: int = 0
    reason: str = ""


@dataclass
class Informative:
    """The search among the galaxies of a catalogue in these image files, by the network of the run
    that `run` gives (none: the bundled model).
    """

    images: tuple[Path, ...]
    catalogue: Catalogue
    tree: str
    run: Callable[[], Path | None]
    process: Background = field(default_factory=Background)
    _scored: tuple[int, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """The table of ids and scores."""
        return self.catalogue.path.with_name(f"{self.catalogue.path.name}.informative.parquet")

    def begin(self) -> Progress:
        """Begin to search, unless a search runs; DataError if the table cannot be written."""
        run = self.run()
        job = Job(
            tuple(map(str, self.images)),
            str(self.path),
            _MOST,
            self.tree,
            None if run is None else str(run),
        )
        try:
            self.process.begin(JOB, job, self._log)
        except OSError as error:
            raise DataError(f"{self._log} cannot be written: {error.strerror}") from None
        return self.progress()

    def stop(self) -> Progress:
        """Stop the search, if one runs."""
        self.process.stop()
        return self.progress()

    def progress(self) -> Progress:
        """How far it is."""
        state, lines = self.process.state, tail(self._log)
        counts = [found for line in lines if (found := re.fullmatch(r"(\d+) of (\d+)", line))]
        done, total = map(int, counts[-1].groups()) if counts else (0, 0)
        if state == "running":
            return Progress("running", done, total)
        if state == "failed":
            return Progress("failed", done, total, lines[-1] if lines else "")
        if self.path.exists():
            return Progress("finished", done, total)
        return Progress("stopped" if lines else "never", done, total)

    def load(self) -> None:
        """Let the catalogue be sorted by `INFORMATION`, as the table of the last search has it.

        Raises ConfigError if there is none yet, DataError if it cannot be read or names no galaxy
        of the catalogue.
        """
        try:
            found = self.path.stat()
        except OSError:
            raise ConfigError(
                "which galaxies are the most informative is not known yet: POST to"
                " /queue/informative, which finds it in the background"
            ) from None
        with self._lock:
            if self._scored == (stamp := (found.st_mtime_ns, found.st_size)):
                return
            try:
                table = pq.read_table(self.path, columns=["id", "score"])
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"{self.path} cannot be read: {error}") from None
            scores = dict(zip(*(table.column(i).to_pylist() for i in (0, 1)), strict=True))
            catalogue = self.catalogue
            values = values_named(catalogue.file, catalogue.id_column, scores)
            if np.isnan(values).all():
                raise DataError(
                    f"{self.path} names no galaxy of {catalogue.path.name}: POST to"
                    " /queue/informative finds it anew"
                )
            catalogue.orders.set_scores(INFORMATION, values)
            self._scored = stamp

    @property
    def _log(self) -> Path:
        return self.path.with_suffix(".log")
