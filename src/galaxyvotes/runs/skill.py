"""Whether a trained network is any better than the mean label, and a fine-tuned one than it was
before: a warning if it is not.

Training writes the skill of each head on the validation galaxies beside its other metrics (see
`training.validation.skill`). Chance alone gives a network that has learned nothing a skill up to
about 4 divided by the number of validation galaxies (two standard errors), so that is not told
from none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from galaxyvotes.kinds import CLASSES, QUANTITIES
from galaxyvotes.runs.network import Head
from galaxyvotes.runtime.counted import counted

__all__ = [
    "advice_after",
    "no_better_than_mean",
    "no_better_than_start",
    "validation_figures",
    "warning_after_training",
]

_CHANCE, _MOST = 4.0, 0.05  # skill: this over the number of galaxies, at most so much
_FEW = _CHANCE / _MOST  # galaxies, among which chance has a larger skill than that


def warning_after_training(
    heads: Sequence[Head],
    kept: Mapping[str, Any],
    galaxies: int,
    at_start: Mapping[str, Any],
) -> str | None:
    """What is to be said against the metrics of the epoch that was kept, of so many validation
    galaxies, beside those before fine-tuning, if these were measured; None if nothing is.
    """
    useless: list[str] = []
    no_better: list[str] = []
    for index, head in enumerate(heads):
        prefix = f"{head.tree.name}_" if index else ""
        if numbers := no_better_than_mean(head, prefix, kept, galaxies):
            useless.append(f"{head.tree.name}: {numbers}")
        elif numbers := no_better_than_start(head, prefix, kept, at_start):
            no_better.append(f"{head.tree.name}: {numbers}")
    on = f"on {counted(galaxies, 'validation galaxy')}"
    if galaxies < _FEW:
        on += ", too few to tell"
    if useless:
        verdict = "" if galaxies < _FEW else "has learned nothing of use, it "
        return f"{verdict}is no better than the mean {on}: {'; '.join(useless)}"
    if no_better:
        return f"is no better than before fine-tuning {on}: {'; '.join(no_better)}"
    return None


def advice_after(command: str, galaxies: int, *, mirrors: bool, large_shares: bool) -> str:
    """What to try if a network, begun by train or finetune, seems to have learned nothing by so
    many validation galaxies; `large_shares` if a larger share of the galaxies is of no use.
    """
    mirror = "`settings=('train.mirror=false',)`, if mirror images have other labels"
    if galaxies < _FEW:
        unseen = ", that the network it started from has not seen" if command == "finetune" else ""
        larger = "larger shares for validation and test, `splits=SplitSettings(0.4, 0.3, 0.3)`, or"
        return (
            "Evaluate it to know more, on more galaxies if there are: pack with"
            f"{'' if large_shares else ' ' + larger} more labelled galaxies{unseen}"
            + (f"; or try {mirror}" if mirrors else "")
        )
    if command == "finetune":
        tries = ["more labels", "`settings=('train.encoder_rate=1',)`"]
        first = "Check that labels and images belong together; then try"
    else:
        tries = ["more labels", "more epochs, `settings=('train.epochs=…',)`"]
        first = "Try fine-tuning, which needs far fewer galaxies;"
    return f"{first} {', or '.join(tries + ([mirror] if mirrors else []))}"


def validation_figures(head: Head, prefix: str, metrics: Mapping[str, Any]) -> str:
    """How good a head is on the validation galaxies, by its metrics, which stand after a prefix:
    for example "RMSE 0.0812"; of classes the accuracy and the Brier score.
    """
    skill = metrics.get(f"{prefix}validation_skill")
    if _of_several_units(head):
        return "unknown" if skill is None else f"{_percent(skill)} of the variance explained"
    accuracy = metrics.get(f"{prefix}validation_accuracy")
    shown = accuracy is not None and len(head.tree.questions) == 1
    figures = [f"accuracy {accuracy:.3f}"] if shown else []
    error = _error(head, metrics[f"{prefix}validation_mse"])
    return ", ".join([*figures, f"{_measure(head)} {error:.4g}"])


def no_better_than_start(
    head: Head, prefix: str, metrics: Mapping[str, Any], at_start: Mapping[str, Any]
) -> str | None:
    """The warning for a head whose error is not smaller than before fine-tuning; None if it is, or
    if nobody measured that.
    """
    name = "skill" if _of_several_units(head) else "mse"
    after, before = (row.get(f"{prefix}validation_{name}") for row in (metrics, at_start))
    if after is None or before is None:
        return None
    if (after > before) if name == "skill" else (after < before):
        return None
    figures = (validation_figures(head, prefix, row) for row in (metrics, at_start))
    return "validation {}; before {}".format(*figures)


def no_better_than_mean(
    head: Head, prefix: str, metrics: Mapping[str, Any], galaxies: int
) -> str | None:
    """The warning for a head whose metrics, of an epoch, stand after a prefix and were measured on
    so many galaxies; None if its network is better than the mean, or if nobody measured that.
    """
    skill = metrics.get(f"{prefix}validation_skill")
    if skill is None or skill > min(_CHANCE / galaxies, _MOST):
        return None
    if _of_several_units(head):
        return f"{_percent(skill)} of the variance of {', '.join(head.columns)} is explained"
    of_mean = metrics[f"{prefix}validation_mse"] / (1 - skill)
    return (
        f"validation {validation_figures(head, prefix, metrics)}, that of {_baseline(head)} is"
        f" {_error(head, of_mean):.4g}"
    )


def _of_several_units(head: Head) -> bool:
    """Whether errors of the answers cannot be added up."""
    return len(head.columns) > 1 and bool(head.standards)


def _measure(head: Head) -> str:
    return "Brier score" if head.kind is CLASSES else "RMSE"


def _error(head: Head, mse: float) -> float:
    """The measure of errors from the mean squared error; the Brier score is a sum over classes."""
    return mse * len(head.columns) if head.kind is CLASSES else mse**0.5


def _baseline(head: Head) -> str:
    """What predicting the mean label is called."""
    if head.tree.kind is QUANTITIES:
        return "the mean of the training galaxies"
    if len(head.tree.questions) == 1:
        return "the class frequencies of the training galaxies"
    return "the mean votes of the training galaxies"


def _percent(skill: float) -> str:
    return f"{100 * skill:.0f} %".replace("-", "\N{MINUS SIGN}")
