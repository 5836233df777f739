"""Which galaxies teach, which tune and which only judge: three disjoint splits, decided by each
galaxy's own id.

A keyed hash of the id gives a number in [0, 1); its place decides the split. So a galaxy keeps its
split when rows are added or reordered. Galaxies whose packed pixels are identical are one galaxy
under several ids: all of them follow the member with the smallest number, and never stand on both
sides; in a division that is not turned, a twin that is added moves them towards training only.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Shaped

from galaxyvotes.config import SplitSettings
from galaxyvotes.runtime.texts import shared_hashes

__all__ = ["SPLITS", "assign_splits"]

SPLITS = ("train", "validation", "test")


def assign_splits(
    ids: Sequence[str], pixel_digests: Sequence[str], settings: SplitSettings
) -> Shaped[np.ndarray, " galaxy"]:
    """The name of each galaxy's split; equal digests always share one."""
    key = blake2b(settings.key.encode(), digest_size=32).digest()
    numbers = np.fromiter((_number(each, key) for each in ids), np.float64, len(ids))
    twins = [(place, pixel_digests[place]) for place in map(int, shared_hashes(pixel_digests))]
    smallest: dict[str, float] = {}
    for place, digest in twins:
        smallest[digest] = min(float(numbers[place]), smallest.get(digest, 1.0))
    for place, digest in twins:
        numbers[place] = smallest[digest]
    edges = [settings.train, settings.train + settings.validation]
    places = np.searchsorted(edges, (numbers + settings.turn) % 1, side="right")
    return np.array(SPLITS, object)[places]


def _number(name: str, key: bytes) -> float:
    """A place in [0, 1): 53 bits, which a float holds exactly."""
    return (int.from_bytes(blake2b(name.encode(), key=key, digest_size=8).digest()) >> 11) / 2**53
