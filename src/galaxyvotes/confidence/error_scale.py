"""How large errors are expected to be: the scale that intervals of unequal width need.

A cell is one galaxy's fraction of one answer, joint or conditional, or one of its quantities. A
fraction's expected squared error s² is a sum: the noise of a panel of n volunteers, p(1 − p)/n;
what a fraction p may be wrong by besides, p(1 − p); what is typical of its answer; and how
difficult the galaxy is, d, as a spread of predictions. A joint fraction whose question only a
fraction a is asked cannot be wrong by more, so what is typical falls with a; a conditional one
comes from a panel as small as a, so what goes with p(1 − p) rises:

    joint:       s² = 0.005² + p(1 − p) / n  + by_fraction · p(1 − p)     + by_answer · typical · a + by_difficulty · d²
    conditional: s² = 0.005² + p(1 − p) / an + by_fraction · p(1 − p) / a + by_answer · typical     + by_difficulty · d²

The noise has no weight: it is known, and panels of one size could not tell it from the second term.
Where n is not known it is left out, and the weights take its place.

A quantity has no panel and no end of its range to keep errors small. What is typical of it is the
variance of its values, and its errors are counted in their deviation (`unit_of`), so that all
quantities share the weights:

    quantity:    s² = 0.005² + by_answer + by_difficulty · d² / typical

Nothing here knows what a quantile is; `conformal` does.
"""

from collections.abc import Sequence
from itertools import compress, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.kinds import ValueKind
from galaxyvotes.tree import asked_fractions, conditional_fractions

__all__ = [
    "Cells",
    "cells_of",
    "fit_weights",
    "noise_of",
    "scale_of",
    "terms_of",
    "typical_variance",
    "unit_of",
]

Values = Float[np.ndarray, "galaxy answer"]
Terms = Float[np.ndarray, "galaxy answer 3"]

_LEAST = (
    0.005  # finer than one vote of a hundred; keeps every ratio of an error to its scale finite
)
_REWEIGHTINGS = 20  # at most: it settles in five to ten
_SETTLED = 1e-3


class Cells(NamedTuple):
    """The fractions (joint, or conditional: NaN where not reached) and how much of everybody is
    asked, in float64.

    Of quantities, the values; everybody has them.
    """

    values: Values
    asked: Values
    of: ValueKind


def cells_of(joint: Values, parents: Sequence[int], of: ValueKind, min_asked: float) -> Cells:
    """The cells of joint fractions, or of quantities; `parents` is the column whose givers are
    asked, -1 for all.
    """
    if of == "quantity":
        return Cells(joint.astype(np.float64), np.ones(joint.shape), of)
    asked = asked_fractions(joint, parents)
    if of == "joint":
        return Cells(joint.astype(np.float64).clip(0, 1), asked, of)
    return Cells(conditional_fractions(joint, asked, min_asked), asked, of)


def terms_of(
    cells: Cells, typical: Float[np.ndarray, " answer"], difficulty: Values | None
) -> Terms:
    """The three weighted terms of s², before they are; the last is zero without difficulty."""
    squared = (
        np.zeros(cells.values.shape) if difficulty is None else difficulty.astype(np.float64) ** 2
    )
    square = unit_of(cells.of, typical) ** 2
    return np.stack([_variance(cells), typical * _share(cells) / square, squared / square], axis=-1)


def unit_of(of: ValueKind, typical: Float[np.ndarray, " answer"]) -> Float[np.ndarray, " answer"]:
    """What errors and scales of each answer are counted in: 1 for fractions, its deviation for a
    quantity.
    """
    return np.sqrt(typical) if of == "quantity" else np.ones(len(typical))


def noise_of(cells: Cells, volunteers: Float[np.ndarray, "*galaxy answer"]) -> Values:
    """The sampling variance that panels of so many volunteers (all of a panel, asked or not) have
    in each cell.
    """
    return _variance(cells) / volunteers


def typical_variance(cells: Cells, rows: Int[np.ndarray, " row"]) -> Float[np.ndarray, " answer"]:
    """Per answer, its first term over these rows, a galaxy (joint: a galaxy asked); 0 if it is
    never asked.

    Of a quantity, the variance of its values that are known; 1 if they do not vary.
    """
    if cells.of == "quantity":
        known = [column[~np.isnan(column)] for column in cells.values[rows].T]
        return np.array(
            [column.var() if len(column) and np.ptp(column) > 0 else 1.0 for column in known]
        )
    variance, share = (np.nansum(part[rows], axis=0) for part in (_variance(cells), _share(cells)))
    return np.divide(variance, share, out=np.zeros(len(share)), where=share > 0)


def scale_of(terms: Terms, weights: Float[np.ndarray, "3"], noise: Values) -> Values:
    """The scale s of each cell, above zero; NaN where a cell is."""
    return np.sqrt(_LEAST**2 + noise + terms @ weights)


def fit_weights(terms: Terms, errors: Values, noise: Values) -> Float[np.ndarray, "3"]:
    """The weights, 0 or more, of the terms that best explain the squares of the errors beyond the
    noise.

    NaN errors are left out.

    Least squares, each cell weighted by the inverse square of its expected squared error, over
    again until it settles: so that small fractions, whose errors are small, count as much as large
    ones.

    Source: Carroll & Ruppert 1988, Transformation and Weighting in Regression, chapter 2
    """
    known = ~np.isnan(errors)
    if not known.any():
        return np.zeros(3)
    squared, unit, drawn = (
        errors[known] ** 2,
        np.maximum(terms[known].mean(axis=0), 1e-300),
        noise[known],
    )
    features = terms[known] / unit
    found = np.full(3, squared.mean() / 3)
    for _ in range(_REWEIGHTINGS):
        before, expected = found, _LEAST**2 + drawn + features @ found
        found = _least_squares(features / expected[:, None], (squared - drawn) / expected)
        if np.allclose(found, before, rtol=_SETTLED, atol=_SETTLED * squared.mean()):
            break
    return found / unit


def _least_squares(
    features: Float[np.ndarray, "cell feature"], values: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, " feature"]:
    """The coefficients, 0 or more, that come nearest to the values: the best of those with some of
    them held at 0.
    """
    gram, moments = features.T @ features, features.T @ values
    best, most = np.zeros(len(moments)), 0.0
    for chosen in product((False, True), repeat=len(moments)):
        places = list(compress(range(len(moments)), chosen))
        found = np.linalg.lstsq(gram[np.ix_(places, places)], moments[places])[0]
        explained = float(found @ moments[places])
        if (found >= 0).all() and explained > most:
            best, most = np.zeros(len(moments)), explained
            best[places] = found
    return best


def _variance(cells: Cells) -> Values:
    if cells.of == "quantity":
        return np.zeros(cells.values.shape)
    variance = cells.values * (1 - cells.values)
    if cells.of == "joint":
        return variance
    return np.divide(
        variance, cells.asked, out=np.full(variance.shape, np.nan), where=cells.asked > 0
    )


def _share(cells: Cells) -> Values:
    return cells.asked if cells.of == "joint" else np.where(np.isnan(cells.values), np.nan, 1.0)
