"""Work that takes minutes, in a process of its own beside the server: one at a time, at low
priority, so that neither its crash nor its appetite ends what people look at.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from galaxyvotes.errors import GalaxyVotesError
from galaxyvotes.runtime.notes import note

__all__ = ["Background", "State", "do_job", "tail"]

State = Literal["running", "ended", "failed", "stopped"]

Job = TypeVar("Job", bound=msgspec.Struct)

_STOP_SECONDS = 20
_NICENESS = 10
_LOG_BYTES = 256 * 1024


@dataclass
class Background:
    """The last process of its kind."""

    _stopped: bool = False
    _process: "subprocess.Popen[bytes] | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, program: Sequence[str], job: msgspec.Struct, log: Path) -> bool:
        """Run a program of Python, `-m MODULE`, with a job (see `do_job`); what it prints is in the
        file `log`. False while one runs. OSError if the file cannot be written.
        """
        with self._lock:
            if self.state == "running":
                return False
            with log.open("wb") as out:
                self._process = subprocess.Popen(
                    [sys.executable, *program, msgspec.json.encode(job).decode()],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the server, which passes it on
                )
            self._stopped = False
        return True

    def stop(self) -> None:
        """Interrupt the process, if one runs, and wait for its end."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            self._stopped = True
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def state(self) -> State:
        """Of the last process: `stopped` also if there was none."""
        if self._process is None:
            return "stopped"
        if (code := self._process.poll()) is None:
            return "running"
        if code == 0:
            return "ended"
        return "stopped" if self._stopped else "failed"


def do_job(kind: type[Job], work: Callable[[Job], None]) -> None:
    """The program of such a process: do the job of a kind that its argument holds, as JSON, at low
    priority. It ends with 2 and a sentence if that cannot be done, with 130 after Ctrl-C.
    """
    with suppress(AttributeError):  # Windows has no priorities of this kind
        os.nice(_NICENESS)
    try:
        work(msgspec.json.decode(sys.argv[1], type=kind))
    except GalaxyVotesError as error:
        note(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def tail(log: Path) -> list[str]:
    """The last lines of a file; none if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
