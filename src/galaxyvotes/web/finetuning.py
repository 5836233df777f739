"""Fine-tuning on the votes of the page, in a process of its own: one at a time, each in a new
folder beside the catalogue, `<catalogue>.finetuned/1`, `/2` and so on.

The folder says all that is known of it, so a server that is started again shows the last one.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.web.classifications import Classifications
from galaxyvotes.web.finetune_job import Job

__all__ = ["COMMAND", "MIN_GALAXIES", "FineTuning", "Progress"]

MIN_GALAXIES = 20  # with answers; of fewer, none would be left to judge the network by
COMMAND = [sys.executable, "-m", "galaxyvotes.web.finetune_job"]
_LINES = 200  # of the log that are shown
_LOG_BYTES = 256 * 1024
_STOP_SECONDS = 20

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
    _stopped: bool = False
    _process: "subprocess.Popen[bytes] | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> Progress:
        """Begin with the votes that there are now.

        Raises ConfigError while another one runs and for fewer galaxies than `MIN_GALAXIES`;
        DataError if the folder cannot be written or the votes cannot be read.
        """
        with self._lock:
            if self._running:
                raise ConfigError("the network is being fine-tuned: wait for its end, or stop it")
            if (found := self._galaxies()) < MIN_GALAXIES:
                raise ConfigError(
                    f"{counted(found, 'galaxy')} {'has' if found == 1 else 'have'} answers; to"
                    f" fine-tune, label {MIN_GALAXIES} or more"
                )
            try:
                folder = self._new_folder()
                self._stopped = False
                job = self._write(folder)
                with (folder / "job.log").open("wb") as log:
                    self._process = subprocess.Popen(
                        [*COMMAND, json.dumps(msgspec.to_builtins(job))],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # Ctrl-C is for the server, which passes it on
                    )
            except OSError as error:
                raise DataError(f"{self.folder} cannot be written: {error.strerror}") from None
        return self.progress()

    def stop(self) -> Progress:
        """Stop what runs, if anything does, and wait for its end; what it made stays."""
        with self._lock:
            self._end()
        return self.progress()

    def close(self) -> None:
        """Stop what runs, at the end of the server."""
        with self._lock:
            self._end()

    def progress(self) -> Progress:
        """How far the last one is; DataError if the votes cannot be read."""
        galaxies = self._galaxies()
        folder = self._last_folder()
        if folder is None:
            return Progress("never", galaxies, MIN_GALAXIES)
        lines = _lines(folder / "job.log")
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

    # ---- the process

    @property
    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._stopped = True
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _state(self, folder: Path) -> Literal["running", "finished", "failed", "stopped"]:
        if self._running:
            return "running"
        if _report(folder, "after").exists():
            return "finished"
        return "stopped" if self._stopped or self._process is None else "failed"

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

    def _galaxies(self) -> int:
        return self.labels.answered()


def _report(folder: Path, when: When) -> Path:
    return folder / when / "report.html"


def _summary(folder: Path) -> str:
    """What the report after fine-tuning says in words; empty as long as there is none."""
    try:
        document: dict[str, Any] = json.loads((folder / "after" / "report.json").read_bytes())
    except OSError:
        return ""
    return str(document["summary"])


def _lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
