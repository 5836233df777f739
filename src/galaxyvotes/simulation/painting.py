"""The picture of a simulated galaxy.

Smooth light (bulges, discs, bars, ellipticals), stars and the blur of the atmosphere are GalSim's
(Rowe et al. 2015, Astronomy and Computing 10, 121). Structure is painted on top: logarithmic spiral
arms, knots, rings, tidal tails, arcs, dust. Pictures are stretched as the survey's are (Lupton et
al. 2004, PASP 116, 133). All lengths are in pixels, and a galaxy fits the central 128 of them, as
in the challenge's images.
"""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from galaxyvotes.errors import MissingExtraError
from galaxyvotes.simulation.volunteers import Galaxy, ramp

__all__ = ["DISC_THICKNESS", "SKY_NOISE", "glow", "load_galsim", "paint"]

# The light at which the stretch turns from linear to logarithmic, and at which it ends.
_SOFTENING, _WHITE = 0.1, 16.0
DISC_THICKNESS = 0.11  # of a disc seen edge-on
SKY_NOISE = 0.05  # one unit of light is the mean inside the half-light radius of a usual galaxy
_YOUNG, _OLD = np.array([0.80, 0.93, 1.27]), np.array([1.42, 1.02, 0.56])  # stars, in R, G, B
_GAS = np.array([0.5, 1.5, 1.0])  # glowing, in R, G, B

Image = Float[np.ndarray, "height width"]
Light = Float[np.ndarray, "3 height width"]


@dataclass(frozen=True)
class _Pixels:
    """Where each pixel lies: on the sky, along and across the galaxy, and in the plane of its disc
    (`r`, `azimuth`).
    """

    x: Image
    y: Image
    along: Image
    across: Image
    r: Image
    azimuth: Image

    @staticmethod
    def of(galaxy: Galaxy, size_px: int) -> "_Pixels":
        y, x = np.indices((size_px, size_px)) - (size_px - 1) / 2
        cos, sin = (
            math.cos(math.radians(galaxy.angle_deg)),
            math.sin(math.radians(galaxy.angle_deg)),
        )
        along, across = x * cos + y * sin, y * cos - x * sin
        depth = across / galaxy.axis_ratio
        return _Pixels(x, y, along, across, np.hypot(along, depth) + 0.1, np.arctan2(depth, along))


