import io
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from example_tables import everything
from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import facts_of
from galaxyvotes.table_formats.fits_rows import FitsRows
from galaxyvotes.table_formats.write import write_table


@pytest.fixture
def rows_of():
    """`rows_of(path)`: the rows of a file that is closed in the end."""
    with ExitStack() as stack:

        def go(path: Path) -> FitsRows:
            rows = FitsRows.of(path.name, stack.enter_context(path.open("rb")))
            assert rows is not None
            return rows

        yield go


@pytest.fixture
def path(tmp_path):
    table = everything()
    write_table(tmp_path / "t.fits", table.schema, [table])
    return tmp_path / "t.fits"


def test_a_slice_reads_its_rows_only(rows_of, path):
    rows, read = rows_of(path), []

    class Counting(io.BytesIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    counting = FitsRows(rows.name, Counting(path.read_bytes()), rows.header, rows.start)
    assert counting.schema == rows.schema
    read.clear()
    assert len(next(counting.slices(5, 10))) == 5
    heap = int(rows.header["PCOUNT"])
    assert read == [5 * rows.row_bytes, heap]


def test_descriptions_display_and_null_values_are_kept(rows_of, tmp_path):
    columns = [
        fits.Column("a", "I", array=np.array([1, -99]), null=-99, disp="I5", unit="ct"),
        fits.Column("u", "J", array=np.array([0, 5], "u4"), bzero=2**31, null=-(2**31)),
        fits.Column("s", "12A", array=np.array(["x", "yz"])),
        fits.Column("x", "11X", array=np.array([[1] * 11, [0] * 11], bool)),
        fits.Column("w", "2M", array=np.array([[1 + 2j, 3], [4, 5]])),
        fits.Column("t", "6A", array=np.array([["ab", "c"], ["d", "ef"]]), dim="(3,2)"),
        fits.Column("flags", "2L", array=np.array([[True, False], [False, True]])),
        fits.Column("scaled", "I", array=np.array([14, 34])),
    ]
    unit = fits.BinTableHDU.from_columns(columns)
    unit.header["TCOMM1"], unit.header["TUCD1"], unit.header["SURVEY"] = "counts", "phot", "DR7"
    unit.writeto(tmp_path / "t.fits")
    fits.setval(tmp_path / "t.fits", "TSCAL8", value=0.5, ext=1)
    fits.setval(tmp_path / "t.fits", "TZERO8", value=3, ext=1)
    rows = rows_of(tmp_path / "t.fits")
    table = next(rows.slices(10))
    assert table.to_pydict() == {
        "a": [1, None],
        "u": [None, 5],
        "s": ["x", "yz"],
        "x": [[True] * 11, [False] * 11],
        "w": [[1, 2, 3, 0], [4, 0, 5, 0]],
        "t": [["ab", "c"], ["d", "ef"]],
        "flags": [[True, False], [False, True]],
        "scaled": [10.0, 20.0],
    }
    facts = {field.name: facts_of(field) for field in table.schema}
    assert facts["a"] == {
        "description": "counts", "unit": "ct", "ucd": "phot", "display": "I5", "null": "-99",
    }  # fmt: skip
    assert (facts["s"], facts["w"]) == ({"width": "12"}, {"complex": "yes", "shape": "2,2"})
    out = tmp_path / "out.fits"
    write_table(out, table.schema, [table])
    back, first = fits.getdata(out), fits.getdata(tmp_path / "t.fits")
    for name in ("a", "s", "x", "w", "t", "flags", "scaled"):
        np.testing.assert_array_equal(back[name], first[name])
    assert (fits.getheader(out, 1)["TNULL1"], fits.getheader(out, 1)["TNULL2"]) == (-99, 2**31 - 1)
    assert fits.getheader(out, 1)["TFORM3"] == "12A"


def test_files_with_no_table_or_several_and_short_ones_are_refused(rows_of, path, tmp_path):
    fits.writeto(tmp_path / "image.fits", np.zeros((4, 4)))
    with pytest.raises(DataError, match=r"image\.fits holds 0 tables; expected one"):
        rows_of(tmp_path / "image.fits")
    unit = fits.BinTableHDU(Table({"a": [1]}))
    fits.HDUList([fits.PrimaryHDU(), unit, unit]).writeto(tmp_path / "two.fits")
    with pytest.raises(DataError, match=r"two\.fits holds 2 tables; expected one"):
        rows_of(tmp_path / "two.fits")
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(DataError, match=r"t\.fits"):
        rows_of(path)


def test_a_file_that_becomes_shorter_meanwhile_is_an_error_and_no_crash(rows_of, tmp_path):
    table = everything(5000)
    write_table(path := tmp_path / "t.fits", table.schema, [table])
    rows = rows_of(path)
    slices = rows.slices(5)
    next(slices)
    with path.open("rb+") as file:
        file.truncate(rows.start + 3)
    with pytest.raises(DataError, match=r"t\.fits has become shorter while it was read"):
        list(slices)


def test_a_table_of_text_is_left_to_who_reads_it_whole(tmp_path):
    fits.TableHDU.from_columns([fits.Column("a", "I4", array=np.array([1, 2]))]).writeto(
        tmp_path / "t.fits"
    )
    with (tmp_path / "t.fits").open("rb") as file:
        assert FitsRows.of("t.fits", file) is None
