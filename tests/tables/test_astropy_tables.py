import gzip
import io
from contextlib import suppress

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.errors import DataError
from galaxyvotes.tables.table import Table

ID = 587722984439545906
TABLE = AstropyTable(
    {
        "objid": np.array([ID, ID + 1, ID + 2]),
        "name": ["NGC 1", "b", "é"],
        "type": MaskedColumn(["Sb", "E", "E"], mask=[False, True, False]),
        "ttype": MaskedColumn([1.5, 2, np.nan], mask=[False, True, False]),
        "n": MaskedColumn([1, 2, 3], mask=[False, False, True], dtype=">i4"),
        "flux": np.arange(6.0).reshape(3, 2),
    }
)
FORMATS = {"fits": ".fits", "votable": ".vot", "ascii.ecsv": ".ecsv"}


def written(kind: str, table: AstropyTable = TABLE) -> bytes:
    table = table.copy()
    if kind == "fits":
        table["name"] = ["NGC 1", "b", "e"]
    if kind == "ascii.ecsv":
        text = io.StringIO()
        table.write(text, format=kind)
        return text.getvalue().encode()
    data = io.BytesIO()
    table.write(data, format=kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_tables_of_astronomy_are_read_with_masked_cells_unknown(kind, pack):
    table = Table(f"t{FORMATS[kind]}", pack(written(kind)))
    assert table.header() == ["objid", "name", "type", "ttype", "n", "flux"]
    with pytest.raises(DataError, match="the column 'flux' holds 2 values a row: save the one"):
        table.texts("flux")
    assert table.texts("objid") == [str(ID), str(ID + 1), str(ID + 2)]
    assert table.texts("name")[:2] == ["NGC 1", "b"]
    assert table.texts("type") == ["Sb", "", "E"]
    ttype = [None if v != v else v for v in table.read().column("ttype").to_pylist()]
    assert ttype == [1.5, None, None]
    assert table.read().column("n").to_pylist() == [1, 2, None]
    assert table.at(1) == f"t{FORMATS[kind]} row 2"


def fits_table(*columns: fits.Column) -> bytearray:
    data = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(data)
    return bytearray(data.getvalue())


def test_the_third_logical_value_of_fits_is_unknown():
    data = fits_table(fits.Column("barred", "L", array=np.array([True, False, True, False])))
    data[data.rindex(b"TFTF") + 1] = 0
    barred = Table("t.fits", bytes(data)).read().column("barred")
    assert barred.to_pylist() == [True, None, True, False]


def test_text_of_fits_that_is_not_utf_8_is_refused_with_its_row_where_it_is_needed():
    kinds, ids = np.array([b"Sb", b"caf\xe9"]), np.array([1, 2])
    data = fits_table(fits.Column("kind", "5A", array=kinds), fits.Column("id", "K", array=ids))
    table = Table("t.fits", bytes(data))
    assert table.texts("id") == ["1", "2"]
    with pytest.raises(DataError, match=r"t\.fits row 2: kind is b'caf\\xe9', which is not UTF-8"):
        table.texts("kind")


def test_an_ipac_table_is_read():
    text = io.StringIO()
    TABLE[["objid", "name"]].write(text, format="ascii.ipac")
    table = Table("t.tbl", text.getvalue().encode())
    assert table.texts("objid") == [str(ID), str(ID + 1), str(ID + 2)]
    assert table.texts("name") == ["NGC 1", "b", "é"]


def test_several_tables_in_a_file_and_none_are_refused():
    units = [fits.PrimaryHDU(), *(fits.BinTableHDU(TABLE[["n"]]) for _ in range(2))]
    for count in (1, 3):
        data = io.BytesIO()
        fits.HDUList(units[:count]).writeto(data)
        with pytest.raises(DataError, match=rf"t.fits holds {count - 1} tables; expected one"):
            Table("t.fits", data.getvalue()).header()


@given(st.sampled_from(list(FORMATS)), st.integers(0, 10**6), st.integers(0, 7), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_table_of_astronomy_is_read_or_refused_by_name(kind, position, bit, cut):
    data = bytearray(written(kind))
    data[position % len(data)] ^= 1 << bit
    data = data[: position % len(data)] if cut else data
    table = Table("t", bytes(data))
    with suppress(DataError):
        for name in table.header():
            table.texts(name)
        table.read()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_of_arrays_of_one_value_is_a_column_of_values(kind):
    table = AstropyTable(
        {
            "id": np.array([[101], [102]]),
            "deep": np.array([[[1.5]], [[2.5]]]),
            "flux": np.zeros((2, 3)),
        }
    )
    data = io.BytesIO() if kind != "ascii.ecsv" else io.StringIO()
    table.write(data, format=kind)
    written = data.getvalue()
    read = Table("t", written if isinstance(written, bytes) else written.encode())
    assert read.header() == ["id", "deep", "flux"]
    assert [read.texts(name) for name in ("id", "deep")] == [["101", "102"], ["1.5", "2.5"]]
    assert str(read.read().schema.field("flux").type) == "fixed_size_list<item: null>[3]"


def test_texts_in_arrays_of_one_are_read_from_fits():
    data = io.BytesIO()
    AstropyTable({"type": np.array([["Sb"], ["E"]])}).write(data, format="fits")
    assert Table("t", data.getvalue()).texts("type") == ["Sb", "E"]


@pytest.mark.parametrize("kind", ["fits", "votable"])
def test_a_column_of_as_many_values_as_each_row_likes_is_none_of_texts(kind):
    values = np.empty(2, object)
    values[:] = [np.array([1.0, 2.0]), np.array([3.0])]
    if kind == "fits":
        columns = fits.Column("id", "K", array=[1, 2]), fits.Column("flux", "PD()", array=values)
        data = bytes(fits_table(*columns))
    else:
        file = io.BytesIO()
        AstropyTable({"id": [1, 2], "flux": values}).write(file, format="votable")
        data = file.getvalue()
    table = Table("t", data)
    assert table.texts("id") == ["1", "2"]
    with pytest.raises(DataError, match="the column 'flux' holds several values a row"):
        table.text("flux")
