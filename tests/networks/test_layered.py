import pytest
import torch
from torch import nn

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.build import build, encoder, folded
from galaxyvotes.networks.compact import Compact
from galaxyvotes.networks.layered import Layered, Projection


def layered(*, answers: int = 5, size_px: int = 32, **settings) -> Layered:
    chosen = ModelSettings("layered", **{"width": 8} | settings)
    module = build(chosen, answers=answers, size_px=size_px)
    assert isinstance(module, Layered)
    return module.eval()


@pytest.mark.parametrize("scale", [0.5, 2 / 3, 1.0, 1.5])
@pytest.mark.parametrize("size_px", [32, 48, 96])
def test_it_takes_what_compact_takes_and_has_as_many_features_at_any_scale(size_px, scale):
    module, images = layered(scale=scale), torch.rand(2, 3, size_px, size_px)
    assert module(images).shape == (2, 5)
    assert encoder(module)(images).shape == (2, 64)


def test_it_reads_mean_scatter_and_maximum_of_every_layer():
    module, images = layered(), torch.rand(2, 3, 32, 32)
    layers, read = module.layers, module.layers(images)
    stem = layers.relu(layers.norm(layers.stem(images)))
    assert read.shape == (2, 3 * (8 + 16 + 32 + 64))
    torch.testing.assert_close(read[:, :8], stem.mean(dim=(2, 3)))
    scatter = stem.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(read[:, 8:16], scatter, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(read[:, 16:24], stem.amax(dim=(2, 3)))


def test_a_scale_makes_the_image_larger_before_the_first_layer():
    twice, images = layered(scale=2.0), torch.rand(2, 3, 32, 32)
    once = layered()
    once.load_state_dict(twice.state_dict())
    larger = nn.functional.interpolate(images, (64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(twice(images), once(larger))


def test_the_projection_has_no_weights_that_learn_and_is_saved():
    module = layered()
    names = {name for name, _ in module.named_parameters()}
    assert not any(name.startswith("projection") for name in names)
    assert {"projection.middle", "projection.scatter", "projection.directions"} <= set(
        module.state_dict()
    )


def test_numbers_are_standardised_before_they_are_projected():
    projection = Projection(3, 2)
    projection.middle.copy_(torch.tensor([1.0, 2.0, 3.0]))
    projection.scatter.copy_(torch.tensor([2.0, 1.0, 4.0]))
    projection.directions.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
    assert projection(torch.tensor([[5.0, 9, 11]])).tolist() == [[2.0, 2.0]]


def test_its_layers_are_named_as_those_of_compact():
    own = layered().layers.state_dict()
    compact = Compact(5, size_px=32, settings=ModelSettings("compact", width=8)).state_dict()
    assert {name: tensor.shape for name, tensor in own.items()} == {
        name: tensor.shape for name, tensor in compact.items() if not name.startswith("dense")
    }


def test_folded_batch_norms_change_the_outputs_by_rounding_only():
    module, images = layered(depth=2), torch.rand(4, 3, 32, 32)
    for norm in [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    before, quicker = module(images), folded(module)
    assert not any(isinstance(each, nn.BatchNorm2d) for each in quicker.modules())
    torch.testing.assert_close(quicker(images), before, rtol=1e-4, atol=1e-4)
    assert any(isinstance(each, nn.BatchNorm2d) for each in module.modules())


@pytest.mark.parametrize(("name", "scale"), [("compact", 1.5), ("layered", 5.0), ("layered", 0.1)])
def test_a_scale_that_no_network_has_is_refused(name, scale):
    with pytest.raises(ConfigError, match="it is for layered"):
        ModelSettings(name, scale=scale)
