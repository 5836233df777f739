"""What stands in the cells of a table: nothing, a number or a word.

Programs write the same thing in many ways. pandas writes NaN where nothing was measured, databases
NULL, people a dash; an id that passed through pandas beside a gap is 100008.0; half of Europe
writes 0,5. What a cell means is settled here, and what could mean two things is refused.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from galaxyvotes.tables.names import iterate

__all__ = [
    "LARGEST_WHOLE",
    "NotANumber",
    "all_thousands",
    "is_decimal_comma",
    "is_unknown",
    "numbers_of",
    "rewrite",
    "unfit_as_ids",
    "values_a_row",
    "without_point",
]

# Words for "nothing is known", in lower case, as pandas, R, databases, Excel and people write them.
_WORDS = """nan -nan +nan 1.#qnan 1.#ind -1.#ind null nil none nat na n/a n.a. <na> missing
undefined - -- --- − – — ? ?? ??? . ... … #n/a #null! #div/0! #value! #ref! #name? #num!"""
_UNKNOWN = frozenset(["", *_WORDS.split()])
# Whole numbers below this, and not all above, are whole numbers of a float, too.
LARGEST_WHOLE = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?|[+-]?inf(inity)?", re.I | re.A)
_WHOLE = re.compile(r"([+-]?\d+)\.0+", re.A)
_LARGE_FLOAT = r"^\s*[+-]?(\d+\.?\d*[eE]\+?\d+|\d{16,}\.\d*)\s*$"
_LARGE_WITH_POINT = r"^\s*[+-]?(\d{16,}\.\d*|\d+\.\d+[eE]\+?\d+)\s*$"
_DECIMAL_COMMA = re.compile(r"([+-]?)(\d*),(\d+)([eEdD][+-]?\d+)?", re.A)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[ ,.'’_\u00a0\u202f]\d{3})+(?:[.,]\d+)?", re.A)
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+", re.A)
_MINUS = "\N{MINUS SIGN}"  # as printed tables have it


def is_unknown(word: str, missing: Sequence[str] = ()) -> bool:
    """Whether a cell holds nothing, a word for it, or one of the values in `missing`.

    A number in `missing` is meant however it is written: -1 is -1.0.
    """
    word = word.strip()
    if word.lower() in _UNKNOWN or word in missing:
        return True
    return bool(missing and _NUMBER.fullmatch(word)) and any(
        float(word.lower().replace("d", "e")) == float(value)
        for value in missing
        if _NUMBER.fullmatch(value)
    )


def without_point(word: str) -> str:
    """A whole number as a whole number is written, 100008 for 100008.0; other words as they are."""
    whole = _WHOLE.fullmatch(word)
    return whole[1] if whole else word


def rewrite(words: pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray:
    """A column of texts with each text changed; `change` is called once for each different text."""
    encoded = words.combine_chunks().dictionary_encode()
    changed = [change(word) for word in cast("list[str]", encoded.dictionary.to_pylist())]
    return pa.chunked_array([pa.array(changed, pa.large_string()).take(encoded.indices)])


# ---- numbers


class NotANumber(NamedTuple):
    """A cell that is no number, and what was expected."""

    row: int
    word: str
    expected: str


def numbers_of(
    column: pa.ChunkedArray, missing: Sequence[str] = ()
) -> Float[np.ndarray, " row"] | NotANumber:
    """A column as numbers, NaN where nothing is known; the first cell that is no number, if any.

    Texts are read, too: with spaces around, with Fortran's exponent (1.5D+03) or a printer's minus
    sign, with a decimal comma where no cell of the column could have it between thousands only.
    """
    if pa.types.is_nested(column.type):
        one = "expected one number a row: save the one that is meant as a column of its own"
        return NotANumber(0, values_a_row(column.type), one)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        for value in (float(word) for word in missing if _NUMBER.fullmatch(word)):
            exact = np.float32(value) if column.type == pa.float32() else value
            values = np.where(values == exact, np.nan, values)
        return values
    try:
        texts = column.cast(pa.large_string())
    except pa.ArrowException:  # bytes that are no text
        return NotANumber(0, str(column[0].as_py()), "expected a number")
    encoded = texts.fill_null("").combine_chunks().dictionary_encode()
    words = [word.strip() for word in cast("list[str]", encoded.dictionary.to_pylist())]
    commas = [comma for word in words if (comma := _DECIMAL_COMMA.fullmatch(word))]
    certain = any(not _could_be_thousands(comma) for comma in commas)
    numbers: list[float] = []
    for index, word in enumerate(words):
        number = np.nan if is_unknown(word, missing) else _number(word, certain)
        if number is None:
            row = int((encoded.indices.to_numpy() == index).argmax())
            return NotANumber(row, word, f"expected a number{_remedy(word)}")
        numbers.append(number)
    return np.array(numbers, np.float64)[encoded.indices.to_numpy()]


def is_decimal_comma(word: str) -> bool:
    """Whether a word is a number with a decimal comma, and no whole number of thousands."""
    comma = _DECIMAL_COMMA.fullmatch(word.strip())
    return comma is not None and not _could_be_thousands(comma)


def all_thousands(words: pa.ChunkedArray) -> str:
    """The first of these words if all that are known may be thousands with a point between, as
    1.234 is where others write 0,5; else empty.
    """
    known = [word.strip() for word in iterate(pc.unique(words)) if not is_unknown(word)]
    if not known or not all(_POINTS.fullmatch(word) for word in known):
        return ""
    return known[0]


def _number(word: str, decimal_commas: bool) -> float | None:
    if decimal_commas and _DECIMAL_COMMA.fullmatch(word):
        word = word.replace(",", ".")
    word = word.replace(_MINUS, "-")
    return float(re.sub("[dD]", "e", word)) if _NUMBER.fullmatch(word) else None


def _remedy(word: str) -> str:
    """How to write what looks like a number and is none, for an error."""
    if _DECIMAL_COMMA.fullmatch(word):
        return " with a decimal point: this may be one number or thousands"
    if _THOUSANDS.fullmatch(word):
        return " without signs between thousands"
    return " without %: a fraction lies in 0–1" if word.endswith("%") else ""


def _could_be_thousands(comma: re.Match[str]) -> bool:
    """Whether 1,234 may be a thousand and more: one to three digits, then three."""
    _, before, after, exponent = comma.groups()
    leads = 1 <= len(before) <= 3 and not before.startswith("0")
    return leads and len(after) == 3 and exponent is None


# ---- several values


def values_a_row(kind: pa.DataType) -> str:
    """How many values a cell of a column of arrays holds."""
    return f"{kind.list_size} values" if pa.types.is_fixed_size_list(kind) else "several values"


# ---- ids


def unfit_as_ids(column: pa.ChunkedArray) -> tuple[int, str] | None:
    """The first row that shows that a column of ids has passed through floats and lost digits, and
    the number there; None if it has not.

    A float64 holds whole numbers up to 2⁵³, 16 digits; the ids of surveys have 18 or 19. In a
    column of texts a single such word counts if it has a decimal point, and one without, such as
    5e17, which may be hexadecimal, if all words are numbers.
    """
    if (limit := LARGEST_WHOLE.get(column.type)) is not None:
        too_large = pc.fill_null(pc.greater_equal(pc.abs(column.cast(pa.float64())), limit), False)
        row = pc.index(too_large, True).as_py()
        return None if row < 0 else (row, f"{column[row].as_py():.17g}")
    if not pa.types.is_large_string(column.type):
        return None
    large = pc.match_substring_regex(column, _LARGE_FLOAT)
    if not pc.any(large).as_py():
        return None
    words = (word for word in iterate(pc.unique(column)) if not is_unknown(word))
    if not all(_NUMBER.fullmatch(word.strip()) for word in words):
        large = pc.match_substring_regex(column, _LARGE_WITH_POINT)
    for row in np.flatnonzero(large.to_numpy()).tolist():
        if abs(float(column[row].as_py())) >= 2**53:
            return row, column[row].as_py().strip()
    return None
