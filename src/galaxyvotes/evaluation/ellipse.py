"""The ellipse of a galaxy: its axes by adaptive moments, and the radii that hold its light.

A galaxy stands at the centre of a square image. Lengths are fractions of half a side, so pixels lie
between -1 and 1. Arrays have one row a galaxy and one column a pixel.

Source of adaptive moments: Bernstein & Jarvis 2002, AJ 123, 583.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

__all__ = ["RINGS", "TINY", "Grid", "adaptive_moments", "axes_of", "grid_of", "growth", "quotient"]

Pixels = Float32[np.ndarray, "galaxy pixel"]

RINGS = (0.0, 0.06, 0.12, 0.2, 0.3, 0.42, 0.56, 0.75, 1.0)
TINY = np.float32(1e-6)


@dataclass(frozen=True)
class Grid:
    """The coordinates of the pixels of a square, from its centre, and what follows from them
    alone.
    """

    side: int
    x: Float32[np.ndarray, " pixel"]
    y: Float32[np.ndarray, " pixel"]
    radius: Float32[np.ndarray, " pixel"]
    moments: Float32[np.ndarray, "pixel 4"]  # 1, x², xy, y²
    rings: Float32[np.ndarray, "pixel ring"]  # each sums to 1


@lru_cache(maxsize=8)
def grid_of(side: int) -> Grid:
    """The grid of a square of that many pixels a side."""
    along = ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)
    y, x = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    radius = np.hypot(x, y)
    moments = np.stack([np.ones_like(x), x * x, x * y, y * y], axis=1)
    rings = np.stack([(radius >= low) & (radius < high) for low, high in pairwise(RINGS)], axis=1)
    rings = (rings / np.maximum(rings.sum(axis=0), 1)).astype(np.float32)
    return Grid(side, x, y, radius, moments, rings)


def adaptive_moments(light: Pixels, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variances xx, xy, yy of the Gaussian that is its own best weight: eight steps from a round
    one.

    The light is equal at opposite pixels, so half of the pixels are enough.
    """
    half = (light.shape[1] + 1) // 2
    light, moments = light[:, :half], grid.moments[:half].copy()
    moments[half - 1 :] *= np.float32(0.5 if grid.side % 2 else 1)  # the centre is opposite itself
    xx, yy = (np.full(len(light), 0.04, np.float32) for _ in range(2))
    xy = np.zeros(len(light), np.float32)
    for _ in range(8):
        determinant = xx * yy - xy * xy
        inverse = np.stack([np.zeros_like(xx), yy, -2 * xy, xx], axis=1) / (
            -2 * determinant[:, None]
        )
        inside, *found = ((np.exp(inverse @ moments.T) * light) @ moments).T
        xx, xy, yy = _bounded(*(2 * quotient(moment, inside) for moment in found))
    return xx, xy, yy


def _bounded(
    xx: np.ndarray, xy: np.ndarray, yy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same ellipse with its axes kept between 1.5 hundredths and 7 tenths of half a side."""
    mean, difference = (xx + yy) / 2, (xx - yy) / 2
    half = np.hypot(difference, xy)
    low, high = (np.clip(mean + sign * half, 0.015**2, 0.7**2) for sign in (-1, 1))
    mean, scale = (low + high) / 2, quotient((high - low) / 2, half)
    return mean + difference * scale, xy * scale, mean - difference * scale


def axes_of(
    xx: np.ndarray, xy: np.ndarray, yy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Axis ratio, variance along the major axis, and the cosine and sine of where that lies."""
    half = np.hypot((xx - yy) / 2, xy)
    major, minor = (xx + yy) / 2 + half, np.maximum((xx + yy) / 2 - half, 0)
    angle = np.arctan2(xy, (xx - yy) / 2) / 2
    return np.sqrt(quotient(minor, major)), major, np.cos(angle), np.sin(angle)


_STEPS = 64  # of elliptical radius, to one half side


def _step(elliptical: Pixels) -> np.ndarray:
    """Which step of elliptical radius each pixel is in, the last one holding all beyond."""
    return np.minimum(elliptical * np.float32(_STEPS), np.float32(_STEPS)).astype(np.int32)


def _sums(values: Pixels, groups: np.ndarray, number: int) -> Float32[np.ndarray, "galaxy group"]:
    """Per galaxy, the sums of the values of each group of its pixels."""
    flat = (groups + (np.arange(len(groups), dtype=np.int32) * number)[:, None]).ravel()
    return (
        np.bincount(flat, values.ravel(), len(groups) * number)
        .reshape(-1, number)
        .astype(np.float32)
    )


def growth(common: Pixels, elliptical: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Elliptical radii that hold 20, 50 and 80 % of the light inside one half side, and that
    light.
    """
    inside = np.cumsum(
        _sums(np.maximum(common, 0), _step(elliptical), _STEPS + 1)[:, :_STEPS], axis=1
    )
    total = inside[:, -1]
    radii: list[np.ndarray] = []
    for part in (0.2, 0.5, 0.8):
        wanted = total * np.float32(part)
        place = np.argmax(inside >= wanted[:, None], axis=1)
        rows = np.arange(len(inside))
        before = np.where(place > 0, inside[rows, place - 1], 0)
        radii.append((place + quotient(wanted - before, inside[rows, place] - before)) / _STEPS)
    return np.stack(radii, axis=1).astype(np.float32), total


def quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient; 0 where there is nothing to divide by."""
    return np.divide(
        above,
        below,
        out=np.zeros(np.broadcast(above, below).shape, np.float32),
        where=below > TINY,
    )
