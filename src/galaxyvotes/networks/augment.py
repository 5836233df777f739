"""Other views of the same galaxy, for a whole batch at once, on the device it lives on.

Galaxies have no up: a turn or a mirror image of one is as likely a galaxy, with the same votes. A
little nearer or farther, off the centre, redder, brighter or noisier, it would have been told the
same about, too.

- `dihedral`: one of the square's eight sides; no pixel value changes
- `sky`: any turn, mirror image, zoom and shift in one warp, then brightness, colour and noise
- `views`: the same eight sides, further turns and sizes, in a fixed order, to average an answer
  over

What is random is drawn for the whole batch, of which these images may be a share: see `processes`.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from galaxyvotes.config import SKY_ZOOM
from galaxyvotes.runtime.distributed import Share

__all__ = ["dihedral", "sky", "views"]

# How far `sky` goes, one standard deviation each; its zoom is even between its ends
# (`config.SKY_ZOOM`).
_SHIFT = 0.02  # of the image's side
_BRIGHTNESS, _COLOUR, _NOISE = 0.08, 0.04, 0.01  # of the light; per channel; of white, per pixel


def dihedral(
    images: UInt8[Tensor, "galaxy side side colour"],
    generator: torch.Generator,
    share: Share | None = None,
) -> UInt8[Tensor, "galaxy side side colour"]:
    """Each image seen from one of the square's eight sides, drawn evenly; no pixel value
    changes.
    """
    place, count = share or _whole(images)
    chosen = torch.rand(3, count, 1, 1, 1, generator=generator)[:, place].to(images.device) < 0.5
    images = torch.where(chosen[0], images.flip(1), images)
    images = torch.where(chosen[1], images.flip(2), images)
    return torch.where(chosen[2], images.transpose(1, 2), images)


def sky(
    images: Float[Tensor, "galaxy 3 side side"],
    generator: torch.Generator,
    share: Share | None = None,
) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image as another night, telescope and orientation would have shown it; 0–1, black to
    white.

    One bilinear warp does all of the geometry.
    """
    if not len(images):
        return images
    (place, count), device = share or _whole(images), images.device
    # Drawn on the CPU whatever the device, so that a seed means the same views everywhere; but for
    # the noise, which is as many numbers as there are pixels, and would keep a GPU waiting.
    angle = torch.rand(count, generator=generator) * (2 * math.pi)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    scale = torch.exp((torch.rand(count, generator=generator) * 2 - 1) * math.log(SKY_ZOOM))
    shift = torch.randn(count, 2, generator=generator) * (2 * _SHIFT)  # the warp counts a side as 2
    light = 1 + _BRIGHTNESS * torch.randn(count, 1, 1, 1, generator=generator)
    light = light + _COLOUR * torch.randn(count, 3, 1, 1, generator=generator)
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(generator.initial_seed())
    noise = torch.randn(count, *images.shape[1:], generator=generator, device=device)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turns = torch.stack(
        [cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]], dim=1
    ).view(count, 2, 3)
    seen = _warp(images, turns[place]) * light[place].to(device)
    return (seen + _NOISE * noise[place]).clamp_(0, 1)


def views(
    images: UInt8[Tensor, "galaxy side side colour"], count: int, zooms: Sequence[float] = ()
) -> Iterator[UInt8[Tensor, "galaxy side side colour"]]:
    """`count` views of each image, itself first, then as many at each zoom (1.1: a tenth larger).

    The first eight are the sides of the square, of which no pixel value changes; the next eight are
    the same of the image turned by 45°. Turns and zooms are those of `sky`, but the same for all
    images.
    """
    for zoom in (1.0, *zooms):
        for start in range(0, count, 8):
            turned = (
                images
                if (zoom, start) == (1.0, 0)
                else _turned(images, math.pi / 4 if start else 0.0, zoom)
            )
            for number in range(min(count - start, 8)):
                seen = turned.transpose(1, 2) if number & 4 else turned
                flips = [axis for axis, bit in ((1, 1), (2, 2)) if number & bit]
                yield seen.flip(flips) if flips else seen


def _whole(images: Tensor) -> Share:
    return Share(slice(None), len(images))


def _turned(
    images: UInt8[Tensor, "galaxy side side colour"], angle: float, zoom: float
) -> UInt8[Tensor, "galaxy side side colour"]:
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    turn = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
    return (
        _warp(images.permute(0, 3, 1, 2).float(), turn).round_().to(torch.uint8).permute(0, 2, 3, 1)
    )


def _warp(
    images: Float[Tensor, "galaxy 3 side side"], turns: Float[Tensor, "turn 2 3"]
) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image after its own turn, or all after the same one; what lies beyond an edge is the
    mirror image of it.
    """
    shape = [len(turns), *images.shape[1:]]
    grid = functional.affine_grid(turns.to(images.device), shape, align_corners=False)
    grid = grid.expand(len(images), -1, -1, -1)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
