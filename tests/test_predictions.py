import re

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galaxyvotes.errors import ConfigError, DataError, GalaxyVotesError
from galaxyvotes.predictions import Bounds, Predictions

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)


@st.composite
def tables(draw) -> Predictions:
    ids = tuple(draw(st.lists(texts, min_size=1, max_size=6)))
    id_name, *columns = draw(st.lists(texts, min_size=2, max_size=5, unique=True))
    numbers = st.floats(0, 1, width=32) | st.just(np.nan)
    values = draw(hnp.arrays(np.float32, (len(ids), len(columns)), elements=numbers))
    return Predictions(ids, tuple(columns), values, id_name)


def refusal(path, kind: type[GalaxyVotesError] = DataError) -> str:
    with pytest.raises(kind) as error:
        Predictions.read(path)
    return str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
@given(table=tables())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_is_read_back_bit_for_bit(tmp_path, suffix, table):
    path = tmp_path / f"p{suffix}"
    table.write(path, overwrite=True)
    back = Predictions.read(path)
    assert (back.ids, back.columns, back.id_name) == (table.ids, table.columns, table.id_name)
    np.testing.assert_array_equal(back.values, table.values)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_familiarity_stands_last_and_is_never_taken_for_an_answer(tmp_path, suffix):
    familiarity, values = (
        np.array([0.25, 1], np.float32),
        np.array([[0, 1], [0.5, 0.5]], np.float32),
    )
    ends = Bounds(values / 2, values / 2 + 0.5)
    for bounds in (None, ends):
        table = Predictions(("1", "2"), ("a", "b"), values, bounds=bounds, familiarity=familiarity)
        assert table.to_table().column_names[-1] == "familiarity"
        table.write(tmp_path / f"p{suffix}", overwrite=True)
        back = Predictions.read(tmp_path / f"p{suffix}")
        assert back.columns == ("a", "b")
        np.testing.assert_array_equal(back.familiarity, familiarity)
        np.testing.assert_array_equal(back.values, values)
        assert (back.bounds is None) == (bounds is None)
    both = Predictions.concatenate([table, table])
    np.testing.assert_array_equal(both.familiarity, [0.25, 1, 0.25, 1])


def test_an_answer_whose_name_has_an_end_in_its_middle_is_an_answer(tmp_path):
    table = Predictions(("1",), ("a_low_b", "a_high"), np.array([[0.25, 0.5]], np.float32))
    table.write(tmp_path / "p.csv")
    back = Predictions.read(tmp_path / "p.csv")
    assert (back.columns, back.bounds) == (table.columns, None)


def test_ids_stay_what_they_are_though_they_look_like_numbers_or_dates(tmp_path):
    ids = ("007", "1e5", "nan", "True", "2020-01-01", "587722981742084144", "J152532.19-000115.7")
    table = Predictions(ids, ("a",), np.zeros((7, 1), np.float32))
    table.write(tmp_path / "p.csv")
    assert Predictions.read(tmp_path / "p.csv").ids == ids


def test_the_first_column_is_the_id_and_the_others_are_named_as_in_the_tree(
    tmp_path, kaggle, make_fractions
):
    table = Predictions(("1", "2"), kaggle.columns, make_fractions(kaggle, 2), "GalaxyID")
    table.write(tmp_path / "p.csv")
    assert pacsv.read_csv(tmp_path / "p.csv").column_names == ["GalaxyID", *kaggle.columns]
    table.write(tmp_path / "p.parquet")
    schema = pq.read_schema(tmp_path / "p.parquet")
    assert schema.names == ["GalaxyID", *kaggle.columns]
    assert set(schema.types) == {pa.string(), pa.float32()}


def test_double_precision_is_written_as_single(tmp_path):
    Predictions(("1",), ("a",), np.array([[0.1]])).write(tmp_path / "p.parquet")
    assert Predictions.read(tmp_path / "p.parquet").values == np.float32(0.1)


