"""What a network's output means as fractions, and what a mistake costs.

Fractions of each answer by itself, a sigmoid:
- `bce` (the paper): a galaxy costs the binary cross-entropy, mean over its known answers
- `mse`: … the squared error, mean over its known answers

Fractions that keep the laws of the tree, and so need all of its answers: a softmax within each question, multiplied
down the tree:
- `mse_tree`: … the squared error, mean over its known answers
- `cross_entropy`: … the cross-entropy of each question, weighted by the fraction of volunteers who were asked it

What is not known costs nothing.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from galaxyvotes.errors import ConfigError
from galaxyvotes.tree import DecisionTree

__all__ = ["OBJECTIVES", "Objective"]

OBJECTIVES = ("bce", "mse", "mse_tree", "cross_entropy")


@dataclass(frozen=True)
class Objective:
    """One of `OBJECTIVES` for these answers of a tree."""

    name: str
    tree: DecisionTree
    columns: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse an unknown name, and a tree's objective for a part of its answers."""
        if self.name not in OBJECTIVES:
            close = difflib.get_close_matches(self.name, OBJECTIVES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(OBJECTIVES)}"
            raise ConfigError(f"train.objective is {self.name!r}; {hint}")
        if self.name not in ("bce", "mse") and tuple(self.columns) != self.tree.columns:
            raise ConfigError(
                f"objective {self.name} needs all {len(self.tree.columns)} answers of tree {self.tree.name!r},"
                f" not {len(self.columns)}; use bce or mse for a part of them"
            )

    def fractions(self, logits: Float[Tensor, "galaxy answer"]) -> Float[Tensor, "galaxy answer"]:
        """Joint fractions, 0–1."""
        match self.name:
            case "bce" | "mse":
                return logits.sigmoid()
            case _:
                return tree_fractions(self.tree, logits)

    def loss(
        self, logits: Float[Tensor, "galaxy answer"], truth: Float[Tensor, "galaxy answer"]
    ) -> Float[Tensor, " galaxy"]:
        """The cost of each galaxy, 0 where nothing is known; `truth` is joint fractions, NaN where not known."""
        known = ~truth.isnan()
        filled = torch.where(known, truth, 0.0)
        match self.name:
            case "bce":
                cost = functional.binary_cross_entropy_with_logits(logits, filled, reduction="none")
            case "cross_entropy":
                return tree_cross_entropy(self.tree, logits, filled)
            case _:
                cost = (self.fractions(logits) - filled).square()
        return (cost * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def tree_fractions(tree: DecisionTree, logits: Float[Tensor, "galaxy answer"]) -> Float[Tensor, "galaxy answer"]:
    """Joint fractions: a softmax within each question, times the joint fraction of the answer it is asked of."""
    joint = list(logits.unbind(dim=1))
    for index in tree.depth_first:
        where, parent = tree.slices[index], tree.parents[index]
        conditional = logits[:, where].softmax(dim=1)
        joint[where] = (conditional if parent is None else conditional * joint[parent][:, None]).unbind(dim=1)
    return torch.stack(joint, dim=1)


def tree_cross_entropy(
    tree: DecisionTree, logits: Float[Tensor, "galaxy answer"], fractions: Float[Tensor, "galaxy answer"]
) -> Float[Tensor, " galaxy"]:
    """Cross-entropy in nats, sum over questions; joint fractions weight each by the fraction that was asked it."""
    logs = torch.cat([logits[:, where].log_softmax(dim=1) for where in tree.slices], dim=1)
    return -(fractions * logs).sum(dim=1)
