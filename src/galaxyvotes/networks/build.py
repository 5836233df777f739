"""Networks: float images in, one number per answer out, before any sigmoid or softmax: those belong
to the objective.

`vgg6` is the network of the 2023 paper. Its text names six layers with weights; its public notebook
settles the rest:

    128 × 128 × 3 → conv 16 → conv 16 → max-pool 2 → dropout 0.25 → conv 32 → conv 32 → batch norm → max-pool 4
    → dropout 0.25 → flatten (14 · 14 · 32) → dense 256 → dropout 0.5 → dense, one per answer

Convolutions are 3 × 3 without padding; a ReLU follows every convolution and the first dense layer.
For 37 answers that makes 1,632,117 trainable parameters, 1,632,181 with the batch norm's running
statistics. Weights begin as Keras begins them: Glorot-uniform, biases at zero; the batch norm has
Keras's ε of 1e-3 and momentum of 0.99, which torch counts from the other end: 0.01 is the weight of
the newest batch. Keras keeps the biased variance of a batch and torch the unbiased one, which for
256 galaxies of 128 px differ by a millionth.

Two things differ from the published order without changing what is computed. The ReLU before the
first max-pool comes after it, on a quarter of the pixels: a maximum and a ReLU commute. And weights
lie in memory channels last, which a CPU convolves twice as fast; images from `to_input` lie so too.

`compact` is ours: a residual network that learns well on two cores. From 64 px images it makes 8 ·
`width` features:

    conv `width`, half the side → three stages of `depth` blocks, each of twice the channels and half the side of the
    one before → mean over what is left of the sky → dropout → dense, one per answer

A block is two 3 × 3 convolutions with batch norm, added to its input; it begins as the identity,
because the last batch norm's weights begin at zero. Width 32, depth 1: 1.2 million parameters.

`timm:NAME` is any encoder of timm's; see `galaxyvotes.networks.timm_encoder`.

Every network is a sequence whose last layer is the dense one; what comes before it is the encoder,
and what that gives for an image are its features.

Sources: Glorot & Bengio 2010, AISTATS, equation 16, for VGG-6's weights. He et al. 2016, CVPR,
figure 2, for the blocks; He et al. 2019, CVPR, sections 3.1 and 4.2, for the beginning as identity
and the skip by averages.
"""

import difflib
from copy import deepcopy

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.timm_encoder import TimmNetwork

__all__ = ["MODELS", "VGG6", "Compact", "build", "encoder", "folded", "to_input"]

MODELS = ("vgg6", "compact")


def build(settings: ModelSettings, *, answers: int, size_px: int = 128) -> nn.Sequential:
    """The network of these settings with new weights, drawn from torch's seed, for images of side
    `size_px`.

    (galaxy, 3, height, width) → (galaxy, answer). Where a run has few batches, running statistics
    need a larger `batch_norm_momentum` to settle: after 150 batches with 0.01 they still hold 22 %
    of where they began.
    """
    if settings.name == "vgg6":
        return VGG6(answers, size_px=size_px, batch_norm_momentum=settings.batch_norm_momentum)
    if settings.name == "compact":
        return Compact(answers, size_px=size_px, settings=settings)
    if settings.name.startswith("timm:"):
        return TimmNetwork(answers, size_px=size_px, settings=settings)
    close = difflib.get_close_matches(settings.name, MODELS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(
        f"model.name is {settings.name!r}, which is no network; {hint}known are:"
        f" {', '.join(MODELS)}, timm:NAME"
    )


def encoder(network: nn.Sequential) -> nn.Sequential:
    """What a network does with an image before the dense layer that answers: (galaxy, feature)."""
    return nn.Sequential(*list(network)[:-1])


def folded(network: nn.Sequential) -> nn.Sequential:
    """The network in evaluation mode; of `compact`, a copy whose batch norms have become part of
    their convolutions.

    It computes the same but for rounding, with a tenth less work, and cannot be trained.
    """
    if not isinstance(network, Compact):
        return network.eval()
    copy = deepcopy(network).eval()
    _fold(copy, "stem", "norm")
    for block in [module for module in copy.modules() if isinstance(module, _Block)]:
        _fold(block, "conv1", "norm1")
        _fold(block, "conv2", "norm2")
        if isinstance(block.skip, nn.Sequential):
            _fold(block.skip, "1", "2")
    return copy.to(memory_format=torch.channels_last)


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())


def to_input(
    images: UInt8[Tensor, "galaxy height width 3"],
) -> Float[Tensor, "galaxy 3 height width"]:
    """What networks take: pixels divided by 255. The axes change their order, the pixels in memory
    do not.
    """
    return images.permute(0, 3, 1, 2).float().div_(255)


class VGG6(nn.Sequential):
    """The paper's network; see the head of this file. Smallest image: 20 px."""

    def __init__(
        self, answers: int, *, size_px: int = 128, batch_norm_momentum: float = 0.01
    ) -> None:
        """Draw new weights; an image too small to leave one pixel at the end is refused."""
        side = ((size_px - 4) // 2 - 4) // 4
        if side < 1:
            raise ConfigError(
                f"images of {size_px} px are too small for model vgg6: the smallest are 20 px; pack"
                " larger ones"
            )
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(16, 16, 3)
        self.pool1 = nn.MaxPool2d(2)
        self.relu2 = nn.ReLU(inplace=True)
        self.dropout1 = nn.Dropout(0.25)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv4 = nn.Conv2d(32, 32, 3)
        self.relu4 = nn.ReLU(inplace=True)
        self.norm = nn.BatchNorm2d(32, eps=1e-3, momentum=batch_norm_momentum)
        self.pool2 = nn.MaxPool2d(4)
        self.dropout2 = nn.Dropout(0.25)
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(32 * side * side, 256)
        self.relu5 = nn.ReLU(inplace=True)
        self.dropout3 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(256, answers)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)


class Compact(nn.Sequential):
    """Our network for two cores; see the head of this file. Smallest image: 32 px, a multiple of
    16.
    """

    def __init__(self, answers: int, *, size_px: int, settings: ModelSettings) -> None:
        """Draw new weights; a side that does not halve four times is refused."""
        if size_px < 32 or size_px % 16:
            raise ConfigError(
                f"images of {size_px} px do not fit model compact: pack them with --size 64, 80,"
                " 96 …"
            )
        width, momentum = settings.width, settings.batch_norm_momentum
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, momentum=momentum)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        for stage in (1, 2, 3):
            blocks = [_Block(channels, 2 * channels, 2, momentum)]
            channels *= 2
            blocks += [_Block(channels, channels, 1, momentum) for _ in range(settings.depth - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(settings.dropout)
        self.dense = nn.Linear(channels, answers)
        self.to(memory_format=torch.channels_last)


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int, momentum: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after, momentum=momentum)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after, momentum=momentum)
        self.relu = nn.ReLU(inplace=True)
        self.skip: nn.Module = nn.Identity()
        if stride > 1:
            narrow = nn.Conv2d(before, after, 1, bias=False)
            self.skip = nn.Sequential(
                nn.AvgPool2d(stride), narrow, nn.BatchNorm2d(after, momentum=momentum)
            )
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.norm2.weight)

    def forward(
        self, image: Float[Tensor, "galaxy before height width"]
    ) -> Float[Tensor, "galaxy after height2 width2"]:
        changed = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(image)))))
        return self.relu(changed + self.skip(image))
