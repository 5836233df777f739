"""How familiar a galaxy is: whether a network has met its like, and whether a catalogue is like
what it has met.

A network answers for any image, a blank one or a star included. What its encoder makes of the image
tells more: how far the features lie from those of known galaxies, in units of how much these
scatter (the Mahalanobis distance). How large a distance is strange is not assumed but counted: on
galaxies that had no part in the measure, so that

    familiarity = (1 + reference galaxies at least as strange) / (1 + reference galaxies)

is a conformal p-value: for a galaxy exchangeable with the references it is at most u with a chance
of at most u, for every u, whatever the network and the distribution. 0.01 means stranger than 99 %
of them. It cannot be less than 1 / (n + 1), and it is no chance that the answers are right: a
network can be wrong about a galaxy that looks familiar.

Features are standardised first, because a few that scatter widely would hide the others, and so
that one that never varied counts when it does. Their covariance is shrunk towards equal scatter as
far as the number of galaxies asks for, so a few hundred galaxies do for 256 features.

A catalogue is judged by its strange galaxies, those at or below the level. All are ranked by the
same references, so even in a catalogue like these their number is no binomial one: if k of n + 1
ranks are that low, the chance of one more is itself Beta(k, n + 1 − k), and the number among m
galaxies beta-binomial, exactly (unless distances tie: then fewer).

Sources: Lee et al. 2018, NeurIPS 31, 7167, equation 2 (Mahalanobis distance of features; we need no
classes); Ledoit & Wolf 2004, Journal of Multivariate Analysis 88, 365 (shrinkage); Vovk et al.
2005, Algorithmic Learning in a Random World, section 2.2 (p-values); Bates et al. 2023, Annals of
Statistics 51, 149, section 2 (many, one reference).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from galaxyvotes.errors import DataError

__all__ = ["Familiarity", "Shift", "shift", "up_to"]

LEVEL = 0.05  # galaxies of this familiarity or less are called strange
ALARM = 0.01  # a catalogue like the references is called shifted with this chance

_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)  # of familiarity, up to which galaxies are counted
_LEAST_SCATTER = 0.01  # of a feature, of that of the widest: finer than bfloat16 tells
_LEAST_VARIANCE = 1e-3  # of a direction, of standardised features

Features = Float[np.ndarray, "galaxy feature"]


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Known galaxies as a network's encoder sees them: their middle and scatter, and how strange
    others of them are.

    `whiten` takes a feature vector, less the middle, to axes on which known galaxies scatter by
    one; `strangeness` are the squared distances of the references, in rising order.
    """

    middle: Float32[np.ndarray, " feature"]
    whiten: Float32[np.ndarray, "feature feature"]
    strangeness: Float[np.ndarray, " reference"]

    @staticmethod
    def of(known: Features, references: Float[np.ndarray, "reference feature"]) -> "Familiarity":
        """What is familiar after these known galaxies; the references, none of them known, say how
        strange is strange.

        DataError if there are fewer than two known galaxies or no reference.
        """
        if len(known) < 2 or not len(references):
            raise DataError(
                f"{len(known)} known galaxies and {len(references)} references; expected 2 and 1 or"
                " more, to say what is familiar"
            )
        unranked = Familiarity(
            known.mean(axis=0, dtype=np.float64).astype(np.float32), _whitening(known), np.empty(0)
        )
        return Familiarity(
            unranked.middle, unranked.whiten, np.sort(unranked.distances(references))
        )

    @property
    def references(self) -> int:
        """How many galaxies the ranks are among."""
        return len(self.strangeness)

    def distances(self, features: Features) -> Float[np.ndarray, " galaxy"]:
        """Squared Mahalanobis distances from known galaxies; each to the same bit in whatever
        company.
        """
        whiten = self.whiten.T.astype(np.float64)
        away = features.astype(np.float64) - self.middle
        return np.array([np.square(whiten @ each).sum() for each in away], np.float64)

    def ranks(self, features: Features) -> Float32[np.ndarray, " galaxy"]:
        """The familiarity of each galaxy, above 0 and up to 1."""
        below = np.searchsorted(
            self.strangeness, self.distances(features), side="left"
        )  # NaN: stranger than all
        return ((1 + self.references - below) / (1 + self.references)).astype(np.float32)

    def to_tensors(self) -> dict[str, Tensor]:
        """All of it as tensors; `from_tensors` gives it back."""
        return {
            name: torch.from_numpy(getattr(self, name))
            for name in ("middle", "whiten", "strangeness")
        }

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], origin: str = "familiar") -> "Familiarity":
        """What `to_tensors` gave; `origin` names it in errors."""
        try:
            parts = [tensors[name].numpy() for name in ("middle", "whiten", "strangeness")]
        except KeyError as error:
            raise DataError(f"{origin} has no {error}: run galaxyvotes calibrate again") from None
        return Familiarity(*parts)


