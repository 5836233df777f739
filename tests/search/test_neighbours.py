import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from galaxyvotes.search import neighbours
from galaxyvotes.search.neighbours import nearest, nearest_of_each, unit_vectors


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).gamma(0.5, size=(101, 7)).astype(np.float32)


@pytest.mark.parametrize(("queries", "block"), [(1024, 8192), (16, 10), (1, 101), (7, 3)])
def test_the_nearest_are_those_of_scikit_learn_whatever_the_blocks(
    vectors, monkeypatch, queries, block
):
    monkeypatch.setattr(neighbours, "_QUERIES", queries)
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    reference = NearestNeighbors(metric="cosine", algorithm="brute").fit(vectors)
    distances, rows = reference.kneighbors(n_neighbors=5)
    parts = list(nearest_of_each(vectors, 5))
    assert np.array_equal(np.concatenate([part.rows for part in parts]), rows)
    assert np.allclose(np.concatenate([part.distances for part in parts]), distances, atol=1e-6)


def test_a_galaxy_is_no_neighbour_of_itself_but_one_with_the_same_pixels_is(vectors):
    twice = np.concatenate([vectors, vectors[:3]])
    found = nearest(twice, twice[:3], 4, np.arange(3))
    assert found.rows[:, 0].tolist() == [101, 102, 103]
    assert np.allclose(found.distances[:, 0], 0, atol=1e-6)
    assert not (found.rows == np.arange(3)[:, None]).any()


def test_there_are_no_more_neighbours_than_other_galaxies(vectors):
    assert nearest(vectors[:3], vectors[:1], 10, np.array([0])).rows.shape == (1, 2)
    assert nearest(vectors[:3], vectors[:1], 10).rows.shape == (1, 3)
    assert nearest(vectors[:1], vectors[:1], 10, np.array([0])).rows.shape == (1, 0)


def test_the_length_of_a_representation_does_not_matter(vectors):
    lengths = np.random.default_rng(1).uniform(0.1, 10, (101, 1)).astype(np.float32)
    plain, scaled = nearest(vectors, vectors[:9], 3), nearest(vectors * lengths, vectors[:9], 3)
    assert np.array_equal(plain.rows, scaled.rows)


def test_an_empty_representation_is_at_a_right_angle_to_all(vectors):
    assert np.array_equal(unit_vectors(np.zeros((1, 7), np.float32)), np.zeros((1, 7)))
    assert nearest(vectors, np.zeros((1, 7), np.float32), 2).distances.tolist() == [[1, 1]]
