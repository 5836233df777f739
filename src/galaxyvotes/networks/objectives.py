"""What a network's output means as fractions, and what a mistake costs.

Fractions of each answer by itself, a sigmoid:
- `bce` (the paper): a galaxy costs the binary cross-entropy, mean over its known answers
- `mse`: … the squared error, mean over its known answers

Fractions that keep the laws of the tree, and so need all of its answers: a softmax within each
question, multiplied down the tree:
- `mse_tree`: … the squared error, mean over its known answers
- `cross_entropy`: … the cross-entropy of each question, weighted by the fraction of volunteers who
  were asked it
- `dirichlet_multinomial`: … the surprise at its votes, in nats, sum over questions. The softmax is
  the mean of a Dirichlet here. It learns from whole votes, so ten of them pull harder than one; the
  others learn from fractions.

What is not known costs nothing.

Quantities (see `tree`) have one objective, whatever the fractions beside them have: the network
gives them standardised, (value − centre) / scale, and a galaxy costs the squared error of that,
mean over its known quantities. So a T type and a colour pull alike, an output that knows nothing is
the mean, and half precision rounds what is small, not what is far from zero.

Source of `dirichlet_multinomial`: Walmsley et al. 2022, MNRAS 509, 3966, section 5.1, equations 6
and 7.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from galaxyvotes.errors import ConfigError
from galaxyvotes.tree import DecisionTree

__all__ = ["OBJECTIVES", "Objective", "Standard"]

OBJECTIVES = ("bce", "mse", "mse_tree", "cross_entropy", "dirichlet_multinomial")


class Standard(NamedTuple):
    """The centre and the scale of a quantity: mean and standard deviation over the galaxies that
    teach.
    """

    centre: float
    scale: float


@dataclass(frozen=True)
class Objective:
    """One of `OBJECTIVES` for these answers of a tree; or squared error, with a standard each, for
    its quantities.
    """

    name: str
    tree: DecisionTree
    columns: Sequence[str]
    standards: Sequence[Standard] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown name, and a tree's objective for a part of its answers."""
        if self.name not in OBJECTIVES:
            close = difflib.get_close_matches(self.name, OBJECTIVES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(OBJECTIVES)}"
            raise ConfigError(f"train.objective is {self.name!r}; {hint}")
        if self.kind not in ("bce", "mse", "quantity") and tuple(self.columns) != self.tree.columns:
            raise ConfigError(
                f"objective {self.name} needs all {len(self.tree.columns)} answers of tree"
                f" {self.tree.name!r}, not {len(self.columns)}; use bce or mse for a part of them"
            )

    @property
    def kind(self) -> str:
        """Its name, or `quantity`."""
        return "quantity" if self.tree.of_quantities else self.name

    @property
    def adds_up(self) -> bool:
        """Whether the fractions of a question are a softmax of its logits, times the fraction that
        was asked it.
        """
        return self.kind in ("mse_tree", "cross_entropy")

    @property
    def wants_votes(self) -> bool:
        """Whether `loss` is told whole votes instead of joint fractions."""
        return self.kind == "dirichlet_multinomial"

    def values(self, logits: Float[Tensor, "galaxy answer"]) -> Float[Tensor, "galaxy answer"]:
        """Joint fractions, 0–1; of quantities, their values."""
        match self.kind:
            case "quantity":
                centre, scale = logits.new_tensor(self.standards).unbind(dim=1)
                return centre + scale * logits
            case "bce" | "mse":
                return logits.sigmoid()
            case "dirichlet_multinomial":
                return tree_fractions(
                    self.tree, concentrations(logits).log()
                )  # softmax of logs: α / sum of α
            case _:
                return tree_fractions(self.tree, logits)

    def loss(
        self,
        logits: Float[Tensor, "galaxy answer"],
        labels: Float[Tensor, "galaxy answer"] | Int[Tensor, "galaxy answer"],
    ) -> Float[Tensor, " galaxy"]:
        """The cost of each galaxy, 0 where nothing is known.

        `labels` is what `wants_votes` says: whole votes, -1 where not known, or joint fractions, NaN
        where not known. TypeError for the other one, which would train without complaint.
        """
        if labels.is_floating_point() == self.wants_votes:
            wanted = "votes: whole counts, -1" if self.wants_votes else "joint fractions, NaN"
            raise TypeError(
                f"objective {self.name} wants {wanted} where not known; it was given {labels.dtype}"
            )
        if self.wants_votes:
            return vote_nll(self.tree, concentrations(logits), labels).sum(dim=1)
        known = ~labels.isnan()
        filled = torch.where(known, labels, 0.0)
        match self.kind:
            case "quantity":
                centre, scale = logits.new_tensor(self.standards).unbind(dim=1)
                cost = (logits - (filled - centre) / scale).square()
            case "bce":
                cost = functional.binary_cross_entropy_with_logits(logits, filled, reduction="none")
            case "cross_entropy":
                return tree_cross_entropy(self.tree, logits, filled)
            case _:
                cost = (self.values(logits) - filled).square()
        return (cost * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def tree_fractions(
    tree: DecisionTree, logits: Float[Tensor, "galaxy answer"]
) -> Float[Tensor, "galaxy answer"]:
    """Joint fractions: a softmax within each question, times the joint fraction of the answer it is
    asked of.
    """
    joint = list(logits.unbind(dim=1))
    for index in tree.depth_first:
        where, parent = tree.slices[index], tree.parents[index]
        conditional = logits[:, where].softmax(dim=1)
        joint[where] = (
            conditional if parent is None else conditional * joint[parent][:, None]
        ).unbind(dim=1)
    return torch.stack(joint, dim=1)


def tree_cross_entropy(
    tree: DecisionTree,
    logits: Float[Tensor, "galaxy answer"],
    fractions: Float[Tensor, "galaxy answer"],
) -> Float[Tensor, " galaxy"]:
    """Cross-entropy in nats, sum over questions; joint fractions weight each by the fraction that
    was asked it.
    """
    logs = torch.cat([logits[:, where].log_softmax(dim=1) for where in tree.slices], dim=1)
    return -(fractions * logs).sum(dim=1)


def concentrations(logits: Float[Tensor, "galaxy answer"]) -> Float[Tensor, "galaxy answer"]:
    """Dirichlet concentrations, 1–101.

    Below 1 a Dirichlet is bimodal, above about 100 surer than any galaxy deserves; so of two
    answers neither has a conditional fraction below 1/102.

    Source: Walmsley et al. 2022, section 5.1, which says "between 1 and 100 (using softmax
    activation)"; this is what the authors' published code does (zoobot, `custom_top_dirichlet`).
    """
    return 1 + 100 * logits.sigmoid()


def vote_nll(
    tree: DecisionTree,
    concentrations: Float[Tensor, "galaxy answer"],
    votes: Int[Tensor, "galaxy answer"],
) -> Float[Tensor, "galaxy question"]:
    """Surprise at each question's votes under a Dirichlet-multinomial, in nats: -log of their
    probability.

    Probabilities of all ways in which as many volunteers could have voted add up to 1: the
    multinomial coefficient, which pulls nowhere, is included. A question nobody was asked (0 votes,
    or -1: not known) costs exactly nothing.

    Source: Walmsley et al. 2022, equation 6, its integral done.
    """
    counts = votes.clamp(min=0).to(concentrations.dtype)
    asked = per_question(tree, counts)
    together = log_rising(per_question(tree, concentrations), asked)
    nll = together - per_question(tree, log_rising(concentrations, counts))
    return torch.where(
        asked > 0, nll, 0.0
    )  # sums that cancel on paper need not cancel to the last bit


def log_rising(
    start: Float[Tensor, "*shape"], count: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """log of start · (start + 1) · … with `count` factors, over count!."""
    return (start + count).lgamma() - start.lgamma() - (count + 1).lgamma()


def per_question(
    tree: DecisionTree, values: Float[Tensor, "galaxy answer"]
) -> Float[Tensor, "galaxy question"]:
    """The sum over each question's answers."""
    return torch.stack([values[:, where].sum(dim=1) for where in tree.slices], dim=1)
