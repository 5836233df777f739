import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import DataError, GalaxyMap


def changed(blob_map, tmp_path, name: str, values: pa.Array) -> GalaxyMap:
    """The map with another column."""
    table = pq.read_table(blob_map.path)
    table = table.set_column(table.schema.names.index(name), name, values)
    pq.write_table(table, tmp_path / "changed.parquet")
    return GalaxyMap.open(tmp_path / "changed.parquet")


def test_a_map_is_opened_by_its_path_or_as_it_is(blob_map):
    again = GalaxyMap.open(str(blob_map.path))
    assert GalaxyMap.open(again) is again
    assert (len(again), again.features) == (80, blob_map.features)
    assert repr(again).endswith(f"80 galaxies × {again.features} features>")


def test_a_file_that_is_no_map_is_refused(tmp_path):
    (tmp_path / "answers.csv").write_text("id,Class1.1\na,0.5\n")
    with pytest.raises(DataError, match=r"answers\.csv is no map .* `galaxyvotes\.embed"):
        GalaxyMap.open(tmp_path / "answers.csv")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="cannot be read as a Parquet table"):
        GalaxyMap.open(tmp_path / "damaged.parquet")
    with pytest.raises(DataError, match=r"nowhere\.parquet cannot be read: No such file .* write"):
        GalaxyMap.open(tmp_path / "nowhere.parquet")
    pq.write_table(pa.table({"id": ["a"], "x": [0.0]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"expected the columns .*, and it has id, x; write one"):
        GalaxyMap.open(tmp_path / "other.parquet")


def test_representations_that_are_not_whole_or_finite_are_refused(blob_map, tmp_path):
    numbers = blob_map.representations.copy()
    numbers[3, 0] = np.nan
    kind = pa.list_(pa.float32(), blob_map.features)
    lists = numbers.tolist()
    with pytest.raises(DataError, match="has NaN or infinite numbers"):
        _ = changed(blob_map, tmp_path, "representation", pa.array(lists, kind)).representations
    lists[3] = None
    with pytest.raises(DataError, match="is not numbers throughout"):
        _ = changed(blob_map, tmp_path, "representation", pa.array(lists, kind)).representations
    words = pa.array([["a"]] * 80, pa.list_(pa.string(), 1))
    with pytest.raises(DataError, match="is not numbers throughout"):
        _ = changed(blob_map, tmp_path, "representation", words).representations


def test_ids_are_text_throughout(blob_map, tmp_path):
    with pytest.raises(DataError, match="column `id` is int64; expected text"):
        _ = changed(blob_map, tmp_path, "id", pa.array(range(80))).ids
    with pytest.raises(DataError, match="1 galaxy without an id"):
        _ = changed(blob_map, tmp_path, "id", pa.array([None, *"a" * 79])).ids


def test_an_unknown_id_is_named_with_one_that_is_there(blob_map):
    assert blob_map.rows_of(blob_map.ids[4:2:-1]).tolist() == [4, 3]
    with pytest.raises(DataError, match=f"has no galaxy 'M31': .* like '{blob_map.ids[0]}'"):
        blob_map.rows_of([blob_map.ids[0], "M31"])


def test_a_damaged_thumbnail_is_left_out(blob_map, tmp_path):
    rows = np.array([7, 2])
    assert set(blob_map.pictures(rows)) == {blob_map.ids[2], blob_map.ids[7]}
    cells = pq.read_table(blob_map.path).column("thumbnail").to_pylist()
    cells[2] = {"bytes": b"no picture", "path": "x"}
    cells[3] = None
    damaged = changed(
        blob_map, tmp_path, "thumbnail", pa.array(cells, pq.read_schema(blob_map.path)[-1].type)
    )
    assert set(damaged.pictures(np.array([2, 3, 7]))) == {blob_map.ids[7]}
