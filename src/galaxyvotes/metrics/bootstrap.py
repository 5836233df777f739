"""Statistics, and their 95 % intervals by the bootstrap.

A *statistic* is a function of one weight a galaxy. With every weight one it is the number itself;
with weights that count how often each galaxy was drawn in a resample, it is a draw of the
bootstrap. So a number and its interval come from the same code. All but the area under a ROC curve
are functions of weighted sums over galaxies: a thousand resamples are one matrix product. Nothing
here knows what is measured; `metrics` says so.

Sources: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. Areas: Fawcett 2006,
Pattern Recognition Letters 27, 861, section 7 (the Wilcoxon statistic).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt8

__all__ = [
    "Interval",
    "Measure",
    "Statistic",
    "areas",
    "divide",
    "intervals",
    "mean_defined",
    "number",
    "ratio",
    "root",
    "value_of",
]

KEPT_BYTES = 2**27  # a thousand resamples of 80,000 galaxies are 80 MB

Measure = dict[str, float | None]  # value, low and high; None where undefined
Statistic = Callable[[Float[np.ndarray, "resample galaxy"]], Float[np.ndarray, " resample *values"]]


@dataclass(frozen=True)
class Interval:
    """A statistic and the ends of its 95 % interval: arrays of no axis, or of one value a question
    or an answer.
    """

    value: Float[np.ndarray, "*values"]
    low: Float[np.ndarray, "*values"]
    high: Float[np.ndarray, "*values"]

    def measure(self, *index: int) -> Measure:
        """That value and its ends, for a document."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {name: number(float(np.asarray(end)[index])) for name, end in ends.items()}


def number(value: float) -> float | None:
    """A number of a document, which has nothing where it is undefined."""
    return None if math.isnan(value) else float(value)


# ---- intervals


def intervals(
    statistics: Mapping[str, Statistic],
    galaxies: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
    fewer: Mapping[str, int] | None = None,
) -> dict[str, Interval]:
    """The 95 % intervals of functions of weights over galaxies, by name.

    Each takes weights (resample, galaxy) and gives (resample) or (resample, value). All see the
    same resamples; those named in `fewer` only so many of them, the first.

    Galaxies are drawn with replacement, as many as there are; the ends are the 2.5 and 97.5
    percentiles over resamples, without those in which the statistic is undefined. The seed and the
    number of galaxies settle the resamples.

    Source: Efron & Tibshirani 1993, section 13.3
    """
    if not galaxies:
        raise ValueError("no galaxies to draw from")
    draws: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    begun = 0
    for weights in _resampled(galaxies, resamples, seed):
        first: dict[int, np.ndarray] = {}
        for name, statistic in statistics.items():
            left = min((fewer or {}).get(name, resamples) - begun, len(weights))
            if left > 0:
                draws[name].append(statistic(first.setdefault(left, weights[:left])))
        begun += len(weights)
    return {
        name: _interval(value_of(statistic, galaxies), np.concatenate(draws[name]))
        for name, statistic in statistics.items()
    }


def _resampled(
    galaxies: int, resamples: int, seed: int
) -> Iterator[Float[np.ndarray, "resample galaxy"]]:
    """How often each galaxy is drawn, a few resamples (16 MB) at a time."""
    drawn = _kept if galaxies * resamples <= KEPT_BYTES else _drawn
    for counts in drawn(galaxies, resamples, seed):
        yield counts.astype(np.float64)


@lru_cache(maxsize=1)
def _kept(
    galaxies: int, resamples: int, seed: int
) -> tuple[UInt8[np.ndarray, "resample galaxy"], ...]:
    """All of `_drawn`: a report asks for the same resamples once a predictor and more, and drawing
    them costs most.
    """
    return tuple(_drawn(galaxies, resamples, seed))


