"""Which recipe trains a network if none is named: the one for so many training galaxies.

- fewer than 1,000: `small`, and the advice to fine-tune a trained network instead, which needs far
  fewer
- fewer than 20,000: `compact`
- more: `strong` where a GPU trains it, else `compact`; on a processor `strong` takes days

Galaxies without a label do not count. Whichever it is, a handed question of the stores turns off
its mirror images.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from galaxyvotes.config import Recipe
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.store.store import Store

__all__ = ["Choice", "choose_recipe", "labelled_galaxies", "note_of_handed", "suited"]

FEW, MANY = 1_000, 20_000
_DIRECTION = re.compile(
    r"(?:^|[^a-z])(?:(?:anti|counter)?[ _-]?clock[ _-]?wise|a?cw|ccw|[sz][ _-]?wise)(?:[^a-z]|$)",
    re.I,
)


class Choice(NamedTuple):
    """The name of a recipe, and why it was chosen, for whoever waits for it."""

    name: str
    reason: str


def choose_recipe(galaxies: int, device: torch.device) -> Choice:
    """The recipe for so many labelled training galaxies on a device."""
    there, number = f"there {agreeing(galaxies, 'is')}", counted(galaxies, "training galaxy")
    if galaxies < FEW:
        return Choice(
            "small",
            f"recipe small, because {there} only {number}."
            " Fine-tuning begins with a trained network and needs far fewer: try that first",
        )
    if galaxies < MANY or device.type == "cpu":
        without = "" if galaxies < MANY else " and no GPU (on one it would be strong)"
        return Choice("compact", f"recipe compact, because {there} {number}{without}")
    return Choice("strong", f"recipe strong, because {there} {number} and a GPU")


def labelled_galaxies(stores: Sequence[Store]) -> int:
    """How many training galaxies of these stores have a label."""
    return sum(
        int((~np.isnan(store.values[store.rows("train")])).any(axis=1).sum()) for store in stores
    )


def suited(recipe: Recipe, stores: Sequence[Store]) -> Recipe:
    """The recipe for these stores: without mirror images if one of their questions is handed."""
    if not any(store.tree.handed for store in stores):
        return recipe
    return replace(recipe, train=replace(recipe.train, mirror=False))


def note_of_handed(recipe: Recipe, stores: Sequence[Store]) -> str | None:
    """What to say of questions that are handed, or that seem so by their answers while the recipe
    mirrors images; None if there are none.
    """
    questions = [question for store in stores for question in store.tree.questions]
    if handed := [question.name for question in questions if question.handed]:
        return f"handed: {', '.join(handed)}; images are rotated, and not mirrored"
    for question in questions:
        names = [
            answer.column
            for answer in question.answers
            if _DIRECTION.search(answer.column) or _DIRECTION.search(answer.text)
        ]
        if len(names) > 1 and recipe.mirrors:
            return (
                f"warning: {' and '.join(names)} of {question.name} seem to be mirror images of"
                " each other, and training mirrors images, so they cannot be told apart: begin"
                " again with `settings=('train.mirror=false',)`"
            )
    return None
