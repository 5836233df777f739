"""What training prints on standard error while it learns, and the bar below that on a terminal.

    epoch 5 of 60, loss 0.0123, validation 0.0130, at most 2 min left

"At most", because training also ends when it has converged. That is one line, whatever the width of
the terminal, and the same in a log file. Epochs that end within a second of the last line are
passed over, but for the last one; in an epoch that takes long there is a line a minute where no bar
can show how far it is.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, TaskID

from galaxyvotes.runtime.counted import counted, duration
from galaxyvotes.runtime.progress import bar

__all__ = ["TrainingLog"]

_LEAST, _MOST = 1.0, 60.0  # seconds between lines


class TrainingLog:
    """The lines and the bar of a run."""

    def __init__(self, progress: Progress, epochs: int, galaxies: int, done: int) -> None:
        """Begin a run of so many epochs of so many galaxies, of which `done` are behind it."""
        self.progress, self.epochs, self.galaxies = progress, epochs, galaxies
        self.done = self.first = done
        self.began, self.printed = time.monotonic(), -_MOST
        self.task: TaskID = progress.add_task("", total=epochs * galaxies, completed=done)

    @staticmethod
    @contextmanager
    def opened(
        *, show: bool, epochs: int, galaxies: int, done: int
    ) -> "Generator[TrainingLog | None]":
        """The log while training goes on; None if nothing is to be shown."""
        with bar(show=show) as progress:
            yield TrainingLog(progress, epochs, galaxies, done) if show else None

    def step(self, epoch: int, galaxies: int) -> None:
        """So many galaxies of an epoch, counted from 0, are done."""
        self.done = epoch * self.galaxies + galaxies
        self.progress.update(
            self.task, completed=self.done, description=f"epoch {epoch + 1} of {self.epochs}"
        )
        since = time.monotonic() - max(self.printed, self.began)
        if since > _MOST and not self.progress.console.is_terminal:
            of = f"{galaxies:,} of {counted(self.galaxies, 'galaxy')}"
            self._print(f"epoch {epoch + 1} of {self.epochs}, {of}, {self._left(self.epochs)}")

    def epoch(self, row: dict[str, Any], end: int) -> None:
        """An epoch is done, whose metrics are a row; training ends after `end` epochs at most."""
        self.done = row["epoch"] * self.galaxies
        if time.monotonic() - self.printed < _LEAST and row["epoch"] < end:
            return
        left = f", {self._left(end)}" if row["epoch"] < end else ""
        self._print(
            f"epoch {row['epoch']} of {self.epochs}, loss {row['loss']:.4f}, validation"
            f" {row['validation_loss']:.4f}{left}"
        )

    def _left(self, end: int) -> str:
        seconds = time.monotonic() - self.began
        rest = end * self.galaxies - self.done
        return f"at most {duration(seconds * rest / max(self.done - self.first, 1))} left"

    def _print(self, line: str) -> None:
        console = self.progress.console
        self.printed = time.monotonic()
        if console.is_terminal:
            console.print(line, highlight=False, markup=False, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
