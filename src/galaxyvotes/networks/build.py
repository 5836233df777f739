"""From model settings to a network.

A network takes float images and gives one number per output, before any sigmoid or softmax: those
belong to the objective. It is a sequence whose last layer is dense; what comes before that is the
encoder, and what the encoder gives for an image are its features. `vgg6`, `compact` and `layered`
have a file each beside this one; `timm:NAME` is any encoder of timm's (see
`networks.timm_encoder`).
"""

import difflib

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.compact import Compact
from galaxyvotes.networks.layered import Layered
from galaxyvotes.networks.timm_encoder import TimmNetwork
from galaxyvotes.networks.vgg6 import VGG6

__all__ = ["MODELS", "build", "encoder", "folded", "to_input"]

MODELS = ("vgg6", "compact", "layered")


def build(
    settings: ModelSettings, *, answers: int, size_px: int = 128, seed: int = 0
) -> nn.Sequential:
    """The network of these settings for images of side `size_px`, with new weights on the CPU.

    (galaxy, 3, height, width) → (galaxy, answer). One seed gives one network; torch's own random
    numbers go on as if nothing had been drawn. Where a run has few batches, running statistics need
    a larger `batch_norm_momentum` to settle: after 150 batches with 0.01 they still hold 22 % of
    their first value.

    Raises ConfigError for an unknown name (with the nearest), and for images that do not fit the
    network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _build(settings, answers, size_px)


def _build(settings: ModelSettings, answers: int, size_px: int) -> nn.Sequential:
    if settings.name == "vgg6":
        raw, momentum = settings.pixels == "raw_bgr", settings.batch_norm_momentum
        return VGG6(answers, size_px=size_px, batch_norm_momentum=momentum, raw_bgr=raw)
    if settings.name == "compact":
        return Compact(answers, size_px=size_px, settings=settings)
    if settings.name == "layered":
        return Layered(answers, size_px=size_px, settings=settings)
    if settings.name.startswith("timm:"):
        return TimmNetwork(answers, size_px=size_px, settings=settings)
    close = difflib.get_close_matches(settings.name, MODELS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(
        f"model.name is {settings.name!r}, which is no network; {hint}known are:"
        f" {', '.join(MODELS)}, timm:NAME"
    )


def encoder(network: nn.Sequential) -> nn.Sequential:
    """The layers before the last, dense one: image → (galaxy, feature)."""
    return nn.Sequential(*list(network)[:-1])


def folded(network: nn.Sequential) -> nn.Sequential:
    """The network in evaluation mode; of `compact` and `layered`, a copy whose batch norms are part
    of its convolutions.

    It computes the same but for rounding, with a tenth less work, and cannot be trained.
    """
    return network.folded() if isinstance(network, Compact | Layered) else network.eval()


def to_input(
    images: UInt8[Tensor, "galaxy height width 3"],
) -> Float[Tensor, "galaxy 3 height width"]:
    """What networks take: pixels divided by 255. The order of the axes changes, the order of the
    pixels in memory does not.
    """
    return images.permute(0, 3, 1, 2).float().div_(255)
