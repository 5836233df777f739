"""The appearance of an image: what another survey changes shows, and nothing else does."""

import numpy as np
import pytest
import torch

from galaxyvotes.confidence.appearance import appearance


def galaxies(count: int = 40, side: int = 48, *, scale: float = 1.0) -> torch.Tensor:
    """Round coloured blobs of many sizes in a noisy sky."""
    random = np.random.default_rng(3)
    y, x = np.indices((side, side)) - (side - 1) / 2
    sizes = scale * random.uniform(4, 8, (count, 1, 1, 1))
    light = np.exp(-((x**2 + y**2)[..., None]) / (2 * sizes**2))
    colours = random.uniform(0.3, 0.9, (count, 1, 1, 3))
    noise = random.normal(0.05, 0.02, (count, side, side, 3))
    return torch.from_numpy(np.clip(255 * (light * colours + noise), 0, 255).astype(np.uint8))


def grey(images: torch.Tensor) -> torch.Tensor:
    return images.float().mean(3, keepdim=True).expand_as(images).to(torch.uint8)


def test_an_image_has_the_same_statistics_whichever_others_are_beside_it():
    images = galaxies()
    alone = torch.cat([appearance(image[None]) for image in images])
    assert torch.equal(appearance(images), alone)


def test_flips_and_right_angles_change_no_statistic_but_by_rounding():
    images = galaxies()
    turned = appearance(torch.rot90(images, 1, (1, 2)).flip(1))
    assert torch.allclose(turned, appearance(images), atol=1e-4)


@pytest.mark.parametrize(
    "changed",
    [
        grey(galaxies()),
        galaxies(scale=0.5),
        galaxies(scale=2.0),
        (255 * (galaxies() / 255) ** 0.5).to(torch.uint8),
        galaxies().flip(3).clamp(max=120),
    ],
    ids=["grey", "half the size", "twice the size", "another stretch", "saturated"],
)
def test_what_another_survey_changes_moves_a_statistic_by_more_than_galaxies_differ(changed):
    usual, other = appearance(galaxies()), appearance(changed)
    moved = (other.mean(0) - usual.mean(0)).abs() / usual.std(0).clamp(min=1e-3)
    assert moved.max() > 2


@pytest.mark.parametrize("side", [8, 20, 33, 96])
def test_statistics_are_numbers_for_any_side_and_for_blank_images(side):
    for level in (0, 255):
        blank = torch.full((1, side, side, 3), level, dtype=torch.uint8)
        assert torch.isfinite(appearance(blank)).all()
