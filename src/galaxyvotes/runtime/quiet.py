"""Remarks of libraries that are kept from the user: what matters of them is raised."""

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["quiet"]

_ONE = threading.Lock()  # warnings.catch_warnings changes the whole process


@contextmanager
def quiet() -> Generator[None]:
    """No warning is shown or raised meanwhile; one thread at a time."""
    with _ONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
