"""Familiarity scores: whether a galaxy is like those a network was trained on, and whether a
catalogue is.

A network predicts for any image, a blank one or a star included. The features that its encoder
computes from the image tell more: how far they lie from those of training galaxies, in units of how
much these scatter (the Mahalanobis distance). Which distance is large is not assumed but counted:
on reference galaxies that had no part in the measure, so that

    familiarity = (1 + reference galaxies at least as far) / (1 + reference galaxies)

is a conformal p-value: for a galaxy exchangeable with the references it is at most u with a chance
of at most u, for every u, whatever the network and the distribution. A galaxy of 0.01 lies farther
than 99 % of them. It cannot be less than 1 / (n + 1), and it is no chance that the predictions are
right: a network can be wrong about a galaxy that looks familiar.

Features are standardised first, because a few that scatter widely would hide the others, and so
that one that never varied counts when it does. Their covariance is shrunk towards equal scatter as
far as the number of galaxies asks for, so a few hundred galaxies do for 256 features.

What a network was trained to ignore, its features hardly show: a grey galaxy, one of half the size.
So the distance of an image's statistics from those of training galaxies is measured likewise (see
`appearance`), and the larger of the two counts, each in units of the distance within which 95 % of
the references lie. These two numbers are all that the measure takes from the references (training
galaxies lie too near, in features that were trained on them), so with hundreds of them the law
above holds as before. Files of older versions have the features alone.

A catalogue is judged by its unfamiliar galaxies, those at or below the level. All are ranked by the
same references, so even in a catalogue like these their number is not binomial: if k of n + 1 ranks
are that low, the chance of one more is itself Beta(k, n + 1 − k), and the number among m galaxies
beta-binomial, exactly (unless distances tie: then fewer).

Sources: Lee et al. 2018, NeurIPS 31, 7167, equation 2 (Mahalanobis distance of features; we need no
classes); Ledoit & Wolf 2004, Journal of Multivariate Analysis 88, 365 (shrinkage); Vovk et al.
2005, Algorithmic Learning in a Random World, section 2.2 (p-values); Bates et al. 2023, Annals of
Statistics 51, 149, section 2 (many, one reference).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import agreeing, counted

__all__ = ["FALSE_ALARMS", "LEVEL", "Familiarity", "Scatter", "Shift", "cumulative_counts"]

LEVEL = 0.05  # galaxies of this familiarity or less are called unfamiliar
FALSE_ALARMS = 0.01  # the chance that a catalogue like the references is called shifted

_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)  # of familiarity, up to which galaxies are counted
_LEAST_SCATTER = 0.01  # of a feature, of that of the widest: finer than bfloat16 resolves
_LEAST_VARIANCE = 1e-3  # of a direction, of standardised features
_FEW = 200  # galaxies: of fewer, a share in per cent says less than their number
_WITHIN = 0.95  # of references: their distance is the unit in which two are compared

Features = Float[np.ndarray, "galaxy feature"]
Statistics = Float[np.ndarray, "galaxy statistic"]


@dataclass(frozen=True, eq=False)
class Scatter:
    """The mean and scatter of the features of training galaxies.

    `whiten` takes a feature vector, less the mean (`middle`), to axes on which training galaxies
    scatter by one.
    """

    middle: Float32[np.ndarray, " feature"]
    whiten: Float32[np.ndarray, "feature feature"]

    @staticmethod
    def fit(training: Features) -> "Scatter":
        """The scatter of these galaxies, two or more."""
        middle = training.mean(axis=0, dtype=np.float64).astype(np.float32)
        return Scatter(middle, _whitening(training))

    def distances(self, features: Features) -> Float[np.ndarray, " galaxy"]:
        """Squared Mahalanobis distances from training galaxies; that of a galaxy is the same to the
        last bit, whichever others are given with it.
        """
        whiten = self.whiten.T.astype(np.float64)
        centred = features.astype(np.float64) - self.middle
        return np.array([np.square(whiten @ galaxy).sum() for galaxy in centred], np.float64)


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The scatter of training galaxies' features, and how far references lie from them.

    `strangeness` has the squared distances of the references, in rising order. With `appearance`,
    the scatter of statistics of the images (see `confidence.appearance`), these are the larger of
    two distances, each in its own unit of `units`.
    """

    features: Scatter
    strangeness: Float[np.ndarray, " reference"]
    appearance: Scatter | None = None
    units: Float[np.ndarray, "2"] | None = None

    @staticmethod
    def fit(
        training: Features,
        references: Float[np.ndarray, "reference feature"],
        appearance: tuple[Statistics, Float[np.ndarray, "reference statistic"]] | None = None,
    ) -> "Familiarity":
        """The familiarity after these training galaxies, ranked among the references, which are
        none of them; `appearance` has statistics of the images of both.

        Raises DataError if there are fewer than two training galaxies or no reference.
        """
        if len(training) < 2 or not len(references):
            raise DataError(
                f"{counted(len(training), 'training galaxy')} and"
                f" {counted(len(references), 'reference')}; expected 2 and 1 or more, to measure"
                " familiarity"
            )
        unranked = Familiarity(Scatter.fit(training), np.empty(0))
        statistics = None
        if appearance is not None:
            known, statistics = appearance
            scatter = Scatter.fit(known)
            distances = (unranked.features.distances(references), scatter.distances(statistics))
            units = np.array([np.quantile(each, _WITHIN) or 1.0 for each in distances])
            unranked = replace(unranked, appearance=scatter, units=units)
        return replace(unranked, strangeness=np.sort(unranked.distances(references, statistics)))

    @property
    def references(self) -> int:
        """How many galaxies the scores are ranks among."""
        return len(self.strangeness)

    def distances(
        self, features: Features, appearance: Statistics | None = None
    ) -> Float[np.ndarray, " galaxy"]:
        """Squared distances of galaxies with these features and statistics from training galaxies;
        NaN if any of them is. Statistics count if they were measured of training galaxies, too.
        """
        distances = self.features.distances(features)
        if self.appearance is None or self.units is None:
            return distances
        assert appearance is not None
        of_appearance = self.appearance.distances(appearance)
        return np.maximum(distances / self.units[0], of_appearance / self.units[1])

    def scores(
        self, features: Features, appearance: Statistics | None = None
    ) -> Float32[np.ndarray, " galaxy"]:
        """The familiarity of each galaxy, above 0 and up to 1; the lowest for features that are
        NaN.
        """
        distances = self.distances(features, appearance)
        nearer = np.searchsorted(self.strangeness, distances, side="left")
        return ((1 + self.references - nearer) / (1 + self.references)).astype(np.float32)

    def to_tensors(self) -> dict[str, Tensor]:
        """All of it as tensors; `from_tensors` gives it back."""
        arrays = {
            "middle": self.features.middle,
            "whiten": self.features.whiten,
            "strangeness": self.strangeness,
        }
        if self.appearance is not None and self.units is not None:
            more = (self.appearance.middle, self.appearance.whiten, self.units)
            arrays |= dict(zip(_OF_APPEARANCE, more, strict=True))
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], origin: str = "familiar") -> "Familiarity":
        """What `to_tensors` gave, of this version or an older one; `origin` names it in errors.

        Raises DataError if a tensor is missing.
        """
        with_appearance = any(name in tensors for name in _OF_APPEARANCE)
        names = (*_TENSORS, *_OF_APPEARANCE) if with_appearance else _TENSORS
        if missing := [name for name in names if name not in tensors]:
            raise DataError(f"{origin} has no {missing[0]!r}: run `galaxyvotes.calibrate(…)` again")
        middle, whiten, strangeness, *more = (tensors[name].numpy() for name in names)
        familiarity = Familiarity(Scatter(middle, whiten), strangeness)
        if not more:
            return familiarity
        return replace(familiarity, appearance=Scatter(more[0], more[1]), units=more[2])


