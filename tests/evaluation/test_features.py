import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.evaluation.features import FEATURES, image_features

laws = settings(max_examples=25, deadline=None)


def drawn(
    side=128,
    *,
    ratio=1.0,
    angle=0.0,
    size=0.15,
    arms=0,
    wind=0.0,
    peak=200.0,
    kind="gaussian",
    tint=(1, 1, 1),
):
    """A smooth galaxy on a dark sky: sizes in half sides; arms are a ripple of its light around the
    ellipse."""
    along = (np.arange(side) - (side - 1) / 2) / (side / 2)
    y, x = np.meshgrid(along, along, indexing="ij")
    u = x * np.cos(angle) + y * np.sin(angle)
    v = (y * np.cos(angle) - x * np.sin(angle)) / ratio
    radius = np.hypot(u, v) / size
    light = {
        "gaussian": np.exp(-(radius**2) / 2),
        "exponential": np.exp(-radius),
        "flat": (radius < 1) * 1.0,
    }[kind]
    light = light * (
        1 + 0.5 * np.cos(arms * np.arctan2(v, u) - wind * np.log(radius + 1e-3)) if arms else 1
    )
    return np.clip(light[..., None] * peak * np.array(tint) + 10, 0, 255).astype(np.uint8)


def measured(*images):
    """Name → value for each image."""
    return [
        dict(zip(FEATURES, row.tolist(), strict=True)) for row in image_features(np.stack(images))
    ]


def crowded(seed: int, side: int):
    """A galaxy with neighbours and noise."""
    random = np.random.default_rng(seed)
    image = drawn(
        side,
        ratio=random.uniform(0.2, 1),
        angle=random.uniform(0, 3),
        arms=int(random.integers(4)),
        wind=2.0,
    )
    image = image.astype(float) + random.normal(0, 4, image.shape)
    for _ in range(3):
        image += np.roll(
            drawn(side, size=0.03, peak=random.uniform(20, 150)),
            random.integers(side, size=2),
            (0, 1),
        )
    return np.clip(image, 0, 255).astype(np.uint8)


def test_every_feature_has_a_name_of_its_own():
    assert len(set(FEATURES)) == len(FEATURES) == 89
    assert image_features(drawn()[None]).shape == (1, 89)
    assert image_features(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, 89)


@laws
@given(st.integers(0, 10_000), st.sampled_from([47, 64, 96, 129]), st.integers(1, 3), st.booleans())
def test_turning_by_quarters_and_mirroring_changes_nothing(seed, side, quarters, mirror):
    image = crowded(seed, side)
    other = np.rot90(image, quarters)[:, :: -1 if mirror else 1]
    one, two = image_features(np.stack([image, other]))
    np.testing.assert_allclose(one, two, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("side", [8, 33, 64, 100, 424])
def test_any_image_has_finite_features(side):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    corner = np.zeros_like(noise)
    corner[0, 0] = 255
    images = np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise, corner])
    assert np.isfinite(image_features(images)).all()


def test_features_do_not_depend_on_the_company():
    images = np.stack([crowded(seed, 64) for seed in range(40)])
    together = image_features(images)
    alone = np.concatenate([image_features(image[None]) for image in images])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-3)


def test_an_image_of_twice_the_pixels_has_the_same_features():
    image = crowded(3, 64)
    twice = image.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(
        image_features(image[None]), image_features(twice[None]), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, 1.3, 2.5])
def test_axis_ratio_and_size_are_those_of_the_drawn_ellipse_at_any_angle(ratio, angle):
    (found,) = measured(drawn(ratio=ratio, angle=angle))
    assert found["ellipse ratio"] == pytest.approx(ratio, abs=0.03)
    assert found["ellipse size"] == pytest.approx(0.15, rel=0.05)
    for level in (1, 2, 3):
        assert found[f"isophote ratio {level}"] == pytest.approx(ratio, abs=0.06)


