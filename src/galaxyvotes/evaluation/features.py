"""Eighty-nine features of a galaxy's image, as measured by hand-made formulas before networks.

The galaxy is taken to stand at the centre, as in every Galaxy Zoo subject. Images are averaged to
some 64 pixels a side first. Lengths are fractions of half a side, brightness is 0–1. *Light* is the
sum of the colours above the sky, which is the median of the rim. The lesser light of each pixel and
the one opposite has no neighbours in it and gives the galaxy's ellipse, radii and isophotes.
Turning the image by quarters or mirroring it changes nothing.

    annulus    in eight rings: mean brightness, its spread, redness (R − B) / (R + G + B),
               greenness (2G − R − B) / (R + G + B)
    sky noise  brightness of the rim: its median, and how far that is above the 16th percentile
    ellipse    axis ratio and size, by moments weighted with a Gaussian of the galaxy's own shape
               (adaptive moments)
    growth     elliptical radii that hold 20, 50 and 80 % of the light; concentration
               5 log₁₀(r80 / r20); all light
    isophote   at 1/10, 1/4 and 1/2 of the central light: area, axis ratio; how much the axis turns
               in between
    asymmetry  what changes when the image is turned by 180° (whole, inside a quarter, outside it)
               and by 90°
    clumps     light above the mean of its surroundings, and below it (dust, gaps), 3 and 7 pixels
               wide
    gini m20   inside r80: how unequally the light is spread over pixels; how far out its brightest
               fifth lies
    ripple     spread of the light around ellipses, in four zones (0.3, 0.75, 1.25, 2 to 3 times
               r50)
    arms       Fourier amplitudes of 1 to 4 arms around the ellipses of each zone; how far the
               two-armed part is turned from zone to zone (sine and cosine): tightly wound arms
               turn far
    peaks      other sources: their number inside and outside 3 r50; the brightest's light, the
               centre's being 1, and how far away it is (2 without any)

Sources: adaptive moments: Bernstein & Jarvis 2002, AJ 123, 583. Concentration, asymmetry,
clumpiness: Conselice 2003, ApJS 147, 1. Gini and M20: Lotz, Primack & Madau 2004, AJ 128, 163.
Fourier amplitudes: Elmegreen, Elmegreen & Montenegro 1992, ApJS 79, 37. They are measured on 8-bit
colour images rather than on calibrated counts: comparable with each other, not with published
values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Complex64, Float32, UInt8

from galaxyvotes.evaluation.ellipse import (
    RINGS,
    TINY,
    Grid,
    adaptive_moments,
    axes_of,
    grid_of,
    growth,
    quotient,
)

__all__ = ["FEATURES", "image_features"]

Pixels = Float32[np.ndarray, "galaxy pixel"]

ZONES = (0.3, 0.75, 1.25, 2.0, 3.0)  # in units of the radius that holds half of the light
ISOPHOTES = (0.1, 0.25, 0.5)
ARMS = (1, 2, 3, 4)

_ZONE_COUNT = len(ZONES) - 1
_THREE = np.array([1, 3, 5], np.float32) / 6
_POLAR_RADII = np.concatenate([low + (high - low) * _THREE for low, high in pairwise(ZONES)])
_ANGLES = (np.arange(32) * (2 * np.pi / 32)).astype(np.float32)

_AT_ONCE = 32


def image_features(
    images: UInt8[np.ndarray, "galaxy side side 3"],
) -> Float32[np.ndarray, "galaxy feature"]:
    """The features of each image, in the order of `FEATURES`; finite for any image, a black one
    too.

    About 1,500 images a second and core at 128 pixels.
    """
    features = np.empty((len(images), len(FEATURES)), np.float32)
    for start in range(0, len(images), _AT_ONCE):
        galaxies = _measured(images[start : start + _AT_ONCE])
        blocks = [measure(galaxies) for _, measure in _BLOCKS]
        features[start : start + _AT_ONCE] = np.concatenate(blocks, axis=1)
    return features


@dataclass(frozen=True)
class _Galaxies:
    """Some galaxies and what several features need of them; brightness in whole counts, `unit`
    makes it 0–1.
    """

    grid: Grid
    unit: float
    colours: tuple[Pixels, Pixels, Pixels]
    sky: Float32[np.ndarray, " galaxy"]
    noise: Float32[np.ndarray, " galaxy"]
    light: Pixels
    common: Pixels
    axes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    elliptical: Pixels  # semi-major axis of the galaxy's ellipse through each pixel
    radii: Float32[np.ndarray, "galaxy 3"]
    total: Float32[np.ndarray, " galaxy"]

    @cached_property
    def polar(self) -> Float32[np.ndarray, "galaxy radius angle"]:
        """Light at three radii of each zone and 32 angles in the galaxy's plane, from its major
        axis.
        """
        ratio, _, cos, sin = (part[:, None, None] for part in self.axes)
        radius = self.radii[:, 1, None, None] * _POLAR_RADII[:, None]
        along, across = radius * np.cos(_ANGLES), radius * np.sin(_ANGLES) * ratio
        return _sampled(
            self.light, self.grid.side, along * cos - across * sin, along * sin + across * cos
        )

    @cached_property
    def waves(self) -> Complex64[np.ndarray, "galaxy arm zone"]:
        """Fourier amplitude of each number of arms around the ellipses of each zone."""
        waves = np.fft.rfft(self.polar, axis=2)[:, :, list(ARMS)].astype(np.complex64)
        return waves.reshape(len(waves), _ZONE_COUNT, -1, len(ARMS)).sum(axis=2).transpose(0, 2, 1)

    @cached_property
    def isophotes(self) -> list[Float32[np.ndarray, "4 galaxy"]]:
        """Sums of 1, x², xy and y² over the pixels above each level of the central light."""
        centre = self.common @ self.grid.rings[:, 0]
        levels = [
            np.maximum(centre * np.float32(level), 2 * self.noise)[:, None] for level in ISOPHOTES
        ]
        return [
            ((self.common > level).astype(np.float32) @ self.grid.moments).T for level in levels
        ]


def _measured(images: UInt8[np.ndarray, "galaxy side side 3"]) -> _Galaxies:
    colours, unit = _averaged(images)
    grid = grid_of(round(colours.shape[2] ** 0.5))
    brightness = colours.sum(axis=0)
    rim = np.sort(brightness[:, grid.radius > 0.95], axis=1)
    places = rim.shape[1]
    sky = rim[:, places // 2]
    noise = np.maximum(sky - rim[:, int(places * 0.16)], np.float32(0.5 / 255 / unit))
    light = brightness - sky[:, None]
    common = np.minimum(light, light[:, ::-1])
    axes = axes_of(*adaptive_moments(np.maximum(common, 0), grid))
    ratio, _, cos, sin = axes
    along = np.outer(cos, grid.x) + np.outer(sin, grid.y)
    across = np.outer(cos / ratio, grid.y) - np.outer(sin / ratio, grid.x)
    elliptical = np.sqrt(along * along + across * across)
    radii, total = growth(common, elliptical)
    return _Galaxies(
        grid,
        unit,
        (colours[0], colours[1], colours[2]),
        sky,
        noise,
        light,
        common,
        axes,
        elliptical,
        radii,
        total,
    )


def _averaged(
    images: UInt8[np.ndarray, "galaxy side side 3"],
) -> tuple[Float32[np.ndarray, "3 galaxy pixel"], float]:
    """Sums over blocks of pixels, colour by colour, and what makes the sum of the three colours
    0–1.

    Blocks are as large as leaves 48 of them a side; pixels that do not fill a block are cut off all
    round.
    """
    side = images.shape[1]
    block = max((b for b in range(1, side // 48 + 1) if (side % b) % 2 == 0), default=1)
    cut, whole = (side % block) // 2, np.uint16 if block <= 16 else np.uint32
    kept = images[:, cut : side - cut, cut : side - cut]
    rows = _added([kept[:, i::block] for i in range(block)], whole)
    sums = [
        _added([rows[:, :, i::block, colour] for i in range(block)], whole) for colour in range(3)
    ]
    return np.stack(sums).reshape(3, len(images), -1).astype(np.float32), 1 / (3 * 255 * block**2)


def _added(parts: Sequence[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    total = parts[0].astype(dtype)
    for part in parts[1:]:
        total += part
    return total


def _sampled(light: Pixels, side: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Light at coordinates, between the four pixels around them; beyond the image that of its
    rim.
    """
    places = [
        np.clip((axis + 1) * np.float32(side / 2) - np.float32(0.5), 0, side - 1) for axis in (x, y)
    ]
    left, top = corners = [np.floor(np.minimum(place, max(side - 2, 0))) for place in places]
    right, down = (place - corner for place, corner in zip(places, corners, strict=True))
    first = (top * side + left).astype(np.int64).reshape(len(light), -1)
    at = [
        np.take_along_axis(light, first + step, axis=1).reshape(x.shape)
        for step in (0, 1, side, side + 1)
    ]
    upper, lower = at[0] + (at[1] - at[0]) * right, at[2] + (at[3] - at[2]) * right
    return upper + (lower - upper) * down


