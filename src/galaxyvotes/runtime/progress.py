"""Progress bars on a terminal; silence in a log."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Advance", "announce", "bar", "counting"]

Advance = Callable[[int, int], None]  # done, in all

_PERIOD = 300.0  # seconds whose mean speed gives the time left, which jumps with shorter ones


def bar(*, show: bool = True) -> Progress:
    """A bar on standard error: what, how far, how long still."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(
        *columns,
        console=console,
        disable=not (show and console.is_terminal),
        transient=True,
        speed_estimate_period=_PERIOD,
    )


@contextmanager
def counting(
    what: str, total: int, *, done: int = 0, show: bool | Advance = True
) -> Generator[Advance]:
    """A function that moves a bar to (done, total), or `show` itself if it is one."""
    if callable(show):
        yield show
        return
    with bar(show=show) as progress:
        task = progress.add_task(what, total=total, completed=done)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def announce(command: str, *, show: bool = True) -> None:
    """Print on standard error which command is about to be done, as one would type it."""
    if show:
        Console(stderr=True).print(f"$ {command}", style="bold", highlight=False, soft_wrap=True)
