import re
import xml.etree.ElementTree as ET

import pytest
import torch
from torch import nn

from galaxyvotes.figures.architecture import architecture, run_layers
from galaxyvotes.figures.drawing import svg


@pytest.fixture
def vgg6() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Conv2d(16, 32, 3), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(4)),
        *(nn.Dropout(0.25), nn.Flatten(), nn.Linear(6272, 256), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(256, 37), nn.Sigmoid()),
    )


def words_of(network: nn.Module, side: int) -> str:
    figure = svg(architecture(network, (3, side, side)))
    return " ".join(text for text in ET.fromstring(figure).itertext() if text.strip())


def test_the_architecture_names_every_kind_of_layer_its_shape_and_the_parameters(vgg6):
    words = words_of(vgg6, 128)
    for kind in ("Conv2d", "ReLU", "MaxPool2d", "Dropout", "BatchNorm2d", "Flatten", "Linear"):
        assert re.search(rf"{kind} × \d", words)
    assert "1,632,117 trainable parameters" in words
    for shape in ("16 × 126 × 126", "32 × 14 × 14", "6,272", "256", "37"):
        assert shape in words


def test_drawing_a_network_leaves_it_as_it_was(vgg6):
    vgg6[4].eval()
    before = {name: tensor.clone() for name, tensor in vgg6.state_dict().items()}
    architecture(vgg6, (3, 128, 128))
    assert vgg6.training
    assert vgg6[3].training
    assert not vgg6[4].training
    assert not any(module._forward_hooks for module in vgg6.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in vgg6.state_dict().items())


def test_a_layer_used_twice_is_drawn_twice_and_its_parameters_count_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, images):
            return self.layer(self.layer(images)) * self.scale.sum()

    assert [layer.parameters for layer in run_layers(Twice(), (3, 8, 8))] == [12, 0]
    assert "17 trainable parameters, 5 of them outside these layers" in words_of(Twice(), 8)


def test_a_long_network_is_drawn_in_rows():
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(30)))
    width, height = architecture(network, (3, 64, 64)).get_size_inches()
    assert width < 13
    assert height > 8
