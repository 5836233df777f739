import io

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import votable
from astropy.table import Table

from example_tables import everything, parts_of
from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import column, fact, plain_schema
from galaxyvotes.table_formats.votable_writer import votable_header, write_votable


def test_astropy_reads_every_value_and_meaning_back(tmp_path):
    table = everything()
    write_votable(tmp_path / "t.vot", table.schema, [*parts_of(table)])
    file = votable.parse(tmp_path / "t.vot", verify="exception")
    assert {info.name: info.value for info in file.resources[0].infos} == {
        "tree": "kaggle",
        "galaxies": "23",
    }
    first = file.get_first_table()
    for field in first.fields:
        ours = table.schema.field(field.name)
        assert (field.description or "") == fact(ours, "description").strip()
        assert (str(field.unit or ""), field.ucd or "") == (fact(ours, "unit"), fact(ours, "ucd"))
    back = first.to_table(use_names_over_ids=True)
    for name in table.schema.names:
        expected, values = table[name], back[name]
        unknown = np.asarray(expected.is_null())
        filled = np.ma.getdata(values)
        if name in ("id", "name", "u8"):
            assert list(values) == expected.to_pylist()
        elif name == "list":
            assert [each.tolist() for each in filled] == expected.to_pylist()
        elif name == "wave":
            pairs = np.array(expected.to_pylist(), "f4").view("c8")[:, 0]
            np.testing.assert_array_equal(filled, pairs)
        elif name in ("matrix", "pair"):
            shape = (len(table), *((2, 3) if name == "matrix" else (2,)))
            np.testing.assert_array_equal(filled, np.array(expected.to_pylist()).reshape(shape))
        else:
            known = expected.filter(pa.array(~unknown)).to_numpy()
            np.testing.assert_array_equal(filled[~unknown], known)
            np.testing.assert_array_equal(np.ma.getmaskarray(values)[unknown], True)


def test_the_header_alone_is_a_table_without_data():
    text = votable_header(plain_schema(everything().schema, "t"))
    assert "<DATA>" not in text
    assert len(votable.parse(io.BytesIO(text.encode())).get_first_table().fields) == 16


def test_letters_that_no_xml_may_have_are_left_out(tmp_path):
    schema = pa.schema([column("a\x01", pa.string(), description="\x02<b>")])
    write_votable(tmp_path / "t.vot", schema, [pa.table([["c\x00]]>&"]], schema=schema)])
    back = Table.read(tmp_path / "t.vot")
    assert (back.colnames, back["a"].description, back["a"][0]) == (["a"], "<b>", "c]]>&")


def test_a_number_that_votable_has_not_is_refused(tmp_path):
    table = pa.table({"a": pa.array([2**63], pa.uint64())})
    with pytest.raises(DataError, match="VOTable has no such whole number"):
        write_votable(tmp_path / "t.vot", table.schema, [table])
