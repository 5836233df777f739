"""What is true of a galaxy can be seen in its picture."""

from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.simulation.painting import paint
from galaxyvotes.simulation.volunteers import Galaxy

SMOOTH = Galaxy(
    "elliptical",
    radius_px=16.0,
    axis_ratio=0.7,
    angle_deg=30.0,
    redness=0.9,
    brightness=1.0,
    psf_fwhm_px=3.0,
)
DISC = replace(
    SMOOTH,
    type="spiral",
    radius_px=20.0,
    inclination_deg=30.0,
    bulge=0.2,
    redness=0.2,
    axis_ratio=0.87,
)


def test_old_stars_are_red_and_young_ones_blue():
    red, blue = (
        paint(galaxy, np.random.default_rng(0), size_px=96)[36:60, 36:60]
        for galaxy in (SMOOTH, DISC)
    )
    assert red[..., 0].mean() > 1.3 * red[..., 2].mean()
    blue_share, red_share = (part[..., 2].mean() / part[..., 0].mean() for part in (blue, red))
    assert blue_share > 1.3 * red_share


def test_the_galaxy_lies_in_the_middle_and_as_it_was_turned():
    picture = paint(replace(SMOOTH, axis_ratio=0.4), np.random.default_rng(0), size_px=96).mean(
        axis=2
    )
    light = np.where(picture > 60, picture, 0.0)
    y, x = np.indices(light.shape) - 47.5
    assert abs(np.average(x, weights=light)) < 1
    assert abs(np.average(y, weights=light)) < 1
    angle = 0.5 * np.degrees(np.arctan2(2 * (light * x * y).sum(), (light * (x**2 - y**2)).sum()))
    assert abs(angle - 30) < 6


@pytest.mark.parametrize(
    "galaxy",
    [
        replace(DISC, arms=2, arm_strength=1.0, pitch_deg=20.0),
        replace(DISC, bar=1.0),
        replace(DISC, ring=1.0),
        replace(SMOOTH, arc=1.0),
        replace(SMOOTH, disturbed=1.0),
        replace(SMOOTH, other=1.0),
        replace(SMOOTH, dust=1.0),
        replace(SMOOTH, type="irregular", irregular=1.0),
        replace(SMOOTH, type="merger", merger=1.0),
        replace(SMOOTH, type="star", artifact=1.0),
        replace(SMOOTH, type="artifact", artifact=1.0),
        replace(
            DISC, type="edge-on", inclination_deg=90.0, axis_ratio=0.11, boxiness=1.0, dust=1.0
        ),
    ],
    ids=lambda galaxy: galaxy.type,
)
def test_what_is_true_can_be_seen(galaxy: Galaxy):
    plain = DISC if galaxy.is_disc else SMOOTH
    assert difference(galaxy, plain) > 40 > 2 * difference(plain, plain)


def difference(one: Galaxy, other: Galaxy) -> float:
    """Greatest difference of colour between two pictures' tiles of 8 pixels, where no neighbour is
    ever drawn."""
    tiles = [
        paint(galaxy, np.random.default_rng(seed), size_px=128)
        .reshape(16, 8, 16, 8, 3)
        .mean(axis=(1, 3))
        for seed, galaxy in enumerate((one, other))
    ]
    y, x = 8 * np.indices((16, 16)) - 60
    return float(np.abs(tiles[0] - tiles[1])[np.hypot(x, y) < 30].max())
