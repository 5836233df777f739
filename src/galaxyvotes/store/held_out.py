"""What is said of the validation and test sets of a store when it is packed: which galaxies the
network to be fine-tuned has seen, and whether too few are left to calibrate and evaluate it with.
"""

from collections.abc import Mapping
from typing import Any

from galaxyvotes.metrics.bootstrap import FEW_GALAXIES
from galaxyvotes.runtime.counted import agreeing, counted, sentence

__all__ = ["has_large_shares", "remarks_on_sets", "remedy_for_few", "sets_are_given"]

_LARGE = 0.5  # share of all galaxies
_LARGER = "`splits=SplitSettings(0.4, 0.3, 0.3)`"


def has_large_shares(manifest: Mapping[str, Any]) -> bool:
    """Whether larger shares are no way to larger validation and test sets: they are large already,
    the sets were given, or there is no galaxy to divide.
    """
    asked, seen = manifest["split_settings"], manifest.get("seen_before", {})
    return (
        sets_are_given(manifest)
        or asked["validation"] + asked["test"] >= _LARGE
        or seen.get("train") == manifest["galaxies"]
    )


def remarks_on_sets(manifest: Mapping[str, Any]) -> list[str]:
    """The lines that the summary of a store with this manifest has on its sets."""
    return [*_on_seen(manifest), *_on_few(manifest)]


def sets_are_given(manifest: Mapping[str, Any]) -> bool:
    """Whether a column or lists say which galaxies the sets have."""
    return bool(manifest["split_settings"].keys() & {"column", "lists"})


def _on_seen(facts: Mapping[str, Any]) -> list[str]:
    """Which galaxies the network to be fine-tuned was trained on."""
    if run := facts.get("seen_unknown"):
        line = (
            f"{run} has no table of the galaxies that it was trained on: some may be in the"
            " validation and test sets, where errors on them are too small; pack for the"
            " folder of its run to have them found"
        )
        return [line]
    if not (seen := facts.get("seen_before")):
        return []
    if held_out := seen["validation"] + seen["test"]:
        these = "it" if held_out == 1 else f"these {held_out:,}"
        line = (
            f"{seen['run']} was trained on {seen['validation']:,} of the validation and"
            f" {seen['test']:,} of the test galaxies: once it is fine-tuned, calibrate and"
            f" evaluate refuse {these}; give other galaxies to these sets"
        )
        return [line]
    number = seen["train"]
    others = facts["galaxies"] - number
    if facts["split_settings"].get("train") == 0:
        line = (
            f"no training galaxies were asked for, and {number:,} {agreeing(number, 'is')} set"
            f" aside among them: {seen['run']} was trained on {agreeing(number, 'it')}, so"
            f" {'it' if number == 1 else 'they'} cannot validate or test; {others:,}"
            f" {agreeing(others, 'is')} left for that"
        )
        return [line]
    line = (
        sentence(number, "{galaxy} {is} in the training set, not drawn for validation")
        + f" or test, because {seen['run']} was trained on {agreeing(number, 'it')}"
    )
    return [f"{line}; the shares divide the other {others:,}" if others else line]


def _on_few(facts: Mapping[str, Any]) -> list[str]:
    """A warning if galaxies are to be held out, and there are too few to conclude much from."""
    asked, counts = facts["split_settings"], facts["splits"]
    sets = [name for name in ("validation", "test") if asked.get(name, 1)]
    few = [name for name in sets if counts[name] < FEW_GALAXIES]
    if not few or not facts["votes"]:
        return []
    first, *others = (
        f"the {name} set {'has ' + counted(counts[name], 'galaxy') if counts[name] else 'is empty'}"
        for name in few
    )
    line = (
        f"warning: {' and '.join([first, *others])}; from fewer than {FEW_GALAXIES} little can be"
        f" concluded: {remedy_for_few(facts)}"
    )
    return [line]


def remedy_for_few(manifest: Mapping[str, Any]) -> str:
    """How to hold out more galaxies than a store with this manifest does."""
    larger = (
        ""
        if has_large_shares(manifest)
        else f"larger shares for validation and test, {_LARGER}, or "
    )
    seen = manifest.get("seen_before")
    unseen = f" that {seen['run']} has not seen" if seen else ""
    return f"pack with {larger}more labelled galaxies{unseen}"
