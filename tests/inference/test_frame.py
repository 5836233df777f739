import pickle
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units
from astropy.table import QTable, Table

from galaxyvotes import ConfigError, TableSettings, predict, predict_frame
from galaxyvotes.inference import frame as module


@pytest.fixture(scope="session")
def cutouts(blobs, tmp_path_factory):
    """A folder with six images, 101.jpg to 106.jpg."""
    folder = tmp_path_factory.mktemp("six")
    for number, path in enumerate(sorted(blobs.rglob("*.jpg"))[::14]):
        shutil.copyfile(path, folder / f"{101 + number}.jpg")
    return folder


@pytest.fixture
def six(cutouts, blob_run):
    """How a function predicts these, and what it should."""
    values = predict(cutouts, run=blob_run, progress=False).values
    return partial(predict_frame, image="{objid}.jpg", folder=cutouts, run=blob_run), values


def test_a_frame_of_pandas_keeps_its_index_and_columns(six):
    function, values = six
    frame = pd.DataFrame(
        {"objid": [103.0, None, 101.0, 999.0], "any": [object(), {}, 1, "x"]}, index=[7, 8, 9, 7]
    )
    done = function(frame)
    assert list(done.columns) == ["objid", "any", "long", "round", "image_problem"]
    assert (list(frame.columns), list(done.index)) == (["objid", "any"], [7, 8, 9, 7])
    assert done["any"].tolist() == frame["any"].tolist()
    assert np.array_equal(done[["long", "round"]].to_numpy()[[0, 2]], values[[2, 0]])
    assert done["long"].isna().tolist() == [False, True, False, True]
    assert done["image_problem"].tolist() == [
        "", "the table names no image", "", "cannot be read: No such file or directory"
    ]  # fmt: skip


def test_a_table_of_arrow_or_astropy_is_one_afterwards(six):
    function, values = six
    arrow = function(pa.table({"objid": [102, 106]}))
    assert arrow.column_names == ["objid", "long", "round", "image_problem"]
    assert arrow.column("round").to_pylist() == values[[1, 5], 1].tolist()
    table = QTable({"objid": [102, 106], "ra": [1, 2] * units.deg})
    done = function(table)
    assert isinstance(done, QTable)
    assert (done["ra"].unit, done.colnames[2:]) == (units.deg, arrow.column_names[1:])
    assert table.colnames == ["objid", "ra"]
    assert np.array_equal(done["long"], values[[1, 5], 0])
    assert done["long"].description == "class long"
    assert function(Table({"objid": [1]}))["long"].mask.tolist() == [True]


def test_a_table_without_rows_has_the_same_columns(six):
    function, _ = six
    full, empty = (function(pd.DataFrame({"objid": pd.Series(n, dtype=int)})) for n in ([101], []))
    assert list(full.columns) == list(empty.columns)
    assert len(empty) == 0
    assert full["long"].dtype == empty["long"].dtype
    assert len(function(pa.table({"objid": pa.array([], pa.int64())}))) == 0


def test_parts_of_a_table_are_predicted_as_the_whole(six):
    function, values = six
    whole = pd.DataFrame({"objid": range(101, 107)})
    parts = pd.concat([function(whole[start : start + 2]) for start in (0, 2, 4)])
    assert parts.equals(function(whole))
    assert np.array_equal(parts[["long", "round"]].to_numpy(), values)
    again = pickle.loads(pickle.dumps(function))
    assert again(whole).equals(parts)


def test_a_network_is_opened_once_and_anew_when_it_changes(six, monkeypatch):
    function, _ = six
    opened = []
    original = module.open_network
    monkeypatch.setattr(
        module, "open_network", lambda *args: (opened.append(1), original(*args))[1]
    )
    module._opened.cache_clear()
    for _ in range(3):
        function(pa.table({"objid": [101]}))
    assert len(opened) == 1
    monkeypatch.setattr(module, "calibration_digest", lambda _: "another")
    function(pa.table({"objid": [101]}))
    assert len(opened) == 2


def test_what_cannot_be_is_refused(six):
    function, _ = six
    with pytest.raises(ConfigError, match="has no column 'objid'"):
        function(pa.table({"id": [1]}))
    for kind in (pd.DataFrame, Table, pa.table):
        table = kind({"objid": [101], "Long": [1]})
        with pytest.raises(ConfigError, match="the table has a column 'long'"):
            function(table)
        assert len(function(table, table=TableSettings(prefix="p_"))) == 1
    with pytest.raises(TypeError, match="a dict is no table"):
        function({"objid": [101]})
    with pytest.raises(ConfigError, match="workers is 0"):
        function(pa.table({"objid": [101]}), workers=0)
