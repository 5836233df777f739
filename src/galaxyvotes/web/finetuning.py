"""Fine-tuning on the votes of the page, in a process of its own: one at a time, each in a new
folder beside the catalogue, `<catalogue>.finetuned/1`, `/2` and so on.

The folder says all that is known of it, so a server that is started again shows the last one.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.web.background import Background, tail
from galaxyvotes.web.classifications import Classifications
from galaxyvotes.web.finetune_job import Job

__all__ = ["JOB", "MIN_GALAXIES", "FineTuning", "Progress"]

MIN_GALAXIES = 20  # with answers; of fewer, none would be left to judge the network by
JOB = ["-m", "galaxyvotes.web.finetune_job"]
_LINES = 200  # of the log that are shown

When = Literal["before", "after"]


class Progress(NamedTuple):
    """How far the last fine-tuning is.

    `commands` are those that began, `lines` what they printed last, `reports` those that are there
    and `summary` what the last one says; `galaxies` is the number that has answers now.
    """

    state: Literal["never", "running", "finished", "failed", "stopped"]
    galaxies: int
    needed: int
    folder: str = ""
    commands: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    reports: tuple[When, ...] = ()
    summary: str = ""


@dataclass
class FineTuning:
    """Fine-tuning of the run `start`, none for the bundled model, on the votes of `labels` for the
    galaxies in these image files, which `name_of` names by their ids.
    """

    images: tuple[Path, ...]
    name_of: Callable[[str], str]
    labels: Classifications
    folder: Path
    start: Path | None = None
    process: Background = field(default_factory=Background)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> Progress:
        """Begin with the votes that there are now.

        Raises ConfigError while another one runs and for fewer galaxies than `MIN_GALAXIES`;
        DataError if the folder cannot be written or the votes cannot be read.
        """
        if (found := self.labels.answered()) < MIN_GALAXIES:
            raise ConfigError(
                f"{counted(found, 'galaxy')} {'has' if found == 1 else 'have'} answers; to"
                f" fine-tune, label {MIN_GALAXIES} or more"
            )
        with self._lock:
            if self.process.state == "running":
                raise ConfigError("the network is being fine-tuned: wait for its end, or stop it")
            try:
                folder = self._new_folder()
                self.process.begin(JOB, self._write(folder), folder / "job.log")
            except OSError as error:
                raise DataError(f"{self.folder} cannot be written: {error.strerror}") from None
        return self.progress()

    def stop(self) -> Progress:
        """Stop what runs, if anything does, and wait for its end; what it made stays."""
        self.process.stop()
        return self.progress()

    def progress(self) -> Progress:
        """How far the last one is; DataError if the votes cannot be read."""
        galaxies = self.labels.answered()
        folder = self._last_folder()
        if folder is None:
            return Progress("never", galaxies, MIN_GALAXIES)
        lines = tail(folder / "job.log")
        there: list[When] = [when for when in ("before", "after") if _report(folder, when).exists()]
        return Progress(
            self._state(folder),
            galaxies,
            MIN_GALAXIES,
            str(folder),
            tuple(line[2:] for line in lines if line.startswith("$ ")),
            tuple(lines[-_LINES:]),
            tuple(there),
            _summary(folder),
        )

    def report(self, when: When) -> Path:
        """The page of a report of the last one; DataError if there is none (yet)."""
        folder = self._last_folder()
        if folder is None or not _report(folder, when).exists():
            raise DataError(f"there is no report of the network {when} fine-tuning yet")
        return _report(folder, when)

    @property
    def run(self) -> Path | None:
        """The run of the last one, or the start if there is none that finished."""
        folder = self._last_folder()
        finished = folder is not None and self._state(folder) == "finished"
        return folder / "run" if folder is not None and finished else self.start

    def _state(self, folder: Path) -> Literal["running", "finished", "failed", "stopped"]:
        state = self.process.state
        if state != "running" and _report(folder, "after").exists():
            return "finished"
        return "failed" if state == "ended" else state

    # ---- the folder

    def _last_folder(self) -> Path | None:
        numbers = [int(one.name) for one in self.folder.glob("[1-9]*") if one.name.isdecimal()]
        return self.folder / str(max(numbers)) if numbers else None

    def _new_folder(self) -> Path:
        last = self._last_folder()
        folder = self.folder / str(1 if last is None else int(last.name) + 1)
        folder.mkdir(parents=True)
        return folder

    def _write(self, folder: Path) -> Job:
        """The job, whose votes and tree are in the folder."""
        start = None if self.start is None else str(self.start)
        job = Job(tuple(map(str, self.images)), str(folder), start)
        job.votes.write_text("".join(self.labels.table(self.name_of)), "utf-8")
        job.tree.write_text(self.labels.tree.to_toml(), "utf-8")
        return job


def _report(folder: Path, when: When) -> Path:
    return folder / when / "report.html"


def _summary(folder: Path) -> str:
    """What the report after fine-tuning says in words; empty as long as there is none."""
    try:
        document: dict[str, Any] = json.loads((folder / "after" / "report.json").read_bytes())
    except OSError:
        return ""
    return str(document["summary"])
