import csv

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from astropy.table import Table

from example_tables import everything, parts_of
from galaxyvotes.table_formats.columns import fact
from galaxyvotes.table_formats.text_writers import write_csv, write_ecsv


def test_astropy_reads_every_value_and_meaning_of_ecsv_back(tmp_path):
    table = everything()
    write_ecsv(tmp_path / "t.ecsv", table.schema, [*parts_of(table)])
    back = Table.read(tmp_path / "t.ecsv")
    assert back.meta == {"tree": "kaggle", "galaxies": 23}
    for name in table.schema.names:
        expected, values, field = table[name], back[name], table.schema.field(name)
        assert (values.description or "") == fact(field, "description")
        assert (str(values.unit or ""), values.meta.get("ucd", "")) == (
            fact(field, "unit"),
            fact(field, "ucd"),
        )
        unknown = np.asarray(expected.is_null())
        if name == "list":
            assert [each.tolist() for each in values] == expected.to_pylist()
        elif name in ("matrix", "pair", "wave"):
            shape = (len(table), *((2, 3) if name == "matrix" else (2,)))
            np.testing.assert_array_equal(values, np.array(expected.to_pylist()).reshape(shape))
        elif name in ("id", "name"):
            assert list(values) == expected.to_pylist()
        else:
            assert values.dtype == expected.type.to_pandas_dtype()
            np.testing.assert_array_equal(np.ma.getmaskarray(values), unknown)
            known = expected.filter(pa.array(~unknown)).to_numpy()
            np.testing.assert_array_equal(np.ma.getdata(values)[~unknown], known)


def test_csv_has_a_header_and_the_values_with_all_their_digits(tmp_path):
    table = everything()
    write_csv(tmp_path / "t.csv", table.schema, [*parts_of(table)])
    back = pacsv.read_csv(tmp_path / "t.csv")
    for name in ("id", "objid", "f4", "f8", "name"):
        values = back[name].cast(table[name].type)  # as float32, in whose digits it is written
        np.testing.assert_array_equal(values.to_numpy(), table[name].to_numpy())
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["list"] == "[0]"
    assert rows[0]["pair"] == str(table["pair"][0].as_py()).replace(" ", "")
