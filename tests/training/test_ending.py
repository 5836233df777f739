"""Why training ended, in words."""

import pytest

from galaxyvotes.config import Recipe
from galaxyvotes.training.ending import ending_in_words, patience_is_over


@pytest.mark.parametrize(
    ("changes", "losses", "words"),
    [
        (("train.epochs=1",), [1.0], "after its one epoch"),
        (("train.epochs=3",), [3.0, 2.0, 1.0], "after all 3 epochs"),
        (
            ("train.epochs=9", "train.patience=2"),
            [2.0, 1.0, 1.5, 1.1],
            "after 4 of 9 epochs: the validation loss has not fallen in the last 2",
        ),
        (
            ("train.epochs=9", "train.plateau=1"),
            [2.0, 1.0, 1.0],
            "after 3 of 9 epochs: the training loss has converged",
        ),
    ],
)
def test_the_reason_for_the_end_follows_from_the_epochs_and_their_losses(changes, losses, words):
    settings = Recipe.load("small", ("train.patience=0", *changes)).train
    assert ending_in_words(settings, [{"validation_loss": loss} for loss in losses]) == words


def test_patience_counts_the_epochs_since_the_best():
    settings = Recipe.load("small", ("train.patience=2",)).train
    rows = [{"validation_loss": loss} for loss in (2.0, 1.0, 1.5, 1.1)]
    assert not patience_is_over(settings, rows[:3])
    assert patience_is_over(settings, rows)
    assert not patience_is_over(settings, [])
