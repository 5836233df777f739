import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.config import SplitSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.store.splits import SPLITS, assign_splits

galaxies = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=60, unique=True
)
seeds = st.integers(0, 999)


def splits_of(
    ids: list[str], digests: list[str], parts: SplitSettings | None = None
) -> dict[str, str]:
    return dict(
        zip(
            ids,
            assign_splits(ids, pa.array(digests), parts or SplitSettings(0.5, 0.25, 0.25)).tolist(),
            strict=True,
        )
    )


@given(galaxies, st.integers(1, 60), seeds)
@settings(max_examples=60, deadline=None)
def test_pixel_identical_galaxies_never_stand_on_both_sides(ids, distinct, seed):
    digests = [str(random.Random(seed + n).randrange(distinct)) for n in range(len(ids))]
    splits = splits_of(ids, digests)
    sides = {(digest, splits[name]) for name, digest in zip(ids, digests, strict=True)}
    assert len(sides) == len(set(digests))


@given(galaxies, st.integers(1, 60), seeds)
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_changes_no_galaxys_split(ids, distinct, seed):
    rows = [(name, str(random.Random(seed + n).randrange(distinct))) for n, name in enumerate(ids)]
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert splits_of(*map(list, zip(*rows, strict=True))) == splits_of(
        *map(list, zip(*shuffled, strict=True))
    )


@given(galaxies, seeds)
@settings(max_examples=60, deadline=None)
def test_added_galaxies_with_pixels_of_their_own_change_nobody_elses_split(ids, seed):
    some = random.Random(seed).sample(ids, (len(ids) + 1) // 2)
    alone = splits_of(some, some)
    together = splits_of(ids, ids)
    assert all(together[name] == split for name, split in alone.items())


def test_a_twin_that_is_added_moves_a_galaxy_only_towards_training():
    names = [f"{n}" for n in range(300)]
    alone = splits_of(names, names)
    doubled = splits_of([*names, *(f"{name} again" for name in names)], [*names, *names])
    assert all(SPLITS.index(doubled[name]) <= SPLITS.index(alone[name]) for name in names)
    assert any(doubled[name] != alone[name] for name in names)


@pytest.mark.parametrize(
    "parts", [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.34, 0.33, 0.33), (0.0, 0.5, 0.5)]
)
def test_shares_are_close_to_those_asked_for(parts):
    names = [str(100_000 + n) for n in range(20_000)]
    splits = assign_splits(names, pa.array(names), SplitSettings(*parts))
    for split, share in zip(SPLITS, parts, strict=True):
        deviation = np.sqrt(share * (1 - share) / len(names))
        assert abs((splits == split).mean() - share) <= 4 * deviation


@pytest.mark.parametrize(
    ("parts", "only"), [((1, 0, 0), "train"), ((0, 1, 0), "validation"), ((0, 0, 1), "test")]
)
def test_a_share_of_one_is_everybody(parts, only):
    names = [str(n) for n in range(1000)]
    assert set(splits_of(names, names, SplitSettings(*map(float, parts))).values()) == {only}


def test_another_key_draws_another_division():
    names = [str(n) for n in range(1000)]
    first, second = (
        assign_splits(names, pa.array(names), SplitSettings(0.5, 0.25, 0.25, key=key))
        for key in ("a", "b")
    )
    assert 0.3 < (first == second).mean() < 0.45  # 0.5² + 0.25² + 0.25² = 0.375 by chance


def test_growing_the_training_share_takes_nobody_out_of_it():
    names = [str(n) for n in range(2000)]
    small, large = (
        assign_splits(names, pa.array(names), SplitSettings(part, 0.1, 0.9 - part))
        for part in (0.4, 0.6)
    )
    assert ((small != "train") | (large == "train")).all()


def test_these_galaxies_will_always_stand_where_they_stand_today():
    names = [
        "100008",
        "100023",
        "100053",
        "100078",
        "100090",
        "587722981742084144",
        "J152532.19-000115.7",
        "Ångström",
    ]
    expected = "train train train train test test train validation"
    assert " ".join(assign_splits(names, pa.array(names), SplitSettings(0.4, 0.3, 0.3))) == expected


def test_the_turns_of_a_division_test_every_galaxy_once_and_twins_together():
    names = [str(n) for n in range(1000)]
    digests = [str(n // 2) for n in range(1000)]
    turns = [
        assign_splits(names, pa.array(digests), SplitSettings(0.75, 0.05, 0.2, turn=fold / 5))
        for fold in range(5)
    ]
    tested = np.array([splits == "test" for splits in turns])
    assert (tested.sum(axis=0) == 1).all()
    assert (tested[:, ::2] == tested[:, 1::2]).all()


def test_no_turn_is_the_division_as_it_was():
    names = [str(n) for n in range(1000)]
    assert splits_of(names, names) == splits_of(
        names, names, SplitSettings(0.5, 0.25, 0.25, turn=0.0)
    )


@pytest.mark.parametrize("turn", [-0.2, 1.0, float("nan")])
def test_a_turn_that_is_no_part_of_a_whole_one_is_refused(turn):
    with pytest.raises(ConfigError, match="turn of a division"):
        SplitSettings(turn=turn)
