"""Which image each row of a table means.

No campaign names its id column alike, so it is found from the data: it is the column whose values
name the most images, by path or by file stem. If no column does, a second table that shares a
column with the first may translate (Galaxy Zoo 2 keeps `objid → asset_id` in a file of its own).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.sources.members import Member, Members
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES, split_suffix
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.names import as_shown, iterate, name_column
from galaxyvotes.tables.table import Table

__all__ = ["Images", "match_images"]

_POINT = r"^([+-]?\d+)\.0+$"
_QUERY = r"^(https?://[^?#]*)[?#].*$"
# How spreadsheets keep the zeros before an id, and other people the digits behind.
_AS_TEXT = r"""^(?:="([^"]*)"|'([^']*)'?)$"""
_SUFFIX = rf"(?i)\.(?:{'|'.join(suffix[1:] for suffix in sorted(IMAGE_SUFFIXES))})$"


class Images:
    """The images, found by what a table may call them: their path in their folder or archive, or
    their stem.
    """

    def __init__(self, members: Members) -> None:
        """Index them."""
        self.members, self.ids = members, name_column(image.id for image in members)
        paths = name_column(image.entry for image in members)
        others, rows = _other_names(members, paths, pa.concat_arrays([self.ids, paths]))
        encoded = pa.concat_arrays([self.ids, paths, others]).dictionary_encode()
        codes, every = encoded.indices.to_numpy(), np.arange(len(members), dtype="i4")
        places = np.concatenate([every, every, rows])
        self._names = encoded.dictionary
        # The first and the last image called so; behind the names, at -1, there is none.
        self._first = np.full(len(self._names) + 1, len(members), np.int32)
        self._last = np.full(len(self._names) + 1, -1, np.int32)
        np.minimum.at(self._first, codes, places)
        np.maximum.at(self._last, codes, places)
        self._first[-1] = -1

    def keys(self, words: pa.Array) -> pa.Array:
        """A table's words for images, as the images are called here: the path of one, or the word
        without folders and suffix, without the point of a whole number written as a float, and
        without the signs that make a number a text in a spreadsheet (="007", '007).

        A word that is none of these, nor has an image's name so, is taken as it shows (`as_shown`).
        """
        keys = self._keys(words)
        shown = _as_shown(words)
        return keys if shown is words else self._unless_named(keys, self._keys(shown))

    def _keys(self, words: pa.Array) -> pa.Array:
        paths = pc.replace_substring(pc.utf8_trim_whitespace(words), "\\", "/")
        paths = pc.replace_substring_regex(paths, r"^\./", "")
        paths = self._unless_named(paths, pc.replace_substring_regex(paths, _AS_TEXT, r"\1\2"))
        paths = self._unless_named(paths, pc.replace_substring_regex(paths, _QUERY, r"\1"))
        stems = pc.replace_substring_regex(paths, r"(?s)^.*/", "")
        stems = pc.replace_substring_regex(stems, _SUFFIX, "")  # ids may hold dots
        keys = self._unless_named(paths, stems)
        return self._unless_named(keys, pc.replace_substring_regex(keys, _POINT, r"\1"))

    def _unless_named(self, words: pa.Array, others: pa.Array) -> pa.Array:
        """The other word for each that differs from it and is not what an image is called."""
        differ = pc.not_equal(words, others)
        if not pc.any(differ).as_py():
            return words
        return pc.if_else(pc.and_(differ, pc.is_in(words, value_set=self._names)), words, others)

    def find(self, keys: pa.Array) -> Int[np.ndarray, " key"]:
        """The number of the name that each key is, -1 if no image is called so."""
        return pc.fill_null(pc.index_in(keys, value_set=self._names), -1).to_numpy()

    def with_zeros(self, keys: pa.Array) -> pa.Array:
        """For each key that no image is called the one that differs from it by zeros before it
        only; null if there is none.
        """
        padded = self.ids.filter(pc.match_substring_regex(self.ids, r"^0+[1-9][0-9]*$"))
        place = pc.index_in(self.blank(keys), value_set=pc.utf8_ltrim(padded, "0"))
        return padded.take(place)

    def blank(self, keys: pa.Array) -> pa.Array:
        """The keys, "" for those that an image is called."""
        return pc.if_else(pc.is_in(keys, value_set=self._names), "", keys)

    def place_of_each(self, keys: pa.Array) -> Int[np.ndarray, " key"]:
        """The place of the image that each key names, -1 if there is none.

        DataError if a key is the name of two images.
        """
        names = self.find(keys)
        places = self._first[names]
        for row in np.flatnonzero(places != self._last[names]):
            key = keys[row].as_py()
            called = [image.name for image in self.members if key in _names_of(image)]
            raise DataError(
                f"{key} is the name of {len(called)} images ({' and '.join(called[:2])}): leave one"
                " of them out"
            )
        return places

    def agree(self, keys: pa.Array, others: pa.Array) -> bool:
        """Whether each key names the same images, or none, as the other key of its row."""
        ours, theirs = self.find(keys), self.find(others)
        return all((ends[ours] == ends[theirs]).all() for ends in (self._first, self._last))


