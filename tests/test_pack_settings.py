import pytest

from galaxyvotes import ConfigError, PackSettings

NETWORK = PackSettings(208, 96)


def test_a_larger_or_smaller_galaxy_has_a_larger_or_smaller_crop():
    assert NETWORK.square_px == 208
    assert NETWORK.for_images(scale=0.42).square_px == 87
    assert NETWORK.for_images(scale=2.0).square_px == 416
    assert NETWORK.for_images(scale=0.5).for_images(scale=3.0).square_px == 312
    assert NETWORK.for_images() == NETWORK


def test_images_that_fit_are_whole():
    whole = NETWORK.for_images(fit=True)
    assert (whole.square_px, whole.size_px, whole.scale) == (0, 96, 1)


def test_scale_and_fit_exclude_each_other():
    with pytest.raises(ConfigError, match="leave out one of the two"):
        NETWORK.for_images(scale=0.5, fit=True)
    with pytest.raises(ConfigError, match="a whole image has no scale"):
        NETWORK.for_images(fit=True).for_images(scale=2.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.001, 1000.0, float("nan"), float("inf")])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(ConfigError, match=r"it lies from 0\.01 to 100"):
        PackSettings(scale=scale)


def test_a_network_takes_images_of_its_size_that_show_as_much_sky_or_are_whole():
    assert NETWORK.takes(PackSettings(208, 96, 0.42))
    assert NETWORK.takes(PackSettings(0, 96))
    assert PackSettings(208, 96, 0.42).takes(NETWORK)
    assert not NETWORK.takes(PackSettings(208, 64))
    assert not NETWORK.takes(PackSettings(128, 96))
    assert not PackSettings(0, 96).takes(NETWORK)


def test_it_says_what_becomes_of_an_image():
    assert str(NETWORK) == "208 px brought to 96 px"
    assert str(PackSettings(208, 96, 0.42)) == "87 px (208 × 0.42) brought to 96 px"
    assert str(PackSettings(0, 96)) == "whole images brought to 96 px"
    assert str(PackSettings(128, 128)) == "128 px"


@pytest.mark.parametrize("pack", [NETWORK, PackSettings(0, 96), PackSettings(208, 96, 0.42)])
def test_it_comes_back_equal_from_its_table(pack):
    assert PackSettings(**pack.to_table()) == pack
    assert set(NETWORK.to_table()) == {"crop_px", "size_px"}


def test_the_side_of_the_images_that_a_crop_is_for_changes_no_pixel_and_is_kept():
    large = PackSettings(208, 96, image_px=900)
    assert large == NETWORK
    assert large.usual_px == PackSettings(**large.to_table()).usual_px == 900
    assert large.for_images(scale=0.5).usual_px == 450
    assert NETWORK.usual_px == 424
    assert PackSettings(400, 96).usual_px == 800
    with pytest.raises(ConfigError, match="image_px is 0"):
        PackSettings(image_px=0)
