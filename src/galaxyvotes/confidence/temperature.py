"""Calibrated probabilities: temperature scaling of the answers to one question, each with a shift.

A network trained on few galaxies of a class predicts it too seldom, the mean of several views is
less sure than it could be, and on images of another survey a network may favour an answer. So the
logits of a question are multiplied by one factor and shifted by one number an answer: those under
which the labels of calibration galaxies are most likely. The last linear layer of a network can do
that itself. Each question of a tree has a factor and shifts of its own.

Few galaxies settle little. Until they say otherwise, factor and shifts are those that change
nothing: the factor's logarithm and each shift have a normal prior of mean 0 and deviation 0.5; 0.25
in a tree of several questions, where most are asked of few galaxies.

Source: Alexandari et al. 2020, ICML, PMLR 119, 222, section 3.2 ("bias-corrected temperature
scaling").
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.tree import DecisionTree

__all__ = ["TemperatureScaling", "check_scalings", "fit_scalings"]

# Of the prior of the factor's logarithm and of the shifts, if the tree has one question or several.
_DEVIATION, _DEVIATION_IN_TREE = 0.5, 0.25
_LARGEST = 5.0  # of the factor's logarithm, wherever the search goes
_LEAST = 1e-6  # a smaller fraction counts as this


@dataclass(frozen=True)
class TemperatureScaling:
    """What the logits of one question are multiplied by, and by how much each answer is shifted
    then.
    """

    factor: float
    shifts: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what no fit gives."""
        if not (0 < self.factor < math.inf and all(map(math.isfinite, self.shifts))):
            raise DataError(
                f"factor is {self.factor} and shifts are {list(self.shifts)}; expected a factor"
                " above 0 and finite shifts"
            )

    @staticmethod
    def fit(
        predicted: Float[np.ndarray, "view galaxy answer"],
        labels: Float[np.ndarray, "galaxy answer"],
        deviation: float = _DEVIATION,
    ) -> "TemperatureScaling":
        """The scaling under which the labels, fractions of one question, are most likely.

        `predicted` are the fractions that each view and network predicts: softmaxes, whose mean is
        the prediction. Labels may be joint fractions: a galaxy counts as far as it was asked.
        `deviation` is that of the prior.
        """
        logits = torch.from_numpy(predicted.astype(np.float64)).clamp(min=_LEAST).log()
        targets = torch.from_numpy(labels.astype(np.float64))
        sought = torch.zeros(1 + labels.shape[1], dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([sought], max_iter=200, line_search_fn="strong_wolfe")

        def cost() -> torch.Tensor:
            optimiser.zero_grad()
            scaled = logits * (_LARGEST * (sought[0] / _LARGEST).tanh()).exp() + sought[1:]
            mean = scaled.log_softmax(dim=2).logsumexp(dim=0) - math.log(max(len(logits), 1))
            total = -(targets * mean).sum() + (sought / deviation).square().sum() / 2
            total.backward()
            return total

        optimiser.step(cost)
        solution = sought.detach().numpy().astype(float)
        factor = math.exp(_LARGEST * math.tanh(solution[0] / _LARGEST))
        return TemperatureScaling(factor, tuple(map(float, solution[1:])))

    @torch.no_grad()
    def apply_to(self, network: nn.Sequential, outputs: slice) -> None:
        """Scale these outputs of the last layer, the logits of the question, in place."""
        last = network[-1]
        assert isinstance(last, nn.Linear)
        last.weight[outputs] *= self.factor
        last.bias[outputs] = self.factor * last.bias[outputs] + last.bias.new_tensor(self.shifts)

    def check(self, answers: int, origin: str) -> None:
        """Refuse a scaling of another number of answers: a DataError, in which `origin` names the
        file.
        """
        if len(self.shifts) != answers:
            raise DataError(
                f"{origin} has {counted(len(self.shifts), 'shift')} for"
                f" {counted(answers, 'answer')}"
            )

    def to_table(self) -> dict[str, Any]:
        """As a table of a TOML file."""
        return asdict(self)


def fit_scalings(
    predicted: Float[np.ndarray, "view galaxy answer"],
    labels: Float[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
) -> tuple[TemperatureScaling, ...]:
    """The scaling of each question of a tree, from joint fractions that each view and network
    predicts and labels, NaN where not known.
    """
    deviation = _DEVIATION if len(tree.questions) == 1 else _DEVIATION_IN_TREE
    conditional = np.stack([tree.conditional(view) for view in predicted])
    scalings: list[TemperatureScaling] = []
    for where in tree.slices:
        fits = ~np.isnan(labels[:, where]).any(axis=1)
        fits &= ~np.isnan(conditional[:, :, where]).any(axis=(0, 2))
        of_question = conditional[:, fits, where], labels[fits, where]
        scalings.append(TemperatureScaling.fit(*of_question, deviation=deviation))
    return tuple(scalings)


def check_scalings(scalings: Sequence[TemperatureScaling], tree: DecisionTree, origin: str) -> None:
    """Refuse scalings that are not one a question of the tree, with a shift an answer: a DataError,
    in which `origin` names the file.
    """
    if len(scalings) != len(tree.questions):
        raise DataError(
            f"{origin} scales {counted(len(scalings), 'question')}; tree {tree.name!r} has"
            f" {len(tree.questions)}"
        )
    for scaling, question in zip(scalings, tree.questions, strict=True):
        scaling.check(len(question.answers), origin)
