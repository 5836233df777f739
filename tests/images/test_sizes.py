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


def test_the_scale_that_is_named_has_a_crop_that_fits():
    for side in range(10, 208):
        words = ImageSizes({(side, side): 1}).too_small(NETWORK)
        scale = float(words.partition("`scale=")[2].partition("`")[0])
        assert NETWORK.for_images(scale=scale).square_px <= side
