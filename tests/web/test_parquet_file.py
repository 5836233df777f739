"""The Parquet file of a table in any format, its ids, and its galaxies on a map."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import ConfigError, DataError, GalaxyMap, serve
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.selection import Selection

LONG = 587722981742084144


def test_ids_of_digits_in_a_csv_are_texts(tmp_path):
    (tmp_path / "answers.csv").write_text("id,Class1.1\n100001,0.5\n100002,0.25\n")
    with Catalogue.open(tmp_path / "answers.csv") as catalogue:
        assert catalogue.id_column == "id"
        assert catalogue.row_of("100002") == 1
        assert "id" not in catalogue.numbers


@pytest.mark.parametrize("name", ["cat.parquet", "cat.csv"])
def test_whole_numbers_are_ids_with_all_their_digits(tmp_path, name):
    columns = {"path": ["a.jpg", "b.jpg", "c.jpg"], "objid": [LONG, LONG + 2, 9], "z": [1, 2, 3]}
    if name == "cat.csv":
        rows = [f"{','.join(map(str, row))}\n" for row in zip(*columns.values(), strict=True)]
        (tmp_path / name).write_text(",".join(columns) + "\n" + "".join(rows))
    else:
        pq.write_table(pa.table(columns), tmp_path / name)
    with Catalogue.open(tmp_path / name) as catalogue:
        assert catalogue.id_column == "objid"
        assert catalogue.row_of(str(LONG + 2)) == 1
        assert catalogue.word_of("path", str(LONG + 2)) == "b.jpg"
        assert [row["id"] for row in catalogue.read([0, 2], ())] == [str(LONG), "9"]
        assert catalogue.rows(Selection(text=str(LONG)[-2:])).tolist() == [0]
        assert catalogue.rows(Selection(sort="objid")).tolist() == [2, 0, 1]
        with pytest.raises(DataError, match=r"no galaxy '9\.0'"):
            catalogue.row_of("9.0")
    with Catalogue.open(tmp_path / name, id_column="PATH") as catalogue:
        assert catalogue.row_of("c.jpg") == 2


def test_floats_are_no_ids_and_messages_name_the_table_of_the_user(tmp_path):
    (tmp_path / "cat.csv").write_text("id,path\n1.5,a.jpg\n2.0,b.jpg\n")
    with (
        pytest.raises(DataError, match="the column 'id' holds double, which can be no ids"),
        Catalogue.open(tmp_path / "cat.csv"),
    ):
        pass
    (tmp_path / "z.csv").write_text("z\n1.5\n2.0\n")
    with (
        pytest.raises(DataError, match=rf"^{tmp_path / 'z.csv'} has no column of texts"),
        Catalogue.open(tmp_path / "z.csv"),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=rf"^{tmp_path / 'cat.csv'} has no column 'objid' for ids"),
        Catalogue.open(tmp_path / "cat.csv", id_column="objid"),
    ):
        pass


@pytest.fixture
def numbered(zoo, tmp_path):
    """The zoo as a table in which each galaxy has a number, and the path of its image."""
    table = pq.read_table(zoo.table)
    paths = pa.array([f"images/{name}.jpg" for name in table.column("id").to_pylist()])
    numbers = pa.array(np.arange(len(table)) + LONG)
    table = table.set_column(0, "objid", numbers).add_column(1, "file", paths)
    pq.write_table(table, tmp_path / "numbered.parquet")
    return tmp_path / "numbered.parquet"


def test_images_and_a_map_call_galaxies_as_another_column_does(numbered, zoo, zoo_map, start):
    client = start(numbered, images=zoo.images, galaxy_map=zoo_map.path, workers=1)
    x, y = np.split(np.frombuffer(client.get("/points").content, "<f4"), 2)
    rows = zoo_map.rows_of(zoo.predictions.ids[10:])
    assert np.array_equal(np.column_stack([x, y])[10:], zoo_map.points[rows])
    galaxy = zoo.predictions.ids.index(zoo_map.ids[3])
    asked = zoo_map.representations[[3]]
    near = zoo_map.nearest(asked, 140, np.array([3])).rows[0]
    found = client.get("/similar", params={"id": str(LONG + galaxy), "count": 140}).json()
    places = {name: str(LONG + row) for row, name in enumerate(zoo.predictions.ids)}
    expected = [places.get(zoo_map.ids[row], "stranger") for row in near]
    assert [one["id"] for one in found["galaxies"]] == expected
    answered = client.get("/similar", params={"id": str(LONG)})
    assert answered.json()["error"] == f"map.parquet has no galaxy '{LONG}'"
    original = start(zoo.table, images=zoo.images, workers=1)
    expected = original.get("/galaxies/g0003/thumbnail").content
    assert client.get(f"/galaxies/{LONG + 3}/thumbnail").content == expected
    assert client.get("/galaxies/g0003/thumbnail").status_code == 404


def test_a_map_of_other_galaxies_shows_an_id_of_each_side(numbered, zoo_map, tmp_path):
    table = pq.read_table(zoo_map.path)
    others = pa.array([f"other{n}" for n in range(len(table))])
    pq.write_table(table.set_column(0, "id", others), tmp_path / "map.parquet")
    message = (
        f"map.parquet has not one of the galaxies of {numbered}: the map calls them like 'other0',"
        f" the column 'objid' like '{LONG}'; name .* `id_column=…`"
    )
    with pytest.raises(DataError, match=message):
        serve(numbered, galaxy_map=tmp_path / "map.parquet", port=0)


def test_thumbnails_of_a_map_are_found_by_its_own_ids(
    numbered, zoo_map, tmp_path, make_jpeg, start
):
    table = pq.read_table(zoo_map.path)
    thumbnails = [{"bytes": make_jpeg(n, side=32), "path": ""} for n in range(len(table))]
    pq.write_table(table.append_column("thumbnail", pa.array(thumbnails)), tmp_path / "map.parquet")
    client = start(numbered, galaxy_map=GalaxyMap.open(tmp_path / "map.parquet"), workers=1)
    same = start(tmp_path / "map.parquet", workers=1)
    name = zoo_map.ids[0]
    number = LONG + int(name.removeprefix("g"))
    expected = same.get(f"/galaxies/{name}/thumbnail").content
    assert client.get(f"/galaxies/{number}/thumbnail").content == expected
