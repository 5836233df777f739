"""What the logits of a network mean as values, and the loss that it is trained with.

Vote fractions, each answer by itself, a sigmoid:
- `bce` (the paper): the binary cross-entropy, mean over the known answers of a galaxy
- `mse`: the squared error, mean over the known answers

Vote fractions that keep the laws of the tree, and so need all of its answers: a softmax within each
question, multiplied down the tree:
- `mse_tree`: the squared error, mean over the known answers
- `cross_entropy`: the cross-entropy of each question, weighted by the fraction of volunteers who
  were asked it
- `dirichlet_multinomial`: the negative log-likelihood of the votes, in nats, sum over questions.
  The softmax is the mean of a Dirichlet here. It learns from whole votes, so ten of them weigh more
  than one; the others learn from fractions.

Quantities have one objective, whatever the recipe names for fractions: the network predicts them
standardised, (value − centre) / scale, and the loss is the squared error of that, mean over the
known quantities. So a T type and a colour weigh alike, an output of zero is the mean, and half
precision rounds small differences, not values far from zero.

Unknown labels add nothing to any loss. Of some galaxies only the answer with the largest fraction
is known: that the others are smaller is what these add (`Objective.loss_of_largest`).

Source of `dirichlet_multinomial`: Walmsley et al. 2022, MNRAS 509, 3966, section 5.1, equations 6
and 7.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import QUANTITIES, Standard
from galaxyvotes.tree import DecisionTree

__all__ = ["OBJECTIVES", "Objective", "objective_for"]

LARGEST_SCALE = 0.08  # errors of fractions of about 0.1, root mean square
# Of that likelihood, beside a cross-entropy: this counts a fraction as one vote, though with errors
# of 0.1 it tells as much as twenty; so that both pull alike, a largest fraction counts a twentieth.
LARGEST_WEIGHT = 0.05

Logits = Float[Tensor, "galaxy answer"]
Values = Float[Tensor, "galaxy answer"]
Losses = Float[Tensor, " galaxy"]


def objective_for(
    name: str, tree: DecisionTree, columns: Sequence[str], standards: Sequence[Standard] = ()
) -> "Objective":
    """The objective of that name for these answers of a tree; for quantities, which have a standard
    each, their own.

    Raises ConfigError for an unknown name (with the nearest), and for an objective that needs all
    answers of the tree if some are missing.
    """
    if name not in OBJECTIVES:
        close = difflib.get_close_matches(name, OBJECTIVES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(OBJECTIVES)}"
        raise ConfigError(f"train.objective is {name!r}; {hint}")
    if tree.kind is QUANTITIES:
        return _StandardisedSquares(tree, tuple(standards))
    objective = _OF_FRACTIONS[name](tree)
    if objective.of_whole_tree and tuple(columns) != tree.columns:
        raise ConfigError(
            f"objective {name} needs all {len(tree.columns)} answers of tree"
            f" {tree.name!r}, not {len(columns)}; use bce or mse for a part of them"
        )
    return objective


@dataclass(frozen=True)
class Objective:
    """An objective for the answers of one head.

    `of_whole_tree`: it needs all answers of the tree. `uses_votes`: its labels are whole votes
    instead of fractions. `softmax_of_logits`: the conditional fractions of a question are the
    softmax of its logits, so that a temperature can scale them.
    """

    name: ClassVar[str]
    of_whole_tree: ClassVar[bool] = False
    uses_votes: ClassVar[bool] = False
    softmax_of_logits: ClassVar[bool] = False

    tree: DecisionTree

    def values(self, logits: Logits) -> Values:
        """Joint fractions, 0–1; of quantities, their values."""
        raise NotImplementedError

    def loss(
        self, logits: Logits, labels: Float[Tensor, "galaxy answer"] | Int[Tensor, "galaxy answer"]
    ) -> Losses:
        """The loss of each galaxy, 0 where nothing is known.

        `labels` are whole votes, -1 where not known, if the objective `uses_votes`; else joint
        fractions or quantities, NaN where not known.

        Raises TypeError for the other ones, with which it could be trained all the same.
        """
        if labels.is_floating_point() == self.uses_votes:
            expected = "votes: whole counts, -1" if self.uses_votes else "joint fractions, NaN"
            raise TypeError(
                f"objective {self.name} takes {expected} where not known; it was given"
                f" {labels.dtype}"
            )
        known = ~labels.isnan() if labels.is_floating_point() else labels >= 0
        return self._loss(logits, torch.where(known, labels, 0), known)

    def loss_of_largest(self, logits: Logits, largest: Int[Tensor, " galaxy"]) -> Losses:
        """The loss of each galaxy of which is known only which fraction is the largest: an index of
        the answers, -1 where not known, which costs nothing.

        `LARGEST_WEIGHT` times the negative logarithm of the probability that it is, in nats, if the
        differences between predicted and true fractions follow a Gumbel distribution of scale
        `LARGEST_SCALE`.
        """
        entropy = functional.cross_entropy(
            self.values(logits) / LARGEST_SCALE,
            largest.long(),
            ignore_index=-1,
            reduction="none",
        )
        return torch.where(largest < 0, 0.0, LARGEST_WEIGHT * entropy)

    def _loss(
        self,
        logits: Logits,
        labels: Float[Tensor, "galaxy answer"] | Int[Tensor, "galaxy answer"],
        known: Bool[Tensor, "galaxy answer"],
    ) -> Losses:
        """The loss of labels that are 0 where not known."""
        return mean_of_known((self.values(logits) - labels).square(), known)


class _Squares(Objective):
    name = "mse"

    def values(self, logits: Logits) -> Values:
        return logits.sigmoid()


class _BinaryCrossEntropy(_Squares):
    name = "bce"

    def _loss(self, logits: Logits, labels: Tensor, known: Tensor) -> Losses:
        entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return mean_of_known(entropy, known)


class _TreeSquares(Objective):
    name, of_whole_tree, softmax_of_logits = "mse_tree", True, True

    def values(self, logits: Logits) -> Values:
        return tree_fractions(self.tree, logits)


class _TreeCrossEntropy(_TreeSquares):
    name = "cross_entropy"

    def _loss(self, logits: Logits, labels: Tensor, known: Tensor) -> Losses:  # noqa: ARG002
        return tree_cross_entropy(self.tree, logits, labels)


class _DirichletMultinomial(Objective):
    name, of_whole_tree, uses_votes = "dirichlet_multinomial", True, True

    def values(self, logits: Logits) -> Values:
        # The softmax of logarithms: each concentration divided by their sum.
        return tree_fractions(self.tree, concentrations(logits).log())

    def _loss(self, logits: Logits, labels: Tensor, known: Tensor) -> Losses:  # noqa: ARG002
        return vote_nll(self.tree, concentrations(logits), labels).sum(dim=1)


@dataclass(frozen=True)
class _StandardisedSquares(Objective):
    name = "quantity"

    standards: tuple[Standard, ...]

    def values(self, logits: Logits) -> Values:
        centre, scale = self._centre_and_scale(logits)
        return centre + scale * logits

    def _loss(self, logits: Logits, labels: Tensor, known: Tensor) -> Losses:
        centre, scale = self._centre_and_scale(logits)
        return mean_of_known((logits - (labels - centre) / scale).square(), known)

    def _centre_and_scale(self, logits: Logits) -> tuple[Tensor, ...]:
        return logits.new_tensor(self.standards).unbind(dim=1)


_OF_FRACTIONS: dict[str, type[Objective]] = {
    objective.name: objective
    for objective in (
        _BinaryCrossEntropy,
        _Squares,
        _TreeSquares,
        _TreeCrossEntropy,
        _DirichletMultinomial,
    )
}
OBJECTIVES = tuple(_OF_FRACTIONS)


def mean_of_known(
    costs: Float[Tensor, "galaxy answer"], known: Bool[Tensor, "galaxy answer"]
) -> Losses:
    """The mean over the known answers of each galaxy; 0 if none is known."""
    return (costs * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def tree_fractions(
    tree: DecisionTree, logits: Float[Tensor, "galaxy answer"]
) -> Float[Tensor, "galaxy answer"]:
    """Joint fractions: a softmax within each question, times the joint fraction of the answer it is
    asked of.

    `DecisionTree.joint` of these softmaxes, with gradients.
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

    Below 1 a Dirichlet is bimodal, above about 100 narrower than any galaxy deserves; so of two
    answers neither has a conditional fraction below 1/102.

    Source: Walmsley et al. 2022, section 5.1, where it reads "between 1 and 100 (using
    softmax activation)"; this is what the authors' published code computes (zoobot,
    `custom_top_dirichlet`).
    """
    return 1 + 100 * logits.sigmoid()


def vote_nll(
    tree: DecisionTree,
    concentrations: Float[Tensor, "galaxy answer"],
    votes: Int[Tensor, "galaxy answer"],
) -> Float[Tensor, "galaxy question"]:
    """The negative log-likelihood of each question's votes under a Dirichlet-multinomial, in nats.

    Probabilities of all ways in which as many volunteers could have voted add up to 1: the
    multinomial coefficient, which has no gradient, is included. A question nobody was asked (0
    votes, or -1: not known) adds exactly nothing.

    Source: Walmsley et al. 2022, equation 6, its integral done.
    """
    counts = votes.clamp(min=0).to(concentrations.dtype)
    asked = per_question(tree, counts)
    together = log_rising(per_question(tree, concentrations), asked)
    nll = together - per_question(tree, log_rising(concentrations, counts))
    # Sums that cancel on paper need not cancel to the last bit.
    return torch.where(asked > 0, nll, 0.0)


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
