"""A map of galaxies in two dimensions: the two principal components of the directions of their
representations, along which these scatter most.

Source: Jolliffe 2002, Principal Component Analysis, section 3.5 (by singular value decomposition).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from galaxyvotes.search.neighbours import Representations, unit_vectors

__all__ = ["Projection"]

SAMPLE = 10_000  # galaxies that it is fitted on, at most


@dataclass(frozen=True, eq=False)
class Projection:
    """The middle of the directions, and the two axes."""

    middle: Float32[np.ndarray, " feature"]
    axes: Float32[np.ndarray, "2 feature"]

    @staticmethod
    def fit(representations: Representations) -> "Projection":
        """The projection of these galaxies, one or more; of many, of a sample taken evenly through
        them.

        The largest component of each axis is positive, so the map is never mirrored.
        """
        count = len(representations)
        rows = np.linspace(0, count - 1, min(count, SAMPLE)).round().astype(np.int64)
        directions = unit_vectors(np.asarray(representations[rows]))
        middle = directions.mean(axis=0, dtype=np.float64).astype(np.float32)
        axes = np.zeros((2, directions.shape[1]), np.float32)
        found = np.linalg.svd(directions - middle, full_matrices=False)[2][:2]
        axes[: len(found)] = found
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        return Projection(middle, axes * np.where(largest < 0, -1, 1).astype(np.float32))

    def points(self, representations: Representations) -> Float32[np.ndarray, "galaxy 2"]:
        """Where galaxies lie on the map, x and y; none depends on the others."""
        # A product of matrices rounds a row differently among few rows than among many.
        return np.einsum("gf,af->ga", unit_vectors(representations) - self.middle, self.axes)