# ---- the groups of features


def _annulus(g: _Galaxies) -> np.ndarray:
    red, green, blue = (colour @ g.grid.rings for colour in g.colours)
    light = g.light @ g.grid.rings
    spread = np.sqrt(np.maximum((g.light * g.light) @ g.grid.rings - light * light, 0))
    all_three = red + green + blue
    colour = [quotient(red - blue, all_three), quotient(2 * green - red - blue, all_three)]
    return np.concatenate([all_three * g.unit, spread * g.unit, *colour], axis=1)


def _sky(g: _Galaxies) -> np.ndarray:
    return np.stack([g.sky, g.noise], axis=1) * g.unit


def _ellipse(g: _Galaxies) -> np.ndarray:
    return np.stack([g.axes[0], np.sqrt(g.axes[1])], axis=1)


def _growths(g: _Galaxies) -> np.ndarray:
    concentration = 5 * np.log10(np.maximum(g.radii[:, 2], 1e-3) / np.maximum(g.radii[:, 0], 1e-3))
    return np.column_stack([g.radii, concentration, np.log10(g.total * g.unit + 1)])


def _isophotes(g: _Galaxies) -> np.ndarray:
    columns: list[np.ndarray] = []
    for area, xx, xy, yy in g.isophotes:
        columns += [area / g.light.shape[1], axes_of(xx, xy, yy)[0]]
    return np.stack(columns, axis=1)


