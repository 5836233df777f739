import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import ConfigError, DataError, GalaxyMap, odd
from galaxyvotes.search.galaxy_map import map_schema
from galaxyvotes.search.interest import expected_stars, interest, read_stars


@pytest.fixture
def two_kinds(tmp_path) -> GalaxyMap:
    """A hundred common galaxies, eight rings and eight artefacts, which are odder."""
    random = np.random.default_rng(0)
    middles = np.repeat([[5.0, 1, 1, 0], [1.0, 5, 0, 1], [1.0, 0, 5, 0]], [100, 8, 8], axis=0)
    scatter = np.repeat([0.1, 0.8, 1.0], [100, 8, 8])[:, None]
    vectors = middles + scatter * random.normal(size=middles.shape)
    ids = [f"common{n}" for n in range(100)] + [
        f"{k}{n}" for k in ("ring", "bad") for n in range(8)
    ]
    schema = map_schema(4, neighbours=False, thumbnails=False, meta={})
    columns = [ids, [0.0] * 116, [0.0] * 116, vectors.tolist()]
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "map.parquet")
    return GalaxyMap.open(tmp_path / "map.parquet")


def test_stars_bring_galaxies_of_their_kind_to_the_top(two_kinds):
    plain = odd(two_kinds, 10).ids
    assert sum(name.startswith("bad") for name in plain) > 3
    found = odd(two_kinds, 6, stars={"ring0": 5, "ring1": 4, "bad0": 0, "bad1": 0, "common0": 0})
    assert all(name.startswith("ring") for name in found.ids)
    assert found.starred == 5
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_galaxies_that_have_stars_are_left_out(two_kinds):
    found = odd(two_kinds, 200, stars={"ring0": 5, "bad0": 0})
    assert len(found) == 114
    assert not {"ring0", "bad0"} & set(found.ids)


def test_stars_that_are_all_alike_leave_the_order_as_it_was(two_kinds):
    plain = [name for name in odd(two_kinds, 116).ids if name not in ("bad0", "ring3")]
    assert [*odd(two_kinds, 116, stars={"bad0": 0, "ring3": 0}).ids] == plain
    assert odd(two_kinds, 5, stars={}).ids == odd(two_kinds, 5).ids


def test_expected_stars_lie_between_0_and_5_and_nearly_at_those_given(two_kinds):
    rows, stars = np.array([0, 1, 101, 102, 110]), np.array([0.0, 0, 5, 5, 0])
    expected = expected_stars(two_kinds.representations, rows, stars)
    assert (expected.min(), expected.max()) >= (0, 0)
    assert expected.max() <= 5
    assert expected[100:108].mean() > 3.5
    assert expected[:100].max() < 1.5


def test_the_score_is_that_of_astronomaly_with_alpha_0(two_kinds):
    rows, stars = np.array([0, 101]), np.array([0.0, 5])
    oddness = np.arange(116, dtype=np.float32)
    scores = interest(two_kinds.representations, oddness, rows, stars)
    expected = expected_stars(two_kinds.representations, rows, stars)
    assert np.allclose(scores, oddness / 116 * np.tanh(np.arctanh(0.1 + 0.85 * expected / 5)))


def test_stars_come_from_a_table_of_any_format(two_kinds, tmp_path):
    (tmp_path / "stars.csv").write_text("GalaxyID,stars\nring0,5\nring1,\nbad0,0\n")
    assert read_stars(tmp_path / "stars.csv") == {"ring0": 5, "bad0": 0}
    table = pa.table({"class": ["x", "y"], "id": ["ring0", "bad0"], "stars": [5, 0]})
    pq.write_table(table, tmp_path / "stars.parquet")
    by_file = odd(two_kinds, 5, stars=tmp_path / "stars.parquet")
    assert by_file.ids == odd(two_kinds, 5, stars={"ring0": 5, "bad0": 0}).ids


def test_stars_name_galaxies_by_a_column_of_ids_or_by_their_files(two_kinds, tmp_path):
    rows = "survey,Stars,image,objid\nsdss,5,in/ring0.jpg,bad0\nsdss,0,in/bad0.jpg,ring0\n"
    (tmp_path / "stars.csv").write_text(rows)
    assert read_stars(tmp_path / "stars.csv") == {"bad0": 5, "ring0": 0}
    by_file = odd(two_kinds, 5, stars=tmp_path / "stars.csv", id_column="image")
    assert by_file.ids == odd(two_kinds, 5, stars={"ring0": 5, "bad0": 0}).ids
    with pytest.raises(ConfigError, match="no column 'name' for ids, it has survey, image, objid"):
        odd(two_kinds, stars=tmp_path / "stars.csv", id_column="name")
    with pytest.raises(ConfigError, match="and none is named"):
        odd(two_kinds, stars={"ring0": 5}, id_column="name")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,votes\na,1\n", "has the columns id, votes; expected one of ids, and `stars`"),
        ("z,stars\n0.5,1\n", "no column of texts or whole numbers that could be ids, only z"),
        ("file,stars\na/ring0.jpg,1\nring0,2\n", "galaxy 'ring0' has stars twice"),
        ("id,stars\na,many\n", "line 2: stars is 'many'; expected a number"),
        ("id,stars\na,6\n", "galaxy 'a' has 6 stars; expected 0 to 5"),
        ("id,stars\na,-1\n", "galaxy 'a' has -1 stars"),
        ("id,stars\na,1\nb,2\na,3\n", "line 4: galaxy 'a' is there twice"),
        ("id,stars\n", "is empty"),
        ("id,stars\nnowhere,1\n", "has no galaxy 'nowhere'"),
    ],
)
def test_stars_that_make_no_sense_are_refused(two_kinds, tmp_path, text, message):
    (tmp_path / "stars.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        odd(two_kinds, stars=tmp_path / "stars.csv")


def test_a_table_of_stars_that_is_not_there_is_refused(two_kinds, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        odd(two_kinds, stars=tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="has nan stars"):
        odd(two_kinds, stars={"ring0": float("nan")})


def test_a_page_and_a_table_say_what_the_scores_are(two_kinds, tmp_path):
    found = odd(two_kinds, 5, stars={"ring0": 5})
    page = found.contact_sheet(tmp_path / "odd.html").read_text("utf-8")
    assert "and most like those of 1 galaxy with many stars" in page
    field = found.to_table().schema.field("score")
    assert b"stars that are expected" in field.metadata[b"description"]
