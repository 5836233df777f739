import gzip
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table

from example_tables import everything
from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import facts_of, meta_of
from galaxyvotes.table_formats.read import open_rows
from galaxyvotes.table_formats.write import write_table

FORMATS = [".ecsv", ".fits", ".parquet", ".vot"]


def whole(path, **how) -> pa.Table:
    with open_rows(path, **how) as rows:
        return pa.concat_tables(rows.slices(1000))


def same(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> bool:
    """NaN is NaN."""
    return repr(ours.to_pylist()) == repr(theirs.to_pylist())


@pytest.mark.parametrize("suffix", [".csv", *FORMATS])
def test_slices_of_any_size_from_any_row_are_the_table(tmp_path, suffix):
    table = everything()
    write_table(path := tmp_path / f"t{suffix}", table.schema, [table])
    expected = whole(path)
    with open_rows(path) as rows:
        assert (rows.name, rows.count, rows.schema) == (path.name, 23, expected.schema)
        for size in (1, 7, 23, 100):
            parts = list(rows.slices(size))
            assert {len(part) for part in parts[:-1]} <= {size}
            assert all(map(same, pa.concat_tables(parts).columns, expected.columns))
        for start in (1, 7, 22):
            parts = pa.concat_tables(rows.slices(7, start))
            assert all(map(same, parts.columns, expected[start:].columns))
        assert list(rows.slices(7, 23)) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_was_written_comes_back_with_its_type_and_meaning(tmp_path, suffix):
    table = everything()
    write_table(path := tmp_path / f"t{suffix}", table.schema, [table])
    back = whole(path)
    others = {".fits": {"i1": pa.int16()},
              ".vot": {"i1": pa.int16(), "u2": pa.int32(), "u4": pa.int64(),
                       "list": pa.list_(pa.int64())}}  # fmt: skip
    for field in table.schema:
        name = field.name
        if name in ("f4", "f8") and suffix == ".vot":  # in which NaN is what is unknown
            assert back[name].fill_null(np.nan).to_pylist()[2:] == table[name].to_pylist()[2:]
        else:
            assert same(back[name], table[name]), name
        expected = others.get(suffix, {}).get(name, field.type)
        assert back.schema.field(name).type == expected, name
        facts, known = facts_of(back.schema.field(name)), facts_of(field)
        if suffix == ".ecsv":
            known.pop("complex", None)
        known = {key: value.strip() for key, value in known.items()}
        assert {key: facts.get(key, "").strip() for key in known} == known


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_of_astropys_own_keeps_units_and_unknown_values(tmp_path, suffix):
    table = Table({"a": np.ma.masked_array([1, 2, 3], [False, True, False]), "b": [0.5, 1, 2]})
    table["b"].unit = "mJy"
    kinds = {".ecsv": "ascii.ecsv", ".vot": "votable", ".fits": "fits"}
    if suffix == ".parquet":
        table["a"] = [1, 2, 3]
    table.write(tmp_path / f"t{suffix}", format=kinds.get(suffix, "parquet"))
    back = whole(tmp_path / f"t{suffix}")
    assert back["a"].to_pylist() == [1, 2 if suffix == ".parquet" else None, 3]
    assert facts_of(back.schema.field("b"))["unit"] == "mJy"


def test_text_has_the_types_of_its_words_and_keeps_ids_with_leading_zeros(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,n,x,when\n0012,3,0.50,2026-11-29T10:00:00\n1200,,1e3,\n")
    back = whole(path)
    assert back.to_pydict() == {
        "id": ["0012", "1200"],
        "n": [3, None],
        "x": [0.5, 1000.0],
        "when": [datetime(2026, 11, 29, 10), None],
    }
    words = whole(path, as_text=True)
    assert words.to_pylist()[1] == {"id": "1200", "n": "", "x": "1e3", "when": ""}
    assert words["x"].to_pylist() == ["0.50", "1e3"]


@pytest.mark.parametrize("suffix", [".csv", *FORMATS])
def test_what_gzip_has_packed_is_read(tmp_path, suffix):
    table = everything()
    write_table(path := tmp_path / f"t{suffix}", table.schema, [table])
    packed = tmp_path / f"t{suffix}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert all(map(same, whole(packed).columns, whole(path).columns))


def test_facts_about_the_table_are_kept(tmp_path):
    table = everything()
    for suffix, expected in ((".fits", {"TREE": "kaggle", "GALAXIES": 23}),
                             (".ecsv", {"tree": "kaggle", "galaxies": 23}),
                             (".parquet", {"tree": "kaggle", "galaxies": 23})):  # fmt: skip
        write_table(path := tmp_path / f"t{suffix}", table.schema, [table])
        assert meta_of(whole(path).schema) == expected


@pytest.mark.parametrize("suffix", [".csv", *FORMATS])
def test_a_table_without_rows_and_a_damaged_one_are_refused_by_name(tmp_path, suffix):
    table = everything().select(["id", "f8", "objid"])
    path = tmp_path / f"t{suffix}"
    write_table(path, table.schema, [])
    with pytest.raises(DataError, match=rf"t\{suffix}.* is empty"):
        whole(path)
    write_table(path, table.schema, [table])
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"t\{suffix}"):
        whole(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"t\.csv cannot be read: No such file"):
        whole(tmp_path / "t.csv")
