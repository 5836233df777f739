"""A number of things in words: 1 answer, 37 answers, 12,000 galaxies, 2 min."""

import re

__all__ = ["agreeing", "counted", "duration", "sentence"]

_PLURALS = {
    "class": "classes",
    "entry": "entries",
    "galaxy": "galaxies",
    "has": "have",
    "is": "are",
    "it": "them",
    "it is": "they are",
    "it was": "they were",
    "its": "their",
    "lies": "lie",
    "passes": "pass",
    "process": "processes",
    "reaches": "reach",
    "shares": "share",
    "was": "were",
}


def counted(number: int, *words: str) -> str:
    """The number, and the words in the singular for 1, otherwise in the plural.

    >>> counted(1, "image", "was"), counted(1200, "validation galaxy")
    ('1 image was', '1,200 validation galaxies')
    """
    return " ".join([f"{number:,}", *(agreeing(number, word) for word in words)])


def agreeing(number: int, words: str) -> str:
    """Words as they are for 1, otherwise in the plural.

    >>> f"1 of 2 images {agreeing(1, 'is')} small"
    '1 of 2 images is small'
    """
    if number == 1 or words in _PLURALS:
        return words if number == 1 else _PLURALS[words]
    *before, last = words.split(" ")
    return " ".join([*before, _PLURALS.get(last, f"{last}s")])


def sentence(number: int, text: str) -> str:
    """The number, and a sentence on so many things, in which the words in braces agree with it.

    >>> sentence(2, "{image} {was} left out")
    '2 images were left out'
    """
    return f"{number:,} " + re.sub(r"\{(.+?)\}", lambda word: agreeing(number, word[1]), text)


def duration(seconds: float) -> str:
    """Seconds in words, rounded to what one wants to know: 40 s, 2 min, 1 h 10 min."""
    if seconds < 59.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 10 and minutes else f"{hours} h"
