"""When training ends, and why it did: all epochs are done, the training loss has converged (see
`optimiser.converged_after`), or the validation loss has not fallen for long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from galaxyvotes.config import TrainSettings
from galaxyvotes.runs.run import Run

__all__ = ["ending_in_words", "finished_in_words", "patience_is_over"]


def patience_is_over(settings: TrainSettings, history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last `train.patience` epochs, of rows of metrics, did not lower the validation
    loss.
    """
    losses = [row["validation_loss"] for row in history]
    since_best = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    return 0 < settings.patience <= since_best


def ending_in_words(settings: TrainSettings, history: Sequence[Mapping[str, Any]]) -> str:
    """After how many epochs training ended, and why."""
    epochs = len(history)
    if epochs >= settings.epochs:
        return "after its one epoch" if epochs == 1 else f"after all {epochs} epochs"
    of = f"after {epochs} of {settings.epochs} epochs"
    if patience_is_over(settings, history):
        return f"{of}: the validation loss has not fallen in the last {settings.patience}"
    return f"{of}: the training loss has converged"


def finished_in_words(run: Run) -> str:
    """That a run is finished, and how to train its network on.

    Raises CheckpointError if its metrics are damaged.
    """
    ended = ending_in_words(run.recipe.train, run.history)
    return (
        f"{run.path} is finished and is not trained again; training ended {ended}. To train its"
        f" network further, begin another run: finetune with {run.path} as its start"
    )
