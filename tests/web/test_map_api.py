import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.path import Path as Polygon

from galaxyvotes import ConfigError, DataError, serve
from galaxyvotes.search.neighbours import nearest


def numbers(answered) -> np.ndarray:
    return np.frombuffer(answered.content, "<f4")


def test_points_stand_in_the_order_of_the_catalogue(mapped, zoo, zoo_map):
    x, y = np.split(numbers(mapped.get("/points")), 2)
    assert len(x) == len(zoo.predictions.ids)
    assert np.isnan(x[:10]).all()
    rows = zoo_map.rows_of(zoo.predictions.ids[10:])
    assert np.array_equal(np.column_stack([x, y])[10:], zoo_map.points[rows])


def test_points_have_the_values_of_any_column(mapped, zoo):
    found = numbers(mapped.get("/points/values?column=Class1.1"))
    assert np.allclose(found, zoo.predictions.values[:, 0])
    assert mapped.get("/points/values?column=nothing").status_code == 422


def test_a_lasso_selects_what_lies_inside(mapped, zoo, zoo_map):
    corners = [(-1.0, -1.2), (1.3, -0.7), (0.2, 0.1), (0.9, 1.4), (-1.1, 0.8)]
    lasso = ";".join(f"{x},{y}" for x, y in corners)
    inside = Polygon(corners).contains_points(zoo_map.points)
    expected = {name for name, here in zip(zoo_map.ids, inside, strict=True) if here}
    chosen = np.frombuffer(mapped.get(f"/points/selected?lasso={lasso}").content, np.uint8)
    ids = {name for name, here in zip(zoo.predictions.ids, chosen, strict=True) if here}
    assert ids == expected - {"stranger"}
    assert 10 < len(ids) < 120
    page = mapped.get(f"/galaxies?lasso={lasso}&limit=500&filter=Class1.1:0.3..").json()
    smooth = dict(zip(zoo.predictions.ids, zoo.predictions.values[:, 0], strict=True))
    assert {one["id"] for one in page["galaxies"]} == {name for name in ids if smooth[name] >= 0.3}
    counted = mapped.get(f"/histograms?column=Class1.1&lasso={lasso}").json()["Class1.1"]
    assert sum(counted["counts"]) == len(ids)
    queue = mapped.get(f"/queue?labeller=Eve&limit=100&lasso={lasso}").json()["galaxies"]
    assert len(queue) == min(len(ids), 100)
    assert set(queue) <= ids


@pytest.mark.parametrize("lasso", ["1", "1,2;3,4", "1,2;3,4;x,5", "1,2;3,4;inf,5", "1,2,3;3,4;5,6"])
def test_a_lasso_that_is_none_is_refused(mapped, lasso):
    answered = mapped.get("/galaxies", params={"lasso": lasso})
    assert answered.status_code == 422
    assert "expected X,Y;X,Y;…" in answered.json()["error"]


def test_a_lasso_of_too_many_corners_is_refused(mapped):
    lasso = ";".join(f"{n},{n}" for n in range(201))
    assert mapped.get("/galaxies", params={"lasso": lasso}).status_code == 422


def test_the_row_of_a_galaxy_has_its_place(mapped, zoo_map):
    columns = mapped.get("/galaxies/g0020").json()["columns"]
    place = zoo_map.points[zoo_map.row_called("g0020")]
    assert [columns["map_x"], columns["map_y"]] == pytest.approx(place.tolist())


def test_rows_have_names(mapped, zoo):
    found = mapped.get("/points/names?row=3&row=1&row=99999&row=-1").json()
    assert {one["row"]: one["id"] for one in found} == {n: zoo.predictions.ids[n] for n in (1, 3)}


def test_similar_galaxies_are_the_nearest_of_the_map(mapped, zoo_map):
    name = zoo_map.ids[5]
    expected = nearest(zoo_map.representations, zoo_map.representations[[5]], 4, np.array([5]))
    found = mapped.get("/similar", params={"id": name, "count": 4}).json()
    assert [one["id"] for one in found["galaxies"]] == [zoo_map.ids[n] for n in expected.rows[0]]
    assert found["galaxies"][0]["distance"] == pytest.approx(float(expected.distances[0, 0]))
    assert mapped.get("/similar?id=nobody").status_code == 422
    assert mapped.get("/about").json()["catalogue"]["map"] is True


def test_a_map_is_a_catalogue_itself(start, zoo_map):
    client = start(zoo_map.path, workers=1)
    assert np.array_equal(numbers(client.get("/points")), zoo_map.points.T.reshape(-1))
    assert client.get("/similar", params={"id": zoo_map.ids[0]}).status_code == 200


def test_a_server_without_a_map_says_so(site):
    for address in ("/points", "/similar?id=g0001"):
        answered = site.get(address)
        assert answered.status_code == 422
        assert "this server has no map" in answered.json()["error"]
    assert site.get("/galaxies?lasso=0,0;1,0;1,1").status_code == 422
    assert site.get("/about").json()["catalogue"]["map"] is False


def test_a_map_of_nothing_or_without_places_is_refused(zoo, tmp_path, zoo_map):
    table = pq.read_table(zoo_map.path)
    with pytest.raises(ConfigError, match="`galaxy_map=…` is the map of a catalogue"):
        serve(galaxy_map=zoo_map.path, port=0)
    pq.write_table(table.drop_columns(["x"]), tmp_path / "flat.parquet")
    with pytest.raises(DataError, match="has no columns `x` and `y`"):
        serve(zoo.table, galaxy_map=tmp_path / "flat.parquet", port=0)
