"""Which image each row of a table means.

No campaign names its id column alike, so it is found from the data: it is the column whose values
name the most images, by path or by file stem. If no column does, a second table that shares a
column with the first may translate (Galaxy Zoo 2 keeps `objid → asset_id` in a file of its own).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.texts import Texts, hashes_of
from galaxyvotes.sources.archives import IMAGE_SUFFIXES, Members
from galaxyvotes.sources.tables import Table

__all__ = ["Images", "name_images"]


class Images:
    """The images, found by what a table may call them: their path in their folder or archive, or
    their stem.
    """

    def __init__(self, members: Members) -> None:
        """Index them: a sorted list of hashes, as there may be millions."""
        self.members, self.ids = members, Texts(image.id for image in members)
        keys = (
            key
            for name, image in zip(self.ids, members, strict=True)
            for key in (name, image.entry)
        )
        hashes = np.fromiter(map(hash, keys), np.int64, 2 * len(members))
        order = np.argsort(hashes)
        self._hashes, self._places = hashes[order], (order // 2).astype(np.int32)

    def count(self, hashes: Int[np.ndarray, " key"]) -> int:
        """How many keys of these hashes are an image's."""
        after = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        return int((self._hashes[after] == hashes).sum())

    def __contains__(self, key: str) -> bool:
        """Whether an image is called so."""
        return bool(self.places(key))

    def key(self, text: str) -> str:
        """A table's word for an image, as the image is called here: its path, or without folders
        and suffix.
        """
        path = text.strip().replace("\\", "/").removeprefix("./")
        name = path.rsplit("/", 1)[-1]
        stem, dot, suffix = name.rpartition(".")  # ids may hold dots
        short = stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name
        return path if path != short and path in self else short

    def places(self, key: str) -> list[int]:
        """Which images are called so."""
        wanted, found = hash(key), set[int]()
        hashes = (
            self._hashes.data
        )  # a view of plain numbers, which bisecting compares five times as fast
        for at in range(bisect_left(hashes, wanted), len(hashes)):
            if hashes[at] != wanted:
                break
            place = int(self._places[at])
            if key == self.ids[place] or key == self.members[place].entry:
                found.add(place)
        return sorted(found)

    def place_of_each(self, keys: Texts) -> Int[np.ndarray, " key"]:
        """Which image is called so, -1 if there is none; two are a DataError."""
        hashes = hashes_of(keys)
        first, after = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        found = np.flatnonzero(first < after)
        places = np.full(len(keys), -1)
        places[found] = self._places[first[found]]
        # Most keys are the only one of their hash, and an image's id.
        clear = (self._places[after[found] - 1] == places[found]) & (
            after[found] - first[found] <= 2
        )
        for row, key, name, likely in zip(
            found, keys.take(found), self.ids.take(places[found]), clear, strict=True
        ):
            if not (likely and key == name):
                called = self.places(key)
                if len(called) > 1:
                    names = " and ".join(self.members[place].name for place in called[:2])
                    raise DataError(
                        f"{key} is the name of {len(called)} images ({names}): leave one of"
                        " them out"
                    )
                places[row] = called[0] if called else -1
        return places


@dataclass(frozen=True)
class _Naming:
    """A column as names of images: the keys that occur in it and which of them each row has.

    So many keys are `different`, and so many of these are an image's: `hits`.

    `own` is the column of our table, `column` the one whose words the keys are: another table's, if
    it translates.
    """

    own: str
    column: str
    keys: Texts
    index: Int[np.ndarray, " row"]
    different: int
    hits: int

    @staticmethod
    def of(
        own: str, column: str, keys: Texts, index: Int[np.ndarray, " row"], images: Images
    ) -> "_Naming":
        """Count."""
        hashes = np.unique(hashes_of(keys))
        return _Naming(own, column, keys, index, len(hashes), images.count(hashes))

    @property
    def rows(self) -> Texts:
        return self.keys.take(self.index)

    @property
    def could_be_ids(self) -> bool:
        """Most rows differ, as ids do and counts do not."""
        return 2 * self.different > len(self.index)


def name_images(
    table: Table,
    images: Images,
    *,
    columns: Sequence[str],
    others: Sequence[Table] = (),
    wanted: str | None = None,
) -> tuple[str, Texts]:
    """The column that names the images and every row's key: one of `columns`, or of another table
    that translates.

    Where images have short numbers for names, other columns hit some by chance, and a wrong choice
    would give every galaxy another one's votes. So the column with most hits is taken, but if
    another that could be ids has at least half as many, and not for the same images, a ConfigError
    asks for the one that is `wanted`. DataError if none hits. Other tables are only looked at if no
    column of this one that could be ids names half of its rows or the images.
    """
    own = list(_namings(table, columns, images))
    translated: list[_Naming] = []
    if not any(
        each.could_be_ids and 2 * each.hits >= min(len(images.members), len(each.index))
        for each in own
    ):
        translated = [
            each
            for other in others
            if other.name != table.name
            for each in _translated(own, other, images)
        ]
    namings = [each for each in [*own, *translated] if wanted in (None, each.own, each.column)]
    if wanted is not None and not namings:
        raise ConfigError(
            f"{table.name} has no column {wanted!r} beside its votes; it has"
            f" {', '.join(columns[:12])}"
        )
    best = max(namings, key=lambda each: each.hits, default=None)
    if best is None or not best.hits:
        examples = "; ".join(
            f"{each.column}: {next(filter(None, each.keys), '')}" for each in own[:4]
        )
        called = ", ".join(images.ids[:3])
        raise DataError(
            f"no column of {table.name} names an image: images are called {called} …, while the"
            f" table has {examples}. Pass --id-column, or the folder or archive that holds these"
            " galaxies"
        )
    for other in [each for each in namings if each is not best] if wanted is None else []:
        near = other.could_be_ids and 2 * other.hits >= best.hits
        pairs = zip(other.rows, best.rows, strict=True)
        if near and any(images.places(one) != images.places(another) for one, another in pairs):
            raise ConfigError(
                f"{table.name}: {best.column!r} and {other.column!r} both name images, but not the"
                " same ones: choose with --id-column"
            )
    return best.column, best.rows


def _namings(table: Table, columns: Sequence[str], images: Images) -> Iterator[_Naming]:
    for name, texts in zip(columns, table.text_columns(columns), strict=True):
        encoded = texts.combine_chunks().dictionary_encode()
        keys = Texts(images.key(text.as_py()) for text in encoded.dictionary)
        yield _Naming.of(name, name, keys, encoded.indices.to_numpy(), images)


def _translated(own: Sequence[_Naming], other: Table, images: Images) -> Iterator[_Naming]:
    """Our columns in the words of another table's columns that name images, where a third is the
    same as ours.
    """
    columns = [each for each in _namings(other, other.header(), images) if each.could_be_ids]
    for target in [each for each in columns if each.hits]:
        for source in [each for each in columns if each is not target]:
            words: dict[str, str] = {}
            for key, word in zip(source.rows, target.rows, strict=True):
                # Where a key has several words, one that an image has.
                if key and (key not in words or (word in images and words[key] not in images)):
                    words[key] = word
            for naming in [each for each in own if each.could_be_ids]:
                if any(words.get(key, "") in images for key in naming.keys):
                    keys = Texts(
                        words.get(key, "" if key in images else key) for key in naming.keys
                    )
                    yield _Naming.of(naming.own, target.column, keys, naming.index, images)
