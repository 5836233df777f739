"""How many digits a report shows: one rule for page, text and sentences.

What has no unit (fractions, errors of fractions, AUC, accuracy …) has three decimals, and four if a
thousand galaxies or more are evaluated, because its statistical error falls as their square root.
What has a unit ends, with its interval, at the second significant digit of half the interval, as
the uncertainty of a measurement is given; without an interval it has four significant digits, or is
whole. Undefined is a dash.

Source: Evaluation of measurement data – Guide to the expression of uncertainty in measurement,
JCGM 100:2008, section 7.2.6.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Digits", "decimals_for", "digits_of", "span", "written"]

_MANY = 1000
_LARGE, _SMALL = 1e6, 1e-4  # from the one on and below the other, numbers have a power of ten
_FLOAT32 = 6  # digits behind the first that predictions have
_MINUS = "\N{MINUS SIGN}"


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
    `decimals` but as many digits as its interval tells apart.
    """
    numbers = [measure[end] for end in ("value", "low", "high")]
    half = _half_width(*numbers[1:])
    if decimals is not None or half is None:
        return Digits(*(written(number, decimals) for number in numbers))
    largest = max(abs(number) for number in numbers if number is not None)
    last = max(_power(half) - 1, _power(largest) - _FLOAT32)
    with_power = not _SMALL <= largest < _LARGE
    return Digits(*(_up_to(number, last, with_power=with_power) for number in numbers))


def span(ends: Digits) -> str:
    """The interval in as little space as it can be read in: a dash beside a minus cannot."""
    return ends.ends if _MINUS in ends.low else f"{ends.low}–{ends.high}"


def written(value: float | None, decimals: int | None) -> str:
    """A number with so many decimals, or with four significant digits."""
    if value is None or math.isnan(value):
        return "–"
    whole = decimals is None and 1e4 <= abs(value) < _LARGE
    text = f"{value:.4g}" if decimals is None and not whole else f"{value:z.{decimals or 0}f}"
    return text.replace("-", _MINUS)


def _half_width(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval that has one."""
    if low is None or high is None or not 0 < high - low < math.inf:
        return None
    return (high - low) / 2


def _power(number: float) -> int:
    """The power of ten of a number's first digit."""
    return math.floor(math.log10(abs(number)))


def _up_to(number: float | None, last: int, *, with_power: bool) -> str:
    """A number up to the digit of 10 to the power of `last`; as a multiple of a power of ten if
    `with_power`.
    """
    if number is None or math.isnan(number):
        return "–"
    rounded = round(number, -last)
    if with_power and not rounded:
        return "0"
    how = f".{_power(rounded) - last}e" if with_power else f"z.{max(-last, 0)}f"
    return f"{rounded:{how}}".replace("-", _MINUS)
