import numpy as np
import pytest
from sklearn.decomposition import PCA

from galaxyvotes.search import projection
from galaxyvotes.search.neighbours import unit_vectors
from galaxyvotes.search.projection import Projection


def vectors(galaxies: int, features: int) -> np.ndarray:
    random = np.random.default_rng(0)
    scatter = np.linspace(0.1, 2, features)
    return (random.normal(3, 1, (galaxies, features)) * scatter).astype(np.float32)


def test_the_axes_are_those_of_scikit_learn_but_for_their_sign():
    representations = vectors(200, 6)
    reference = PCA(2, svd_solver="full").fit(unit_vectors(representations))
    fitted = Projection.fit(representations)
    signs = np.sign((fitted.axes * reference.components_).sum(axis=1, keepdims=True))
    assert np.allclose(fitted.axes, signs * reference.components_, atol=1e-4)
    expected = reference.transform(unit_vectors(representations)) * signs.T
    assert np.allclose(fitted.points(representations), expected, atol=1e-4)


def test_the_largest_component_of_each_axis_is_positive():
    axes = Projection.fit(vectors(50, 5)).axes
    assert (np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1) > 0).all()


def test_where_a_galaxy_lies_does_not_depend_on_the_others():
    representations = vectors(200, 256)
    fitted = Projection.fit(representations)
    alone = [fitted.points(representations[row : row + 1]) for row in range(200)]
    assert np.array_equal(np.concatenate(alone), fitted.points(representations))


def test_of_many_galaxies_some_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(projection, "SAMPLE", 11)
    representations = vectors(101, 4)
    assert np.array_equal(
        Projection.fit(representations).axes, Projection.fit(representations[::10]).axes
    )


@pytest.mark.parametrize(("galaxies", "features"), [(1, 5), (2, 5), (5, 1)])
def test_few_galaxies_or_features_have_a_map_too(galaxies, features):
    representations = vectors(galaxies, features)
    points = Projection.fit(representations).points(representations)
    assert points.shape == (galaxies, 2)
    assert np.isfinite(points).all()
