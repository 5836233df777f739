"""The optimiser of a recipe: Adam, or AdamW where weights decay or the encoder learns more slowly;
and its learning rate at each step.
"""

import math
from typing import Any

import torch
from torch import nn

from galaxyvotes.config import TrainSettings
from galaxyvotes.networks.build import encoder

__all__ = ["learning_rate", "optimiser_of", "set_rate"]

_RISES = 0.3  # the part of training in which the rate of "one_cycle" rises


def optimiser_of(module: nn.Sequential, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser of all weights of a network; one fused step moves them all."""
    if settings.weight_decay or settings.encoder_rate < 1:
        groups = _groups(module, settings.weight_decay, settings.encoder_rate)
        return torch.optim.AdamW(
            groups, settings.learning_rate, eps=settings.adam_epsilon, fused=True
        )
    return torch.optim.Adam(
        module.parameters(), settings.learning_rate, eps=settings.adam_epsilon, fused=True
    )


def learning_rate(settings: TrainSettings, epochs: float) -> float:
    """The learning rate after so many epochs, in which a step may stand anywhere.

    "one_cycle" is that of Smith & Topin 2018, arXiv:1708.07120, section 3, with half cosines.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    done = epochs / settings.epochs
    if settings.schedule == "one_cycle":
        rises = done < _RISES
        part = done / _RISES if rises else (1 - done) / (1 - _RISES)
        least = 1 / 25 if rises else 1 / 250_000
        return settings.learning_rate * (
            least + (1 - least) * (0.5 - 0.5 * math.cos(math.pi * part))
        )
    return settings.learning_rate * min(done / 0.05, 0.5 + 0.5 * math.cos(math.pi * done))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give the optimiser's next step a learning rate, of which each group has its share."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def _groups(
    module: nn.Sequential, weight_decay: float, encoder_rate: float
) -> list[dict[str, Any]]:
    """Matrices decay, biases and the scales of batch norms do not; the encoder learns at its share
    of the rate.
    """
    return [
        {
            "params": [each for each in part.parameters() if (each.dim() > 1) == matrices],
            "weight_decay": weight_decay if matrices else 0.0,
            "share": share,
        }
        for part, share in ((encoder(module), encoder_rate), (module[-1], 1.0))
        for matrices in (True, False)
    ]
