"""Which galaxies of a catalogue are asked for, and in which order: the words of an address and SQL.

    filter   COLUMN:LOW..HIGH, either end may be left out; >LOW and <HIGH are not included
             COLUMN:=WORD or COLUMN:!=WORD, of any column; any number of each
    q        a part of the id, whatever its case
    cone     RA,DEC,RADIUS in degrees, degrees and arcseconds
    lasso    X,Y;X,Y;… the corners of a polygon on the map
    sort     a column, or -COLUMN for the largest first

Names of columns are looked up in the catalogue, and values are parameters of the query: nothing of
an address becomes SQL.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from galaxyvotes.errors import ConfigError

__all__ = ["Cone", "Range", "Selection", "Word", "quoted"]

_MOST_CORNERS = 200


_OPERATORS = {False: (">=", "<="), True: (">", "<")}
_EXPECTED = "expected COLUMN:LOW..HIGH, as Class1.1:0.5..1"


class Range(NamedTuple):
    """A column whose values lie between two ends, which are included unless they are `open`."""

    column: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    @staticmethod
    def parse(text: str) -> "Range":
        """The range in `COLUMN:LOW..HIGH`; ConfigError for anything else."""
        column, colon, ends = text.rpartition(":")
        low, dots, high = ends.partition("..")
        opened = low.startswith(">"), high.startswith("<")
        low, high = low.removeprefix(">"), high.removeprefix("<")
        try:
            numbers = float(low or "-inf"), float(high or "inf")
        except ValueError:
            numbers = (math.nan, math.nan)
        if not (column and colon and dots) or any(map(math.isnan, numbers)):
            raise ConfigError(f"filter {text!r}; {_EXPECTED}")
        return Range(column, *numbers, *opened)


class Word(NamedTuple):
    """A column that holds a word, or one that holds another; galaxies without any are neither."""

    column: str
    word: str
    equal: bool = True

    @staticmethod
    def parse(text: str) -> "Word | None":
        """The condition in `COLUMN:=WORD` or `COLUMN:!=WORD`; None for anything else."""
        column, operator, word = text.partition(":=")
        other, _, otherwise = text.partition(":!=")
        if len(other) < len(column):
            return Word(other, otherwise, equal=False) if other else None
        return Word(column, word) if column and operator else None


class Cone(NamedTuple):
    """A circle on the sky: its middle in degrees, its radius in arcseconds."""

    ra: float
    dec: float
    radius: float

    @staticmethod
    def parse(text: str) -> "Cone":
        """The cone in `RA,DEC,RADIUS`; ConfigError for anything else."""
        try:
            cone = Cone(*map(float, text.split(",")))
        except (TypeError, ValueError):
            cone = Cone(math.nan, math.nan, math.nan)
        if not (-360 <= cone.ra <= 360 and -90 <= cone.dec <= 90 and 0 < cone.radius <= 648_000):
            raise ConfigError(
                f"cone {text!r}; expected RA,DEC,RADIUS in degrees, degrees and arcseconds, as"
                " 150.1,2.2,60"
            )
        return cone


def _corners(text: str) -> tuple[tuple[float, float], ...]:
    """The corners of a polygon in `X,Y;X,Y;…`; ConfigError for anything else."""
    try:
        corners = [(float(x), float(y)) for x, y in (one.split(",") for one in text.split(";"))]
    except ValueError:
        corners = []
    if not 3 <= len(corners) <= _MOST_CORNERS or not all(math.isfinite(x + y) for x, y in corners):
        raise ConfigError(
            f"lasso {text[:100]!r}; expected X,Y;X,Y;… with 3 to {_MOST_CORNERS} corners"
        )
    return tuple(corners)


@dataclass(frozen=True)
class Selection:
    """Some galaxies of a catalogue in an order; all of them, as they stand there, by default."""

    ranges: tuple[Range | Word, ...] = ()
    text: str = ""
    cone: Cone | None = None
    sort: str = ""
    lasso: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def parse(
        filters: Sequence[str] = (),
        text: str = "",
        cone: str = "",
        sort: str = "",
        lasso: str = "",
    ) -> "Selection":
        """The selection that an address names; ConfigError for words that mean none."""
        if len(filters) > 200 or len(text) > 1000 or len(sort) > 1000:
            raise ConfigError("the address is too long: at most 200 filters and 1,000 letters")
        ranges = tuple(Word.parse(text) or Range.parse(text) for text in filters)
        corners = _corners(lasso) if lasso else ()
        return Selection(ranges, text.strip(), Cone.parse(cone) if cone else None, sort, corners)

    def without(self, column: str) -> "Selection":
        """The same without conditions on a column, in no order."""
        ranges = tuple(one for one in self.ranges if one.column != column)
        return Selection(ranges, self.text, self.cone, lasso=self.lasso)

    def uses(self, column: str) -> bool:
        """Whether a condition or the order is of a column."""
        named = {one.column for one in self.ranges} | {self.sort.removeprefix("-")}
        return column in named

    def where(
        self,
        sql_of: Callable[[str], str],
        id_column: str,
        sky: tuple[str, str] | None,
        places: tuple[str, str] | None,
        word_of: Callable[[str], str],
    ) -> tuple[str, list[object]]:
        """The condition in SQL and its parameters. `sql_of` gives the SQL of a column of numbers,
        `word_of` that of any as text, `sky` names the columns of right ascension and declination,
        `places` those of x and y on the map.

        Raises ConfigError for a cone in a catalogue without coordinates, a lasso in one without a
        map, and what `sql_of` and `word_of` raise.
        """
        conditions, values = ["true"], list[object]()
        for one in self.ranges:
            if isinstance(one, Word):
                conditions.append(f"{word_of(one.column)} {'=' if one.equal else '<>'} ?")
                values.append(one.word)
                continue
            sql = sql_of(one.column)
            above, below = _OPERATORS[one.open_low][0], _OPERATORS[one.open_high][1]
            for operator, end in ((above, one.low), (below, one.high)):
                if math.isfinite(end):
                    conditions.append(f"{sql} {operator} ?")
                    values.append(end)
        if self.text:
            conditions.append(f"contains(lower({quoted(id_column)}), lower(?))")
            values.append(self.text)
        if self.cone is not None:
            if sky is None:
                raise ConfigError("the catalogue has no columns `ra` and `dec` to search in a cone")
            conditions.append(_in_cone(self.cone, *map(quoted, sky), values=values))
        if self.lasso:
            if places is None:
                raise ConfigError("the catalogue has no map to draw a lasso on")
            conditions.append(_within(self.lasso, *map(quoted, places), values=values))
        return " and ".join(conditions), values


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _in_cone(cone: Cone, ra: str, dec: str, values: list[object]) -> str:
    """Galaxies within a radius, by the haversine of the distance, which is exact for small ones;
    those outside the zone of declination are left out first.
    """
    degrees = cone.radius / 3600
    values += [cone.dec - degrees, cone.dec + degrees, cone.dec, cone.dec, cone.ra]
    values.append(math.sin(math.radians(degrees) / 2) ** 2)
    return (
        f"{dec} between ? and ? and pow(sin(radians({dec} - ?) / 2), 2) + cos(radians({dec}))"
        f" * cos(radians(?)) * pow(sin(radians({ra} - ?) / 2), 2) <= ?"
    )


def _within(corners: Sequence[tuple[float, float]], x: str, y: str, values: list[object]) -> str:
    """Galaxies inside a polygon: a line from there to the right crosses an odd number of its
    sides; those outside the box around it are left out first.
    """
    xs, ys = zip(*corners, strict=True)
    values += [min(xs), max(xs), min(ys), max(ys)]
    sides: list[str] = []
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            sides.append(f"((({y} < ?) <> ({y} < ?)) and {x} < ? + ({y} - ?) * ?)::int")
            values += [y1, y2, x1, y1, (x2 - x1) / (y2 - y1)]
    crossed = " + ".join(sides) or "0"
    return f"{x} between ? and ? and {y} between ? and ? and ({crossed}) % 2 = 1"
