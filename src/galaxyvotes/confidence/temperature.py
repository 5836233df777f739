"""How sure a network should be of each answer of a question: as sure as galaxies that taught it
nothing bear out.

A network that learned a class from few galaxies says too seldom that a galaxy is of it, and the
mean of several views is less sure than it could be. So the logits of a question are multiplied by
one factor and shifted by one number an answer, those under which calibration galaxies are most
likely, and which are a linear layer's to make.

Few galaxies cannot tell much. Until they say otherwise, factor and shifts are those that change
nothing: the factor's logarithm and each shift are drawn there as if by a normal distribution of
deviation 0.5.

Source: Alexandari et al. 2020, ICML, PMLR 119, 222, section 3.2 ("bias-corrected temperature
scaling").
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from galaxyvotes.errors import DataError

__all__ = ["TemperatureScaling"]

_DEVIATION = 0.5  # how far the logarithm of the factor and the shifts are expected from 0
_FARTHEST = 5.0  # the logarithm of the factor goes no farther, wherever the search looks
_LEAST = 1e-6  # a smaller fraction says no more


@dataclass(frozen=True)
class TemperatureScaling:
    """What the logits of one question are multiplied by, and by how much each of its answers is
    shifted then.
    """

    factor: float
    shifts: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what no galaxies can have said."""
        if not (0 < self.factor < math.inf and all(map(math.isfinite, self.shifts))):
            raise DataError(
                f"certainty is {self.factor}, {self.shifts}; expected a factor above 0 and finite"
                " shifts"
            )

    @staticmethod
    def of(
        said: Float[np.ndarray, "look galaxy answer"], labels: Float[np.ndarray, "galaxy answer"]
    ) -> "TemperatureScaling":
        """That under which the truth, fractions of one question, is most likely.

        What was `said` are the fractions that each view and network gave: softmaxes, whose mean
        answers.
        """
        logs = torch.from_numpy(said.astype(np.float64)).clamp(min=_LEAST).log()
        wanted = torch.from_numpy(labels.astype(np.float64))
        sought = torch.zeros(1 + labels.shape[1], dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([sought], max_iter=200, line_search_fn="strong_wolfe")

        def cost() -> torch.Tensor:
            optimiser.zero_grad()
            scaled = logs * (_FARTHEST * (sought[0] / _FARTHEST).tanh()).exp() + sought[1:]
            answered = scaled.log_softmax(dim=2).logsumexp(dim=0) - math.log(max(len(logs), 1))
            total = -(wanted * answered).sum() + (sought / _DEVIATION).square().sum() / 2
            total.backward()
            return total

        optimiser.step(cost)
        found = sought.detach().numpy().astype(float)
        return TemperatureScaling(
            math.exp(_FARTHEST * math.tanh(found[0] / _FARTHEST)), tuple(map(float, found[1:]))
        )

    @torch.no_grad()
    def teach(self, network: nn.Sequential, outputs: slice) -> None:
        """Let these outputs of the last layer, the logits of the question, be so from now on."""
        last = network[-1]
        assert isinstance(last, nn.Linear)
        last.weight[outputs] *= self.factor
        last.bias[outputs] = self.factor * last.bias[outputs] + last.bias.new_tensor(self.shifts)

    def to_table(self) -> dict[str, Any]:
        """As a table of a TOML file; `from_table` reads it back equal."""
        return {"factor": self.factor, "shifts": list(self.shifts)}

    @staticmethod
    def from_table(table: Any, answers: int, origin: str) -> "TemperatureScaling":
        """What `to_table` gave for so many answers; `origin` names it in errors."""
        try:
            found = TemperatureScaling(float(table["factor"]), tuple(map(float, table["shifts"])))
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise DataError(f"{origin} is no certainty: {error!r}. Calibrate again") from None
        if len(found.shifts) != answers:
            raise DataError(
                f"{origin} has {len(found.shifts)} shifts for {answers} answers. Calibrate again"
            )
        return found
