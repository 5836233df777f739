"""`compact`, of which every layer is read out, and not only the last: for few labels of a new
question.

From an image of any side it makes 8 · `width` features:

    the image at `scale` times its side → the layers of `compact` → of each channel of the stem and
    of every stage the mean, the scatter and the maximum over the pixels → projection → dropout →
    dense, one output an answer

What a question needs may be gone in the last layer of a network that learned to answer others: how
large a galaxy is, or a faint companion. Earlier layers still have it. The projection standardises
these numbers and takes them to their principal components among training galaxies; it is measured
(see `training.linear_start`) and does not learn.

Source: Evci et al. 2022, ICML (arXiv:2201.03529), for features of all layers of a frozen network.
"""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from galaxyvotes.config import ModelSettings
from galaxyvotes.networks.compact import Compact, fold

__all__ = ["Layered", "Projection"]

_LAYERS = ("stem", "norm", "relu", "stage1", "stage2", "stage3")
_READ = ("relu", "stage1", "stage2", "stage3")
_STEP = 16  # sides of images are multiples of it
_LEAST = 1e-6  # variance, whose root has no gradient at zero


class Layered(nn.Sequential):
    """The network of this file, for images of the sides that `compact` takes."""

    def __init__(self, answers: int, *, size_px: int, settings: ModelSettings) -> None:
        """New weights; ConfigError if the side of the images does not halve four times."""
        compact = Compact(answers, size_px=size_px, settings=settings)
        features = compact.dense.in_features
        super().__init__()
        self.layers = _Layers(compact, settings.scale)
        self.projection = Projection(3 * features * 15 // 8, features)
        self.dropout = compact.dropout
        self.dense = compact.dense
        self.to(memory_format=torch.channels_last)

    def folded(self) -> "Layered":
        """A copy in evaluation mode whose batch norms have become part of their convolutions."""
        copy = deepcopy(self).eval()
        fold(copy.layers)
        return copy.to(memory_format=torch.channels_last)


class _Layers(nn.Module):
    """Mean, scatter and maximum of each channel of the layers of a compact network."""

    def __init__(self, compact: Compact, scale: float) -> None:
        super().__init__()
        self.scale = scale
        for name in _LAYERS:
            self.add_module(name, getattr(compact, name))

    def forward(
        self, image: Float[Tensor, "galaxy 3 height width"]
    ) -> Float[Tensor, "galaxy number"]:
        side = _STEP * max(2, round(image.shape[-1] * self.scale / _STEP))
        if side != image.shape[-1]:
            size = (side, side)
            image = functional.interpolate(image, size, mode="bilinear", align_corners=False)
        read: list[Tensor] = []
        for name in _LAYERS:
            image = getattr(self, name)(image)
            if name in _READ:
                pixels = image.float().flatten(2)
                middle = pixels.mean(dim=2)
                scatter = (pixels - middle[..., None]).square().mean(dim=2)
                read += [middle, (scatter + _LEAST).sqrt(), pixels.amax(dim=2)]
        return torch.cat(read, dim=1)


class Projection(nn.Module):
    """Numbers less their `middle`, over their `scatter`, along some `directions`; none of these
    learns.
    """

    middle: Tensor
    scatter: Tensor
    directions: Tensor

    def __init__(self, numbers: int, features: int) -> None:
        """Directions that are drawn, until they are measured."""
        super().__init__()
        self.register_buffer("middle", torch.zeros(numbers))
        self.register_buffer("scatter", torch.ones(numbers))
        self.register_buffer("directions", torch.randn(features, numbers) / numbers**0.5)

    def forward(self, numbers: Float[Tensor, "galaxy number"]) -> Float[Tensor, "galaxy feature"]:
        """The features that the last layer takes."""
        return functional.linear((numbers - self.middle) / self.scatter, self.directions)
