"""Augmentation: other views of the same galaxy, for a whole batch at once, on its device.

Galaxies have no up: a rotated or mirrored image shows a galaxy that is as likely, with the same
votes. A little nearer or farther, off the centre, redder, brighter or noisier, volunteers would
have classified it the same. Handed questions are the exception, whether arms turn clockwise: for
them nothing is mirrored (`mirror=False`), only rotated.

- `dihedral`: one of the eight flips and 90° rotations; no pixel value changes
- `sky`: any rotation, mirror image, zoom and shift in one warp, then brightness, colour and noise
- `surveys`: the same, and as other surveys would show some of the galaxies: at half to twice the
  scale, in grey, with another stretch, at a poorer resolution, with more noise
- `views`: the eight of `dihedral`, further rotations and sizes, in a fixed order, for test-time
  augmentation

`dihedral`, `sky` and `surveys` draw for the whole batch, of which the images may be the share of a
process: the batch is the same for any number of processes.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from galaxyvotes.config import SKY_ZOOM
from galaxyvotes.networks.batch import Share

__all__ = ["CONTINUOUS", "dihedral", "sky", "surveys", "views"]

# How far `sky` goes, one standard deviation each; its zoom is even between its ends
# (`config.SKY_ZOOM`).
# `views`: the numbers of rotations among flips, whose bits are rows, columns and transposition, and
# the angles by which images are rotated before.
_ROTATIONS = (0, 3, 5, 6)
_ANGLES = (0.0, math.pi / 4, math.pi / 8, 3 * math.pi / 8)
_SHIFT = 0.02  # of the image's side
_BRIGHTNESS, _COLOUR, _NOISE = 0.08, 0.04, 0.01  # of the light; per channel; of white, per pixel
# Of `surveys`: the share of galaxies that each change meets, and how far it goes at most.
_SHARE_ZOOMED, _SURVEY_ZOOM = 0.3, 2.0
_SHARE_GREY = 0.15
_SHARE_STRETCHED, _GAMMA = 0.3, 2.0
_SHARE_BLURRED = 0.25  # towards pixels of four times the area
_SHARE_NOISY, _MORE_NOISE = 0.25, 0.06


def dihedral(
    images: UInt8[Tensor, "galaxy side side colour"],
    generator: torch.Generator,
    share: Share | None = None,
    *,
    mirror: bool = True,
) -> UInt8[Tensor, "galaxy side side colour"]:
    """Each image after one of the eight flips and 90° rotations of a square, drawn evenly, or of
    the four rotations without `mirror`; no pixel value changes.
    """
    share = share or Share(0, len(images), len(images))
    drawn = torch.rand(3, share.of, 1, 1, 1, generator=generator)[:, share.rows]
    flip_rows, flip_columns, transpose = drawn.to(images.device) < 0.5
    if not mirror:
        transpose = flip_rows ^ flip_columns  # an even number of mirror images is a rotation
    images = torch.where(flip_rows, images.flip(1), images)
    images = torch.where(flip_columns, images.flip(2), images)
    return torch.where(transpose, images.transpose(1, 2), images)


def sky(
    images: Float[Tensor, "galaxy 3 side side"],
    generator: torch.Generator,
    share: Share | None = None,
    *,
    mirror: bool = True,
) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image as it might look on another night, through another telescope and at another angle,
    and with `mirror` half of them in a mirror; 0–1, black to white.

    One bilinear warp does all of the geometry.
    """
    share = share or Share(0, len(images), len(images))
    scale = torch.ones(share.of)
    return _sky(images, generator, share, scale, mirror=mirror)


