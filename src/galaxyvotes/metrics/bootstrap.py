"""Confidence intervals of statistics, 95 %, by the bootstrap.

Galaxies are drawn with replacement, as many as there are. The seed and the number of galaxies
settle the resamples, so all statistics and all predictors are judged on the same ones.

Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8

from galaxyvotes.metrics.statistic import Statistic, value_of

__all__ = ["FEW_GALAXIES", "Interval", "Measure", "confidence_intervals", "number"]

FEW_GALAXIES = 30  # from fewer, little can be concluded: half right is known to 18 % at best
KEPT_BYTES = 2**27  # a thousand resamples of 80,000 galaxies are 80 MB

Measure = dict[str, float | None]  # value, low and high; None where undefined


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


def confidence_intervals(
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
