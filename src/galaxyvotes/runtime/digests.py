"""Digests that find damage and equal pixels.

What this package writes carries the digest of its bytes: XXH3 with 128 bits, in files as 32
hexadecimal digits. Two different contents never share one by accident. Whoever wants to can make
two that do, so a digest proves no origin.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from jaxtyping import UInt8

__all__ = [
    "IMAGE_DIGEST_BYTES",
    "blake2b_digest",
    "contents_digest",
    "digest_of",
    "file_digest",
    "image_digest",
    "number_of",
]

IMAGE_DIGEST_BYTES = 16
_BLOCK_BYTES = 2**20


def digest_of(parts: Iterable[bytes]) -> str:
    """The digest of the parts, joined end to end."""
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def number_of(parts: Iterable[bytes]) -> int:
    """A digest of the parts, joined end to end, as a number from 1 to 2⁶³ − 1."""
    return int(digest_of(parts)[:16], 16) >> 1 or 1


def file_digest(path: Path) -> str:
    """The digest of a file's bytes, read a mebibyte at a time; OSError if it cannot be read."""
    with path.open("rb") as file:
        return digest_of(iter(lambda: file.read(_BLOCK_BYTES), b""))


def image_digest(pixels: UInt8[np.ndarray, "..."]) -> bytes:
    """The digest of an image's pixels, as raw bytes (`IMAGE_DIGEST_BYTES`)."""
    return xxhash.xxh3_128(np.ascontiguousarray(pixels).data).digest()


def contents_digest(table: dict[str, Any], dumps: Callable[[dict[str, Any]], str]) -> str:
    """The digest of a table as `dumps` writes it, without the key "digest", which holds it."""
    contents = {key: value for key, value in table.items() if key != "digest"}
    return digest_of([dumps(contents).encode()])


def blake2b_digest(parts: Iterable[bytes]) -> str:
    """The BLAKE2b digest of the parts, joined end to end, with 128 bits."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
