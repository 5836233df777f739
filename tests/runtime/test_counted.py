"""Numbers of things in words."""

import pytest

from galaxyvotes.runtime.counted import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("answer",), "0 answers"),
        (1, ("answer",), "1 answer"),
        (37, ("predicted vote fraction",), "37 predicted vote fractions"),
        (1, ("test galaxy",), "1 test galaxy"),
        (12_000, ("test galaxy",), "12,000 test galaxies"),
        (2, ("file", "was"), "2 files were"),
    ],
)
def test_only_one_thing_is_in_the_singular(number, words, text):
    assert counted(number, *words) == text
