"""Which column of a table holds the ids of its galaxies."""

import pyarrow as pa
import pytest

from galaxyvotes import ConfigError, DataError
from galaxyvotes.tables.ids import id_texts, ids_in, ids_of
from galaxyvotes.tables.table import Table


def column_of(wanted: str | None = None, **columns: object):
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return ids_in(table.schema, table.select, "cat.csv", wanted)


def test_a_column_that_is_called_as_ids_are_comes_before_paths_whatever_its_type():
    assert column_of(path=["a.jpg", "b.jpg"], id=[7, 8]) == "id"
    assert column_of(path=["a.jpg", "b.jpg"], objid=[7, 8], id=["x", "y"]) == "id"
    assert column_of(path=["a.jpg", "b.jpg"], OBJID=[7, 8]) == "OBJID"
    assert column_of(z=[0.5, 0.6], n=[1, 2], path=["a.jpg", "b.jpg"]) == "path"
    assert column_of(z=[0.5, 0.6], galaxy=[1, 2]) == "galaxy"


def test_a_column_with_gaps_or_a_value_twice_stands_back():
    assert column_of(survey_name=["sdss", "sdss"], path=["a.jpg", "b.jpg"]) == "path"
    assert column_of(id=[1, None], name=["a", "b"]) == "name"
    assert column_of(id=[5, 5], z=[0.1, 0.2]) == "id"


def test_the_user_says_which_it_is():
    columns = {"id": [1, 2], "asset": [3, 4]}
    assert column_of("Asset ", **columns) == "asset"
    with pytest.raises(ConfigError, match="no column 'objid' for ids, it has id, asset"):
        column_of("objid", **columns)


def test_floats_are_ids_only_by_their_name_and_nothing_else_is():
    assert column_of(id=[1.0, 2.0], path=["a", "b"]) == "id"
    assert column_of(objid=[1.0, 2.0], path=["a", "b"]) == "path"
    assert column_of(objid=[1.0, 2.0], z=[0.1, 0.2]) == "objid"
    with pytest.raises(DataError, match=r"no column of texts or whole numbers .* only z, flags"):
        column_of(z=[0.1, 0.2], flags=[True, False])


def test_whole_numbers_become_texts_with_all_their_digits():
    assert id_texts(pa.array([587722981742084144, None])) == ["587722981742084144", ""]
    assert id_texts(pa.array([2**64 - 1], pa.uint64())) == [str(2**64 - 1)]
    assert id_texts(pa.array(["a", "b"]).dictionary_encode()) == ["a", "b"]


def test_ids_of_a_table_in_a_file_are_as_they_are_written(tmp_path):
    (tmp_path / "cat.csv").write_text("survey,z,objid\nsdss,0.1,007\nsdss,0.2,008\n")
    table = Table.open(tmp_path / "cat.csv")
    assert ids_of(table) == ["007", "008"]
    assert ids_of(table, "Survey") == ["sdss", "sdss"]
    assert ids_of(table, without=["objid"]) == ["sdss", "sdss"]
    with pytest.raises(ConfigError, match=r"cat\.csv has no column 'id' for ids"):
        ids_of(table, "id")
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read: No such file"):
        Table.open(tmp_path / "nowhere.csv")
