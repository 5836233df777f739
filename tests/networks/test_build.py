import numpy as np
import pytest
import torch
from torch import Tensor

from galaxyvotes.config import ModelSettings, Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.build import MODELS, build, encoder, folded, to_input
from galaxyvotes.networks.compact import Compact


def photographs(count: int = 4, side: int = 36, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", [*MODELS, "timm:test_resnet"])
def test_one_seed_gives_one_network_and_another_another(name):
    settings = ModelSettings(name, width=8)
    first, again, other = (
        build(settings, answers=3, size_px=32, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


@pytest.mark.parametrize("name", [*MODELS, "timm:test_resnet"])
def test_torchs_own_random_numbers_go_on_as_if_nothing_had_been_drawn(name):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    build(ModelSettings(name, width=8), answers=3, size_px=32, seed=3)
    assert torch.equal(torch.rand(4), expected)


def test_weights_are_those_that_torch_draws_from_the_seed():
    torch.manual_seed(3)
    expected = Compact(3, size_px=32, settings=ModelSettings("compact", width=8)).state_dict()
    drawn = build(ModelSettings("compact", width=8), answers=3, size_px=32, seed=3).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in drawn.items())


def test_the_encoder_is_all_but_the_last_layer():
    network = build(ModelSettings("vgg6"), answers=3, size_px=20).eval()
    images = to_input(photographs(2, 20))
    assert torch.equal(network[-1](encoder(network)(images)), network(images))


def test_pixels_are_divided_by_255_and_keep_their_place_in_memory():
    images = photographs(2, 5)
    assert np.array_equal(
        to_input(images).numpy(), images.numpy().transpose(0, 3, 1, 2) / np.float32(255)
    )


@pytest.mark.parametrize(
    ("name", "said"), [("vgg-6", "did you mean vgg6"), ("transformer", "known are")]
)
def test_an_unknown_network_is_refused_with_the_nearest_name_and_the_list(name, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(ModelSettings(name), answers=5)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in MODELS)


def test_a_network_without_batch_norms_to_fold_stays_as_it_is():
    network = build(ModelSettings(name="vgg6"), answers=2, size_px=20)
    assert folded(network) is network
    assert not network.training


@pytest.mark.parametrize("settings", [{"width": 7}, {"depth": 0}, {"dropout": 1.0}])
def test_a_network_that_cannot_be_built_is_refused(settings):
    with pytest.raises(ConfigError, match="expected 8 to 1024, 1 to 16, and from 0 up to 1"):
        ModelSettings("compact", **settings)


def test_the_strong_recipe_is_the_size_that_it_says_and_takes_a_step():
    network = build(Recipe.load("strong").model, answers=37, size_px=128)
    assert round(sum(each.numel() for each in network.parameters()) / 1e6) == 11
    small = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network(small).square().sum().backward()
    assert all(
        each.grad is not None and each.grad.isfinite().all() for each in network.parameters()
    )
