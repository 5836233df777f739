import numpy as np
import pyarrow as pa

from example_tables import everything
from galaxyvotes.table_formats.from_astropy import from_astropy
from galaxyvotes.table_formats.to_astropy import to_astropy, to_pandas


def test_every_kind_of_column_is_one_of_astropys_and_comes_back():
    table = everything()
    there = to_astropy(table)
    assert there.colnames == table.column_names
    assert there["flag"].mask.tolist() == table.column("flag").is_null().to_pylist()
    assert (there["f8"].unit, there["f4"].meta) == ("deg", {"ucd": "phot.flux"})
    assert there["objid"].description == "seventeen digits and more"
    assert (there["matrix"].shape, there["wave"].dtype) == ((len(table), 2, 3), np.complex64)
    assert there["list"][3].tolist() == [0, 1, 2]
    back = from_astropy(there)
    for name in set(table.column_names) - {"list"}:
        before, after = table.column(name), back.column(name)
        same = after.to_numpy(zero_copy_only=False), before.to_numpy(zero_copy_only=False)
        if pa.types.is_floating(before.type):
            assert np.array_equal(*same, equal_nan=True)
        else:
            assert after.to_pylist() == before.to_pylist(), name


def test_a_table_is_one_of_pandas():
    assert list(to_pandas(pa.table({"a": [1, 2]})).a) == [1, 2]
