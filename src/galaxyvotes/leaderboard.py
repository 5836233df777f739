"""Between which places of the 2014 leaderboard an error would stand."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["leaderboard", "leaderboard_place"]


@cache
def leaderboard() -> dict[str, Any]:
    """What `leaderboard.toml` says."""
    return tomllib.loads((resources.files("galaxyvotes") / "leaderboard.toml").read_text("utf-8"))


def leaderboard_place(rmse: float) -> dict[str, Any]:
    """Between which known places of the 2014 leaderboard an RMSE would stand, in numbers and as a sentence.

    `better` is the nearest known place at or above it, `worse` the nearest below; None beyond the ends.
    """
    board = leaderboard()
    places, teams, benchmark = board["place"], board["teams"], board["benchmark"]
    better = next((place for place in reversed(places) if place["rmse"] <= rmse), None)
    worse = next((place for place in places if place["rmse"] > rmse), None)

    def named(place: Mapping[str, Any]) -> str:
        return f"place {place['rank']} ({place['rmse']:.5f})"

    if better is None:
        where = f"ahead of {named(places[0])}"
    elif worse is not None:
        where = f"between {named(better)} and {named(worse)}"
    else:
        side = "ahead of" if rmse < benchmark["rmse"] else "level with or behind"
        where = (
            f"after {named(better)}, the last one known, and {side} the {benchmark['name']} ({benchmark['rmse']:.5f})"
        )
    keep = ("rank", "rmse")
    return {
        "rmse": rmse,
        "better": better and {key: better[key] for key in keep},
        "worse": worse and {key: worse[key] for key in keep},
        "teams": teams,
        "sentence": f"An RMSE of {rmse:.4f} would stand {where} among {teams} teams.",
        "caveat": (
            f"Only a rough comparison: the leaderboard was computed on the challenge's own {board['galaxies']:,} test "
            "galaxies, whose votes are not public, and those teams had 61,578 galaxies to learn from."
        ),
        "title": board["title"],
    }
