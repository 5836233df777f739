"""Training, validation and test set: three disjoint splits, decided by each galaxy's own id.

A keyed hash of the id gives a number in [0, 1); where it lies decides the split. So a galaxy keeps
its split when rows are added or reordered. Galaxies whose packed pixels are identical are one
galaxy under several ids: all of them follow the one with the smallest number, and share a split; in
a division that is not turned, a duplicate that is added moves them towards training only.

Where splits are given instead (see `chosen`), such galaxies share the most held out of theirs.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from galaxyvotes.config import SplitSettings
from galaxyvotes.tables.names import codes_of

__all__ = ["SPLITS", "assign_splits", "hash_number", "share_given_splits"]

SPLITS = ("train", "validation", "test")


def assign_splits(
    ids: Iterable[str], pixel_digests: pa.Array, settings: SplitSettings
) -> Shaped[np.ndarray, " galaxy"]:
    """The name of each galaxy's split; galaxies with equal digests share one."""
    key = blake2b(settings.key.encode(), digest_size=32).digest()
    numbers = np.fromiter((hash_number(name, key) for name in ids), np.float64, len(pixel_digests))
    images = codes_of(pixel_digests)
    smallest = np.ones(len(numbers))
    np.minimum.at(smallest, images, numbers)
    edges = [settings.train, settings.train + settings.validation]
    numbers_of_splits = np.searchsorted(edges, (smallest[images] + settings.turn) % 1, side="right")
    return np.array(SPLITS, object)[numbers_of_splits]


def share_given_splits(
    given: Shaped[np.ndarray, " galaxy"], pixel_digests: pa.Array
) -> Shaped[np.ndarray, " galaxy"]:
    """The splits that galaxies were given; those with equal digests share the most held out one."""
    ranks = np.array([SPLITS.index(split) for split in given])
    images = codes_of(pixel_digests)
    highest = np.zeros(len(ranks), np.int64)
    np.maximum.at(highest, images, ranks)
    return np.array(SPLITS, object)[highest[images]]


def hash_number(name: str, key: bytes) -> float:
    """A number in [0, 1) for a name and a key of 32 bytes: 53 bits, which a float holds exactly."""
    return (int.from_bytes(blake2b(name.encode(), key=key, digest_size=8).digest()) >> 11) / 2**53
