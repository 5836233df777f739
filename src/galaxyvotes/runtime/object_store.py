"""Files in an object store, s3://BUCKET/KEY, or on the web, https://…, which are read only.

Arrow's file systems reach them, with the credentials of the environment (`AWS_ACCESS_KEY_ID`,
`AWS_PROFILE` …, `AWS_ENDPOINT_URL` for a store that is not Amazon's), or, as public ones want it,
without any (`AWS_NO_SIGN_REQUEST=YES`, as GDAL calls it). `Path` writes the URL of a file with one
slash, s3:/BUCKET/KEY, which is understood, too, so that whatever has a path can have a URL.
"""

import io
import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath
from threading import Lock
from typing import Any

import pyarrow as pa

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.digests import digest_of

__all__ = [
    "copy_to_store",
    "digest_of_object",
    "is_stored",
    "open_file",
    "read_object",
    "refuse_web",
    "url_of",
]

_URL = re.compile(r"(s3|gs|gcs|abfss?|https?):/{1,2}([^/].*)", re.DOTALL)
_TRIES, _PAUSE, _PATIENCE = 3, 1.0, 60.0  # of the web: times, seconds between them, seconds
_CHUNK = 2**20
_UNSIGNED = "AWS_NO_SIGN_REQUEST"
_OPENING = Lock()


def url_of(path: str | PurePath) -> str:
    """The URL that a path is; empty if it is that of a file."""
    found = _URL.fullmatch(path if isinstance(path, str) else path.as_posix())
    return "" if found is None else f"{found[1]}://{found[2]}"


def read_object(url: str, most: int) -> bytes:
    """The bytes at a URL.

    Raises OSError if it cannot be read, DataError if it is larger than `most`.
    """
    with _opened(url) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DataError(f"is larger than {most:,} bytes, the most that are read")
    return data


@contextmanager
def open_file(path: Path) -> Generator[io.BufferedIOBase]:
    """A file, or an object in a store of which only those bytes are fetched that are read, while
    the context lasts; OSError if it cannot be read.
    """
    url = url_of(path)
    with _opened(url) if url else path.open("rb") as file:
        yield file


def is_stored(url: str) -> bool:
    """Whether an object is there; OSError if its store cannot be asked."""
    return bool(_info(url).is_file)


def digest_of_object(url: str) -> str:
    """A digest of the size and time of an object, or of the bytes of a page, which say no time;
    OSError if it cannot be read.
    """
    if _is_web(url):
        with _opened(url) as file:
            return digest_of([file.read()])
    info = _info(url)
    return digest_of([f"{url} {info.size} {info.mtime_ns}".encode()])


def copy_to_store(file: Path, url: str) -> None:
    """Store a file, whole or not at all; OSError if it cannot be stored."""
    system, key = _file_system(url)
    with file.open("rb") as source, system.open_output_stream(key) as target:
        while part := source.read(_CHUNK):
            target.write(part)


def refuse_web(url: str) -> None:
    """Raise a ConfigError for a page of the web as the place of something to write."""
    if _is_web(url):
        raise ConfigError(f"{url} is on the web, where nothing can be written: name a file")


def _is_web(url: str) -> bool:
    return url.startswith("http")


def _info(url: str) -> Any:
    system, key = _file_system(url)
    return system.get_file_info(key)


@contextmanager
def _opened(url: str) -> Generator[io.BufferedIOBase]:
    if _is_web(url):
        yield io.BytesIO(_fetched(url))
        return
    system, key = _file_system(url)
    with system.open_input_file(key) as file:
        yield io.BufferedReader(file, _CHUNK)


def _fetched(url: str) -> bytes:
    """A page of the web; one that cannot be had for now is asked for again."""
    request: Any = import_module("urllib.request")  # a tenth of the time that --help takes
    for tried in range(_TRIES):
        try:
            with request.urlopen(url, timeout=_PATIENCE) as page:
                return page.read()
        except OSError as error:
            is_final = getattr(error, "code", 0) in range(400, 429)  # of the HTTP answer
            if is_final or tried == _TRIES - 1:
                raise
            time.sleep(_PAUSE)
    raise AssertionError


def _file_system(url: str) -> tuple[Any, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    with _OPENING:
        system, root = _of_bucket(scheme, bucket)
    return system, f"{root}/{key}"


@cache  # it asks where the bucket is
def _of_bucket(scheme: str, bucket: str) -> tuple[Any, str]:
    fs: Any = import_module("pyarrow.fs")
    if scheme == "s3" and os.environ.get(_UNSIGNED, "").lower() in ("1", "true", "yes"):
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        region = None if endpoint else fs.resolve_s3_region(bucket)
        return fs.S3FileSystem(anonymous=True, region=region, endpoint_override=endpoint), bucket
    try:
        return fs.FileSystem.from_uri(f"{scheme}://{bucket}")
    except (pa.ArrowException, ValueError) as error:
        raise OSError(f"the store of {bucket} cannot be reached: {error}") from None
