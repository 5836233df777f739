"""What the rows of a table call their images: the text of a template over columns.

`cutouts/{iauname}.fits` is the path of an image, `{iauname}` standing for what the column of that
name holds. `{objid:06}` fills a number up with zeros to six digits; `{{` and `}}` are brackets.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.table import Table

__all__ = ["ImageNames"]

_BAND = "band"  # in a template, stands for each band if the table has no such column
_ZEROS = re.compile(r"0([1-9]\d?)d?")
_EXAMPLE = '`image="cutouts/{id}.fits"`'


@dataclass(frozen=True)
class _Piece:
    """A stretch of a template: text as it is, then what a column holds, if one is named, with
    zeros before it up to so many digits; or the name of a band.
    """

    text: str
    column: str = ""
    digits: int = 0
    is_band: bool = False


@dataclass(frozen=True)
class ImageNames:
    """A template over columns, whose names are the table's own."""

    pieces: tuple[_Piece, ...]

    @staticmethod
    def of(template: str, columns: Sequence[str], table: str) -> "ImageNames":
        """The template, of a table that has these columns; ConfigError if that is none, or names a
        column that is not there.
        """
        return ImageNames(tuple(_pieces(template, Header(columns), columns, table)))

    @staticmethod
    def of_column(column: str) -> "ImageNames":
        """What a column holds, as it is."""
        return ImageNames((_Piece("", column),))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the template names, each once."""
        return tuple(dict.fromkeys(piece.column for piece in self.pieces if piece.column))

    @property
    def has_bands(self) -> bool:
        """Whether there is an image for each band."""
        return any(piece.is_band for piece in self.pieces)

    def in_band(self, band: str) -> "ImageNames":
        """The names of the images of a band."""
        pieces = (_Piece(piece.text + band) if piece.is_band else piece for piece in self.pieces)
        return ImageNames(tuple(pieces))

    def of_rows(self, rows: Table) -> pa.Array:
        """The name of the image of each row of a table; null where one of its columns is empty.

        DataError for a column whose floats have lost digits, or that holds no text.
        """
        words = dict(zip(self.columns, rows.text_columns(self.columns), strict=True))
        if unfit := next((each.unfit for each in words.values() if each.unfit), ""):
            raise DataError(unfit)
        length = len(next(iter(words.values())).texts)
        parts: list[pa.Array] = []
        for piece in self.pieces:
            parts.append(pa.repeat(pa.scalar(piece.text, pa.large_string()), length))
            if piece.column:
                texts = pc.utf8_trim_whitespace(words[piece.column].texts.combine_chunks())
                filled = pc.utf8_lpad(texts, piece.digits, "0") if piece.digits else texts
                parts.append(pc.if_else(pc.equal(texts, ""), None, filled))
        return pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))


def _pieces(template: str, header: Header, columns: Sequence[str], table: str) -> list[_Piece]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(
            f"image {template!r} is no template ({error}); expected e.g. {_EXAMPLE}"
        ) from None
    pieces = list[_Piece]()
    for text, name, form, conversion in parsed:
        if name is None:
            pieces.append(_Piece(text))
            continue
        digits = _ZEROS.fullmatch(form or "")
        if conversion or (form and not digits):
            raise ConfigError(
                f"image {template!r}: what stands behind {name!r} is not understood; expected"
                " {COLUMN}, or {COLUMN:06} for six digits with zeros before them"
            )
        column = header.find(name)
        if column is None and name != _BAND:
            raise ConfigError(
                f"image {template!r}: {table} has no column {name!r}; it has"
                f" {', '.join(columns[:12])}"
            )
        width = int(digits[1]) if digits else 0
        pieces.append(_Piece(text, column or "", width, is_band=column is None))
    if not any(piece.column for piece in pieces):
        raise ConfigError(
            f"image {template!r} names no column of {table}, so all rows would have one image;"
            f" expected e.g. {_EXAMPLE}"
        )
    return pieces
