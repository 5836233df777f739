from itertools import pairwise

import numpy as np
import pytest
import torch

from galaxyvotes.config import TrainSettings
from galaxyvotes.training.optimiser import converged_after, last_epoch, learning_rate


def test_one_cycle_is_torchs():
    settings = TrainSettings(epochs=10, learning_rate=0.01, schedule="one_cycle")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.01)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.01, total_steps=1001, cycle_momentum=False
    )
    for step in range(1001):
        expected = optimiser.param_groups[0]["lr"]
        # Theirs peaks a step earlier, and so is a step ahead on its way there and a part of one on
        # its way back.
        assert learning_rate(settings, step / 100) == pytest.approx(expected, abs=6e-5)
        optimiser.step()
        torchs.step()


def test_one_cycle_begins_at_a_25th_peaks_at_three_tenths_and_ends_at_nothing():
    settings = TrainSettings(epochs=10, learning_rate=0.01, schedule="one_cycle")
    assert learning_rate(settings, 0.0) == pytest.approx(0.0004)
    assert learning_rate(settings, 3.0) == pytest.approx(0.01)
    assert learning_rate(settings, 10.0) == pytest.approx(4e-8)


def decay(epochs: int, time: float, *, floor: float = 4.0) -> list[float]:
    """Losses that fall by one towards a floor, as an exponential of the epoch."""
    return [floor + float(np.exp(-epoch / time)) for epoch in range(epochs)]


PLATEAU = TrainSettings(epochs=60, plateau=5, schedule="cosine", learning_rate=0.01)


@pytest.mark.parametrize("floor", [0.0, 4.0, -100.0])
def test_training_has_converged_when_the_loss_falls_by_a_fiftieth_whatever_its_floor(floor):
    losses = decay(60, 5, floor=floor)
    epoch = converged_after(PLATEAU, losses)
    assert epoch is not None
    before, now = (np.mean(losses[end - 5 : end]) for end in (epoch - 5, epoch))
    earlier, then = (np.mean(losses[end - 5 : end]) for end in (epoch - 6, epoch - 1))
    assert before - now < 0.02 * (losses[0] - now)
    assert earlier - then >= 0.02 * (losses[0] - then)
    assert converged_after(PLATEAU, losses[: epoch - 1]) is None
    assert converged_after(PLATEAU, losses[:epoch]) == epoch
    assert last_epoch(PLATEAU, epoch) == epoch + 5


def test_a_slow_loss_has_not_converged_and_without_a_plateau_none_has():
    assert converged_after(PLATEAU, decay(60, 40)) is None
    assert last_epoch(PLATEAU, None) == 60
    assert converged_after(TrainSettings(epochs=60), decay(60, 1)) is None


def test_a_loss_that_never_falls_ends_training_after_the_first_two_windows():
    assert converged_after(PLATEAU, [1.0] * 30) == 10
    assert converged_after(PLATEAU, [float(epoch) for epoch in range(30)]) == 10


def test_convergence_that_would_save_no_epoch_does_not_count():
    settings = TrainSettings(epochs=15, plateau=5)
    assert converged_after(settings, [1.0] * 15) is None
    assert converged_after(TrainSettings(epochs=16, plateau=5), [1.0] * 16) == 10


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_after_convergence_the_rate_falls_to_its_end_without_a_jump(schedule):
    settings = TrainSettings(epochs=60, plateau=5, schedule=schedule, learning_rate=0.01)
    rates = [learning_rate(settings, 20 + step / 100, 20) for step in range(501)]
    assert rates[0] == pytest.approx(learning_rate(settings, 20.0))
    assert rates[-1] == pytest.approx(learning_rate(settings, 60.0))
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.01 / 50
    assert rates[-1] < 1e-6
