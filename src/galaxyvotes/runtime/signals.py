"""Ctrl-C, SIGTERM and SIGHUP as a request, so that a job can save its state before it stops."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "interrupted_by_termination", "stop_requested"]

# SIGHUP comes when a terminal is closed; Windows has none.
_TERMINATIONS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Terminated(KeyboardInterrupt):
    """Another signal than that of Ctrl-C ends the program."""

    def __init__(self, number: int) -> None:
        """`number` is the signal."""
        super().__init__()
        self.signal = number


@contextmanager
def interrupted_by_termination() -> Generator[None]:
    """SIGTERM and SIGHUP raise Terminated, as Ctrl-C raises KeyboardInterrupt, so that what is half
    written is removed.

    A signal that the program was started to ignore, as by nohup, stays ignored.
    """

    def interrupt(number: int, _: object) -> None:
        raise Terminated(number)

    with _handled(_TERMINATIONS, interrupt):
        yield


@contextmanager
def stop_requested() -> Generator[threading.Event]:
    """An event that such a signal sets; a second one raises KeyboardInterrupt at once.

    The handlers of before are restored afterwards. Outside the main thread, where Python allows no
    handlers, the event is never set.
    """
    event = threading.Event()

    def request(*_: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    with _handled([signal.SIGINT, *_TERMINATIONS], request):
        yield event


@contextmanager
def _handled(
    numbers: list[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Generator[None]:
    """Signals with a handler while the context lasts, but for those that are ignored.

    SIGINT always has it: shells let jobs in the background ignore it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [
        number
        for number in numbers
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
