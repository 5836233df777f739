"""What is said of the sets of a store when it is packed."""

from typing import Any

import pytest

from galaxyvotes.store.held_out import has_large_shares, remarks_on_sets

USUAL = {"train": 0.8, "validation": 0.1, "test": 0.1}
RUN = "the bundled model"


def manifest(validation: int, test: int, **facts: Any) -> dict[str, Any]:
    sets = {"train": 200, "validation": validation, "test": test}
    return {
        "galaxies": sum(sets.values()),
        "votes": "counts",
        "splits": sets,
        "split_settings": USUAL,
        **facts,
    }


def seen(train: int) -> dict[str, Any]:
    return {"seen_before": {"run": RUN, "train": train, "validation": 0, "test": 0}}


def test_small_sets_are_counted_and_the_way_out_is_named():
    (line,) = remarks_on_sets(manifest(6, 3))
    assert line == (
        "warning: the validation set has 6 galaxies and the test set has 3 galaxies; from fewer"
        " than 30 little can be concluded: pack with larger shares for validation and test,"
        " `splits=SplitSettings(0.4, 0.3, 0.3)`, or more labelled galaxies"
    )
    (line,) = remarks_on_sets(manifest(30, 0))
    assert line.startswith("warning: the test set is empty; from fewer")
    assert remarks_on_sets(manifest(30, 30)) == []


def test_where_most_galaxies_were_seen_others_are_asked_for():
    on_seen, on_few = remarks_on_sets(manifest(6, 3, **seen(180)))
    assert on_seen.endswith(f"because {RUN} was trained on them; the shares divide the other 29")
    assert on_few.endswith(
        "`splits=SplitSettings(0.4, 0.3, 0.3)`, or more labelled galaxies that the bundled model"
        " has not seen"
    )
    _, none_left = remarks_on_sets(manifest(0, 0, **seen(200)))
    assert "shares" not in none_left


@pytest.mark.parametrize(
    "asked",
    [
        {"train": 0.4, "validation": 0.3, "test": 0.3},
        USUAL | {"column": "set"},
        USUAL | {"lists": ["a", "b", "c"]},
    ],
)
def test_larger_shares_are_not_advised_where_they_are_large_or_sets_were_given(asked):
    facts = manifest(6, 3, split_settings=asked)
    assert has_large_shares(facts)
    (line,) = remarks_on_sets(facts)
    assert line.endswith("little can be concluded: pack with more labelled galaxies")


def test_sets_that_were_not_asked_for_and_galaxies_without_labels_are_not_warned_of():
    only_test = {"train": 0.0, "validation": 0.0, "test": 1.0}
    assert remarks_on_sets(manifest(0, 40, split_settings=only_test)) == []
    assert remarks_on_sets(manifest(6, 3, votes="")) == []