def _as_shown(words: pa.Array) -> pa.Array:
    """Words as they show; the very same column if all are ASCII."""
    plain = pc.string_is_ascii(words)
    if pc.all(plain).as_py() in (True, None):
        return words
    shown = name_column(as_shown(word) for word in iterate(words.filter(pc.invert(plain))))
    return pc.replace_with_mask(words, pc.invert(plain), shown)


def _names_of(image: Member) -> set[str]:
    """All that an image may be called: its id and path, as they are and as they show."""
    path = image.entry
    stem = split_suffix(path)[0]
    return {image.id, path, stem, as_shown(path), as_shown(stem)}


def _other_names(
    members: Members, paths: pa.Array, names: pa.Array
) -> tuple[pa.Array, Int[np.ndarray, " name"]]:
    """Names of images beyond ASCII that are no image's id or path as it is written, and the image
    of each.
    """
    rows: list[int] = np.flatnonzero(
        ~pc.string_is_ascii(paths).to_numpy(zero_copy_only=False)
    ).tolist()
    pairs = [(name, row) for row in rows for name in sorted(_names_of(members[row]))]
    others = name_column(name for name, _ in pairs)
    new = pc.invert(pc.is_in(others, value_set=names))
    images = np.array([row for _, row in pairs], np.int32)
    return others.filter(new), images[new.to_numpy(zero_copy_only=False)]


@dataclass(frozen=True)
class _Naming:
    """A column as names of images: the keys that occur in it and which of them each row has, or why
    it is `unfit`.

    `different` keys occur, of which `hits` are an image's. `own` is the column of our table,
    `column` the one whose words the keys are: another table's, if it translates.
    """

    own: str
    column: str
    keys: pa.Array
    index: Int[np.ndarray, " row"]
    different: int
    hits: int
    unfit: str = ""

    @staticmethod
    def of(
        own: str, column: str, keys: pa.Array, index: Int[np.ndarray, " row"], images: Images
    ) -> "_Naming":
        """Count."""
        unique = pc.unique(keys)
        hits = int((images.find(unique) >= 0).sum())
        return _Naming(own, column, keys, index, len(unique), hits)

    @staticmethod
    def unfit_column(name: str, reason: str, rows: int) -> "_Naming":
        """A column that cannot be one of ids, and why; its keys are empty."""
        index = np.zeros(rows, np.int32)
        return _Naming(name, name, pa.array([""], pa.large_string()), index, 1, 0, reason)

    @property
    def rows(self) -> pa.Array:
        """The key of each row."""
        return self.keys.take(pa.array(self.index))

    @property
    def could_be_ids(self) -> bool:
        """Whether most rows differ, as ids do and counts do not."""
        return 2 * self.different > len(self.index)


def match_images(
    table: Table,
    images: Images,
    *,
    columns: Sequence[str],
    others: Sequence[Table] = (),
    id_column: str | None = None,
    choose: str = "`labels=LabelSettings(id_column=…)`",
) -> tuple[str, pa.Array]:
    """The column that names the images and every row's key: one of `columns`, or of another table
    that translates.

    Where images have short numbers for names, other columns hit some by chance, and a wrong choice
    would give every galaxy another one's votes. So the column with most hits is taken, but if
    another that could be ids has at least half as many, and not for the same images, a ConfigError
    asks for the `id_column`, in the words `choose`. Other tables are only read if no column of this
    one that could be ids names half of its rows or the images. DataError if no column names an
    image, or if the ids have lost digits or are no text; ConfigError if there is no such
    `id_column`.
    """
    if id_column is not None:
        id_column = Header(columns).find(id_column) or id_column
    own = list(_namings(table, columns, images))
    namings = own if _any_suffices(own, images) else [*own, *_translated(own, others, images)]
    namings = [naming for naming in namings if id_column in (None, naming.own, naming.column)]
    if id_column is not None and not namings:
        raise ConfigError(
            f"{table.name} has no column {id_column!r} beside its votes; it has"
            f" {', '.join(columns[:12])}"
        )
    best = max(namings, key=lambda naming: naming.hits, default=None)
    for naming in namings if best is None or not best.hits else []:
        _refuse_lost_zeros(table, naming.column, naming.rows, images)
    if best is None or not best.hits:
        raise DataError(_no_image_named(table, namings or own, images, choose))
    _refuse_lost_zeros(table, best.column, best.rows, images)
    for rival in [naming for naming in namings if naming is not best and id_column is None]:
        near = rival.could_be_ids and 2 * rival.hits >= best.hits
        if near and not images.agree(rival.rows, best.rows):
            raise ConfigError(
                f"{table.name}: {best.column!r} and {rival.column!r} both name images, but not the"
                f" same ones: choose with {choose}"
            )
    return best.column, best.rows


