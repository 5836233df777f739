import numpy as np
import pyarrow as pa
import pytest

from galaxyvotes import ConfigError, DataError, Mosaic
from galaxyvotes.sources.positions import PositionColumns, find_position


def table(**columns: object) -> pa.Table:
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def with_fact(name: str, **facts: str) -> pa.Table:
    fields = [
        pa.field(n, pa.float64(), metadata=facts if n == name else None) for n in ("ra", "dec", "r")
    ]
    return pa.table([pa.array([1.0])] * 3, schema=pa.schema(fields))


def columns_of(rows: pa.Table, size: str = "30arcsec", position=()) -> PositionColumns:
    return PositionColumns.of(rows.schema, Mosaic(("m.fits",), size, position), "t.csv")


def at(row: int) -> str:
    return f"t.csv line {row + 2}"


def test_columns_are_found_by_the_names_of_catalogues_or_their_ucds():
    assert find_position(table(id=[1], RA=[1.0], Dec=[2.0]).schema) == ("RA", "Dec")
    assert find_position(table(RAJ2000=[1.0], DEJ2000=[2.0]).schema) == ("RAJ2000", "DEJ2000")
    assert find_position(table(ra=[1.0], other=[2.0]).schema) is None
    fields = [
        pa.field("lon", pa.float64(), metadata={"ucd": "pos.eq.ra;meta.main"}),
        pa.field("lat", pa.float64(), metadata={"ucd": "pos.eq.dec;meta.main"}),
    ]
    assert find_position(pa.schema(fields)) == ("lon", "lat")
    assert find_position(table(a=[1.0], b=[2.0]).schema, ("B", "a")) == ("b", "a")


def test_numbers_are_read_from_texts_too_and_unknown_ones_are_nan():
    rows = table(ra=["150.5", "", "nan"], dec=[1, 2, None])
    ra, dec = columns_of(rows).positions(rows, at)
    assert np.array_equal(ra, [150.5, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(dec, [1, 2, np.nan], equal_nan=True)


def test_sexagesimal_positions_are_refused_with_their_row():
    rows = table(ra=["150.1", "10:00:28.6"], dec=[1.0, 2.0])
    with pytest.raises(DataError, match=r"t.csv line 3: ra is '10:00:28.6'; expected degrees"):
        columns_of(rows).positions(rows, at)


def test_positions_in_another_unit_are_refused_by_column():
    rows = with_fact("ra", unit="rad")
    with pytest.raises(ConfigError, match=r"t.csv: the column ra is in rad; expected degrees"):
        columns_of(rows)


def test_tables_without_positions_name_their_columns():
    with pytest.raises(
        ConfigError, match=r"no columns right ascension .*, only objid, x: name them"
    ):
        columns_of(table(objid=[1], x=[2]))
    with pytest.raises(ConfigError, match="no columns a and dec"):
        columns_of(table(ra=[1], dec=[2]), position=("a", "dec"))


@pytest.mark.parametrize(
    ("unit", "size", "side", "in_unit"),
    [
        ("", "8*r", 8, "arcsec"),
        ("arcsec", "8*r", 8, "arcsec"),
        ("arcmin", "8*R", 480, "arcsec"),
        ("pix", "8*r", 8, "px"),
        ("", "30arcsec", 30, "arcsec"),
        ("", "100px", 100, "px"),
    ],
)
def test_sizes_are_in_arcsec_or_in_the_unit_of_their_column(unit, size, side, in_unit):
    rows = with_fact("r", unit=unit)
    columns = columns_of(rows, size)
    assert columns.size.unit == in_unit
    assert columns.sides(rows, at).tolist() == [side]


def test_sizes_of_no_column_or_of_no_angle_are_refused():
    rows = with_fact("r", unit="mag")
    with pytest.raises(
        ConfigError, match=r"size: the column r of t.csv is in mag; expected an angle"
    ):
        columns_of(rows, "8*r")
    with pytest.raises(ConfigError, match=r"size: t.csv has no column q, only ra, dec, r"):
        columns_of(rows, "8*q")


@pytest.mark.parametrize(
    ("name", "unit", "example"),
    [
        ("petroR90_r", "arcsec", "8.48*petroR90_r"),
        ("r50", "", "20*r50"),
        ("radius", "pix", "20*radius"),
        ("Half_Light_Radius", "arcsec", "20*Half_Light_Radius"),
        ("r", "mag", "8.48*petro_r90"),
        ("radius", "kpc", "8.48*petro_r90"),
    ],
)
def test_without_a_size_a_radius_of_the_table_is_the_example(name, unit, example):
    rows = with_fact("r", unit=unit).rename_columns(["ra", "dec", name])
    with pytest.raises(ConfigError, match="nothing says how much of the sky") as refused:
        columns_of(rows, "")
    assert f"`size='{example}'`" in str(refused.value)