_TENSORS = ("middle", "whiten", "strangeness")
_OF_APPEARANCE = ("appearance_middle", "appearance_whiten", "units")


def _whitening(training: Features) -> Float32[np.ndarray, "feature feature"]:
    """What takes features, less their middle, to axes of equal scatter."""
    scatter = training.std(axis=0, dtype=np.float64)
    scatter = np.maximum(scatter, _LEAST_SCATTER * (scatter.max() or 1.0))
    standardised = (training - training.mean(axis=0, dtype=np.float64)) / scatter
    variances, axes = np.linalg.eigh(shrunk_covariance(standardised))
    return (axes / np.sqrt(variances.clip(_LEAST_VARIANCE)) / scatter[:, None]).astype(np.float32)


def shrunk_covariance(centred: Features) -> Float[np.ndarray, "feature feature"]:
    """The covariance of features of mean zero, as near to equal scatter as is best for so few
    galaxies.

    Source: Ledoit & Wolf 2004, section 3.2. scikit-learn has it, too, but takes seconds to import.
    """
    galaxies, features = centred.shape
    sample = centred.T @ centred / galaxies
    equal = np.trace(sample) / features * np.eye(features)
    distance = np.square(sample - equal).sum()
    error = (
        np.square(np.square(centred).sum(axis=1)).sum() / galaxies - np.square(sample).sum()
    ) / galaxies
    share = min(error / distance, 1.0) if distance else 1.0
    return share * equal + (1 - share) * sample


