import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import votable
from astropy.table import Table

from example_tables import everything, parts_of
from galaxyvotes.table_formats.columns import fact, meta_of
from galaxyvotes.table_formats.parquet_writer import write_parquet


def test_every_type_and_meaning_comes_back_as_it_was(tmp_path):
    table = everything()
    write_parquet(tmp_path / "t.parquet", table.schema, [*parts_of(table)])
    back = pq.read_table(tmp_path / "t.parquet")
    assert back.schema.types == table.schema.types
    assert back.to_pydict()["list"] == table.to_pydict()["list"]
    assert back.drop_columns("f8").drop_columns("f4") == table.drop_columns("f8").drop_columns("f4")
    np.testing.assert_array_equal(back["f8"], table["f8"])
    assert fact(back.schema.field("f4"), "unit") == "mJy"
    assert meta_of(back.schema) == {"tree": "kaggle", "galaxies": 23}


def test_astropy_finds_units_and_descriptions(tmp_path):
    table = everything().select(["id", "f4", "f8", "pair", "objid"])
    write_parquet(tmp_path / "t.parquet", table.schema, [table])
    back = Table.read(tmp_path / "t.parquet")  # without a warning, as texts have a length
    assert (str(back["f4"].unit), back["f4"].meta["ucd"]) == ("mJy", "phot.flux")
    assert back["objid"].description == "seventeen digits and more"
    assert back.meta == {"tree": "kaggle", "galaxies": 23}
    assert list(back["id"]) == table["id"].to_pylist()
    assert back["pair"].shape == (23, 2)


def test_the_voparquet_header_is_a_valid_votable_of_the_same_columns(tmp_path):
    table = everything()
    write_parquet(tmp_path / "t.parquet", table.schema, [table])
    metadata = pq.read_metadata(tmp_path / "t.parquet").metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    header = votable.parse(
        io.BytesIO(metadata[b"IVOA.VOTable-Parquet.content"]), verify="exception"
    )
    fields = {field.name: field for field in header.get_first_table().fields}
    assert list(fields) == table.schema.names
    assert (str(fields["f4"].unit), fields["f4"].ucd) == ("mJy", "phot.flux")


def test_types_that_astronomy_lacks_are_written_without_its_headers(tmp_path):
    table = pa.table({"a": [{"x": 1}], "b": [["text"]]})
    write_parquet(tmp_path / "t.parquet", table.schema, [table])
    assert pq.read_table(tmp_path / "t.parquet") == table
    assert b"table_meta_yaml" not in (pq.read_metadata(tmp_path / "t.parquet").metadata or {})
