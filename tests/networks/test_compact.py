import pytest
import torch
from torch import nn

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.build import build, encoder, folded
from galaxyvotes.networks.compact import Compact


def compact(*, answers: int = 5, size_px: int = 32, **settings) -> Compact:
    module = build(
        ModelSettings("compact", **{"width": 8} | settings), answers=answers, size_px=size_px
    )
    assert isinstance(module, Compact)
    return module


@pytest.mark.parametrize("size_px", [16, 31, 40, 100])
def test_a_side_that_does_not_halve_four_times_is_refused(size_px):
    with pytest.raises(
        ConfigError, match=rf"images of {size_px} px do not fit model compact.*size_px=64"
    ):
        compact(size_px=size_px)


def test_it_has_as_many_parameters_as_its_page_says():
    module = compact(answers=37, width=32)
    assert 1.2e6 < sum(parameter.numel() for parameter in module.parameters()) < 1.3e6


@pytest.mark.parametrize("size_px", [32, 48, 64, 96])
@pytest.mark.parametrize("depth", [1, 2])
def test_it_takes_any_side_that_halves_four_times(size_px, depth):
    module = compact(size_px=size_px, depth=depth).eval()
    assert module(torch.rand(2, 3, size_px, size_px)).shape == (2, 5)
    assert encoder(module)(torch.rand(2, 3, size_px, size_px)).shape == (2, 64)


def test_new_blocks_are_the_identity():
    block = compact(depth=2).stage2[1].eval()
    image = torch.rand(2, 32, 4, 4)
    assert torch.equal(block(image), image)


@pytest.mark.parametrize("depth", [1, 2])
def test_folded_batch_norms_change_the_outputs_by_rounding_only(depth):
    network = build(ModelSettings(name="compact", depth=depth), answers=37, size_px=64)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:  # of a network that has learned
        for values, low in (
            (norm.weight, -1),
            (norm.bias, -1),
            (norm.running_mean, -1),
            (norm.running_var, 0.1),
        ):
            nn.init.uniform_(values, low, 2)
    images = torch.rand(4, 3, 64, 64)
    before = network.eval()(images)
    quicker = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quicker.modules())
    torch.testing.assert_close(quicker(images), before, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        network(images), before, rtol=0, atol=0
    )  # which itself stays as it was
