import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.build import build, to_input
from galaxyvotes.networks.vgg6 import VGG6


def network(seed: int = 0, *, answers: int = 5, size_px: int = 36, **settings) -> VGG6:
    module = build(ModelSettings("vgg6", **settings), answers=answers, size_px=size_px, seed=seed)
    assert isinstance(module, VGG6)
    return module


def unsettled(module: VGG6, seed: int = 1) -> VGG6:
    """The network with all biases and batch norms moved away from 0 and 1, some below zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim() == 1:
                tensor.add_(torch.randn(tensor.shape, generator=generator).mul_(0.3))
        module.norm.weight[:4] = -1.0
        module.norm.running_var.abs_().add_(0.1)
    return module


def photographs(count: int = 4, side: int = 36, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def as_published(module: VGG6, images: Tensor) -> Tensor:
    """The paper's layers, each in its published place, without dropout."""
    x = functional.relu(functional.conv2d(images, module.conv1.weight, module.conv1.bias))
    x = functional.relu(functional.conv2d(x, module.conv2.weight, module.conv2.bias))
    x = functional.max_pool2d(x, 2)
    x = functional.relu(functional.conv2d(x, module.conv3.weight, module.conv3.bias))
    x = functional.relu(functional.conv2d(x, module.conv4.weight, module.conv4.bias))
    if module.training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    else:
        mean, variance = module.norm.running_mean, module.norm.running_var
    x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-3).sqrt()
    x = x * module.norm.weight[:, None, None] + module.norm.bias[:, None, None]
    x = functional.max_pool2d(x, 4).flatten(1)
    x = functional.relu(functional.linear(x, module.dense1.weight, module.dense1.bias))
    return functional.linear(x, module.dense2.weight, module.dense2.bias)


def without_dropout(module: VGG6) -> VGG6:
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return module


def test_its_layers_have_the_papers_sizes():
    module = network(answers=37, size_px=128).eval()
    shapes = []
    for layer in module:
        layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    module(torch.zeros(1, 3, 128, 128))
    assert list(dict.fromkeys(shapes)) == [
        (16, 126, 126),
        (16, 124, 124),
        (16, 62, 62),
        (32, 60, 60),
        (32, 58, 58),
        (32, 14, 14),
        (6272,),
        (256,),
        (37,),
    ]


def test_dropout_is_the_papers():
    assert [layer.p for layer in network().modules() if isinstance(layer, nn.Dropout)] == [
        0.25,
        0.25,
        0.5,
    ]


def test_the_batch_norm_has_keras_constants_unless_told_otherwise():
    assert (network().norm.eps, network().norm.momentum) == (1e-3, 0.01)
    assert network(batch_norm_momentum=0.1).norm.momentum == 0.1


def test_running_statistics_move_a_hundredth_of_the_way_with_each_batch():
    module, images = without_dropout(network()), to_input(photographs(8))
    module.train()(images)
    x = functional.relu(module.conv2(functional.relu(module.conv1(images))))
    x = functional.relu(module.conv4(functional.relu(module.conv3(functional.max_pool2d(x, 2)))))
    assert torch.allclose(module.norm.running_mean, 0.01 * x.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(module.norm.running_var, 0.99 + 0.01 * x.var((0, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("size_px", [20, 36, 37, 47])
@pytest.mark.parametrize("training", [False, True])
def test_it_computes_what_the_published_order_of_layers_computes(size_px, training):
    module = unsettled(without_dropout(network(size_px=size_px))).train(training)
    images = to_input(photographs(side=size_px))
    expected = as_published(module, images)
    assert torch.allclose(module(images), expected, atol=1e-5)
    with torch.inference_mode():
        assert torch.allclose(module(images), expected, atol=1e-5)


def test_it_learns_what_the_published_order_of_layers_learns():
    module, images = unsettled(without_dropout(network())).train(), to_input(photographs())
    gradients = []
    for run in (module, lambda x: as_published(module, x)):
        module.zero_grad()
        run(images).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in module.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_the_layout_of_images_in_memory_does_not_matter():
    module = unsettled(network()).eval()
    images = to_input(photographs())
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(module(images), module(images.contiguous()), atol=1e-5)


def test_the_smallest_image_is_twenty_pixels():
    assert network(size_px=20).eval()(torch.zeros(1, 3, 20, 20)).shape == (1, 5)
    with pytest.raises(
        ConfigError, match=r"images of 19 px are too small for model vgg6: the smallest are 20 px"
    ):
        build(ModelSettings("vgg6"), answers=5, size_px=19)


def test_it_has_the_papers_number_of_parameters():
    module = build(ModelSettings("vgg6"), answers=37)
    trainable = sum(parameter.numel() for parameter in module.parameters())
    statistics = sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
    assert trainable == 1_632_117
    assert trainable + statistics == 1_632_181


def test_it_gives_one_number_an_answer_for_a_batch_of_any_size():
    module = network(answers=7).eval()
    for count in (1, 3):
        assert module(to_input(photographs(count))).shape == (count, 7)


def test_new_weights_are_glorot_uniform_and_new_biases_zero():
    module = network(answers=37, size_px=128)
    fans = {
        module.conv1: (9 * 3, 9 * 16),
        module.conv2: (9 * 16, 9 * 16),
        module.conv3: (9 * 16, 9 * 32),
        module.conv4: (9 * 32, 9 * 32),
        module.dense1: (6272, 256),
        module.dense2: (256, 37),
    }
    for layer, (fan_in, fan_out) in fans.items():
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.97 * bound < layer.weight.detach().abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert layer.bias.count_nonzero() == 0


def test_a_galaxy_has_the_same_outputs_alone_and_in_a_batch():
    module, images = unsettled(network()).eval(), to_input(photographs(6))
    with torch.inference_mode():
        together = module(images)
        alone = torch.cat([module(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)


def test_it_can_learn_eight_galaxies_by_heart():
    module = without_dropout(network(answers=4, batch_norm_momentum=0.1))
    images, labels = to_input(photographs(8)), torch.eye(4).repeat(2, 1)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3, eps=1e-7)
    module.train()
    for _ in range(60):
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(module(images), labels).backward()
        optimiser.step()
    assert (module.eval()(images).sigmoid() - labels).abs().max() < 0.1


def test_it_takes_raw_pixels_blue_first_as_the_notebook_does():
    raw = build(ModelSettings("vgg6", pixels="raw_bgr"), answers=5, size_px=36).eval()
    usual = network(size_px=36).eval()
    usual.load_state_dict(raw.state_dict())
    images = photographs(side=36)
    as_opencv_reads = images.flip(3).permute(0, 3, 1, 2).float()
    assert torch.allclose(raw(to_input(images)), usual(as_opencv_reads), atol=1e-3)
    assert not torch.allclose(raw(to_input(images)), usual(to_input(images)), atol=1e-3)
