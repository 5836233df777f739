import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from galaxyvotes.errors import DataError
from galaxyvotes.images.read import decode
from galaxyvotes.images.tiff import is_tiff
from image_bytes import encoded, raw_tiff, some_pixels

HEIGHT, WIDTH = 5, 7


def layout(*bits: int, photometric: int, **more: int | tuple[int, ...]) -> dict:
    """The tags of a small TIFF; `more` by the names of the specification."""
    numbers = {"planes": 284, "fill_order": 266, "extra": 338, "sample_format": 339}
    return {256: (WIDTH,), 257: (HEIGHT,), 258: bits, 259: (1,), 262: (photometric,)} | {
        277: (len(bits),),
        278: (HEIGHT,),
        **{numbers[name]: np.atleast_1d(value) for name, value in more.items()},
    }


def some_values(bits: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH, channels))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_is_read_from_black_or_from_white_or_refused(order, bits, photometric):
    values = some_values(bits, 1)
    data = raw_tiff(
        layout(bits, photometric=photometric),
        values.astype(f"{order}u{bits // 8}").tobytes(),
        order=order,
    )
    grey = values >> (bits - 8)
    assert is_tiff(data)
    if (order, bits, photometric) == (">", 16, 0):
        with pytest.raises(DataError, match="a TIFF whose layout of pixels is not read"):
            decode(data)
    else:
        assert (decode(data) == (grey if photometric else 255 - grey)).all()


@pytest.mark.parametrize("order", "<>")
def test_planes_of_eight_bits_are_read_and_of_sixteen_refused(order):
    values = some_values(8, 3)
    planes = [values[..., channel].astype(np.uint8).tobytes() for channel in range(3)]
    tags = layout(8, 8, 8, photometric=2, planes=2)
    assert (decode(raw_tiff(tags, *planes, order=order)) == values).all()
    wide = [(values[..., channel] << 8).astype(f"{order}u2").tobytes() for channel in range(3)]
    with pytest.raises(DataError, match="a plane for each colour, and not of 8 bits each"):
        decode(raw_tiff(layout(16, 16, 16, photometric=2, planes=2), *wide, order=order))


def test_grey_and_alpha_in_planes_is_refused():
    values = some_values(8, 2).astype(np.uint8)
    tags = layout(8, 8, photometric=1, planes=2, extra=2)
    with pytest.raises(DataError, match="a plane for each colour"):
        decode(raw_tiff(tags, values[..., 0].tobytes(), values[..., 1].tobytes()))


@pytest.mark.parametrize("order", "<>")
def test_colours_of_sixteen_bits_are_read(order):
    values = some_values(16, 3)
    data = raw_tiff(
        layout(16, 16, 16, photometric=2), values.astype(f"{order}u2").tobytes(), order=order
    )
    assert (decode(data) == values >> 8).all()


@pytest.mark.parametrize("extra", [1, 2])
def test_grey_with_alpha_lies_over_black_also_if_alpha_is_a_factor_already(extra):
    values = some_values(8, 2)
    values[..., 0] = np.minimum(values[..., 0], values[..., 1])
    tags = layout(8, 8, photometric=1, extra=extra)
    expected = values[..., :1] * (values[..., 1:] / 255 if extra == 2 else 1)
    pixels = decode(raw_tiff(tags, values.astype(np.uint8).tobytes()))
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (layout(12, photometric=1), "12-bit"),
        (layout(8, photometric=1, sample_format=2), "signed"),
        (layout(16, photometric=1, sample_format=2), "signed"),
        (layout(8, 8, 8, photometric=8), "photometric interpretation 8"),
        (layout(8, 8, 8, photometric=6), "YCbCr"),
        (layout(16, photometric=1, fill_order=2), "reversed order of bits"),
        (layout(8, photometric=1) | {32_997: (4,)}, "4 slices of a volume"),
        (layout(16, photometric=32_803), "a TIFF whose layout of pixels is not read"),
    ],
)
def test_a_layout_that_pillow_would_misread_is_refused(tags, reason):
    with pytest.raises(DataError, match=reason):
        decode(raw_tiff(tags, bytes(1000)))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_pixels_are_those_that_were_saved(compression):
    assert (decode(encoded(some_pixels(), "TIFF", compression=compression)) == some_pixels()).all()


def test_several_pages_are_refused():
    values = some_values(8, 1).astype(np.uint8)
    tags = layout(8, photometric=1)
    assert (decode(raw_tiff(tags, values.tobytes())) == values).all()
    for data in (
        raw_tiff(tags, values.tobytes(), pages=2),
        encoded(
            Image.fromarray(some_pixels()),
            "TIFF",
            save_all=True,
            append_images=[Image.fromarray(some_pixels())],
        ),
    ):
        with pytest.raises(DataError, match="holds several pages or frames"):
            decode(data)


def test_remarks_of_libtiff_stay_off_standard_error(capfd):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[65_000] = 2
    tags[65_000] = "a tag of nobody's"
    image = Image.fromarray(some_pixels(64, 64))
    file = io.BytesIO()
    image.save(file, "TIFF", compression="tiff_lzw", tiffinfo=tags)
    assert (decode(file.getvalue()) == np.array(image)).all()
    for seed in range(40):
        damaged, random = bytearray(file.getvalue()), np.random.default_rng(seed)
        for at in random.integers(8, len(damaged), 4):
            damaged[at] = random.integers(256)
        with suppress(DataError):
            decode(bytes(damaged))
    assert capfd.readouterr().err == ""
