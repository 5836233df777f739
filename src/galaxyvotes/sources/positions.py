"""Where on the sky the galaxies of a table are, and how large each is to be cut out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.sky.mosaic import ARCSEC_OF, PIXEL_UNITS, CutoutSize, Mosaic
from galaxyvotes.tables.cells import NotANumber, numbers_of

__all__ = ["PositionColumns", "find_position"]

# What catalogues call right ascension and declination, in lower case; the first that there is.
_PAIRS = (
    ("ra", "dec"),
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra_icrs", "de_icrs"),
    ("_ra", "_de"),
    ("_ra", "_dec"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("right_ascension", "declination"),
    ("alpha", "delta"),
)
_UCDS = (("pos.eq.ra;meta.main", "pos.eq.dec;meta.main"), ("pos.eq.ra", "pos.eq.dec"))
_SEXAGESIMAL = re.compile(r"[+-]?\d+[: hd°]\s*\d+[: m'′]")
_SHOWN = 12
# What catalogues call radii, in lower case, and how many of them an image of Galaxy Zoo shows: of
# 90 % of the light, and of half of it.
_RADII = (
    (re.compile(r"(petro_?)?(theta_?)?(rad_?)?r_?90(_[a-z])?"), 8.48),
    (re.compile(r"(petro_?|kron_?|flux_?)?(r_?50|radius|r_?half|r_?e|hlr)(_[a-z])?"), 20.0),
    (re.compile(r"half_?light_?radius|effective_?radius|shape_r|sersic_r(adius)?"), 20.0),
)

At = Callable[[int], str]  # where a row stands, for people


def find_position(schema: pa.Schema, wanted: tuple[str, ...] = ()) -> tuple[str, str] | None:
    """The columns of right ascension and declination, by their names or UCDs; those of `wanted`, if
    there are any; None if there are none.
    """
    names = {field.name.strip().lower(): field.name for field in schema}
    if wanted:
        found = [names.get(name.strip().lower()) for name in wanted]
        return (found[0], found[1]) if found[0] and found[1] else None
    ucds = {_fact(field, b"ucd").lower(): field.name for field in schema}
    for known, pairs in ((names, _PAIRS), (ucds, _UCDS)):
        for ra, dec in pairs:
            if ra in known and dec in known:
                return known[ra], known[dec]
    return None


def _fact(field: pa.Field, key: bytes) -> str:
    metadata = cast("dict[bytes, bytes]", field.metadata or {})
    return metadata.get(key, b"").decode().strip()


@dataclass(frozen=True)
class PositionColumns:
    """The columns of a table that say where its galaxies are, and how large their cut-outs."""

    ra: str
    dec: str
    size: CutoutSize

    @staticmethod
    def of(schema: pa.Schema, mosaic: Mosaic, table: str) -> "PositionColumns":
        """Find them in the table called `table`.

        ConfigError if there are none, if they are not in degrees, if the size names a column that
        is not there or has a unit of something else, or if no size is named.
        """
        names = cast("list[str]", schema.names)
        found = find_position(schema, mosaic.position)
        if found is None:
            what = " and ".join(mosaic.position) or "right ascension and declination (ra and dec)"
            raise ConfigError(
                f"{table} has no columns {what}, only {_listed(names)}: name them,"
                ' `position=("RA", "DEC")`'
            )
        for name in found:
            unit = _fact(schema.field(name), b"unit")
            if unit and unit.lower() not in ("deg", "degree", "degrees"):
                raise ConfigError(
                    f"{table}: the column {name} is in {unit}; expected degrees: write it in them"
                )
        if not mosaic.size:
            raise ConfigError(
                "nothing says how much of the sky an image shows: name its side, such as"
                f" `size='30arcsec'` or, times a column, `size={_times_radius(schema)!r}`"
            )
        size = CutoutSize.parse(mosaic.size)
        return PositionColumns(*found, _in_unit_of(size, schema, table))

    def positions(
        self, rows: pa.Table, at: At
    ) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
        """Right ascension and declination of each row in degrees, NaN where they are not known.

        DataError for what is no number; `at` says where a row stands.
        """
        return _numbers(rows, self.ra, at), _numbers(rows, self.dec, at)

    def sides(self, rows: pa.Table, at: At) -> Float[np.ndarray, " row"]:
        """The side of each cut-out, in arcsec or, if the size is in them, pixels; DataError as
        `positions`.
        """
        if not self.size.column:
            return np.full(len(rows), self.size.number)
        return self.size.number * _numbers(rows, self.size.column, at)


def _in_unit_of(size: CutoutSize, schema: pa.Schema, table: str) -> CutoutSize:
    """The size with what its column's unit is in arcsec, or in pixels."""
    if not size.column:
        return size
    names = {str(name).strip().lower(): str(name) for name in schema.names}
    name = names.get(size.column.lower())
    if name is None:
        there = _listed(cast("list[str]", schema.names))
        raise ConfigError(f"size: {table} has no column {size.column}, only {there}")
    unit = _fact(schema.field(name), b"unit").lower()
    if unit in PIXEL_UNITS:
        return CutoutSize(size.number, "px", name)
    if unit and unit not in ARCSEC_OF:
        raise ConfigError(
            f"size: the column {name} of {table} is in {unit}; expected an angle (arcsec, arcmin,"
            " deg) or pixels"
        )
    return CutoutSize(size.number * ARCSEC_OF.get(unit, 1.0), "arcsec", name)


def _times_radius(schema: pa.Schema) -> str:
    """An example of a size in proportion to each galaxy: by the table's own radius, if it has one,
    such that images show as much of the sky as those of Galaxy Zoo.
    """
    for pattern, radii in _RADII:
        for field in schema:
            unit, name = _fact(field, b"unit").lower(), field.name.strip()
            is_angle = not unit or unit in ARCSEC_OF or unit in PIXEL_UNITS
            if is_angle and pattern.fullmatch(name.lower()):
                return f"{radii:g}*{name}"
    return "8.48*petro_r90"


def _numbers(rows: pa.Table, name: str, at: At) -> Float[np.ndarray, " row"]:
    numbers = numbers_of(rows.column(name))
    if isinstance(numbers, NotANumber):
        how = (
            "expected degrees, as 150.11634: convert it (astropy.coordinates.Angle)"
            if _SEXAGESIMAL.match(numbers.word)
            else numbers.expected
        )
        raise DataError(f"{at(numbers.row)}: {name} is {numbers.word!r}; {how}")
    return numbers


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