@dataclass(frozen=True)
class Shift:
    """How many of a catalogue's galaxies are unfamiliar, and whether chance explains it."""

    galaxies: int
    unfamiliar: int
    references: int

    @staticmethod
    def count(scores: Float[np.ndarray, " galaxy"], references: int) -> "Shift":
        """The shift of a catalogue whose galaxies have these familiarity scores, ranks among so
        many references.
        """
        low = np.rint(scores.astype(np.float64) * (references + 1)) <= _lowest(references)
        return Shift(len(scores), int(np.count_nonzero(low)), references)

    def __add__(self, other: "Shift") -> "Shift":
        """The shift of both parts of a catalogue, ranked by the same references."""
        unfamiliar = self.unfamiliar + other.unfamiliar
        return Shift(self.galaxies + other.galaxies, unfamiliar, self.references)

    @property
    def level(self) -> float:
        """The familiarity up to which a galaxy is unfamiliar, and the share of them expected: 5 %,
        or one of few ranks.
        """
        return _lowest(self.references) / (self.references + 1)

    @property
    def share(self) -> float:
        """The share of its galaxies that are unfamiliar."""
        return self.unfamiliar / max(self.galaxies, 1)

    @property
    def p_value(self) -> float:
        """The chance of so many unfamiliar galaxies or more in a catalogue like the references."""
        return _tail(self.unfamiliar, self.galaxies, _lowest(self.references), self.references + 1)

    @property
    def detected(self) -> bool:
        """Whether the catalogue is unlike the references; wrong for one in a hundred that are like
        them.
        """
        return self.p_value < FALSE_ALARMS

    def __str__(self) -> str:
        """The verdict, as a sentence; a share in per cent of many galaxies, the number of few."""
        galaxies = counted(self.galaxies, "galaxy")
        some, verb = f"{100 * self.share:.1f} %", agreeing(self.galaxies, "has")
        if self.galaxies < _FEW:
            some, verb = f"{self.unfamiliar:,}", agreeing(self.unfamiliar, "has")
        found = (
            f"{some} of {galaxies} {verb} a familiarity of {self.level:.2g} or less"
            f" ({100 * self.level:.1f} % expected)"
        )
        if not self.detected:
            return f"{found}: no sign of another kind of images"
        return (
            f"{found}: these images differ from those of the calibration, perhaps by survey,"
            " pixel scale, crop or colours, so errors may be larger than the run's report and its"
            " prediction intervals say; see the column familiarity"
        )


def cumulative_counts(
    scores: Float[np.ndarray, " galaxy"], references: int
) -> list[tuple[float, int, float]]:
    """A few familiarities, how many galaxies have each or less, and the share of galaxies like the
    references that have.
    """
    ranks = np.rint(scores.astype(np.float64) * (references + 1))
    expected = [int(level * (references + 1) + 1e-9) for level in _LEVELS]
    return [
        (level, int(np.count_nonzero(ranks <= rank)), rank / (references + 1))
        for level, rank in zip(_LEVELS, expected, strict=True)
    ]


def _lowest(references: int) -> int:
    """How many of the ranks among references are unfamiliar."""
    return max(1, int(LEVEL * (references + 1) + 1e-9))


def _tail(unfamiliar: int, galaxies: int, low: int, ranks: int) -> float:
    """The chance of so many or more by the beta-binomial law (galaxies; low, ranks − low)."""
    before = np.arange(galaxies, dtype=np.float64)
    rising = (
        (galaxies - before)
        * (before + low)
        / ((before + 1) * (galaxies - before - 1 + ranks - low))
    )
    logarithms = np.concatenate([np.zeros(1), np.cumsum(np.log(rising))])
    weights = np.exp(logarithms - logarithms.max())
    return float(weights[unfamiliar:].sum() / weights.sum())