def test_radii_and_concentration_are_those_of_a_gaussian():
    (found,) = measured(drawn(ratio=0.6, angle=0.5))
    for name, part in (("growth r20", 0.2), ("growth r50", 0.5), ("growth r80", 0.8)):
        assert found[name] == pytest.approx(0.15 * np.sqrt(-2 * np.log(1 - part)), rel=0.06)
    assert found["growth concentration"] == pytest.approx(
        5 * np.log10(np.sqrt(np.log(0.2) / np.log(0.8))), rel=0.06
    )


def test_concentration_and_gini_rise_from_flat_to_gaussian_to_exponential_disc():
    flat, gaussian, disc = measured(
        drawn(kind="flat", size=0.4), drawn(size=0.2), drawn(kind="exponential", size=0.12)
    )
    for name in ("growth concentration", "gini"):
        assert disc[name] > gaussian[name] + 0.05 > flat[name] + 0.1
    assert flat["gini"] < 0.05


@pytest.mark.parametrize("arms", [1, 2, 3, 4])
def test_the_amplitude_of_as_many_arms_as_were_drawn_is_the_largest(arms):
    (found,) = measured(
        drawn(ratio=0.6, angle=0.7, size=0.2, arms=arms, wind=4.0)
    )  # two straight ones are an ellipse
    strengths = [found[f"arms {number} zone 2"] for number in (1, 2, 3, 4)]
    assert np.argmax(strengths) + 1 == arms
    if arms != 2:  # an ellipse takes some of two arms for itself
        assert strengths[arms - 1] == pytest.approx(0.25, abs=0.08), "half of a ripple of one half"
    assert max(strengths[: arms - 1] + strengths[arms:]) < 0.1


def test_tightly_wound_arms_turn_further_from_zone_to_zone():
    found = measured(*(drawn(arms=2, size=0.2, wind=wind) for wind in (0.0, 2.0, 4.0, 6.0)))
    cosines = [galaxy["arms cosine 3"] for galaxy in found]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] > 0.99
    assert cosines[-1] < 0
    assert found[0]["arms sine 3"] < 0.05
    assert found[2]["arms sine 3"] > 0.8


def test_a_smooth_galaxy_has_no_asymmetry_clumps_ripple_or_arms():
    (found,) = measured(drawn(ratio=0.6, angle=0.5))
    for name in ("asymmetry", "asymmetry inner", "asymmetry outer"):
        assert found[name] < 0.03
    for name in ("ripple 2", "arms 1 zone 2", "arms 2 zone 2", "arms 3 zone 2"):
        assert found[name] < 0.06
    assert found["peaks inside"] == found["peaks outside"] == 0
    assert found["peaks distance"] == 2


def test_a_neighbour_is_a_peak_and_an_asymmetry_and_leaves_the_ellipse_alone():
    neighbour = np.roll(drawn(size=0.07, peak=100) - np.uint8(10), 40, axis=1)
    alone, beside = measured(drawn(ratio=0.7), drawn(ratio=0.7) + neighbour)
    assert beside["peaks inside"] + beside["peaks outside"] == 1
    assert beside["peaks distance"] == pytest.approx(40 / 64, abs=0.03)
    assert beside["peaks light"] == pytest.approx(100 / 200, abs=0.15)
    assert beside["asymmetry outer"] > alone["asymmetry outer"] + 0.05
    for name in ("ellipse ratio", "ellipse size", "growth r50"):
        assert beside[name] == pytest.approx(alone[name], rel=0.03)


def test_redness_and_greenness_have_the_sign_of_the_colour():
    red, green, blue = measured(
        drawn(tint=(1, 0.6, 0.2)), drawn(tint=(0.5, 1, 0.5)), drawn(tint=(0.2, 0.6, 1))
    )
    assert red["annulus redness 1"] > 0.3 > abs(green["annulus redness 1"]) + 0.2
    assert blue["annulus redness 1"] < -0.3
    assert green["annulus greenness 1"] > 0.3 > abs(red["annulus greenness 1"]) + 0.2
