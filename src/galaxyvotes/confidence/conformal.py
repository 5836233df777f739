"""Prediction intervals that hold at a stated rate, whatever made the prediction: split conformal
prediction.

On galaxies that were not used for training, each answer's errors are divided by a scale that says
where errors are expected to be large, and a high quantile of these ratios is kept. A new galaxy's
interval is its prediction ± quantile × its scale. If it is exchangeable with the calibration
galaxies, the interval of an answer holds the volunteers' fraction with a chance of at least the
coverage, and at most that + 1 / (n + 1) unless errors tie, whatever the predictor, the scale and
the distribution. The chance is over calibration sets and galaxies together: that of one calibration
set varies, as Beta(k, n + 1 − k), by ± 0.03 for n = 100; and it is an average over galaxies, so a
kind that is rare and hard may be covered less.

What was chosen, and why:

- **The scale and the quantile never see the same galaxy.** A third of the galaxies, drawn from the
  seed, gives the scale, the rest the quantiles, so that the scale is a fixed function when the
  quantiles are taken and the guarantee is exact. Cross-fitting (CV+) would use every galaxy twice,
  but promises only 1 − 2α and must keep every score.
- **The scale is shared, the quantile is each answer's own** (Mondrian). A quantile absorbs how
  large an answer's errors are; the scale (see `error_scale`) only has to say how they vary, and
  three weights over all answers are what two dozen galaxies can settle.
- **An answer with too few galaxies gets 0–1**: its quantile is infinite, as the definition has it,
  and the guarantee stands. A quantile pooled over answers would look sharper and promise nothing
  for that answer.
- **Quantities have no range and no panel.** Their bounds are not clipped, and with too few galaxies
  there are none.

An interval is for what a *panel* of volunteers says, not for the fraction behind all panels: a
panel is what users can ask, and what the errors of calibration galaxies are measured against, so
its sampling noise is in the interval. The fraction behind has no noise and is held more often; a
narrower interval for it would rest on how much of the errors was noise, which is known on average
only. If it is known how many volunteers each calibration galaxy had, the scale holds the noise of
each, and galaxies with few volunteers get the wider intervals that they need: the guarantee is then
for a galaxy with its own number of volunteers. Where that is not known, as for one that nobody has
classified, the interval is for a panel of the typical size (the harmonic mean, because noise goes
as 1/n).

Sources: Papadopoulos et al. 2002, ECML, 345 (split conformal); Lei et al. 2018, JASA 113, 1094,
theorem 2.2 and section 5.2 (errors over their scale); Vovk et al. 2005, Algorithmic Learning in a
Random World, section 4.5 (Mondrian); Barber et al. 2021, Annals of Statistics 49, 486 (CV+);
Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning 16, 494, section 3.2 (the Beta
law).
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from galaxyvotes.confidence.error_scale import (
    cells_of,
    error_scale,
    error_unit,
    fit_weights,
    sampling_variance,
    typical_variance,
    variance_terms,
)
from galaxyvotes.confidence.prediction_intervals import (
    PredictionIntervals,
    check_difficulty,
    check_volunteers,
    checked_cells,
    panel_sizes,
    parent_indices,
)
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import ValueKind
from galaxyvotes.predictions import Values
from galaxyvotes.runtime.counted import agreeing
from galaxyvotes.tree import DecisionTree

__all__ = [
    "COVERAGE",
    "MIN_ASKED",
    "fit_intervals",
    "galaxies_needed",
    "largest_coverage",
    "split_galaxies",
]

COVERAGE = 0.9
MIN_ASKED = 0.25  # of everybody, for a conditional fraction to count
SCALE_SHARE = 1 / 3  # of the galaxies, which give the scale


def fit_intervals(
    labels: Values,
    predicted: Values,
    tree: DecisionTree,
    difficulty: Values | None = None,
    *,
    kind: ValueKind = "joint",
    coverage: float = COVERAGE,
    min_asked: float = MIN_ASKED,
    volunteers: Values | None = None,
    columns: Sequence[str] | None = None,
    seed: int = 0,
) -> PredictionIntervals:
    """What gives prediction intervals for joint or conditional fractions or for quantities, from
    galaxies that the predictor never saw.

    Galaxies it was trained on, or that chose its best epoch, do not do: their errors are too small.

    Both arrays are joint fractions (0–1) or quantities; labels that are NaN are not known, and left
    out answer by answer. `difficulty` (0 or more, in any unit) is a spread of the predictions over
    views or networks, of the kind that intervals are for. `volunteers` is how many people each
    joint fraction comes from (see `DecisionTree.volunteers`); NaN where not known, which counts as
    typical. `columns` names the answers that the arrays hold, if not all of them.

    Of conditional fractions, a cell counts if at least `min_asked` of everybody were asked, by the
    labels and by the prediction; the guarantee is for galaxies of which both are true.

    Raises DataError if no answer has enough galaxies for the coverage, which says how many are
    needed; ConfigError if the coverage or `min_asked` is out of range, or if the tree does not have
    values of that kind; ValueError for arrays that do not fit each other.
    """
    check_coverage(coverage, len(labels))
    if not 0 < min_asked <= 1:
        raise ConfigError(f"min_asked is {min_asked}: expected above 0 to 1")
    names = tree.columns if columns is None else tuple(columns)
    tree.check_values(kind, names)
    check_volunteers(kind, volunteers)
    asked_of = tree.parents_of(names)
    cells = checked_cells(predicted, names, asked_of, kind, min_asked)
    if labels.shape != predicted.shape:
        raise ValueError(
            f"the labels have shape {labels.shape}, the predictions have {predicted.shape}"
        )
    check_difficulty(difficulty, cells)
    known = cells_of(labels, parent_indices(names, asked_of), kind, min_asked)
    errors = np.abs(known.values - cells.values)
    for_scale, for_quantile = split_galaxies(np.any(~np.isnan(errors), axis=1), seed)
    typical = typical_variance(known if kind == "quantity" else cells, for_scale)
    errors = errors / error_unit(kind, typical)
    terms = variance_terms(cells, typical, difficulty)
    sizes = _typical_sizes(volunteers, errors, for_scale)
    noise = sampling_variance(cells, panel_sizes(volunteers, sizes))
    weights = fit_weights(terms[for_scale], errors[for_scale], noise[for_scale])
    scores = errors[for_quantile] / error_scale(terms[for_quantile], weights, noise[for_quantile])
    by_fraction, by_answer, by_difficulty = weights.tolist()
    return PredictionIntervals(
        kind=kind,
        coverage=coverage,
        min_asked=min_asked,
        by_fraction=by_fraction,
        by_answer=by_answer,
        by_difficulty=None if difficulty is None else by_difficulty,
        columns=names,
        asked_of=asked_of,
        galaxies=tuple(np.count_nonzero(~np.isnan(scores), axis=0).tolist()),
        typical=tuple(typical.tolist()),
        quantiles=_quantiles(scores, errors, coverage),
        volunteers=tuple(sizes.tolist()),
    )


def check_coverage(coverage: float, galaxies: int) -> None:
    """Raise ConfigError for a coverage that cannot be, DataError if so many calibration galaxies
    are too few for it whatever is known of them.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage is {coverage}: expected between 0 and 1")
    if galaxies < galaxies_needed(coverage):
        raise _too_few(coverage, galaxies)


