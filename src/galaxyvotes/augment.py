"""Other views of the same galaxy, for a whole batch at once, on the device it lives on.

Galaxies have no up: a quarter turn or a mirror image of one is as likely a galaxy, with the same votes.
"""

import torch
from jaxtyping import UInt8
from torch import Tensor

__all__ = ["dihedral"]


def dihedral(
    images: UInt8[Tensor, "galaxy side side colour"], generator: torch.Generator
) -> UInt8[Tensor, "galaxy side side colour"]:
    """Each image seen from one of the square's eight sides, drawn evenly; no pixel value changes."""
    chosen = torch.rand(3, len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
    images = torch.where(chosen[0], images.flip(1), images)
    images = torch.where(chosen[1], images.flip(2), images)
    return torch.where(chosen[2], images.transpose(1, 2), images)
