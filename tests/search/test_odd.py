import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import ConfigError, DataError, GalaxyMap, odd
from galaxyvotes.search.galaxy_map import map_schema


@pytest.fixture
def with_an_outlier(tmp_path) -> GalaxyMap:
    """Thirty galaxies in nearly one direction and one in another; without neighbours."""
    random = np.random.default_rng(0)
    vectors = np.concatenate([random.normal(5, 0.5, (30, 4)), [[9.0, -9, 9, -9]]])
    schema = map_schema(4, neighbours=False, thumbnails=False, meta={})
    ids = [f"g{row}" for row in range(31)]
    columns = [ids, [0.0] * 31, [0.0] * 31, vectors.tolist()]
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "map.parquet")
    return GalaxyMap.open(tmp_path / "map.parquet")


def test_the_galaxy_that_is_unlike_all_others_comes_first(with_an_outlier):
    found = odd(with_an_outlier.path, count=3)
    assert found.ids[0] == "g30"
    assert len(found) == 3
    assert found.scores[0] > 10 * found.scores[1] >= 10 * found.scores[2]
    assert repr(found) == "<OddGalaxies: 3 of 31 galaxies>"


def test_a_score_is_the_mean_distance_from_the_neighbours_of_the_map(blob_map):
    cells = pq.read_table(blob_map.path).column("neighbors").to_pylist()
    means = [np.mean(cell["distances"]) for cell in cells]
    found = odd(blob_map, count=80)
    assert np.allclose(found.scores, np.array(means)[found.rows], atol=1e-6)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_neighbours_that_are_damaged_are_refused(blob_map, tmp_path):
    table = pq.read_table(blob_map.path)
    kind = table.schema.field("neighbors").type
    place = table.schema.names.index("neighbors")
    for value in ({"ids": [1], "distances": [0.5]}, {"ids": [1] * 4, "distances": [3.0] * 4}):
        cells = table.column("neighbors").to_pylist()
        cells[5] = value
        changed = table.set_column(place, "neighbors", pa.array(cells, kind))
        pq.write_table(changed, tmp_path / "map.parquet")
        with pytest.raises(DataError, match="column `neighbors` is damaged"):
            odd(tmp_path / "map.parquet")
    changed = table.set_column(place, "neighbors", pa.array(range(80)))
    pq.write_table(changed, tmp_path / "map.parquet")
    with pytest.raises(DataError, match="column `neighbors` has no distances"):
        odd(tmp_path / "map.parquet")


def test_odd_galaxies_are_written_as_a_table_and_a_page(blob_map, tmp_path):
    found = odd(blob_map, count=5)
    lines = found.write(tmp_path / "odd.csv").read_text("utf-8").replace('"', "").splitlines()
    assert lines[0] == "id,score"
    assert len(lines) == 6
    page = found.contact_sheet(tmp_path / "odd.html").read_text("utf-8")
    assert page.count("<figure") == page.count("<img") == 5
    assert "The 5 galaxies of 80 that are most unlike" in page
    with pytest.raises(ConfigError, match="count is 0"):
        odd(blob_map, 0)
