"""A residual network of ours, which learns well on two cores.

From 64 px images it makes 8 · `width` features:

    conv `width`, half the side → three stages of `depth` blocks, each stage of twice the channels
    and half the side of the one before → mean over the remaining pixels → dropout → dense, one
    output an answer

A block is two 3 × 3 convolutions with batch norm, added to its input; a new one is the identity,
because the weights of its last batch norm are zero. Width 32, depth 1: 1.2 million parameters.

Sources: He et al. 2016, CVPR, figure 2, for the blocks; He et al. 2019, CVPR, sections 3.1 and 4.2,
for the identity at the start and the skip by averages.
"""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError

__all__ = ["Compact", "fold"]


class Compact(nn.Sequential):
    """The network of this file, for images whose side is a multiple of 16, at least 32 px."""

    def __init__(self, answers: int, *, size_px: int, settings: ModelSettings) -> None:
        """New weights; ConfigError if the side of the images does not halve four times."""
        if size_px < 32 or size_px % 16:
            raise ConfigError(
                f"images of {size_px} px do not fit model compact: their side has to be a multiple"
                " of 16, 32 at least; pack them with `settings=PackSettings(size_px=64)`, 80, 96 …"
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

    def folded(self) -> "Compact":
        """A copy in evaluation mode whose batch norms have become part of their convolutions."""
        copy = deepcopy(self).eval()
        fold(copy)
        return copy.to(memory_format=torch.channels_last)


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


def fold(layers: nn.Module) -> None:
    """Let the batch norms of these layers, in evaluation mode, become part of their
    convolutions.
    """
    _fold(layers, "stem", "norm")
    for block in [module for module in layers.modules() if isinstance(module, _Block)]:
        _fold(block, "conv1", "norm1")
        _fold(block, "conv2", "norm2")
        if isinstance(block.skip, nn.Sequential):
            _fold(block.skip, "1", "2")


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())
