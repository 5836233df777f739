"""A table that goes to an object store: it is made in the current folder, where a job that was
stopped is gone on with, and moved when it is whole.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.inference.left_out import path_of_left_out
from galaxyvotes.runtime.object_store import copy_to_store, is_stored, refuse_web, url_of

__all__ = ["made_here"]


@contextmanager
def made_here(out: Path, *, overwrite: bool) -> Generator[Path]:
    """Where to make the table for `out`, the URL of an object, and the list of what it lacks; at
    the end of the context both are moved there.

    Raises ConfigError for an object that is there already, unless `overwrite`, for a file of that
    name in the current folder, and for a page of the web; DataError if they cannot be stored.
    """
    url = url_of(out)
    refuse_web(url)
    here = Path(out.name)
    if here.exists():
        raise ConfigError(
            f"{here} is in the current folder, where the table for {url} is made before it is"
            " stored: move it, or run the command in another folder"
        )
    try:
        is_there = is_stored(url)
    except OSError as error:
        raise DataError(f"{url} cannot be written: {error}") from None
    if is_there and not overwrite:
        raise ConfigError(
            f"{url} exists: pass `overwrite=True` to replace it, or name another object"
        )
    yield here
    for file in filter(Path.exists, (path_of_left_out(here), here)):
        target = f"{url.rpartition('/')[0]}/{file.name}"
        try:
            copy_to_store(file, target)
        except OSError as error:
            raise DataError(f"{file} is whole, but cannot be stored at {target}: {error}") from None
        file.unlink()
