"""Which recipe trains a network if none is named: the one for so many training galaxies.

- fewer than 1,000: `small`, and the advice to fine-tune a trained network instead, which needs far
  fewer
- fewer than 20,000: `compact`
- more: `strong` where a GPU trains it, else `compact`; on a processor `strong` takes days

Galaxies without a label do not count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from galaxyvotes.store.store import Store

__all__ = ["Choice", "choose_recipe", "labelled_galaxies"]

FEW, MANY = 1_000, 20_000


class Choice(NamedTuple):
    """The name of a recipe, and why it was chosen, for whoever waits for it."""

    name: str
    reason: str


def choose_recipe(galaxies: int, device: torch.device) -> Choice:
    """The recipe for so many labelled training galaxies on a device."""
    if galaxies < FEW:
        return Choice(
            "small",
            f"recipe small, because there are only {galaxies:,} training galaxies. galaxyvotes"
            " finetune begins with a trained network and needs far fewer: try that first",
        )
    if galaxies < MANY or device.type == "cpu":
        without = "" if galaxies < MANY else " and no GPU (on one it would be strong)"
        return Choice(
            "compact", f"recipe compact, because there are {galaxies:,} training galaxies{without}"
        )
    return Choice(
        "strong", f"recipe strong, because there are {galaxies:,} training galaxies and a GPU"
    )


def labelled_galaxies(stores: Sequence[Store]) -> int:
    """How many training galaxies of these stores have a label."""
    return sum(
        int((~np.isnan(store.values[store.rows("train")])).any(axis=1).sum()) for store in stores
    )
