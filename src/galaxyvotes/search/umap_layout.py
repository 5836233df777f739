"""A map on which groups of galaxies that look alike lie apart, by UMAP.

It begins with the principal components, so the map as a whole keeps their arrangement, and pulls
nearest neighbours together. Distances between groups mean little, and memory and time grow with the
number of galaxies (some kilobytes, and a millisecond, for each).

Source: McInnes, Healy & Melville 2018, arXiv:1802.03426, as umap-learn computes it.
"""

import warnings
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float32

from galaxyvotes.errors import MissingExtraError
from galaxyvotes.search.neighbours import Neighbours

__all__ = ["LEAST_NEIGHBOURS", "load_umap", "umap_points"]

LEAST_NEIGHBOURS = 15  # of each galaxy that it needs
_FEWEST = 4  # galaxies that can be arranged at all
_EXTENT = 10.0  # of the map that it begins with; umap-learn's own
_SEED = 0


def load_umap() -> Any:
    """The library; MissingExtraError without it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries that it would use if they were there
            return import_module("umap")
    except ImportError:
        raise MissingExtraError("umap-learn", "umap") from None


def umap_points(
    points: Float32[np.ndarray, "galaxy 2"], near: Neighbours
) -> Float32[np.ndarray, "galaxy 2"]:
    """Where galaxies lie on the map, from where their principal components have them and from their
    nearest neighbours; fewer than four galaxies stay where they are.

    Raises MissingExtraError without umap-learn.
    """
    umap, galaxies = load_umap(), len(points)
    if galaxies < _FEWEST:
        return points
    own = np.arange(galaxies)[:, None]
    rows = np.concatenate([own, near.rows], axis=1)
    distances = np.concatenate([np.zeros((galaxies, 1), np.float32), near.distances], axis=1)
    begin = points - points.min(axis=0)
    begin = _EXTENT * begin / max(float(begin.max()), 1e-12)
    model = umap.UMAP(
        n_neighbors=rows.shape[1],
        init=begin.astype(np.float32),
        precomputed_knn=(rows, distances, None),
        random_state=_SEED,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it could not place other galaxies, and never has to
        return np.asarray(model.fit_transform(points), np.float32)