def _drawn(
    galaxies: int, resamples: int, seed: int
) -> Iterator[UInt8[np.ndarray, "resample galaxy"]]:
    """How often each galaxy is drawn: more than 255 times with a chance below 1/255!."""
    random = np.random.default_rng(seed)
    at_once = max(1, 2_000_000 // galaxies)
    for start in range(0, resamples, at_once):
        counts = np.empty((min(at_once, resamples - start), galaxies), np.uint8)
        for row in counts:
            row[:] = np.bincount(random.integers(galaxies, size=galaxies), minlength=galaxies)
        yield counts


def _interval(
    value: Float[np.ndarray, "*values"], draws: Float[np.ndarray, " resample *values"]
) -> Interval:
    """The value between the 2.5 and 97.5 percentiles of the defined draws; NaN where none is
    defined.
    """
    ends = np.full((2, *value.shape), np.nan)
    for index in np.ndindex(*value.shape):
        defined = draws[:, *index][~np.isnan(draws[:, *index])]
        if len(defined):
            ends[:, *index] = np.percentile(defined, [2.5, 97.5])
    return Interval(value, ends[0, ...], ends[1, ...])


# ---- what statistics are made of


def value_of(statistic: Statistic, galaxies: int) -> Float[np.ndarray, "*values"]:
    """The statistic with every weight one."""
    return np.asarray(statistic(np.ones((1, galaxies)))[0])


def ratio(
    above: Float[np.ndarray, " galaxy *values"], below: Float[np.ndarray, " galaxy *values"]
) -> Statistic:
    """The weighted sum of the one over galaxies, divided by that of the other."""
    if below.ndim == 1:
        return _once(lambda weights: divide(weights @ above, weights @ below))
    # Often many columns below are equal: the answers of a question are known of the same galaxies.
    seen: dict[bytes, int] = {}
    place = [seen.setdefault(column.tobytes(), len(seen)) for column in below.T]
    different = below[:, [place.index(number) for number in range(len(seen))]]
    return _once(lambda weights: divide(weights @ above, (weights @ different)[:, place]))


def _once(statistic: Statistic) -> Statistic:
    """The same; asked again about the same array of weights, as others made of it do, it
    remembers.
    """
    last: list[np.ndarray] = [np.empty(0), np.empty(0)]

    def remembering(
        weights: Float[np.ndarray, "resample galaxy"],
    ) -> Float[np.ndarray, " resample *values"]:
        if weights is not last[0]:
            last[:] = weights, statistic(weights)
        return last[1]

    return remembering


def root(statistic: Statistic) -> Statistic:
    """The square root of another."""
    return lambda weights: np.sqrt(statistic(weights))


def divide(
    above: Num[np.ndarray, "*values"], below: Num[np.ndarray, "*values"]
) -> Float[np.ndarray, "*values"]:
    """The quotient; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean_defined(values: Float[np.ndarray, "*resample value"]) -> Float[np.ndarray, "*resample"]:
    """The mean over the last axis of what is not NaN; NaN if everything is."""
    sums = np.nansum(values, axis=-1, dtype=np.float64)
    return divide(np.asarray(sums), np.asarray((~np.isnan(values)).sum(axis=-1)))


# ---- areas under ROC curves


def areas(
    known: Bool[np.ndarray, "galaxy answer"],
    positive: Bool[np.ndarray, "galaxy answer"],
    predicted: Float[np.ndarray, "galaxy answer"],
) -> Statistic:
    """Per answer: the weight of pairs whose positive is above their negative (half if equal) over
    that of all pairs.
    """
    answers = [_ranks(*columns) for columns in zip(known.T, positive.T, predicted.T, strict=True)]
    return _once(lambda weights: _areas(answers, weights))


class _Ranks(NamedTuple):
    """Where galaxies stand among the predictions of the positive galaxies of one answer.

    `above` are galaxies of known truth from the lowest of those predictions up; the others are
    below every positive one and need no ranks. Of them, `place` is 2i + 1 for a galaxy predicted
    equal to the i-th lowest, 2i for one between it and the one below. `positives` are galaxies,
    `equal` is their i. `negative` is 1 for each negative galaxy.
    """

    above: Int[np.ndarray, " above"]
    place: Int[np.ndarray, " above"]
    positives: Int[np.ndarray, " positive"]
    equal: Int[np.ndarray, " positive"]
    negative: Float[np.ndarray, " galaxy"]


def _ranks(
    known: Bool[np.ndarray, " galaxy"],
    positive: Bool[np.ndarray, " galaxy"],
    predicted: Float[np.ndarray, " galaxy"],
) -> _Ranks:
    positives = np.flatnonzero(positive)
    steps, equal = np.unique(predicted[positives], return_inverse=True)
    above = np.flatnonzero(known & (predicted >= steps.min(initial=np.inf)))
    order = np.argsort(predicted[above])  # searching for rising values is several times as fast
    rising = predicted[above[order]]
    place = np.empty(len(above), np.int64)
    place[order] = np.searchsorted(steps, rising, "left") + np.searchsorted(steps, rising, "right")
    return _Ranks(above, place, positives, equal, (known & ~positive).astype(np.float64))


def _areas(
    answers: Sequence[_Ranks], weights: Float[np.ndarray, "resample galaxy"]
) -> Float[np.ndarray, "resample answer"]:
    both = np.array([[_pairs(ranks, row) for ranks in answers] for row in weights])
    return divide(both[..., 0], both[..., 1])


def _pairs(ranks: _Ranks, weights: Float[np.ndarray, " galaxy"]) -> tuple[float, float]:
    """The weight of pairs in the right order, and of all pairs of a positive and a negative
    galaxy.
    """
    positive = np.bincount(ranks.equal, weights[ranks.positives])
    negative = np.bincount(ranks.place, weights[ranks.above], 2 * len(positive) + 1)
    negative[1::2] -= positive
    up_to = np.cumsum(negative)
    positives, negatives = float(positive.sum()), float(weights @ ranks.negative)
    right = float(positive @ (up_to[:-1:2] + up_to[1::2]) / 2)
    return right + positives * (negatives - float(up_to[-1])), positives * negatives
