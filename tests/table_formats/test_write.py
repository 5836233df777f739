import csv
import io
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from example_tables import everything, parts_of
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.table_formats.columns import fact
from galaxyvotes.table_formats.write import open_table, write_table

FORMATS = [".csv", ".ecsv", ".fits", ".parquet", ".vot", ".xml"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_written_in_parts_is_the_table_written_at_once(tmp_path, suffix):
    table = everything()
    write_table(tmp_path / f"whole{suffix}", table.schema, [table])
    write_table(tmp_path / f"parts{suffix}", table.schema, [*parts_of(table)])
    with open_table(tmp_path / f"appended{suffix}", table.schema) as append:
        for part in parts_of(table):
            append(part)
    whole, *others = [
        (tmp_path / f"{name}{suffix}").read_bytes() for name in ("whole", "parts", "appended")
    ]
    assert others == [whole, whole]
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize("suffix", FORMATS)
def test_when_writing_is_interrupted_the_old_table_stays(tmp_path, suffix):
    path, table = tmp_path / f"p{suffix}", everything()
    path.write_text("old")

    def fail() -> None:
        with open_table(path, table.schema) as append:
            append(table)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
@pytest.mark.parametrize(("suffix", "kind"), [(".fits", "fits"), (".vot", "votable")])
def test_stilts_reads_the_columns_their_units_meanings_and_64_bit_ids(tmp_path, suffix, kind):
    table = everything()
    write_table(path := tmp_path / f"t{suffix}", table.schema, [table])

    def rows(command: str) -> list[dict[str, str]]:
        task = ["stilts", "tpipe", f"in={path}", f"ifmt={kind}", f"cmd={command}", "ofmt=csv"]
        run = subprocess.run(task, check=True, capture_output=True, text=True, timeout=300)
        return [*csv.DictReader(io.StringIO(run.stdout))]

    columns = rows("meta")
    assert [column["Name"] for column in columns] == table.schema.names
    for column in columns:
        ours = table.schema.field(column["Name"])
        assert (column["Units"], column["UCD"]) == (fact(ours, "unit"), fact(ours, "ucd"))
        assert column["Description"] == fact(ours, "description").strip()
    ids = [row["objid"] for row in rows("keepcols 'id objid'")]
    known = ["" if value is None else str(value) for value in table["objid"].to_pylist()]
    assert ids == known
    if kind == "votable":
        lint = subprocess.run(["stilts", "votlint", path], capture_output=True, timeout=300)
        assert (lint.stdout, lint.stderr) == (b"", b"")


def test_small_parts_share_a_group_of_rows(tmp_path):
    schema = pa.schema([("a", pa.float32())])
    values = np.random.default_rng(0).random(20_000, np.float32)
    with open_table(path := tmp_path / "p.parquet", schema) as append:
        for start in range(0, 20_000, 128):
            append(pa.table({"a": values[start : start + 128]}))
    assert pq.ParquetFile(path).num_row_groups == 3
    np.testing.assert_array_equal(pq.read_table(path)["a"].to_numpy(), values)


@pytest.mark.parametrize("name", ["t.dat", "t", "t.fits.gz"])
def test_an_unknown_format_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match="unknown table format"):
        write_table(tmp_path / name, everything().schema, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".vot"])
def test_a_column_that_a_format_does_not_have_is_named_with_the_remedy(tmp_path, suffix):
    table = pa.table({"a": [{"x": 1}]})
    with pytest.raises(DataError, match=r"column 'a' holds struct.*: write \.parquet"):
        write_table(tmp_path / f"t{suffix}", table.schema, [table])
    write_table(tmp_path / "t.parquet", table.schema, [table])
    assert pq.read_table(tmp_path / "t.parquet").column("a").to_pylist() == [{"x": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
