"""Progress bars on a terminal; silence in a log."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["bar", "progress_bar"]

T = TypeVar("T")


def bar(*, show: bool = True) -> Progress:
    """A bar on standard error: what, how far, how long still."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not (show and console.is_terminal), transient=True)


def progress_bar(items: Sequence[T], what: str, *, show: bool = True) -> Iterator[T]:
    """The items, with a bar that moves as they are taken."""
    with bar(show=show) as progress:
        yield from progress.track(items, description=what)
