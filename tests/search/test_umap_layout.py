import numpy as np
import pyarrow.parquet as pq
import pytest

from galaxyvotes import ConfigError, MissingExtraError, embed
from galaxyvotes.search import umap_layout
from galaxyvotes.search.neighbours import nearest
from galaxyvotes.search.projection import Projection
from galaxyvotes.search.umap_layout import umap_points


@pytest.fixture
def groups() -> np.ndarray:
    """Three kinds of galaxies, in twenty dimensions."""
    random = np.random.default_rng(0)
    middles = np.repeat(random.gamma(0.5, size=(3, 20)), 30, axis=0)
    return (middles + 0.2 * random.random((90, 20))).astype(np.float32)


def placed(vectors: np.ndarray, count: int = 15) -> np.ndarray:
    near = nearest(vectors, vectors, count, np.arange(len(vectors)))
    return umap_points(Projection.fit(vectors).points(vectors), near)


def test_groups_lie_apart_and_always_at_the_same_places(groups):
    pytest.importorskip("umap", reason="needs the extra `umap`")
    points = placed(groups)
    assert np.array_equal(points, placed(groups))
    near = nearest(points - points.mean(axis=0), points - points.mean(axis=0), 5, np.arange(90))
    kinds = np.arange(90) // 30
    assert (kinds[near.rows] == kinds[:, None]).mean() > 0.9


@pytest.mark.parametrize("galaxies", [1, 3, 4, 6])
def test_few_galaxies_have_places_too(groups, galaxies):
    pytest.importorskip("umap", reason="needs the extra `umap`")
    points = placed(groups[:galaxies])
    assert points.shape == (galaxies, 2)
    assert np.isfinite(points).all()


def test_a_map_says_how_it_was_made_and_keeps_as_many_neighbours(blobs, blob_run, tmp_path):
    pytest.importorskip("umap", reason="needs the extra `umap`")
    how = {"run": blob_run, "projection": "umap", "neighbours": 3, "progress": False}
    made = embed(blobs, tmp_path / "map.parquet", **how).map
    assert made.neighbour_distances.shape == (80, 3)
    field = pq.read_schema(made.path).field("x")
    assert field.metadata[b"description"] == b"UMAP, first axis"


def test_what_cannot_be_placed_is_refused_first(blobs, blob_run, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="projection is 'tsne'; expected pca or umap"):
        embed(blobs, tmp_path / "map.parquet", run=blob_run, projection="tsne")
    monkeypatch.setattr(umap_layout, "import_module", _not_there)
    with pytest.raises(MissingExtraError, match="umap-learn"):
        embed(blobs, tmp_path / "map.parquet", run=blob_run, projection="umap")


def _not_there(name: str) -> None:
    raise ImportError(name)
