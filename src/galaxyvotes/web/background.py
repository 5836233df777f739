"""Work that takes minutes, in a process of its own beside the server: one at a time, at low
priority, so that neither its crash nor its appetite ends what people look at.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Background", "State", "be_nice", "tail"]

State = Literal["running", "ended", "failed", "stopped"]

_STOP_SECONDS = 20
_NICENESS = 10
_LOG_BYTES = 256 * 1024


@dataclass
class Background:
    """The last process of its kind."""

    _stopped: bool = False
    _process: "subprocess.Popen[bytes] | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, module: Sequence[str], argument: str, log: Path) -> bool:
        """Run a module, `python -m …`, with an argument, what it prints in the file `log`; False
        while one runs. OSError if the file cannot be written.
        """
        with self._lock:
            if self.state == "running":
                return False
            with log.open("wb") as out:
                self._process = subprocess.Popen(
                    [sys.executable, *module, argument],
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


def be_nice() -> None:
    """Give this process a low priority, where there are any."""
    with suppress(AttributeError):  # Windows has none such
        os.nice(_NICENESS)


def tail(log: Path) -> list[str]:
    """The last lines of a file; none if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
