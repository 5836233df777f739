import pytest

from galaxyvotes.cli.messages import as_options
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.pack_settings import PackSettings

NETWORK = PackSettings(208, 96)
WHOLE = PackSettings(0, 96)


def test_sizes_that_differ_are_counted_the_most_common_first():
    sizes = ImageSizes({(120, 120): 204, (88, 88): 4299})
    sizes.count((88, 88), None)
    sizes.count(None, None)
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


@pytest.mark.parametrize("pack", [NETWORK, WHOLE])
def test_images_as_large_as_mosaics_that_say_where_they_are_have_another_way_out(pack):
    mosaics = ImageSizes({(4000, 3000): 2, (424, 424): 1}, {0.26: 2})
    assert as_options(mosaics.too_large(pack)) == (
        "2 of 3 images are as large as a mosaic (2 of 4000 × 3000 px), and the network takes each"
        " for the image of one galaxy: to cut galaxies from mosaics, give a table of their"
        " positions, as galaxyvotes detect MOSAIC --out sources.fits makes one, and --mosaic MOSAIC"
        " --size 30arcsec"
    )
    photographs = ImageSizes({(4000, 3000): 2})
    assert "mosaic" not in photographs.too_large(pack)


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


def test_pixels_on_the_sky_are_said_to_three_digits():
    sizes = ImageSizes()
    sizes.count((50, 50), 0.26200001)
    sizes.count((50, 50), 0.26199999)
    assert sizes.pixel_scales(WHOLE) == "0.262 arcsec a pixel"
    sizes.add(ImageSizes({(60, 60): 3}, {0.396: 1}))
    assert sizes.pixel_scales(WHOLE) == (
        "arcsec a pixel: 0.262 in 2 images, 0.396 in 1 image, another or not known in 2"
    )
    assert sizes.median_arcsec == 0.262
    assert ImageSizes({(60, 60): 3}).pixel_scales(NETWORK) == ""


def test_what_to_do_about_the_scale_of_the_pixels_is_said():
    sizes = ImageSizes({(400, 400): 3}, {0.262: 3})
    assert sizes.pixel_scales(NETWORK) == (
        "0.262 arcsec a pixel; that of the network's images is not known: see on a contact sheet"
        " whether galaxies fill as much of the picture as in its images, and if not, give"
        " `scale=…`, or for images from a mosaic another `size=…`"
    )
    scaled = PackSettings(208, 96, scale=0.5)
    assert sizes.pixel_scales(scaled) == "0.262 arcsec a pixel"
    known = PackSettings(208, 96, arcsec_px=0.262)
    assert sizes.pixel_scales(known) == "0.262 arcsec a pixel, as in the images of the network"
    other = PackSettings(208, 96, arcsec_px=0.4)
    assert (sizes.pixel_scales(other), sizes.other_scale(other) > "") == (
        "0.262 arcsec a pixel",
        True,
    )
    mixed = ImageSizes({(400, 400): 3}, {0.262: 2, 0.396: 1})
    assert mixed.pixel_scales(known).endswith(
        "take the images of each scale by themselves, with their own `scale=…`"
    )


@pytest.mark.parametrize(
    ("pack", "scale", "right"),
    [
        (PackSettings(208, 96, arcsec_px=0.262), None, 0.66),
        (PackSettings(208, 96, scale=0.5, arcsec_px=0.262), 0.5, 0.66),
        (PackSettings(208, 96, scale=0.5, arcsec_px=0.131), None, 0.66),
        (PackSettings(208, 96, scale=0.66, arcsec_px=0.262), 0.66, None),
        (PackSettings(208, 96, arcsec_px=0.39), None, None),
        (PackSettings(0, 96, arcsec_px=0.262), None, None),
        (PackSettings(208, 96), None, None),
    ],
)
def test_another_scale_on_the_sky_has_a_way_out(pack, scale, right):
    said = ImageSizes({(400, 400): 2}, {0.396: 2}).other_scale(pack, scale)
    if right is None:
        assert said == ""
    else:
        assert said == (
            "these images have 0.396 arcsec a pixel, those of the network 0.262: a galaxy covers"
            " 0.662 times as many pixels, so use `scale=0.662`"
        )
