"""Other views of the same galaxy, for a whole batch at once, on the device it lives on.

Galaxies have no up: a turn or a mirror image of one is as likely a galaxy, with the same votes. A little nearer or
farther, off the centre, redder, brighter or noisier, it would have been told the same about, too.

- `dihedral`: one of the square's eight sides; no pixel value changes
- `sky`: any turn, mirror image, zoom and shift in one warp, then brightness, colour and noise
- `square_views`: the same eight sides, all of them, to average an answer over
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

__all__ = ["dihedral", "sky", "square_views"]

# How far `sky` goes, one standard deviation each except for the zoom, which is even between its ends.
_ZOOM = 1.2  # from 1 / 1.2 to 1.2 times the size
_SHIFT = 0.02  # of the image's side
_BRIGHTNESS, _COLOUR, _NOISE = 0.08, 0.04, 0.01  # of the light; per channel; of white, per pixel


def dihedral(
    images: UInt8[Tensor, "galaxy side side colour"], generator: torch.Generator
) -> UInt8[Tensor, "galaxy side side colour"]:
    """Each image seen from one of the square's eight sides, drawn evenly; no pixel value changes."""
    chosen = torch.rand(3, len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
    images = torch.where(chosen[0], images.flip(1), images)
    images = torch.where(chosen[1], images.flip(2), images)
    return torch.where(chosen[2], images.transpose(1, 2), images)


def sky(images: Float[Tensor, "galaxy 3 side side"], generator: torch.Generator) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image as another night, telescope and orientation would have shown it; 0–1, black to white.

    One bilinear warp does all of the geometry. What lies beyond the image's edge is its mirror image.
    """
    count, device = len(images), images.device
    # Drawn on the CPU whatever the device, so that a seed means the same views everywhere.
    angle = torch.rand(count, generator=generator) * (2 * math.pi)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    scale = torch.exp((torch.rand(count, generator=generator) * 2 - 1) * math.log(_ZOOM))
    shift = torch.randn(count, 2, generator=generator) * (2 * _SHIFT)  # the warp counts a side as 2
    light = 1 + _BRIGHTNESS * torch.randn(count, 1, 1, 1, generator=generator)
    light = light + _COLOUR * torch.randn(count, 3, 1, 1, generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turns = torch.stack([cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]], dim=1).view(count, 2, 3)
    grid = functional.affine_grid(turns.to(device), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return (warped * light.to(device) + _NOISE * noise.to(device)).clamp_(0, 1)


def square_views(
    images: UInt8[Tensor, "galaxy side side colour"], count: int
) -> Iterator[UInt8[Tensor, "galaxy side side colour"]]:
    """The first `count` of the eight sides of each image, itself first; no pixel value changes."""
    for number in range(count):
        seen = images.transpose(1, 2) if number & 4 else images
        flips = [axis for axis, bit in ((1, 1), (2, 2)) if number & bit]
        yield seen.flip(flips) if flips else seen
