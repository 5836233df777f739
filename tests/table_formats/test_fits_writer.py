import re
import warnings

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table

from example_tables import everything, parts_of
from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import column, with_meta
from galaxyvotes.table_formats.fits_writer import write_fits


def cards(data: bytes, unit: int) -> tuple[dict[str, str], int]:
    """The cards of a unit as the standard has them, by a parser that knows nothing else, and where
    the unit's data begin."""
    start = 0
    while True:
        found, last, end = dict[str, str](), "", start
        while True:
            card, end = data[end : end + 80].decode("ascii"), end + 80
            key, value = card[:8].rstrip(), card[10:]
            if key == "END":
                break
            text = re.match(r"\s*'((?:[^']|'')*)'", value)
            plain = text[1].rstrip().replace("''", "'") if text else value.split("/")[0].strip()
            if key == "CONTINUE":
                found[last] = found[last].removesuffix("&") + plain
                continue
            assert card[8:10] == "= ", card
            found[key], last = plain, key
        end += -end % 2880
        if not unit:
            return found, end
        axes = [int(found[f"NAXIS{n}"]) for n in range(1, int(found["NAXIS"]) + 1)]
        size = int(np.prod(axes)) + int(found.get("PCOUNT", 0)) if axes else 0
        start, unit = end + size + -size % 2880, unit - 1


@pytest.fixture
def written(tmp_path):
    table = everything()
    write_fits(tmp_path / "t.fits", table.schema, [*parts_of(table)])
    return table, tmp_path / "t.fits"


def test_the_header_has_descriptions_units_and_ucds_where_topcat_looks(written):
    table, path = written
    header, start = cards(path.read_bytes(), 1)
    names = [header[f"TTYPE{n}"] for n in range(1, len(table.schema) + 1)]
    assert names == table.schema.names
    number = {name: n for n, name in enumerate(names, 1)}
    assert header[f"TUCD{number['id']}"] == "meta.id;meta.main"
    assert header[f"TUNIT{number['f4']}"] == "mJy"
    assert header[f"TCOMM{number['objid']}"] == "seventeen digits and more"
    assert header[f"TCOMM{number['f8']}"] == ("<&> of a 'long' kind " * 6).rstrip()
    assert (header["NAXIS2"], header["TREE"], header["GALAXIES"]) == ("23", "kaggle", "23")
    forms = {name: header[f"TFORM{n}"] for name, n in number.items()}
    assert forms == {
        "id": "4A", "flag": "1L", "i1": "1I", "u1": "1B", "i2": "1I", "u2": "1I", "i4": "1J",
        "u4": "1J", "objid": "1K", "f4": "1E", "f8": "1D", "matrix": "6D", "pair": "2I",
        "wave": "1C", "list": "1PJ(3)", "name": "10A",
    }  # fmt: skip
    assert header[f"TDIM{number['matrix']}"] == "(3,2)"
    row = int(header["NAXIS1"])
    ids = [path.read_bytes()[start + n * row :][:4].decode() for n in range(23)]
    assert ids == table["id"].to_pylist()
    assert len(path.read_bytes()) % 2880 == 0


def test_astropy_reads_every_value_back(written):
    table, path = written
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that unknown truth values become False
        back = Table.read(path)
    with fits.open(path) as units:
        units.verify("exception")
    for name in table.schema.names:
        expected, values = table[name], back[name]
        assert len(values) == len(table)
        if name == "flag":
            assert np.asarray(values).tolist() == expected.fill_null(False).to_pylist()
        elif name in ("id", "name"):
            assert [text.decode() for text in np.asarray(values)] == expected.to_pylist()
        elif name == "list":
            assert [each.tolist() for each in values] == expected.to_pylist()
        elif name == "wave":
            pairs = np.array(expected.to_pylist(), "f4").view("c8")[:, 0]
            np.testing.assert_array_equal(values, pairs)
        elif name in ("matrix", "pair"):
            shape = (len(table), *((2, 3) if name == "matrix" else (2,)))
            np.testing.assert_array_equal(values, np.array(expected.to_pylist()).reshape(shape))
        else:
            mask = np.ma.getmaskarray(values)
            unknown = np.asarray(expected.is_null())
            filled = np.ma.getdata(values)[~mask]
            if name in ("f4", "f8"):
                filled, unknown = np.ma.getdata(values), np.zeros(len(table), bool)
            elif name == "u2":  # astropy compares TNULL with values that TZERO is added to already
                filled, lacking = filled[~unknown], filled[unknown]
                assert {*lacking.tolist()} == {65535}
            else:
                np.testing.assert_array_equal(mask, unknown)
            np.testing.assert_array_equal(filled, expected.filter(pa.array(~unknown)).to_numpy())


def test_unknown_numbers_are_one_that_the_column_does_not_have(tmp_path):
    full = [*range(256), None]
    tables = {
        "u1": pa.table({"a": pa.array([0, None, 5], pa.uint8())}),
        "own": pa.table(
            [pa.array([1, None], pa.int16())], pa.schema([column("a", pa.int16(), null="-999")])
        ),
    }
    nulls = {}
    for name, table in tables.items():
        write_fits(tmp_path / f"{name}.fits", table.schema, [table])
        nulls[name] = cards((tmp_path / f"{name}.fits").read_bytes(), 1)[0]["TNULL1"]
    assert nulls == {"u1": "255", "own": "-999"}
    table = pa.table({"a": pa.array(full, pa.uint8())})
    with pytest.raises(DataError, match="column 'a' has unknown values, and every number"):
        write_fits(tmp_path / "full.fits", table.schema, [table])


def test_texts_keep_the_width_that_their_column_had(tmp_path):
    schema = pa.schema([column("a", pa.string(), width="20")])
    write_fits(tmp_path / "t.fits", schema, [pa.table([["abc", None]], schema=schema)])
    assert cards((tmp_path / "t.fits").read_bytes(), 1)[0]["TFORM1"] == "20A"
    assert np.asarray(Table.read(tmp_path / "t.fits")["a"]).tolist() == [b"abc", b""]


def test_words_that_no_card_may_have_are_escaped_and_names_never_collide(tmp_path):
    schema = with_meta(
        pa.schema([column("Größe", pa.int16(), description="in µm\nor so")]),
        {"NAXIS1": 7, "recipe of it": "é", "list": [1], "": "x"},
    )
    write_fits(tmp_path / "t.fits", schema, [pa.table([[1]], schema=schema)])
    header, _ = cards((tmp_path / "t.fits").read_bytes(), 1)
    assert header["TTYPE1"] == r"Gr\xf6\xdfe"
    assert header["TCOMM1"] == r"in \xb5m\nor so"
    assert (header["NAXIS1"], header["RECIPEOF"]) == ("2", r"\xe9")
    assert "LIST" not in header


def test_more_columns_than_fits_has_are_refused(tmp_path):
    table = pa.table({f"c{n}": [n] for n in range(1000)})
    with pytest.raises(DataError, match=r"1,000 columns; a FITS table has 999 at most"):
        write_fits(tmp_path / "t.fits", table.schema, [table])


def test_an_empty_table_is_a_table(tmp_path):
    table = everything()
    write_fits(tmp_path / "t.fits", table.schema, [])
    assert len(Table.read(tmp_path / "t.fits")) == 0
