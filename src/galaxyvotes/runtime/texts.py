"""Names and ids, of which there may be millions, in a fifth of the memory that as many objects
take.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import cast, overload

import numpy as np
from jaxtyping import Int

__all__ = ["AT_ONCE", "Texts", "hashes_of", "shared_hashes", "twins"]

AT_ONCE = (
    2**16
)  # names that are taken or listed together: numpy and Python need several times as much for them


class Texts(Sequence[str]):
    """Texts in one piece of memory, up to 4 GB together; equal to any sequence of the same
    texts.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Take them one by one."""
        self._bytes, self._ends = bytearray(), array("I", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Put one at the end."""
        self._bytes += text.encode("utf-8", "surrogatepass")  # the name of a file may be no text
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Texts": ...
    def __getitem__(self, index: int | slice) -> "str | Texts":
        """One of them, or some."""
        if isinstance(index, slice):
            return Texts(map(self.__getitem__, range(len(self))[index]))
        ends = self._ends
        place = index if 0 <= index < len(ends) - 1 else range(len(ends) - 1)[index]
        return self._bytes[ends[place] : ends[place + 1]].decode("utf-8", "surrogatepass")

    def take(self, places: Int[np.ndarray, " taken"]) -> "Texts":
        """Those at these places, in their order."""
        taken, ends, held = (
            Texts(),
            np.frombuffer(self._ends, np.uint32),
            np.frombuffer(self._bytes, np.uint8),
        )
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            begins = ends[some].astype(np.int64)
            lengths = ends[some + 1] - begins
            after = np.cumsum(lengths)
            taken._ends.extend((after + len(taken._bytes)).tolist())
            taken._bytes += held[
                np.arange(lengths.sum()) + np.repeat(begins - after + lengths, lengths)
            ].tobytes()
        return taken

    def __iter__(self) -> Iterator[str]:
        """One after the other."""
        for start, end in pairwise(self._ends):
            yield self._bytes[start:end].decode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        """Whether the other sequence has the same texts in the same order."""
        return isinstance(other, Sequence) and tuple(self) == tuple(cast("Sequence[object]", other))

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def hashes_of(texts: Sequence[str]) -> Int[np.ndarray, " text"]:
    """Python's hash of each, which in this process is the same for equal texts and hardly ever for
    others.
    """
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def shared_hashes(texts: Sequence[str]) -> Int[np.ndarray, " place"]:
    """The places, in rising order, of the texts whose hash another has, too: only these can have an
    equal one.
    """
    hashes = hashes_of(texts)
    order = np.argsort(hashes)
    hashes = hashes[order]
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    return np.unique(order[np.concatenate([same, same + 1])])


def twins(texts: Sequence[str]) -> tuple[int, int] | None:
    """Where the first text that has an equal one before it stands, behind the place of that one;
    None if all differ.
    """
    places: dict[str, int] = {}
    for place in map(int, shared_hashes(texts)):
        earlier = places.setdefault(texts[place], place)
        if earlier != place:
            return earlier, place
    return None