@pytest.mark.parametrize("name", ["p.dat", "p.json", "p", "p.csv.gz"])
def test_an_unknown_format_is_refused_and_never_becomes_csv(tmp_path, name):
    table = Predictions(("1",), ("a",), np.zeros((1, 1), np.float32))
    path = tmp_path / name
    expected = (
        f"{path}: unknown table format {path.suffix!r}; name a file that ends in .csv, .ecsv,"
        " .fits, .parquet, .vot or .xml"
    )
    with pytest.raises(ConfigError, match=re.escape(expected)):
        table.write(path)
    assert list(tmp_path.iterdir()) == []
    assert refusal(path, ConfigError) == expected


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "p.csv is empty: expected a header and one row a galaxy"),
        ("id,a\n", "p.csv is empty: it has a header but no rows"),
        ("id\n1\n", "p.csv has one column, 'id': expected an id, then a column for each answer"),
        ("id,a,a\n1,2,3\n", "p.csv: the column 'a' is there 2 times; names must differ"),
        ("id,a\n1,0.5\n2\n", "p.csv line 3 has 1 cell and the header 2"),
        ("id,a,b\n1,0.5,many\n", "p.csv: column 'b' is not numbers: "),
    ],
)
def test_a_table_that_holds_no_predictions_is_refused_by_name(tmp_path, content, told):
    (tmp_path / "p.csv").write_text(content)
    assert told in refusal(tmp_path / "p.csv")


def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path):
    assert (
        refusal(tmp_path / "p.csv")
        == f"{tmp_path / 'p.csv'} cannot be read: No such file or directory"
    )
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and nothing more")
    assert refusal(tmp_path / "p.parquet").startswith(f"{tmp_path / 'p.parquet'}: not a table: ")


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".vot", ".xml", ".parquet"])
def test_every_format_says_what_the_columns_mean(tmp_path, suffix, kaggle, make_fractions):
    values = make_fractions(kaggle, 3)
    ends = Bounds(values / 2, values / 2 + 0.5)
    table = Predictions(("1", "b", "long name"), kaggle.columns, values, bounds=ends)
    table.write(tmp_path / f"p{suffix}", kaggle)
    back = Predictions.read(tmp_path / f"p{suffix}")
    assert back.ids == table.ids
    np.testing.assert_array_equal(back.values, values)
    np.testing.assert_array_equal(back.bounds, ends)
    assert (back.columns, back.facts) == (kaggle.columns, {"tree": "kaggle"})
    text = (tmp_path / f"p{suffix}").read_bytes().replace(b"CONTINUE  '", b"")
    assert b"Is there anything odd? nothing odd" in text
    assert b"stat.probability;src.morph;stat.max" in text


def test_an_astropy_table_has_the_facts_of_a_file_and_single_precision(
    tmp_path, kaggle, make_fractions
):
    values = make_fractions(kaggle, 3).astype(np.float64)
    facts = {"model": "run", "date": "2026-11-29T12:00:00"}
    table = Predictions(
        ("1", "2", "3"), kaggle.columns, values, bounds=Bounds(values / 2, values), facts=facts
    )
    table.write(tmp_path / "p.ecsv", kaggle)
    for each in (table, Predictions.read(tmp_path / "p.ecsv"), table.take(np.array([1]))):
        written = each.to_astropy(kaggle)
        assert written.meta == {"tree": "kaggle", **facts}
        assert {column.dtype.name for column in written.columns[1:].values()} == {"float32"}
        assert written["Class1.1"].unit == ""


@pytest.mark.parametrize(
    "told", ["no JSON", "3", '["a"]', '["a", "a"]', '["a", 3]', '{"a": 1, "b": 2}']
)
def test_names_of_answers_that_do_not_fit_a_table_are_left_alone(tmp_path, told):
    table = Predictions(("1",), ("x", "y"), np.zeros((1, 2)), facts={"answers": told})
    table.write(tmp_path / "p.parquet")
    assert Predictions.read(tmp_path / "p.parquet").columns == ("x", "y")


def test_a_fact_of_a_file_that_is_no_json_is_no_fact(tmp_path):
    rows = pa.table({"id": ["1"], "a": [0.5]}).replace_schema_metadata({"galaxyvotes.meta": "{"})
    pq.write_table(rows, tmp_path / "p.parquet")
    assert Predictions.read(tmp_path / "p.parquet").facts == {}


def test_sides_that_do_not_fit_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match=r"\(2, 1\) fractions for 1 galaxy × 1 answer"):
        Predictions(("1",), ("a",), np.zeros((2, 1), np.float32))
