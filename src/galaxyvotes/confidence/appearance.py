"""The appearance of an image in a few numbers: colour, sky, noise, sharpness at several scales,
and the size of its light.

The features of a network drop what its answers do not need: one that was trained to answer alike
for a grey, smaller or noisier galaxy hardly changes with them. These statistics do, whatever the
network. Nearly all are logarithms, so that a change of the stretch or of the scale shifts them;
what is at most a few grey levels counts little. An image counts alone: the statistics of one are
the same to the last bit, whichever others are given with it.
"""

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

__all__ = ["appearance"]

_GREY_LEVEL = 1 / 255
_SCALES = 4  # of detail, each of twice the size of the one before
_FAINT, _BRIGHT = 0.05, 0.2  # of white above the sky: light whose extent is measured
_COVERED = 0.1  # of white above the sky: light whose area is measured


def appearance(
    images: UInt8[Tensor, "galaxy side side 3"],
) -> Float32[Tensor, "galaxy statistic"]:
    """The statistics of each image, the same number for all images of one side.

    In order: colourfulness; red and blue less green, of the light; brightness of the sky; at each
    scale that the side allows, detail in the central half and noise at the border; the extent of
    faint and of bright light, mean light, its maximum, and the area that it covers.
    """
    return torch.stack([_statistics(image) for image in images])


def _statistics(image: UInt8[Tensor, "side side 3"]) -> Float32[Tensor, " statistic"]:
    pixels = image.permute(2, 0, 1).to("cpu", torch.float32).contiguous() / 255
    grey = pixels.mean(dim=0)
    border = _border(grey)
    sky = border.median()
    return torch.stack(
        [
            _logarithm(_rms(pixels - grey)),
            *_colours(pixels.mean(dim=(1, 2))),
            _logarithm(sky),
            *_detail(grey),
            *_extent((grey - sky).clamp(min=0)),
        ]
    )


def _colours(light: Float[Tensor, " 3"]) -> list[Tensor]:
    red, green, blue = light
    total = light.sum() + _GREY_LEVEL
    return [(red - green) / total, (blue - green) / total]


def _detail(grey: Float[Tensor, "side side"]) -> list[Tensor]:
    """What each scale adds to the next coarser one, in the centre and at the border."""
    statistics: list[Tensor] = []
    level = grey[None, None]
    for scale in range(_SCALES):
        if level.shape[-1] < 8:
            break
        coarser = functional.avg_pool2d(level, 2)
        detail = (level - functional.interpolate(coarser, size=level.shape[-2:]))[0, 0]
        quarter = len(detail) // 4
        statistics.append(_logarithm(_rms(detail[quarter:-quarter, quarter:-quarter])))
        if scale < _SCALES - 1:  # the coarsest border has too few pixels
            statistics.append(_logarithm(_border(detail).abs().median()))
        level = coarser
    return statistics


def _extent(light: Float[Tensor, "side side"]) -> list[Tensor]:
    """How far light reaches from the centre, how much there is, and where."""
    axis = (torch.arange(len(light)) - (len(light) - 1) / 2) / len(light)
    squared_radius = axis[:, None] ** 2 + axis**2
    moments: list[Tensor] = []
    for least in (_FAINT, _BRIGHT):
        bright = torch.where(light > least, light, 0.0)
        moments.append((bright * squared_radius).sum() / (bright.sum() + _GREY_LEVEL))
    return [
        *(torch.log(moment + 1e-4) for moment in moments),
        _logarithm(light.mean()),
        _logarithm(light.amax()),
        _logarithm((light > _COVERED).float().mean()),
    ]


def _border(image: Float[Tensor, "side side"]) -> Float[Tensor, " pixel"]:
    """The pixels in the outer eighth on each side."""
    width = max(len(image) // 8, 1)
    rows, sides = (image[:width], image[-width:]), image[width:-width]
    return torch.cat([*(row.flatten() for row in rows), sides[:, :width].flatten(),
                      sides[:, -width:].flatten()])  # fmt: skip


def _rms(numbers: Tensor) -> Tensor:
    return numbers.square().mean().sqrt()


def _logarithm(number: Tensor) -> Tensor:
    """The logarithm of a share of white; below a grey level it hardly changes."""
    return torch.log(number + 0.2 * _GREY_LEVEL)
