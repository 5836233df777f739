"""Remarks of the library on standard error while it works.

They speak Python. The command line says in its own words what arguments they name.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["note", "notes_in_words_of"]

_TRANSLATE: ContextVar[Callable[[str], str]] = ContextVar("translate", default=str)


def note(text: str) -> None:
    """Print a remark on standard error."""
    sys.stderr.write(f"{_TRANSLATE.get()(text)}\n")


@contextmanager
def notes_in_words_of(translate: Callable[[str], str]) -> Generator[None]:
    """Print what `translate` makes of each remark while the context lasts."""
    before = _TRANSLATE.set(translate)
    try:
        yield
    finally:
        _TRANSLATE.reset(before)
