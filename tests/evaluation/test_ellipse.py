import numpy as np
import pytest

from galaxyvotes.evaluation.ellipse import adaptive_moments, axes_of, grid_of, growth, quotient


def gaussian(side: int, ratio: float, angle: float, size: float) -> np.ndarray:
    """One galaxy: an elliptical Gaussian whose major axis has that standard deviation."""
    grid = grid_of(side)
    along = np.cos(angle) * grid.x + np.sin(angle) * grid.y
    across = (np.cos(angle) * grid.y - np.sin(angle) * grid.x) / ratio
    return np.exp(-(along**2 + across**2) / (2 * size**2)).astype(np.float32)[None]


def test_each_ring_of_a_grid_has_weights_that_add_up_to_one():
    grid = grid_of(64)
    assert grid.rings.sum(axis=0) == pytest.approx(1, abs=1e-4)
    assert grid.x.min() == -grid.x.max()


@pytest.mark.parametrize("angle", [0.0, 0.6, 2.1])
@pytest.mark.parametrize("side", [63, 64])
def test_adaptive_moments_give_the_axes_of_a_gaussian(side, angle):
    light = gaussian(side, 0.5, angle, 0.2)
    ratio, major, cos, sin = axes_of(*adaptive_moments(light, grid_of(side)))
    assert ratio[0] == pytest.approx(0.5, abs=0.02)
    assert np.sqrt(major[0]) == pytest.approx(0.2, rel=0.05)
    assert abs(cos[0] * np.cos(angle) + sin[0] * np.sin(angle)) == pytest.approx(1, abs=1e-3)


def test_radii_hold_their_share_of_the_light_of_a_gaussian():
    radii, total = growth(gaussian(96, 1.0, 0.0, 0.15), grid_of(96).radius[None])
    expected = [0.15 * np.sqrt(-2 * np.log(1 - part)) for part in (0.2, 0.5, 0.8)]
    assert radii[0] == pytest.approx(expected, rel=0.06)
    assert total[0] > 0


def test_a_quotient_of_nothing_is_zero():
    above, below = np.array([1, 4], np.float32), np.array([0, 2], np.float32)
    assert quotient(above, below).tolist() == [0, 2]
