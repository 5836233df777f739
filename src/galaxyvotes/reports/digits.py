"""How many digits a report shows: one rule for page, text and sentences.

What has no unit (fractions, errors of fractions, AUC, accuracy …) has three decimals, and four if a
thousand galaxies or more are evaluated, because its statistical error falls as their square root.
What has a unit has four significant digits. Undefined is a dash.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Digits", "decimals_for", "digits_of", "written"]

_MANY = 1000


class Digits(NamedTuple):
    """A measure and the ends of its interval as text."""

    value: str
    low: str
    high: str

    @property
    def ends(self) -> str:
        """The interval as text."""
        return f"{self.low} to {self.high}"


def decimals_for(galaxies: int) -> int:
    """The decimals of measures without a unit over so many galaxies."""
    return 3 if galaxies < _MANY else 4


def digits_of(measure: Mapping[str, Any], decimals: int | None) -> Digits:
    """A measure (its value, low and high, among other things) as text; one that has a unit has no
    `decimals` but four significant digits.
    """
    return Digits(*(written(measure[end], decimals) for end in ("value", "low", "high")))


def written(value: float | None, decimals: int | None) -> str:
    """A number with so many decimals, or with four significant digits."""
    if value is None:
        return "–"
    text = f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")