def paint(
    galaxy: Galaxy, rng: np.random.Generator, *, size_px: int = 160
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture of a galaxy in its sky, as an RGB image; `rng` draws knots, neighbours and
    noise. Raises MissingExtraError without GalSim.
    """
    painter = _Painter.of(galaxy, size_px)
    light = painter.galaxy_light(galaxy, rng)
    for _ in range(rng.poisson(3.0 * (size_px / 160) ** 2)):
        place = rng.uniform(-0.5, 0.5, 2) * size_px
        if np.hypot(*place) > 14.0:  # in front of the galaxy, too, but not of its centre
            light += painter.neighbour_light(place, rng)
    if galaxy.artifact:
        light += painter.artifact_light(galaxy, rng)
    grain = _smooth_noise(rng, (3, size_px, size_px), 0.18 * galaxy.psf_fwhm_px)
    return _developed(light + SKY_NOISE * grain)


def glow(galaxy: Galaxy, rng: np.random.Generator, *, size_px: int) -> Light:
    """The light of a galaxy alone, without sky, neighbours and noise, in red, green and blue; one
    unit is the mean inside the half-light radius of a usual galaxy. Raises MissingExtraError
    without GalSim.
    """
    painter = _Painter.of(galaxy, size_px)
    light = painter.galaxy_light(galaxy, rng)
    return light + painter.artifact_light(galaxy, rng) if galaxy.artifact else light


@dataclass(frozen=True)
class _Painter:
    """Paints on a square of pixels, blurred as the sky of a galaxy is."""

    galsim: Any
    psf: Any
    fast: Any
    pixels: _Pixels
    size_px: int

    @staticmethod
    def of(galaxy: Galaxy, size_px: int) -> "_Painter":
        galsim = load_galsim()
        fast = galsim.GSParams(folding_threshold=5e-2, maxk_threshold=1e-2, kvalue_accuracy=1e-4)
        psf = galsim.Moffat(beta=3.5, fwhm=galaxy.psf_fwhm_px, gsparams=fast)
        return _Painter(galsim, psf, fast, _Pixels.of(galaxy, size_px), size_px)

    def _expose(self, profile: Any, *, use_true_center: bool = True) -> Image:
        return _exposed(profile, size_px=self.size_px, use_true_center=use_true_center)

    def galaxy_light(self, galaxy: Galaxy, rng: np.random.Generator) -> Light:
        size = (self.size_px, self.size_px)
        light = np.zeros((3, *size))
        if galaxy.type == "star":
            return light
        blur = np.fft.rfft2(np.fft.ifftshift(self._expose(self.psf, use_true_center=False)))
        layers = np.fft.rfft2(_structure(galaxy, self.pixels, rng))
        gain, old, young, cloud = np.fft.irfft2(layers * blur, s=size)
        light += (
            _tinted(old, galaxy.redness)
            + _tinted(young, galaxy.redness - 0.7)
            + _GAS[:, None, None] * cloud
        )
        for profile, redness, patterned in _smooth_light(galaxy, self.galsim):
            layer = self._expose(self.galsim.Convolve(profile, self.psf, gsparams=self.fast))
            light += _tinted(layer * (1.0 + patterned * np.minimum(gain, 0.0)), redness)
            light += _tinted(layer * patterned * np.maximum(gain, 0.0), redness - 0.45)
        return light * (galaxy.brightness * _dust(galaxy, self.pixels))

    def neighbour_light(self, place: Float[np.ndarray, " 2"], rng: np.random.Generator) -> Light:
        neighbour = self.psf
        if rng.random() < 0.4:
            small = self.galsim.Exponential(half_light_radius=rng.uniform(1.5, 5.0))
            turn = rng.uniform(0.0, 180.0) * self.galsim.degrees
            small = small.shear(q=rng.uniform(0.3, 1.0), beta=turn)
            neighbour = self.galsim.Convolve(small, self.psf, gsparams=self.fast)
        lit = neighbour.withFlux(20.0 * math.exp(rng.normal(0.0, 1.4))).shift(*place)
        return _tinted(self._expose(lit), rng.uniform(-0.2, 1.3))

    def artifact_light(self, galaxy: Galaxy, rng: np.random.Generator) -> Light:
        return _artifact(galaxy, self.pixels, self._expose(self.psf), rng)


def _exposed(profile: Any, *, size_px: int, use_true_center: bool = True) -> Image:
    """A blurred GalSim profile on pixels; the blur stands for air, telescope and pixel together."""
    image = profile.drawImage(
        nx=size_px,
        ny=size_px,
        scale=1.0,
        method="no_pixel",
        dtype=np.float64,
        use_true_center=use_true_center,
    )
    return image.array


def _smooth_light(galaxy: Galaxy, galsim: Any) -> list[tuple[Any, float, float]]:
    """GalSim's part of the galaxy: profiles, the redness of each, and how far the spiral pattern
    applies to it.
    """
    degrees, r, redness = galsim.degrees, galaxy.radius_px, galaxy.redness
    turn = galaxy.angle_deg * degrees

    def sersic(index: float, half_light: float, axis_ratio: float) -> Any:
        return galsim.Sersic(index, half_light_radius=half_light * math.sqrt(axis_ratio)).shear(
            q=axis_ratio, beta=turn
        )

    flux = 2.0 * math.pi * r**2 * galaxy.axis_ratio
    if galaxy.type == "irregular":
        return [(sersic(0.8, r, galaxy.axis_ratio).withFlux(0.5 * flux), redness, 1.0)]
    if galaxy.type == "merger":
        flux, way = 1.6 * r**2, math.radians(galaxy.angle_deg + 50.0)
        apart = r * (2.6 - 1.2 * galaxy.merger)
        other = (
            sersic(2.5, 0.5 * r, 0.8)
            .withFlux(flux)
            .shift(apart * math.cos(way), apart * math.sin(way))
        )
        return [
            (sersic(2.0, 0.7 * r, galaxy.axis_ratio).withFlux(2.0 * flux), redness, 1.0),
            (other, redness, 0.0),
        ]
    if not galaxy.is_disc:
        return [(sersic(3.5, r, galaxy.axis_ratio).withFlux(flux), redness, 0.0)]
    flux = _disc_flux(galaxy)
    share = 0.4 * galaxy.bar * (1.0 - galaxy.bulge)
    tilt = galaxy.inclination_deg * degrees
    disc = galsim.InclinedExponential(
        tilt, half_light_radius=r, scale_h_over_r=DISC_THICKNESS
    ).rotate(turn)
    bar = galsim.Sersic(0.5, half_light_radius=0.5 * r).shear(
        q=0.24, beta=galaxy.bar_angle_deg * degrees
    )
    bar = bar.transform(1.0, 0.0, 0.0, galaxy.axis_ratio).rotate(turn)
    bulge = sersic(
        1.0 + 2.5 * galaxy.bulge, _bulge_radius(galaxy), math.hypot(0.6, 0.8 * galaxy.axis_ratio)
    )
    return [
        (disc.withFlux(flux * (1.0 - galaxy.bulge - share)), redness, 1.0),
        (bar.withFlux(flux * share), 0.75, 0.0),
        (bulge.withFlux(flux * galaxy.bulge * (1.0 - _box(galaxy))), 0.95, 0.0),
    ]


def _disc_flux(galaxy: Galaxy) -> float:
    return (
        2.0 * math.pi * galaxy.radius_px**2 * math.sqrt(galaxy.axis_ratio)
    )  # the root: half transparent


def _bulge_radius(galaxy: Galaxy) -> float:
    return galaxy.radius_px * (0.12 + 0.5 * galaxy.bulge)


def _box(galaxy: Galaxy) -> float:
    """How much of the bulge is painted boxy: its boxiness, where the disc is seen edge-on."""
    return galaxy.boxiness if galaxy.type == "edge-on" else 0.0


def _structure(
    galaxy: Galaxy, at: _Pixels, rng: np.random.Generator
) -> Float[np.ndarray, "4 height width"]:
    """Light no smooth profile has, before blur: the disc's relative gain; old stars, young stars, a
    cloud of gas.
    """
    reach = at.r / galaxy.radius_px
    knots = _smooth_noise(rng, reach.shape, 1.6)
    gain, old, young, cloud = np.zeros((4, *reach.shape))
    if galaxy.arms:
        winding = np.log(reach / 0.6) / math.tan(math.radians(galaxy.pitch_deg)) + math.radians(
            galaxy.bar_angle_deg
        )
        ridge = np.exp(
            (1.8 + 3.0 / galaxy.arms) * (np.cos(galaxy.arms * (at.azimuth - winding)) - 1.0)
        )
        fade = np.clip((reach - 0.3) / 0.4, 0.0, 1.0) * ramp(galaxy.face_on, 0.05, 0.3)
        gain += galaxy.arm_strength * fade * (2.8 * ridge * np.exp(0.35 * knots) - 0.65)
    if galaxy.irregular:
        clumps = np.exp(1.1 * _smooth_noise(rng, reach.shape, 5.0))
        gain += galaxy.irregular * (clumps - 1.0)
    if galaxy.disturbed or galaxy.merger:
        strength, start = galaxy.disturbed + galaxy.merger, rng.uniform(0.0, 2.0 * math.pi)
        gain += 0.8 * galaxy.disturbed * np.cos(at.azimuth - start) * np.minimum(reach, 1.5)
        old += 0.4 * strength * _tail(reach, at.azimuth - start)
        old += 0.4 * strength * galaxy.merger * _tail(reach, at.azimuth - start - math.pi)
    if galaxy.ring:
        young += 0.55 * galaxy.ring * np.exp(-(((reach - 1.7) / 0.14) ** 2)) * np.exp(0.3 * knots)
    if galaxy.arc:
        where = np.arctan2(at.y, at.x) - rng.uniform(0.0, 2.0 * math.pi)
        span = np.exp(3.0 * (np.cos(where) - 1.0)) + 0.5 * np.exp(9.0 * (-np.cos(where) - 1.0))
        young += (
            0.9
            * galaxy.arc
            * span
            * np.exp(-(((np.hypot(at.x, at.y) - 2.0 * galaxy.radius_px) / 1.8) ** 2))
        )
    if galaxy.other:
        way = rng.uniform(0.0, 2.0 * math.pi)
        away = np.hypot(
            at.x - 2.0 * galaxy.radius_px * math.cos(way),
            at.y - 2.0 * galaxy.radius_px * math.sin(way),
        )
        cloud += 0.6 * galaxy.other * np.exp(0.6 * knots - (away / (0.45 * galaxy.radius_px)) ** 2)
    if box := _box(galaxy):
        size = 1.3 * _bulge_radius(galaxy)
        distance = ((at.along / size) ** 4 + (at.across / (0.65 * size)) ** 4) ** 0.25
        shape = np.exp(-(distance**2))
        old += box * galaxy.bulge * _disc_flux(galaxy) * shape / shape.sum()
    return np.stack([gain, old, young, cloud])


def _tail(reach: Image, azimuth: Image) -> Image:
    """A tidal tail: one wide, open arm beyond the galaxy."""
    phase = np.angle(np.exp(1j * (azimuth - np.log(reach) / math.tan(math.radians(40.0)))))
    return np.exp(-((phase / 0.35) ** 2) - ((reach - 1.9) / 0.8) ** 2)


def _dust(galaxy: Galaxy, at: _Pixels) -> Light:
    """The share of light that a lane of dust along the galaxy lets through, in red, green and
    blue.
    """
    width = math.hypot(0.10 * galaxy.radius_px, 0.35 * galaxy.psf_fwhm_px)
    offset = 0.12 * galaxy.radius_px * galaxy.axis_ratio
    lane = np.exp(
        -(((at.across - offset) / width) ** 2) - (at.along / (2.0 * galaxy.radius_px)) ** 2
    )
    return np.exp(-2.2 * galaxy.dust * np.array([0.7, 1.0, 1.4])[:, None, None] * lane)


def _artifact(galaxy: Galaxy, at: _Pixels, point: Image, rng: np.random.Generator) -> Light:
    """Light that is no galaxy's: a star with spikes and halo, or a trail across a sky that is not
    dark.
    """
    strength, colour = galaxy.artifact, rng.uniform(-0.3, 1.3)
    if galaxy.type == "star":
        cross = np.exp(-((at.along / 1.2) ** 2)) + np.exp(-((at.across / 1.2) ** 2))
        spikes = cross / (1.0 + (np.hypot(at.x, at.y) / 14.0) ** 2)
        halo = 1.0 / (1.0 + (np.hypot(at.x, at.y) / 9.0) ** 3)
        return _tinted(4000.0 * strength**2 * point + 3.0 * strength**2 * (spikes + halo), colour)
    trail = np.exp(-(((at.across - rng.uniform(-15.0, 15.0)) / rng.uniform(1.5, 4.0)) ** 2))
    wash = 0.15 * (1.0 + at.x / len(at.x))
    return _tinted(6.0 * strength**2 * trail + strength * wash, colour)


def _tinted(light: Image, redness: float) -> Light:
    """Light in three colours, of stars between young (0) and old (1)."""
    colour = _YOUNG + max(redness, -0.4) * (_OLD - _YOUNG)
    return colour[:, None, None] * light


def _smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float
) -> Float[np.ndarray, "..."]:
    """Gaussian noise of unit variance, correlated over `sigma_px` along the last two axes."""
    squared = np.fft.fftfreq(shape[-2])[:, None] ** 2 + np.fft.rfftfreq(shape[-1]) ** 2
    kernel = np.exp(-2.0 * (math.pi * sigma_px) ** 2 * squared)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * kernel, s=shape[-2:])
    return noise / noise.std()


def _developed(light: Light) -> UInt8[np.ndarray, "height width 3"]:
    """The picture: an asinh stretch of the intensity that keeps colours, also where it
    saturates.
    """
    intensity = np.maximum(light.mean(0), 1e-6)
    stretched = np.arcsinh(intensity / _SOFTENING) / math.asinh(_WHITE / _SOFTENING)
    colours = np.maximum(light, 0.0) * (stretched / intensity)
    colours /= np.maximum(colours.max(0), 1.0)
    return np.ascontiguousarray(np.rint(255.0 * colours).astype(np.uint8).transpose(1, 2, 0))


def load_galsim() -> Any:
    """The module galsim; MissingExtraError if it is not installed."""
    try:
        return import_module("galsim")
    except ImportError:
        raise MissingExtraError("GalSim", "simulate") from None
