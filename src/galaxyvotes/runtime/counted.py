"""A number of things in words: 1 answer, 37 answers, 12,000 galaxies."""

__all__ = ["counted"]

_PLURALS = {"galaxy": "galaxies", "class": "classes", "was": "were", "process": "processes"}


def counted(number: int, *words: str) -> str:
    """The number, and the words in the singular for 1, otherwise in the plural.

    >>> counted(1, "image", "was"), counted(1200, "validation galaxy")
    ('1 image was', '1,200 validation galaxies')
    """
    return " ".join([f"{number:,}", *(word if number == 1 else _plural(word) for word in words)])


def _plural(words: str) -> str:
    *before, last = words.split(" ")
    return " ".join([*before, _PLURALS.get(last, f"{last}s")])
