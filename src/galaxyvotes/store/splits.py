"""Which galaxies teach, which tune and which only judge: three disjoint splits, decided by each
galaxy's own id.

A keyed hash of the id gives a number in [0, 1); its place decides the split. So a galaxy keeps its
split when rows are added or reordered. Galaxies whose packed pixels are identical are one galaxy
under several ids: all of them follow the member with the smallest number, and never stand on both
sides; in a division that is not turned, a twin that is added moves them towards training only.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from galaxyvotes.config import SplitSettings
from galaxyvotes.sources.names import codes_of

__all__ = ["SPLITS", "assign_splits"]

SPLITS = ("train", "validation", "test")


def assign_splits(
    ids: Iterable[str], pixel_digests: pa.Array, settings: SplitSettings
) -> Shaped[np.ndarray, " galaxy"]:
    """The name of each galaxy's split; galaxies with equal digests share one."""
    key = blake2b(settings.key.encode(), digest_size=32).digest()
    numbers = np.fromiter((_number(name, key) for name in ids), np.float64, len(pixel_digests))
    images = codes_of(pixel_digests)
    smallest = np.ones(len(numbers))
    np.minimum.at(smallest, images, numbers)
    edges = [settings.train, settings.train + settings.validation]
    places = np.searchsorted(edges, (smallest[images] + settings.turn) % 1, side="right")
    return np.array(SPLITS, object)[places]


def _number(name: str, key: bytes) -> float:
    """A place in [0, 1): 53 bits, which a float holds exactly."""
    return (int.from_bytes(blake2b(name.encode(), key=key, digest_size=8).digest()) >> 11) / 2**53