def _isophote_turns(g: _Galaxies) -> np.ndarray:
    """|sin 2φ| of the turn φ of the axis between isophotes, times how elongated both are."""
    shapes = [
        (quotient(xx - yy, xx + yy), quotient(2 * xy, xx + yy)) for _, xx, xy, yy in g.isophotes
    ]
    return np.stack([np.abs(a * d - b * c) for (a, b), (c, d) in pairwise(shapes)], axis=1)


def _asymmetry(g: _Galaxies) -> np.ndarray:
    side, radius = g.grid.side, g.grid.radius
    masks = np.stack([radius < 1, radius < 0.25, (radius >= 0.25) & (radius < 1)], axis=1).astype(
        np.float32
    )
    opposite = np.abs(g.light - g.light[:, ::-1])
    turned = np.ascontiguousarray(np.rot90(g.light.reshape(-1, side, side), axes=(1, 2))).reshape(
        len(g.light), -1
    )
    whole = 2 * (np.abs(g.light) @ masks)
    quarter = np.abs(g.light - turned) @ masks[:, :1]
    return np.concatenate(
        [quotient(opposite @ masks, whole), quotient(quarter, whole[:, :1])], axis=1
    )


def _box(image: np.ndarray, reach: int) -> np.ndarray:
    """The mean over a square of 2 reach + 1 pixels a side, the rim repeated outwards."""
    side, width = image.shape[1], 2 * reach + 1
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    rows = _added([padded[:, i : i + side] for i in range(width)], np.float32)
    return _added([rows[:, :, i : i + side] for i in range(width)], np.float32) / np.float32(
        width**2
    )


def _clumps(g: _Galaxies) -> np.ndarray:
    side = g.grid.side
    outer = g.elliptical / np.maximum(g.radii[:, 1:2], TINY)
    inside = ((outer > ZONES[0]) & (outer < ZONES[-1])).astype(np.float32)
    light = np.sum(np.maximum(g.light, 0) * inside, axis=1)
    columns: list[np.ndarray] = []
    for reach in (1, 3):
        excess = (
            g.light - _box(g.light.reshape(-1, side, side), reach).reshape(g.light.shape)
        ) * inside
        above = np.maximum(excess, 0).sum(axis=1)
        columns += [quotient(above, light), quotient(above - excess.sum(axis=1), light)]
    return np.stack(columns, axis=1)


