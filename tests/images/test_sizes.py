import pytest

from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.pack_settings import PackSettings

NETWORK = PackSettings(208, 96)


def test_sizes_that_differ_are_counted_the_most_common_first():
    sizes = ImageSizes()
    sizes.add([(120, 120)] * 204 + [(88, 88)] * 4300)
    assert sizes.sentence() == "image sizes: 4,300 of 88 × 88 px, 204 of 120 × 120 px"


def test_one_size_is_not_worth_a_word():
    assert ImageSizes({(424, 424): 99}).sentence() == ""
    assert ImageSizes().sentence() == ""
    assert ImageSizes({(424, 424): 99}).too_small(NETWORK) == ""


def test_many_sizes_are_summed_up():
    sizes = ImageSizes({(300 + n, 300): 10 - n for n in range(5)})
    assert sizes.sentence().endswith("8 of 302 × 300 px, 13 of other sizes")


def test_images_that_are_too_small_have_a_way_out():
    sizes = ImageSizes({(88, 90): 4300, (424, 424): 204})
    assert sizes.too_small(NETWORK) == (
        "4,300 of 4,504 images are smaller than the crop of 208 px (4,300 of 88 × 90 px):"
        " `fit=True` takes whole images, `scale=0.42` a crop of 87 px"
    )


def test_images_that_are_much_larger_than_the_crop_is_meant_for_have_a_way_out():
    sizes = ImageSizes({(900, 900): 90, (424, 424): 10, (1000, 880): 20})
    assert sizes.too_large(NETWORK) == (
        "110 of 120 images are much larger than the 424 px that the crop is meant for (90 of 900 ×"
        " 900 px, 20 of 1000 × 880 px), and the network sees only their central 208 px: `fit=True`"
        " takes whole images, `scale=2.12` a crop of 441 px, as is right if galaxies cover 2.12"
        " times as many pixels"
    )


@pytest.mark.parametrize("side", [212, 424, 636])
def test_images_of_about_the_usual_side_are_not_too_large(side):
    assert ImageSizes({(side, side): 9}).too_large(NETWORK) == ""


def test_images_are_not_too_large_for_a_crop_of_that_scale_or_whole_images():
    sizes = ImageSizes({(900, 900): 9})
    assert sizes.too_large(NETWORK)
    assert sizes.too_large(NETWORK.for_images(scale=2.12)) == ""
    assert sizes.too_large(NETWORK.for_images(fit=True)) == ""


def test_images_are_not_too_large_for_a_network_that_learned_from_such():
    assert ImageSizes({(900, 900): 9}).too_large(PackSettings(208, 96, image_px=900)) == ""


def test_a_few_large_images_among_others_are_not_worth_a_warning():
    assert ImageSizes({(900, 900): 5, (424, 424): 5}).too_large(NETWORK) == ""


def test_the_median_of_sizes_is_that_of_their_shorter_sides():
    assert ImageSizes({(900, 300): 3, (400, 400): 1, (100, 500): 1}).median_px == 300
    assert ImageSizes().median_px == 0


def test_the_scale_that_is_named_has_a_crop_that_fits():
    for side in range(10, 208):
        words = ImageSizes({(side, side): 1}).too_small(NETWORK)
        scale = float(words.partition("`scale=")[2].partition("`")[0])
        assert NETWORK.for_images(scale=scale).square_px <= side
