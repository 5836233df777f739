"""Numbers of things in words."""

import pytest

from galaxyvotes.runtime.counted import agreeing, counted, sentence


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("answer",), "0 answers"),
        (1, ("answer",), "1 answer"),
        (37, ("predicted vote fraction",), "37 predicted vote fractions"),
        (1, ("test galaxy",), "1 test galaxy"),
        (12_000, ("test galaxy",), "12,000 test galaxies"),
        (2, ("file", "was"), "2 files were"),
        (1, ("file", "was"), "1 file was"),
        (3, ("zip entry", "is"), "3 zip entries are"),
    ],
)
def test_only_one_thing_is_in_the_singular(number, words, text):
    assert counted(number, *words) == text


def test_other_words_of_a_sentence_agree_with_its_number():
    text = "{galaxy} {has} no label; leave {it} out, {it is} of no use"
    assert sentence(1, text) == "1 galaxy has no label; leave it out, it is of no use"
    assert sentence(1234, text).startswith("1,234 galaxies have no label; leave them out, they are")
    assert [agreeing(number, "shares") for number in (0, 1, 2)] == ["share", "shares", "share"]


def test_one_image_reaches_and_two_reach():
    assert agreeing(1, "reaches") == "reaches"
    assert agreeing(2, "reaches") == "reach"