def _gini(g: _Galaxies) -> np.ndarray:
    inside = g.elliptical < g.radii[:, 2:]
    light = np.where(inside, np.maximum(g.light, 0), 0)
    ranked = np.sort(light, axis=1)
    number, pixels = inside.sum(axis=1).astype(np.float32), light.shape[1]
    total = ranked.sum(axis=1)
    by_rank = ranked @ np.arange(1 - 2 * pixels, 1, 2, dtype=np.float32) + number * total
    gini = quotient(by_rank, total * np.maximum(number - 1, 1))
    brightest = np.cumsum(ranked[:, ::-1], axis=1) <= np.float32(0.2) * total[:, None]
    faintest = ranked[
        np.arange(len(ranked)), pixels - 1 - np.minimum(brightest.sum(axis=1), pixels - 1)
    ]
    second = g.grid.radius**2
    m20 = quotient(np.where(light >= faintest[:, None], light, 0) @ second, light @ second)
    return np.stack([gini, np.log10(np.maximum(m20, 1e-4))], axis=1)


def _ripple(g: _Galaxies) -> np.ndarray:
    spread = g.polar.std(axis=2).reshape(len(g.polar), _ZONE_COUNT, -1).mean(axis=2)
    return quotient(spread, np.abs(g.polar).reshape(len(g.polar), _ZONE_COUNT, -1).mean(axis=2))


def _arms(g: _Galaxies) -> np.ndarray:
    light = np.abs(g.polar).reshape(len(g.polar), _ZONE_COUNT, -1).sum(axis=2)
    return quotient(np.abs(g.waves), light[:, None]).reshape(len(g.polar), -1)


def _arm_turns(g: _Galaxies) -> np.ndarray:
    two = g.waves[:, ARMS.index(2)]
    between = two[:, :-1] * two[:, 1:].conj()
    return np.concatenate(
        [quotient(part, np.abs(between)) for part in (np.abs(np.imag(between)), np.real(between))],
        axis=1,
    )


def _peaks(g: _Galaxies) -> np.ndarray:
    side = g.grid.side
    smooth = _box(g.light.reshape(-1, side, side), 1)
    padded = np.pad(smooth, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    around = np.maximum(np.maximum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
    peak = ((smooth >= around) & (smooth > 5 * g.noise[:, None, None])).reshape(len(smooth), -1)
    peak &= (g.grid.radius > 0.12) & (g.grid.radius < 1)
    inside = g.elliptical < ZONES[-1] * g.radii[:, 1:2]
    height = np.where(peak, smooth.reshape(len(smooth), -1), 0)
    highest = height.max(axis=1)
    away = np.where(peak & (height >= highest[:, None]), g.grid.radius, 2).min(axis=1)
    centre = np.maximum(g.light @ g.grid.rings[:, 0], TINY)
    equal = _box(peak.reshape(-1, side, side).astype(np.float32), 1).reshape(peak.shape) * 9
    share = np.divide(
        peak, equal, out=np.zeros(peak.shape, np.float32), where=peak
    )  # equal neighbours are one peak
    counts = [(share * inside).sum(axis=1), (share * ~inside).sum(axis=1)]
    return np.stack([*counts, np.minimum(highest / centre, 10), away], axis=1).astype(np.float32)


_RINGS = range(1, len(RINGS))
_ZONES = range(1, len(ZONES))
_BLOCKS: tuple[tuple[list[str], Callable[[_Galaxies], np.ndarray]], ...] = (
    (
        [
            f"annulus {what} {n}"
            for what in ("brightness", "spread", "redness", "greenness")
            for n in _RINGS
        ],
        _annulus,
    ),
    (["sky", "noise"], _sky),
    (["ellipse ratio", "ellipse size"], _ellipse),
    (["growth r20", "growth r50", "growth r80", "growth concentration", "growth light"], _growths),
    ([f"isophote {what} {n}" for n in (1, 2, 3) for what in ("area", "ratio")], _isophotes),
    (["isophote turn 1", "isophote turn 2"], _isophote_turns),
    (["asymmetry", "asymmetry inner", "asymmetry outer", "asymmetry quarter"], _asymmetry),
    ([f"clumps {what} {n}" for n in (1, 2) for what in ("above", "below")], _clumps),
    (["gini", "m20"], _gini),
    ([f"ripple {n}" for n in _ZONES], _ripple),
    ([f"arms {arms} zone {n}" for arms in ARMS for n in _ZONES], _arms),
    ([f"arms {what} {n}" for what in ("sine", "cosine") for n in _ZONES[:-1]], _arm_turns),
    (["peaks inside", "peaks outside", "peaks light", "peaks distance"], _peaks),
)

FEATURES: tuple[str, ...] = tuple(name for names, _ in _BLOCKS for name in names)
