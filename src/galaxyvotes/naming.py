"""Which image each row of a table means.

No campaign names its id column alike, so it is found from the data: it is the column whose values name the most
images, by path or by file stem. If no column does, a second table that shares a column with the first may translate
(Galaxy Zoo 2 keeps `objid → asset_id` in a file of its own).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galaxyvotes.archives import IMAGE_SUFFIXES, Member
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables import Table

__all__ = ["Images", "name_images"]


class Images:
    """The images, found by what a table may call them: their path in their folder or archive, or their stem."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Index them."""
        self.members = members
        self._places: dict[str, int] = {}  # no list for each: there may be millions
        self._twins: dict[str, list[int]] = {}
        for place, image in enumerate(members):
            for key in {image.id, image.entry}:
                first = self._places.setdefault(key, place)
                if first != place:
                    self._twins.setdefault(key, [first]).append(place)

    def __contains__(self, key: str) -> bool:
        """Whether an image is called so."""
        return key in self._places

    def key(self, text: str) -> str:
        """A table's word for an image, as the image is called here: its path, or without folders and suffix."""
        path = text.strip().replace("\\", "/").removeprefix("./")
        name = path.rsplit("/", 1)[-1]
        stem, dot, suffix = name.rpartition(".")  # ids may hold dots
        return path if path in self._places else stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name

    def places(self, key: str) -> list[int]:
        """Which images are called so."""
        if key in self._twins:
            return self._twins[key]
        return [self._places[key]] if key in self._places else []

    def place(self, key: str) -> int | None:
        """Which image is called so, None if there is none; two are a DataError."""
        places = self.places(key)
        if len(places) > 1:
            names = " and ".join(self.members[place].name for place in places[:2])
            raise DataError(f"{key} is the name of {len(places)} images ({names}): leave one of them out")
        return places[0] if places else None


@dataclass(frozen=True)
class _Naming:
    """A column as names of images: the keys that occur in it, which of them each row has, how many are an image's.

    `own` is the column of our table, `column` the one whose words the keys are: another table's, if it translates.
    """

    own: str
    column: str
    keys: list[str]
    index: list[int]
    hits: int

    @property
    def rows(self) -> list[str]:
        return [self.keys[place] for place in self.index]

    @property
    def could_be_ids(self) -> bool:
        """Most rows differ, as ids do and counts do not."""
        return 2 * len(set(self.keys)) > len(self.index)


def name_images(
    table: Table, images: Images, *, columns: Sequence[str], others: Sequence[Table] = (), wanted: str | None = None
) -> tuple[str, list[str]]:
    """The column that names the images and every row's key: one of `columns`, or of another table that translates.

    Where images have short numbers for names, other columns hit some by chance, and a wrong choice would give every
    galaxy another one's votes. So the column with most hits is taken, but if another that could be ids has at least
    half as many, and not for the same images, a ConfigError asks for the one that is `wanted`. DataError if none hits.
    Other tables are only looked at if no column of this one that could be ids names half of its rows or the images.
    """
    own = _namings(table, columns, images)
    translated: list[_Naming] = []
    if not any(each.could_be_ids and 2 * each.hits >= min(len(images.members), len(each.index)) for each in own):
        translated = [each for other in others if other.name != table.name for each in _translated(own, other, images)]
    namings = [each for each in [*own, *translated] if wanted in (None, each.own, each.column)]
    if wanted is not None and not namings:
        raise ConfigError(f"{table.name} has no column {wanted!r} beside its votes; it has {', '.join(columns[:12])}")
    best = max(namings, key=lambda each: each.hits, default=None)
    if best is None or not best.hits:
        examples = "; ".join(f"{each.column}: {next(filter(None, each.keys), '')}" for each in own[:4])
        called = ", ".join(image.id for image in images.members[:3])
        raise DataError(
            f"no column of {table.name} names an image: images are called {called} …, while the table has {examples}."
            " Pass --id-column, or the folder or archive that holds these galaxies"
        )
    for other in [each for each in namings if each is not best] if wanted is None else []:
        near = other.could_be_ids and 2 * other.hits >= best.hits
        pairs = zip(other.rows, best.rows, strict=True)
        if near and any(images.places(one) != images.places(another) for one, another in pairs):
            raise ConfigError(
                f"{table.name}: {best.column!r} and {other.column!r} both name images, but not the same ones:"
                " choose with --id-column"
            )
    return best.column, best.rows


def _namings(table: Table, columns: Sequence[str], images: Images) -> list[_Naming]:
    namings: list[_Naming] = []
    for name, texts in zip(columns, table.text_columns(columns), strict=True):
        encoded = texts.combine_chunks().dictionary_encode()
        keys = [images.key(text) for text in encoded.dictionary.to_pylist()]
        hits = sum(key in images for key in set(keys))
        namings.append(_Naming(name, name, keys, encoded.indices.to_pylist(), hits))
    return namings


def _translated(own: Sequence[_Naming], other: Table, images: Images) -> Iterator[_Naming]:
    """Our columns in the words of another table's columns that name images, where a third is the same as ours."""
    columns = [each for each in _namings(other, other.header(), images) if each.could_be_ids]
    for target in [each for each in columns if each.hits]:
        for source in [each for each in columns if each is not target]:
            words: dict[str, str] = {}
            for key, word in zip(source.rows, target.rows, strict=True):
                # Where a key has several words, one that an image has.
                if key and (key not in words or (word in images and words[key] not in images)):
                    words[key] = word
            for naming in [each for each in own if each.could_be_ids]:
                if hits := len({words[key] for key in naming.keys if words.get(key, "") in images}):
                    keys = [words.get(key, "" if key in images else key) for key in naming.keys]
                    yield _Naming(naming.own, target.column, keys, naming.index, hits)