def surveys(
    images: Float[Tensor, "galaxy 3 side side"],
    generator: torch.Generator,
    share: Share | None = None,
    *,
    mirror: bool = True,
) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image as in `sky`, and some as other surveys would show them; 0–1, black to white.

    At another scale (half to twice), in grey, with another stretch (a power of the light), blurred
    towards half the resolution, or noisier: each for a share of the galaxies, independently.
    """
    share, device = share or Share(0, len(images), len(images)), images.device

    def chosen(part: float, neutral: float, low: float, high: float) -> Tensor:
        """A number between two for a part of the galaxies, a neutral one for the others."""
        met = torch.rand(share.of, generator=generator) < part
        number = low + (high - low) * torch.rand(share.of, generator=generator)
        return torch.where(met, number, neutral)

    zoom = torch.exp(chosen(_SHARE_ZOOMED, 0.0, -1.0, 1.0) * math.log(_SURVEY_ZOOM))
    grey = chosen(_SHARE_GREY, 0.0, 1.0, 1.0)
    gamma = torch.exp(chosen(_SHARE_STRETCHED, 0.0, -1.0, 1.0) * math.log(_GAMMA))
    blur = chosen(_SHARE_BLURRED, 0.0, 0.3, 1.0)
    noisy = chosen(_SHARE_NOISY, 0.0, 0.0, _MORE_NOISE)
    grey, gamma, blur, noisy = (
        each[share.rows].view(-1, 1, 1, 1).to(device) for each in (grey, gamma, blur, noisy)
    )
    images = _sky(images, generator, share, zoom, mirror=mirror)
    images = images.lerp(images.mean(dim=1, keepdim=True), grey)
    images = images.clamp(min=1e-4) ** gamma
    coarse = functional.avg_pool2d(images, 2)
    coarse = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    images = images.lerp(coarse, blur)
    return (images + noisy * _noise(images, generator, share)).clamp_(0, 1)


def _sky(
    images: Float[Tensor, "galaxy 3 side side"],
    generator: torch.Generator,
    share: Share,
    zoom: Float[Tensor, " batch"],
    *,
    mirror: bool,
) -> Float[Tensor, "galaxy 3 side side"]:
    """`sky`, with a further zoom for each galaxy of the whole batch: 2 is twice as large."""
    device, count, rows = images.device, share.of, share.rows
    # Drawn on the CPU whatever the device, so that a seed means the same everywhere; but for the
    # noise, which is as many numbers as there are pixels, and would keep a GPU waiting.
    angle = torch.rand(count, generator=generator) * (2 * math.pi)
    side = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    side = side if mirror else torch.ones(count)
    scale = torch.exp((torch.rand(count, generator=generator) * 2 - 1) * math.log(SKY_ZOOM))
    shift = torch.randn(count, 2, generator=generator) * (2 * _SHIFT)  # the warp counts a side as 2
    light = 1 + _BRIGHTNESS * torch.randn(count, 1, 1, 1, generator=generator)
    light = light + _COLOUR * torch.randn(count, 3, 1, 1, generator=generator)
    noise = _noise(images, generator, share)
    scale = scale / zoom
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    transforms = torch.stack(
        [cos * side, -sin, shift[:, 0], sin * side, cos, shift[:, 1]], dim=1
    ).view(count, 2, 3)
    warped = _warp(images, transforms[rows]) * light[rows].to(device)
    return (warped + _NOISE * noise).clamp_(0, 1)


def _noise(
    images: Float[Tensor, "galaxy 3 side side"], generator: torch.Generator, share: Share
) -> Float[Tensor, "galaxy 3 side side"]:
    """Normal noise for the images of a share, drawn for the whole batch on their device."""
    if images.device.type != "cpu":
        generator = torch.Generator(images.device).manual_seed(generator.initial_seed())
    shape = (share.of, *images.shape[1:])
    return torch.randn(shape, generator=generator, device=images.device)[share.rows]


def views(
    images: UInt8[Tensor, "galaxy side side colour"],
    count: int,
    zooms: Sequence[float] = (),
    *,
    mirror: bool = True,
) -> Iterator[UInt8[Tensor, "galaxy side side colour"]]:
    """`count` views of each image, itself first, then as many at each zoom (1.1: a tenth larger).

    The first eight are the flips and 90° rotations of the square, of which no pixel value changes;
    the next eight are the same of the image rotated by 45°. Without `mirror` they are the four 90°
    rotations, then those of the image rotated by 45°, 22.5° and 67.5°. Rotations and zooms are
    those of `sky`, but the same for all images.
    """
    flips = range(8) if mirror else _ROTATIONS
    for zoom in (1.0, *zooms):
        for start, angle in zip(range(0, count, len(flips)), _ANGLES, strict=False):
            rotated = images if (zoom, start) == (1.0, 0) else _rotated(images, angle, zoom)
            for number in flips[: count - start]:
                view = rotated.transpose(1, 2) if number & 4 else rotated
                axes = [axis for axis, bit in ((1, 1), (2, 2)) if number & bit]
                yield view.flip(axes) if axes else view


def _rotated(
    images: UInt8[Tensor, "galaxy side side colour"], angle: float, zoom: float
) -> UInt8[Tensor, "galaxy side side colour"]:
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    transform = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
    pixels = _warp(images.permute(0, 3, 1, 2).float(), transform)
    return pixels.round_().to(torch.uint8).permute(0, 2, 3, 1)


def _warp(
    images: Float[Tensor, "galaxy 3 side side"], transforms: Float[Tensor, "transform 2 3"]
) -> Float[Tensor, "galaxy 3 side side"]:
    """Each image after its own affine transform, or all after the same one; what lies beyond an
    edge is the mirror image of it.
    """
    shape = [len(transforms), *images.shape[1:]]
    grid = functional.affine_grid(transforms.to(images.device), shape, align_corners=False)
    grid = grid.expand(len(images), -1, -1, -1)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


CONTINUOUS = {"sky": sky, "surveys": surveys}  # those that change floats, by `train.augment`