def _any_suffices(own: Sequence[_Naming], images: Images) -> bool:
    return any(
        naming.could_be_ids and 2 * naming.hits >= min(len(images.members), len(naming.index))
        for naming in own
    )


def _refuse_lost_zeros(table: Table, column: str, keys: pa.Array, images: Images) -> None:
    """Raise a DataError for ids that are those of images but for the zeros before them, which
    programs take away that read ids as numbers.
    """
    lost = images.with_zeros(keys)
    if number := len(lost) - lost.null_count:
        row = pc.index(pc.is_valid(lost), True).as_py()
        raise DataError(
            f"{table.at(row)}: {column} is {keys[row].as_py()}, and the image is called"
            f" {lost[row].as_py()}: {counted(number, 'id')} of {table.name}"
            f" {agreeing(number, 'has')} lost the zeros before {agreeing(number, 'it')}. Write the"
            " column as text with all digits, or read it as text in the program that wrote it"
        )


def _no_image_named(table: Table, own: Sequence[_Naming], images: Images, choose: str) -> str:
    examples = "; ".join(
        f"{naming.column}: {next((key for key in iterate(naming.keys) if key), 'nothing')}"
        for naming in own[:4]
    )
    called = ", ".join(images.ids[:3].to_pylist())
    examples = examples or "no column of numbers or texts beside its votes"
    unfit = next((f". {naming.unfit}" for naming in own if naming.unfit), "")
    return (
        f"no column of {table.name} names an image: images are called {called} …, while the table"
        f" has {examples}.{_nearly_named(own, images)} Pass {choose}, or the folder or archive that"
        f" holds these galaxies{unfit}"
    )


def _nearly_named(own: Sequence[_Naming], images: Images) -> str:
    """That a column would name images but for the case of letters or the zeros before numbers."""
    for change, what in (
        (pc.utf8_lower, "upper and lower case"),
        (partial(pc.utf8_ltrim, characters="0"), "zeros before the number"),
    ):
        changed = change(images.ids)
        for naming in own:
            keys = change(naming.keys)
            if pc.any(pc.is_in(keys.filter(pc.not_equal(keys, "")), value_set=changed)).as_py():
                return (
                    f" {naming.column} and the names of images differ in {what} only: rename the"
                    " images, or write the column as they are called."
                )
    return ""


def _namings(table: Table, columns: Sequence[str], images: Images) -> Iterator[_Naming]:
    for name, words in zip(columns, table.text_columns(columns), strict=True):
        if words.unfit:
            yield _Naming.unfit_column(name, words.unfit, len(words.texts))
            continue
        encoded = words.texts.combine_chunks().dictionary_encode()
        keys = images.keys(encoded.dictionary)
        yield _Naming.of(name, name, keys, encoded.indices.to_numpy(), images)


def _translated(
    own: Sequence[_Naming], others: Sequence[Table], images: Images
) -> Iterator[_Naming]:
    """Our columns in the words of another table's columns that name images, where a third is the
    same as ours.
    """
    ours = [naming for naming in own if naming.could_be_ids]
    for table in others:
        columns = [
            naming for naming in _namings(table, table.header(), images) if naming.could_be_ids
        ]
        for target in [naming for naming in columns if naming.hits]:
            for source in [naming for naming in columns if naming is not target]:
                for naming in ours:
                    words = _translate(naming.keys, source.rows, target.rows, images)
                    if (images.find(words.drop_null()) >= 0).any():
                        keys = pc.coalesce(words, images.blank(naming.keys))
                        yield _Naming.of(naming.own, target.column, keys, naming.index, images)


def _translate(keys: pa.Array, source: pa.Array, target: pa.Array, images: Images) -> pa.Array:
    """For each key the word of `target` in the first row with this key in `source`; null if none.

    Where a key has several words, one that an image has. An empty key has none.
    """
    named = images.find(target) >= 0
    order = pa.array(np.argsort(~named, kind="stable"))
    rows = pc.index_in(keys, value_set=source.take(order))
    rows = pc.if_else(pc.equal(keys, ""), pa.scalar(None, rows.type), rows)
    return target.take(order).take(rows)
