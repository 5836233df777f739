import numpy as np
import pytest

from galaxyvotes import ConfigError, DataError, GalaxyMap, MissingExtraError, embed, odd, similar
from galaxyvotes.search import index as module
from galaxyvotes.search.index import NeighbourIndex, path_of_index, write_index
from galaxyvotes.search.neighbours import nearest

pytest.importorskip("usearch", reason="needs the extra `search`")


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).gamma(0.5, size=(500, 24)).astype(np.float32)


@pytest.fixture
def built(vectors, tmp_path, monkeypatch) -> tuple[NeighbourIndex, dict]:
    """An index of four graphs."""
    monkeypatch.setattr(module, "_GALAXIES", 150)
    monkeypatch.setattr(module, "_TOGETHER", 64)
    facts = write_index(vectors, tmp_path / "index", progress=False)
    return NeighbourIndex.open(tmp_path / "index", facts, *vectors.shape), facts


def test_it_finds_nearly_all_of_the_nearest_at_nearly_their_distances(vectors, built):
    found, own = built[0], np.arange(500)
    exact = nearest(vectors, vectors, 10, own)
    near = found.nearest(vectors, 10, own)
    assert near is not None
    shared = [len({*a} & {*b}) for a, b in zip(near.rows, exact.rows, strict=True)]
    assert np.mean(shared) > 9.8
    assert np.allclose(near.distances, exact.distances, atol=2e-3)
    assert not (near.rows == own[:, None]).any()
    assert (np.diff(near.distances, axis=1) >= 0).all()


def test_threads_and_company_change_nothing(vectors, built):
    together = built[0].nearest(vectors[:9], 5, threads=2)
    alone = [built[0].nearest(vectors[row : row + 1], 5) for row in range(9)]
    assert np.array_equal(together.rows, np.concatenate([part.rows for part in alone]))


def test_it_always_comes_out_the_same(vectors, built, tmp_path):
    assert write_index(vectors, tmp_path / "again", progress=False) == built[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "index"]


def test_more_neighbours_than_galaxies_are_as_many_as_there_are(vectors, built):
    few = built[0].nearest(vectors[:2], 1000, np.arange(2))
    assert few is None or few.rows.shape == (2, 499)
    assert built[0].nearest(vectors[:0], 3).rows.shape == (0, 3)


def test_a_damaged_index_is_refused(vectors, built, tmp_path):
    path, facts = tmp_path / "index", built[1]
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)
    with pytest.raises(DataError, match=r"its digest cannot be right; .* remove it, and galaxies"):
        NeighbourIndex.open(path, facts, *vectors.shape)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be used"):
        NeighbourIndex.open(path, facts, *vectors.shape)
    for wrong in ({}, facts | {"graphs": "1,x"}, facts | {"graphs": "3"}, facts | {"graphs": 4}):
        with pytest.raises(DataError, match="cannot be used"):
            NeighbourIndex.open(path, wrong, *vectors.shape)


@pytest.fixture(scope="module")
def indexed(blobs, blob_run, tmp_path_factory) -> GalaxyMap:
    out = tmp_path_factory.mktemp("indexed") / "map.parquet"
    return embed(blobs, out, run=blob_run, neighbours=4, index=True, progress=False).map


def test_a_map_with_an_index_finds_what_one_without_finds(indexed, blob_map, blobs, blob_run):
    assert path_of_index(indexed.path).is_file()
    assert indexed.index is not None
    assert blob_map.index is None
    by_index, exact = (
        similar(indexed, indexed.ids, count=3),
        similar(blob_map, blob_map.ids, count=3),
    )
    assert "representations" not in vars(indexed)
    assert np.allclose(by_index.distances, exact.distances, atol=1e-3)
    (image,) = blobs.rglob(f"{indexed.ids[5]}.jpg")
    found = similar(indexed, images=image, run=blob_run, count=2, progress=False)
    assert found.distances[0, 0] == pytest.approx(0, abs=1e-3)
    assert np.allclose(indexed.neighbour_distances, blob_map.neighbour_distances, atol=1e-3)


def test_without_its_index_a_map_is_searched_exactly(indexed, blob_map, tmp_path, monkeypatch):
    alone = tmp_path / "map.parquet"
    alone.write_bytes(indexed.path.read_bytes())
    assert GalaxyMap.open(alone).index is None
    assert np.array_equal(
        similar(alone, indexed.ids[:3]).distances, similar(blob_map, indexed.ids[:3]).distances
    )
    monkeypatch.setattr(module, "new_graph", _no_usearch)
    assert GalaxyMap.open(indexed.path).index is None


def test_an_index_of_another_map_is_refused(indexed, tmp_path):
    other = tmp_path / "map.parquet"
    other.write_bytes(indexed.path.read_bytes())
    path_of_index(other).write_bytes(b"another")
    with pytest.raises(DataError, match=r"map\.parquet\.index cannot be used"):
        similar(other, indexed.ids[0])


def test_odd_galaxies_are_found_by_the_index_of_a_map_without_neighbours(
    blobs, blob_run, blob_map, tmp_path
):
    how = {"run": blob_run, "neighbours": 0, "index": True, "progress": False}
    plain = embed(blobs, tmp_path / "map.parquet", **how).map
    expected = odd(blob_map, 5)
    found = odd(plain, 80)
    assert set(found.ids[:3]) & set(expected.ids)
    again = embed(blobs, tmp_path / "map.parquet", run=blob_run, overwrite=True, progress=False)
    assert not path_of_index(again.path).exists()


def test_an_index_that_cannot_be_written_is_refused_first(blobs, blob_run, tmp_path, monkeypatch):
    path_of_index(tmp_path / "map.parquet").write_text("mine")
    with pytest.raises(ConfigError, match=r"map\.parquet\.index exists"):
        embed(blobs, tmp_path / "map.parquet", run=blob_run, index=True)
    monkeypatch.setattr("galaxyvotes.search.embed.new_graph", _no_usearch)
    with pytest.raises(MissingExtraError, match="usearch"):
        embed(blobs, tmp_path / "other.parquet", run=blob_run, index=True)


def _no_usearch(*_: object) -> None:
    raise MissingExtraError("usearch", "search")
