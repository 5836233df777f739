"""Whether a trained network is any better than the mean label: a warning if it is not.

Training writes the skill of each head on the validation galaxies beside its other metrics (see
`training.validation.skill`). Chance alone gives a network that has learned nothing a skill up to
about 4 divided by the number of validation galaxies (two standard errors), so that is not told
from none.
"""

from collections.abc import Mapping
from typing import Any

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.runs.network import Head

__all__ = ["no_better_than_mean"]

_CHANCE, _MOST = 4.0, 0.05  # skill: this over the number of galaxies, at most so much


def no_better_than_mean(
    head: Head, prefix: str, metrics: Mapping[str, Any], galaxies: int
) -> str | None:
    """The warning for a head whose metrics, of an epoch, stand after a prefix and were measured on
    so many galaxies; None if its network is better than the mean, or if nobody measured that.
    """
    skill = metrics.get(f"{prefix}validation_skill")
    if skill is None or skill > min(_CHANCE / galaxies, _MOST):
        return None
    if len(head.columns) > 1 and head.standards:
        return f"{_percent(skill)} of the variance of {', '.join(head.columns)} is explained"
    rmse = metrics[f"{prefix}validation_mse"] ** 0.5
    numbers = f"validation RMSE {rmse:.4g}, that of {_baseline(head)} is {_of_mean(rmse, skill)}"
    accuracy = metrics.get(f"{prefix}validation_accuracy")
    if accuracy is not None and len(head.tree.questions) == 1:
        numbers = f"validation accuracy {accuracy:.3f}; {numbers}"
    return numbers


def _baseline(head: Head) -> str:
    """What predicting the mean label is called."""
    if head.tree.kind is QUANTITIES:
        return "the mean of the training galaxies"
    if len(head.tree.questions) == 1:
        return "the class frequencies of the training galaxies"
    return "the mean votes of the training galaxies"


def _of_mean(rmse: float, skill: float) -> str:
    return f"{rmse / (1 - skill) ** 0.5:.4g}"


def _percent(skill: float) -> str:
    return f"{100 * skill:.0f} %"
