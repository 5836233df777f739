"""The optimiser of a recipe: Adam, or AdamW where weights decay or the encoder learns more slowly;
its learning rate at each step; and when training has converged.

Only the training loss decides that, so validation galaxies have no part in it and can calibrate the
run. The learning rate then falls to its end all the same, only sooner: a network that stops at a
high rate is worse than one whose rate has fallen (Hägele et al. 2024, arXiv:2405.18392, section 4).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from galaxyvotes.config import TrainSettings
from galaxyvotes.networks.build import encoder

__all__ = ["converged_after", "last_epoch", "learning_rate", "optimiser_of", "set_rate"]

_CONVERGED = 0.02  # of all that the training loss has fallen
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


def converged_after(settings: TrainSettings, losses: Sequence[float]) -> int | None:
    """After how many epochs, with these training losses, training had converged; None if it has
    not, or too late to end sooner.

    It has when the mean loss of the last `train.plateau` epochs is lower than that of as many
    before them by less than a fiftieth of all that it has fallen since the first epoch.
    """
    width = settings.plateau
    if not width:
        return None
    for epoch in range(2 * width, min(len(losses), settings.epochs - width - 1) + 1):
        before, now = (sum(losses[end - width : end]) / width for end in (epoch - width, epoch))
        if before - now < _CONVERGED * max(losses[0] - now, 0) or now >= before:
            return epoch
    return None


def last_epoch(settings: TrainSettings, converged: int | None) -> int:
    """How many epochs training has, if it had converged after so many."""
    return settings.epochs if converged is None else converged + settings.plateau


def learning_rate(settings: TrainSettings, epochs: float, converged: int | None = None) -> float:
    """The learning rate after so many epochs, in which a step may stand anywhere; once training has
    converged, the rest of the schedule is passed through in `train.plateau` epochs.

    "one_cycle" is that of Smith & Topin 2018, arXiv:1708.07120, section 3, with half cosines.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    done = epochs / settings.epochs
    if converged is not None:
        begun = converged / settings.epochs
        done = begun + (epochs - converged) / settings.plateau * (1 - begun)
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
