"""The network of the 2023 paper.

Its text names six layers with weights; its public notebook settles the rest:

    128 × 128 × 3 → conv 16 → conv 16 → max-pool 2 → dropout 0.25 → conv 32 → conv 32 → batch norm
    → max-pool 4 → dropout 0.25 → flatten (14 · 14 · 32) → dense 256 → dropout 0.5 → dense, one
    output an answer

Convolutions are 3 × 3 without padding; a ReLU follows every convolution and the first dense layer.
For 37 answers that makes 1,632,117 trainable parameters, 1,632,181 with the running statistics of
the batch norm. New weights are drawn as Keras draws them: Glorot-uniform, biases zero; the batch
norm has Keras's ε of 1e-3 and momentum of 0.99, which torch counts from the other end: 0.01 is the
weight of the newest batch. Keras keeps the biased variance of a batch and torch the unbiased one,
which for 256 galaxies of 128 px differ by a millionth.

Two things differ from the published order without changing what is computed. The ReLU before the
first max-pool comes after it, on a quarter of the pixels: a maximum and a ReLU commute. And weights
lie in memory channels last, which a CPU convolves twice as fast; images from `to_input` lie so too.

The notebook feeds it pixels of 0–255, blue before red, while the text divides them by 255. The
network that takes them so begins with a layer that makes them of ours, so that all who use it, an
exported file included, give it the same images as any other.

Source: Glorot & Bengio 2010, AISTATS, equation 16, for the weights.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from galaxyvotes.errors import ConfigError

__all__ = ["VGG6"]


class VGG6(nn.Sequential):
    """The network of this file, for images of 20 px or more."""

    def __init__(
        self,
        answers: int,
        *,
        size_px: int = 128,
        batch_norm_momentum: float = 0.01,
        raw_bgr: bool = False,
    ) -> None:
        """New weights; ConfigError if the images are too small to leave one pixel at the end."""
        side = ((size_px - 4) // 2 - 4) // 4
        if side < 1:
            raise ConfigError(
                f"images of {size_px} px are too small for model vgg6: the smallest are 20 px; pack"
                " larger ones"
            )
        super().__init__()
        if raw_bgr:
            self.raw = _RawBGR()
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


class _RawBGR(nn.Module):
    """From red, green and blue of 0–1 to blue, green and red of 0–255."""

    def forward(
        self, images: Float[Tensor, "galaxy 3 height width"]
    ) -> Float[Tensor, "galaxy 3 height width"]:
        return images.flip(1) * 255
