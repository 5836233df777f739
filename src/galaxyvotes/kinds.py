"""What the answers of a tree are: vote fractions, classes, or quantities such as a T type.

A tree has one kind. Wherever they differ, a table is keyed by the kind: which baselines there
are (`evaluation.baselines`), which section of the report is written (`reports`), how errors are
scaled (`confidence.error_scale`). What differs in a word or a number stands here.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["CLASSES", "FRACTIONS", "QUANTITIES", "FractionKind", "Kind", "Standard", "ValueKind"]

FractionKind = Literal["joint", "conditional"]  # of everybody, of those who were asked
ValueKind = Literal[FractionKind, "quantity"]


@dataclass(frozen=True)
class Kind:
    """Vote fractions, classes or quantities; compare with `is`.

    `name` is the plural for messages, `column` the prefix of the columns of a store's table,
    `label` what a galaxy needs to be learned from. Values that are not `bounded` have no range;
    they are standardised by the mean and standard deviation of the training galaxies. Predictions
    have prediction intervals once the run is calibrated, unless they are probabilities of classes:
    an interval within 0–1 says nothing about a label that is 0 or 1, and the probabilities
    themselves are calibrated.
    """

    name: str
    column: str
    label: str
    bounded: bool
    intervals: bool = True


FRACTIONS = Kind("fractions", column="fraction", label="votes", bounded=True)
CLASSES = Kind("classes", column="fraction", label="a class", bounded=True, intervals=False)
QUANTITIES = Kind("quantities", column="quantity", label="a known value", bounded=False)


class Standard(NamedTuple):
    """How a quantity is standardised: (value − centre) / scale, by its mean and standard deviation
    over the training galaxies.
    """

    centre: float
    scale: float
