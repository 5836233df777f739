"""Which galaxies teach, which tune and which only judge: three disjoint splits, decided by each galaxy's own id.

A keyed hash of the id gives a number in [0, 1); its place decides the split. So a galaxy keeps its split when rows are
added or reordered. Galaxies whose packed pixels are identical are one galaxy under several ids: all of them follow the
member with the smallest number, and never stand on both sides; in a division that is not turned, a twin that is added
moves them towards training only.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Shaped

from galaxyvotes.config import SplitSettings

__all__ = ["SPLITS", "assign_splits"]

SPLITS = ("train", "validation", "test")


def assign_splits(
    ids: Sequence[str], pixel_digests: Sequence[str], settings: SplitSettings
) -> Shaped[np.ndarray, " galaxy"]:
    """The name of each galaxy's split; equal digests always share one."""
    key = blake2b(settings.key.encode(), digest_size=32).digest()
    numbers = [_number(each, key) for each in ids]
    smallest: dict[str, float] = {}
    for digest, number in zip(pixel_digests, numbers, strict=True):
        smallest[digest] = min(number, smallest.get(digest, 1.0))
    edges = [settings.train, settings.train + settings.validation]
    turned = [(smallest[digest] + settings.turn) % 1 for digest in pixel_digests]
    places = np.searchsorted(edges, turned, side="right")
    return np.array(SPLITS)[places]


def _number(name: str, key: bytes) -> float:
    """A place in [0, 1): 53 bits, which a float holds exactly."""
    return (int.from_bytes(blake2b(name.encode(), key=key, digest_size=8).digest()) >> 11) / 2**53
