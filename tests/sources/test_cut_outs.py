import pyarrow as pa

from galaxyvotes.sources.cut_outs import id_column


def column_of(**columns: object) -> str | None:
    return id_column(pa.table({name: pa.array(values) for name, values in columns.items()}))


def test_rows_are_called_as_in_the_column_that_tells_them_apart():
    assert column_of(n=[1, 2], ra=[1.0, 2.0], objid=[7, 8]) == "objid"
    assert column_of(n=[1, 2], iauname=["J1", "J2"]) == "iauname"
    assert column_of(objid=[7, 7], other_id=["a", "b"]) == "other_id"
    assert column_of(n=[1, 2], width=[3, 3]) == "n"


def test_no_column_tells_rows_apart_that_has_floats_gaps_or_a_value_twice():
    assert column_of(ra=[1.0, 2.0], id=[5, 5], name=["a", None]) is None
