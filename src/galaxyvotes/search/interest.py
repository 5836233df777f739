"""Odd ones out that are interesting: what a person gave stars to, 0 to 5, changes the order.

The score of a galaxy is

    Â = A · (ε1 + ε2 · U / 5),  ε1 = 0.1, ε2 = 0.85

where A is the share of galaxies that are less odd, and U the stars that it would get, by ridge
regression on the directions of the representations of galaxies that have some.

This is the score of Astronomaly (Lochner & Bassett 2021, Astronomy and Computing 36, 100481),
Â = A · tanh(δ − 1 + arctanh(ε1 + ε2 · U / 5)), δ = exp(α d / d0), with α = 0. Their α = 1 trusts U
only near galaxies with stars (d: distance from the nearest, d0: its mean); among hundreds of
features all galaxies are about as far, so stars changed nearly nothing (docs/experiments.md). Nor
is U a random forest's here, which found fewer.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int64
from sklearn.linear_model import Ridge

from galaxyvotes.errors import DataError
from galaxyvotes.search.neighbours import Representations, unit_vectors
from galaxyvotes.tables.cells import NotANumber, numbers_of
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.ids import ids_of
from galaxyvotes.tables.table import Table

__all__ = ["MOST_STARS", "checked_stars", "expected_stars", "interest", "read_stars"]

MOST_STARS = 5
_LEAST, _SLOPE = 0.1, 0.85  # ε1, ε2
_PENALTY = 0.1  # of the regression; directions have length 1
_TOGETHER = 8192  # galaxies at a time
_COLUMN = "stars"


def read_stars(path: str | Path, id_column: str | None = None) -> dict[str, float]:
    """The stars in a table in any format, by the ids in `id_column`, or else where `tables.ids`
    finds them. Rows without stars are left out.

    Raises DataError if the file cannot be read, has no column `stars` or none of ids, has a galaxy
    twice, or stars that are no number of 0 to 5; ConfigError if there is no column `id_column`.
    """
    table = Table.open(path)
    header = table.header()
    column = Header(header).find(_COLUMN)
    if column is None:
        raise DataError(
            f"{path} has the columns {', '.join(header)}; expected one of ids, and `{_COLUMN}`"
            " (0 to 5)"
        )
    numbers = numbers_of(table.read().column(column))
    if isinstance(numbers, NotANumber):
        raise DataError(
            f"{table.at(numbers.row)}: {_COLUMN} is {numbers.word!r}; {numbers.expected}"
        )
    ids = ids_of(table, id_column, without=[column])
    found: dict[str, float] = {}
    for row, (name, number) in enumerate(zip(ids, numbers.tolist(), strict=True)):
        if np.isnan(number):
            continue
        if name in found:
            raise DataError(f"{table.at(row)}: galaxy {name!r} is there twice; keep one row")
        found[name] = number
    return checked_stars(found, str(path))


def checked_stars(stars: Mapping[str, float | int], where: str = "stars") -> dict[str, float]:
    """Stars of galaxies; DataError if one is no number of 0 to 5."""
    for name, number in stars.items():
        if not 0 <= number <= MOST_STARS:
            raise DataError(f"{where}: galaxy {name!r} has {number:g} stars; expected 0 to 5")
    return {name: float(number) for name, number in stars.items()}


def interest(
    representations: Representations,
    oddness: Float32[np.ndarray, " galaxy"],
    rows: Int64[np.ndarray, " starred"],
    stars: Float[np.ndarray, " starred"],
) -> Float32[np.ndarray, " galaxy"]:
    """The score of every galaxy (0–0.95) from its anomaly score and the stars of some rows."""
    ordered = np.sort(oddness)
    less_odd = np.searchsorted(ordered, oddness) / len(oddness)
    expected = expected_stars(representations, rows, stars)
    return (less_odd * (_LEAST + _SLOPE * expected / MOST_STARS)).astype(np.float32)


def expected_stars(
    representations: Representations,
    rows: Int64[np.ndarray, " starred"],
    stars: Float[np.ndarray, " starred"],
) -> Float32[np.ndarray, " galaxy"]:
    """The stars that each galaxy would get, 0 to 5."""
    mean = float(np.mean(stars))
    ridge = Ridge(_PENALTY, fit_intercept=False)
    ridge.fit(unit_vectors(np.asarray(representations[rows])), stars - mean)
    slopes = np.asarray(ridge.coef_, np.float32)
    parts = [
        unit_vectors(np.asarray(representations[start : start + _TOGETHER])) @ slopes
        for start in range(0, len(representations), _TOGETHER)
    ]
    return np.clip(np.concatenate(parts) + mean, 0, MOST_STARS).astype(np.float32)
