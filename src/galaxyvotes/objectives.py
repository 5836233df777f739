"""What a network's output means as fractions, and what a mistake costs.

- `bce` (the paper): fractions are a sigmoid of each answer; a galaxy costs the binary cross-entropy, mean over its
  known answers
- `mse`: fractions as above; a galaxy costs the squared error, mean over its known answers
- `cross_entropy`: fractions are a softmax within each question, multiplied down the tree; a galaxy costs the
  cross-entropy of each question, weighted by the fraction of volunteers who were asked it

Answers that are not known (NaN) cost nothing. Only `cross_entropy` keeps the laws of the tree, and so needs all of its
answers.
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

OBJECTIVES = ("bce", "mse", "cross_entropy")


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
        if self.name == "cross_entropy" and tuple(self.columns) != self.tree.columns:
            raise ConfigError(
                f"objective cross_entropy needs all {len(self.tree.columns)} answers of tree {self.tree.name!r},"
                f" not {len(self.columns)}; use bce or mse for a part of them"
            )

    def fractions(self, logits: Float[Tensor, "galaxy answer"]) -> Float[Tensor, "galaxy answer"]:
        """Joint fractions, 0–1."""
        if self.name != "cross_entropy":
            return logits.sigmoid()
        result = torch.empty_like(logits)
        for index in self.tree.depth_first:
            where, parent = self.tree.slices[index], self.tree.parents[index]
            conditional = logits[:, where].softmax(dim=1)
            result[:, where] = conditional if parent is None else conditional * result[:, parent, None]
        return result

    def loss(
        self, logits: Float[Tensor, "galaxy answer"], truth: Float[Tensor, "galaxy answer"]
    ) -> Float[Tensor, " galaxy"]:
        """The cost of each galaxy, 0 where nothing is known; `truth` is joint fractions, NaN where not known."""
        known = ~truth.isnan()
        filled = torch.where(known, truth, 0.0)
        if self.name == "cross_entropy":
            logs = torch.cat([logits[:, where].log_softmax(dim=1) for where in self.tree.slices], dim=1)
            return -(filled * logs).sum(dim=1)
        if self.name == "bce":
            cost = functional.binary_cross_entropy_with_logits(logits, filled, reduction="none")
        else:
            cost = (logits.sigmoid() - filled).square()
        return (cost * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