def _whitening(known: Features) -> Float32[np.ndarray, "feature feature"]:
    """What takes features, less their middle, to axes of equal scatter."""
    scatter = known.std(axis=0, dtype=np.float64)
    scatter = np.maximum(scatter, _LEAST_SCATTER * (scatter.max() or 1.0))
    away = (known - known.mean(axis=0, dtype=np.float64)) / scatter
    variances, axes = np.linalg.eigh(shrunk_covariance(away))
    return (axes / np.sqrt(variances.clip(_LEAST_VARIANCE)) / scatter[:, None]).astype(np.float32)


def shrunk_covariance(away: Features) -> Float[np.ndarray, "feature feature"]:
    """The covariance of features of mean zero, as near to equal scatter as is best for so few
    galaxies.

    Source: Ledoit & Wolf 2004, section 3.2. scikit-learn has it, too, but takes seconds to import.
    """
    galaxies, features = away.shape
    sample = away.T @ away / galaxies
    equal = np.trace(sample) / features * np.eye(features)
    distance = np.square(sample - equal).sum()
    error = (
        np.square(np.square(away).sum(axis=1)).sum() / galaxies - np.square(sample).sum()
    ) / galaxies
    share = min(error / distance, 1.0) if distance else 1.0
    return share * equal + (1 - share) * sample


@dataclass(frozen=True)
class Shift:
    """How many of a catalogue's galaxies are strange, and whether that is more than chance has
    it.
    """

    galaxies: int
    strange: int
    references: int

    def __add__(self, other: "Shift") -> "Shift":
        """The same of both parts of a catalogue, ranked by the same references."""
        return Shift(self.galaxies + other.galaxies, self.strange + other.strange, self.references)

    @property
    def level(self) -> float:
        """The familiarity up to which a galaxy is strange, and the share of them expected: 5 %, or
        one of few ranks.
        """
        return _lowest(self.references) / (self.references + 1)

    @property
    def share(self) -> float:
        """The share of its galaxies that are strange."""
        return self.strange / max(self.galaxies, 1)

    @property
    def chance(self) -> float:
        """How likely so many strange galaxies or more are, in a catalogue like the references."""
        return _at_least(self.strange, self.galaxies, _lowest(self.references), self.references + 1)

    @property
    def found(self) -> bool:
        """Whether the catalogue is unlike the references; wrong for one in a hundred that are like
        them.
        """
        return self.chance < ALARM

    def __str__(self) -> str:
        """The verdict, as a sentence."""
        counted = (
            f"{self.share:.1%} of {self.galaxies:,} galaxies are stranger to this network than"
            f" {1 - self.level:.0%} of those it was calibrated on ({self.level:.1%} expected)"
        )
        if not self.found:
            return f"{counted}: no sign of another kind of images"
        return (
            f"{counted}: these images are unlike them, by survey, pixel scale, crop or colours"
            " perhaps, so errors may be larger than the network's report and intervals say; see"
            " the column familiarity"
        )


def shift(ranks: Float[np.ndarray, " galaxy"], references: int) -> Shift:
    """Whether a catalogue of galaxies of these familiarities is like the `references` that ranked
    them.
    """
    strange = np.rint(ranks.astype(np.float64) * (references + 1)) <= _lowest(references)
    return Shift(len(ranks), int(np.count_nonzero(strange)), references)


def up_to(ranks: Float[np.ndarray, " galaxy"], references: int) -> list[tuple[float, int, float]]:
    """A few familiarities, how many galaxies have each or less, and the share of galaxies like the
    references.
    """
    places = np.rint(ranks.astype(np.float64) * (references + 1))
    expected = [int(level * (references + 1) + 1e-9) for level in _LEVELS]
    return [
        (level, int(np.count_nonzero(places <= place)), place / (references + 1))
        for level, place in zip(_LEVELS, expected, strict=True)
    ]


def _lowest(references: int) -> int:
    """How many of the ranks that references give are strange."""
    return max(1, int(LEVEL * (references + 1) + 1e-9))


def _at_least(strange: int, galaxies: int, low: int, ranks: int) -> float:
    """The upper tail of the beta-binomial distribution (galaxies; low, ranks − low)."""
    before = np.arange(galaxies, dtype=np.float64)
    rising = (
        (galaxies - before)
        * (before + low)
        / ((before + 1) * (galaxies - before - 1 + ranks - low))
    )
    logarithms = np.concatenate([np.zeros(1), np.cumsum(np.log(rising))])
    weights = np.exp(logarithms - logarithms.max())
    return float(weights[strange:].sum() / weights.sum())
