import pytest
import torch

from galaxyvotes.config import TrainSettings
from galaxyvotes.training.optimiser import learning_rate


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
