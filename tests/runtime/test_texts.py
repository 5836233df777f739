import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.runtime import texts
from galaxyvotes.runtime.texts import Texts, shared_hashes, twins

anything = st.lists(st.text(st.characters(categories=("L", "Cs", "Cc")), max_size=3), max_size=30)


@given(anything, st.integers(0, 30), st.integers(0, 30))
def test_texts_are_what_was_put_in_surrogates_and_all(some, start, stop):
    held = Texts(some)
    assert (held, len(held), list(held)) == (some, len(some), some)
    assert held[start:stop] == some[start:stop]
    assert [held[place] for place in range(-len(some), len(some))] == [*some, *some]
    assert held != [*some, "another"]


@given(anything.filter(bool), st.lists(st.integers(0, 1000), max_size=20), st.integers(1, 5))
def test_taking_is_picking_one_by_one(some, places, at_once):
    wanted = [place % len(some) for place in places]
    texts.AT_ONCE, before = at_once, texts.AT_ONCE
    try:
        taken = Texts(some).take(np.array(wanted, np.int64))
    finally:
        texts.AT_ONCE = before
    assert taken == [some[place] for place in wanted]
    taken.append("one more")
    assert taken[len(wanted)] == "one more"


def test_a_text_takes_its_bytes_and_few_more():
    held = Texts(f"images/{n}.jpg" for n in range(10_000, 110_000))
    assert sys.getsizeof(held._bytes) + sys.getsizeof(held._ends) < (16 + 4) * 100_000 * 1.15


def first_twin(some: list[str]) -> tuple[int, int] | None:
    return next(
        ((some.index(text), place) for place, text in enumerate(some) if text in some[:place]), None
    )


@given(anything)
def test_twins_are_the_first_text_that_was_there_before(some):
    assert twins(Texts(some)) == first_twin(some)
    assert {place for place, text in enumerate(some) if some.count(text) > 1} <= set(
        shared_hashes(some).tolist()
    )


@given(anything)
def test_texts_that_share_a_hash_by_chance_are_no_twins(some):
    hashes = texts.hashes_of
    texts.hashes_of = lambda keys: hashes(keys) // 2**62
    try:
        assert twins(Texts(some)) == first_twin(some)
    finally:
        texts.hashes_of = hashes