def _too_few(coverage: float, galaxies: int) -> DataError:
    lower = largest_coverage(galaxies)
    return DataError(
        f"intervals of {coverage:.4g} coverage need {galaxies_needed(coverage):,} calibration"
        f" galaxies or more whose fractions are known; here {agreeing(galaxies, 'is')}"
        f" {galaxies:,}. Give more galaxies that were not used in training, such as a larger share"
        " for validation, `splits=SplitSettings(0.4, 0.3, 0.3)`"
        + (f"; or ask for a lower coverage, `coverage={lower:g}`" if lower else "")
    )


def largest_coverage(galaxies: int) -> float:
    """The largest coverage, in steps of 5 %, whose intervals so many galaxies can give; 0 if that
    is less than a half.
    """
    steps = (step / 20 for step in range(19, 9, -1))
    return next((coverage for coverage in steps if galaxies_needed(coverage) <= galaxies), 0.0)


def galaxies_needed(coverage: float = COVERAGE) -> int:
    """The smallest calibration set, of galaxies whose fractions are all known, that gives finite
    intervals.
    """
    number = 1
    while _rank(number - _for_scale(number), coverage) > number - _for_scale(number):
        number += 1
    return number


def split_galaxies(
    known: Bool[np.ndarray, " galaxy"], seed: int
) -> tuple[Int[np.ndarray, " one"], Int[np.ndarray, " other"]]:
    """The galaxies that give the scale, and those that give the quantiles; those without a known
    error give nothing.
    """
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    return drawn[: _for_scale(len(drawn))], drawn[_for_scale(len(drawn)) :]


def _for_scale(galaxies: int) -> int:
    """How many galaxies of a calibration set give the scale."""
    return round(galaxies * SCALE_SHARE)


def _quantiles(
    scores: Float[np.ndarray, "galaxy answer"],
    errors: Float[np.ndarray, "all_galaxies answer"],
    coverage: float,
) -> tuple[float, ...]:
    """The quantile of each answer's scores; DataError if all are infinite."""
    quantiles = tuple(_quantile(column[~np.isnan(column)], coverage) for column in scores.T)
    if all(math.isinf(quantile) for quantile in quantiles):
        raise _too_few(coverage, int(np.count_nonzero(~np.isnan(errors), axis=0).max(initial=0)))
    return quantiles


def _quantile(scores: Float[np.ndarray, " galaxy"], coverage: float) -> float:
    """The finite-sample quantile; infinite if there are too few scores for it."""
    rank = _rank(len(scores), coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def _rank(galaxies: int, coverage: float) -> int:
    """Which of the scores in rising order is the quantile: ⌈(n + 1)(1 − α)⌉. Source: Lei et al.
    2018, section 2.2.
    """
    return math.ceil((galaxies + 1) * coverage - 1e-9)


def _typical_sizes(
    volunteers: Values | None, errors: Values, rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " answer"]:
    """Per answer, the harmonic mean of the numbers of volunteers of these rows; infinite if none is
    known.
    """
    sizes = np.full(errors.shape[1], np.inf)
    if volunteers is None:
        return sizes
    known = (volunteers[rows] >= 1) & ~np.isnan(errors[rows])
    shares = np.where(known, 1 / np.where(known, volunteers[rows], 1), 0).sum(axis=0)
    return np.divide(known.sum(axis=0), shares, out=sizes, where=shares > 0)
