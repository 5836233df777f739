import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from galaxyvotes.errors import DataError
from galaxyvotes.images import jpeg, read
from galaxyvotes.images.read import MAX_PIXELS, crop_and_resize, decode, to_square
from image_bytes import encoded, exif, raw_png, some_pixels, turned, with_size

KAGGLE = Path(__file__).parents[3] / "shared" / "data" / "kaggle"
needs_kaggle = pytest.mark.skipif(not KAGGLE.is_dir(), reason=f"no real galaxies in {KAGGLE}")


# Pixels


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}]
)
def test_a_jpeg_has_the_pixels_of_the_plain_decoder(options):
    data = encoded(some_pixels(), **options)
    pixels = decode(data)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == simplejpeg.decode_jpeg(data, "RGB")).all()
    assert np.abs(pixels.astype(int) - some_pixels()).max() < 30


def test_plain_jpegs_never_take_the_slow_path(monkeypatch):
    monkeypatch.setattr(read, "_decode_with_pillow", None)
    for data in (
        encoded(some_pixels()),
        encoded(some_pixels(), progressive=True),
        encoded(some_pixels()[..., 0]),
        encoded(some_pixels(), exif=exif(6)),
    ):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_formats_give_back_their_pixels(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (decode(encoded(some_pixels(), kind, **options)) == some_pixels()).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_grey_becomes_three_equal_channels(kind):
    grey = some_pixels()[..., 0]
    pixels = decode(encoded(grey, kind))
    assert (pixels == pixels[..., :1]).all()
    assert np.abs(pixels[..., 0].astype(int) - grey).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparent_pixels_lie_over_black(kind):
    rgba = some_pixels(channels=4)
    rgba[:10, :, 3], rgba[-10:, :, 3] = 0, 255
    pixels = decode(encoded(rgba, kind, **({"lossless": True} if kind == "WEBP" else {})))
    expected = rgba[..., :3].astype(float) * rgba[..., 3:] / 255
    assert (pixels[:10] == 0).all()
    assert (pixels[-10:] == rgba[-10:, :, :3]).all()
    assert np.abs(pixels - expected).max() <= 1


def test_grey_with_transparency_lies_over_black():
    pixels = decode(encoded(Image.new("LA", (4, 4), (200, 51)), "PNG"))
    assert (pixels == 40).all()


def test_a_palette_becomes_its_colours():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    assert decode(encoded(picture, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert decode(encoded(picture, "PNG", transparency=0)).tolist() == [[[0, 0, 0], [40, 50, 60]]]
    assert decode(encoded(picture, "PNG", transparency=b"\xff\x00")).tolist() == [
        [[10, 20, 30], [0, 0, 0]]
    ]


def test_one_bit_becomes_black_and_white():
    assert set(
        decode(encoded(Image.fromarray(some_pixels()).convert("1"), "PNG")).ravel().tolist()
    ) == {0, 255}


@pytest.mark.parametrize(
    ("cmyk", "rgb"), [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 0), (255, 255, 255))]
)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_also_in_the_inverted_kind_of_adobe(kind, cmyk, rgb):
    data = encoded(Image.new("CMYK", (16, 16), cmyk), kind)
    assert (kind == "JPEG") == (b"Adobe" in data)
    assert np.abs(decode(data).astype(int) - rgb).max() <= 3


@pytest.mark.parametrize("widen", [256, 257])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_gives_back_the_eight_bits_it_was_widened_from(kind, widen):
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert (decode(encoded(grey * np.uint16(widen), kind)) == grey[..., None]).all()


def test_sixteen_bit_colour_is_cut_to_the_same_eight_bits_as_grey():
    values = np.array([[0, 255, 256, 40_000, 65_279, 65_280, 65_535]], np.uint16)
    grey = decode(raw_png(7, 1, bits=16, colour=0, rows=b"\0" + values.astype(">u2").tobytes()))
    rgb = decode(
        raw_png(7, 1, bits=16, colour=2, rows=b"\0" + np.repeat(values, 3).astype(">u2").tobytes())
    )
    assert (grey == rgb).all()
    assert grey[0, :, 0].tolist() == [0, 0, 1, 156, 254, 255, 255]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_without_a_white_are_refused(dtype):
    with pytest.raises(DataError, match="32-bit pixels"):
        decode(encoded(np.ones((4, 4), dtype), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_an_exif_orientation_is_turned_upright(kind, orientation):
    options = {"lossless": True} if kind == "WEBP" else {}
    block = Image.Exif()
    block[0x0112] = orientation
    pixels = decode(encoded(turned(some_pixels(), orientation), kind, exif=block, **options))
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - some_pixels()).max() <= (30 if kind == "JPEG" else 0)


def test_many_threads_decode_the_same_pixels():
    files = [
        encoded(some_pixels()),
        encoded(some_pixels(), "PNG"),
        encoded(some_pixels(), exif=exif(3)),
    ] * 40
    with ThreadPoolExecutor(4) as pool:
        assert all(
            (a == decode(b)).all() for a, b in zip(pool.map(decode, files), files, strict=True)
        )


def test_damage_in_a_jpeg_of_four_channels_is_found():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    data = encoded(Image.fromarray(noise, "CMYK"))
    damaged = bytearray(data)
    damaged[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd3"  # a restart where none is due
    with pytest.raises(DataError, match="damaged or truncated JPEG"):
        decode(bytes(damaged))
    assert decode(data).shape == (64, 64, 3)


# Only the rows that a crop needs


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """How many rows of each JPEG the decoder was asked for."""
    rows: list[int] = []
    plain = simplejpeg.decode_jpeg

    def decode_jpeg(data, *args, **options):
        rows.append(simplejpeg.decode_jpeg_header(data)[0])
        return plain(data, *args, **options)

    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg", decode_jpeg)
    return rows


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(("height", "width"), [(424, 424), (211, 300), (423, 97)])
@pytest.mark.parametrize("crop_px", [96, 33])
def test_rows_below_the_crop_are_not_decoded_and_change_no_pixel(
    asked, subsampling, height, width, crop_px
):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    data = encoded(noise, subsampling=subsampling)
    whole = crop_and_resize(decode(data), crop_px=crop_px, size_px=crop_px)
    asked.clear()
    assert (to_square(data, crop_px=crop_px, size_px=crop_px, intact=True) == whole).all()
    assert asked == [(height - crop_px) // 2 + crop_px + 4]


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"restart_marker_blocks": 2}, {"exif": exif(6)}, {"exif": exif(3)}],
)
def test_a_jpeg_whose_first_rows_cannot_be_decoded_alone_is_decoded_whole(options):
    data = encoded(some_pixels(200, 160), **options)
    assert (
        to_square(data, crop_px=64, size_px=32, intact=True)
        == to_square(data, crop_px=64, size_px=32)
    ).all()


@pytest.mark.parametrize("cut", [2, 1000, 0.5, 0.9])
def test_a_truncated_jpeg_is_refused_even_if_it_is_called_intact(cut):
    data = encoded(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    with pytest.raises(DataError, match="truncated"):
        to_square(
            data[: -cut if cut > 1 else int(cut * len(data))], crop_px=64, size_px=64, intact=True
        )


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(
    ("height", "width", "crop_px", "size_px", "scale"),
    [
        (424, 424, 208, 64, 2),
        (423, 197, 193, 60, 1),
        (424, 312, 180, 60, 2),
        (424, 424, 192, 31, 4),
        (264, 232, None, 9, 8),
    ],
)
def test_a_scaled_decode_changes_a_smooth_image_by_little_and_rows_left_out_change_nothing(
    monkeypatch, subsampling, height, width, crop_px, size_px, scale
):
    sizes: list[tuple[int, ...]] = []
    plain = simplejpeg.decode_jpeg

    def decode_jpeg(*args, **options):
        pixels = plain(*args, **options)
        sizes.append(pixels.shape)
        return pixels

    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg", decode_jpeg)
    noise = np.random.default_rng(0).integers(
        0, 256, (height // (8 * scale), width // (8 * scale), 3), np.uint8
    )
    data = encoded(
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC),
        subsampling=subsampling,
    )
    exact = to_square(data, crop_px=crop_px, size_px=size_px).astype(int)
    sizes.clear()
    fast = to_square(data, crop_px=crop_px, size_px=size_px, scaled=True)
    assert sizes == [(-(-height // scale), -(-width // scale), 3)]
    assert np.sqrt(np.square(fast - exact).mean()) < 2
    assert (
        to_square(data, crop_px=crop_px, size_px=size_px, scaled=True, intact=True) == fast
    ).all()


@pytest.mark.parametrize(
    ("size_px", "crop_px", "options"),
    [(44, 128, {}), (20, 127, {}), (20, 126, {}), (20, 128, {"exif": exif(6)})],
)
def test_nothing_is_scaled_where_little_is_left_or_the_edges_differ_or_the_image_is_turned(
    size_px, crop_px, options
):
    data = encoded(np.random.default_rng(0).integers(0, 256, (200, 160, 3), np.uint8), **options)
    exact = to_square(data, crop_px=crop_px, size_px=size_px)
    assert (to_square(data, crop_px=crop_px, size_px=size_px, scaled=True) == exact).all()


@needs_kaggle
def test_half_the_scale_changes_a_galaxys_pixels_by_less_than_one_grey_level():
    with zipfile.ZipFile(KAGGLE / "originals_424.zip") as archive:
        galaxies = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")][:40]
    exact, fast = (
        np.stack(
            [to_square(data, crop_px=208, size_px=64, scaled=scaled) for data in galaxies]
        ).astype(int)
        for scaled in (False, True)
    )
    assert 0 < np.sqrt(np.square(fast - exact).mean()) < 1
    assert np.abs(fast - exact).max() <= 12


def test_a_jpeg_without_checksum_is_decoded_to_its_end(asked):
    to_square(encoded(some_pixels(200, 160)), crop_px=64, size_px=64)
    assert asked == [200]


def test_an_intact_jpeg_smaller_than_the_crop_is_refused():
    with pytest.raises(DataError, match="smaller than the crop of 64 × 64"):
        to_square(encoded(some_pixels(50, 160)), crop_px=64, size_px=64, intact=True)


# Refusals


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"\0", "not an image"),
        (b"<html>404 Not Found</html>" * 10, "not an image"),
        (encoded(some_pixels(), "GIF"), r"not an image of a kind that is read \(JPEG, PNG"),
        (b"\xff\xd8", "header has no size"),
        (b"\xff\xd8\xff\xd9", "header has no size"),
        (b"\xff\xd8\xff\xe0\0\0" * 100, "header has no size"),
        (b"\xff\xd8" + b"\xff" * 1000, "header has no size"),
        (b"\xff\xd8" + b"x" * 1000, "header has no size"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(data, reason):
    with pytest.raises(DataError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        encoded(some_pixels()),
        encoded(some_pixels(), progressive=True),
        encoded(some_pixels(), exif=exif(6)),
        encoded(Image.new("CMYK", (64, 48), (9, 99, 0, 0))),
        encoded(some_pixels(), "PNG"),
        encoded(some_pixels(), "TIFF"),
        encoded(some_pixels(), "BMP"),
        encoded(some_pixels(), "WEBP"),
    ],
)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_image_is_refused_whole(data, kept):
    with pytest.raises(DataError, match=r"truncated|cut short|not an image"):
        decode(data[: int(len(data) * kept)])


def test_a_jpeg_without_its_last_bytes_is_refused_and_one_with_bytes_after_its_end_is_not():
    data = encoded(some_pixels())
    with pytest.raises(DataError, match="Premature end"):
        decode(data[:-2])
    assert (decode(data + b"\0" * 10) == decode(data)).all()


def test_whatever_the_bytes_the_answer_is_pixels_or_a_data_error():
    rng = np.random.default_rng(0)
    files = [encoded(some_pixels(), kind) for kind in ("JPEG", "PNG", "BMP", "WEBP")]
    files += [
        encoded(some_pixels(), exif=exif(5)),
        encoded(Image.new("CMYK", (9, 9), (9, 99, 0, 0))),
    ]
    for turn in range(600):
        data = bytearray(files[turn % len(files)])
        for place in rng.integers(0, min(len(data), 10 ** rng.integers(1, 5)), 3):
            data[place] = rng.integers(256)
        try:
            pixels = decode(bytes(data))
        except DataError:
            continue
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@pytest.mark.parametrize(
    "data",
    [
        with_size(encoded(some_pixels()), 65_500, 65_500),
        with_size(encoded(some_pixels()), 8_001, 8_000),
        raw_png(8_001, 8_000, bits=8, colour=2, rows=b""),
        raw_png(10_000, 10_000, bits=8, colour=2, rows=b""),  # Pillow would warn
        raw_png(
            2**31 - 1, 2**31 - 1, bits=1, colour=0, rows=b""
        ),  # Pillow would raise an error of its own
        b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
    ],
)
def test_a_gigapixel_image_is_refused_before_it_is_decoded(data, monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", None)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(DataError, match=f"at most {MAX_PIXELS:,} pixels"):
        decode(data)


# The square


@pytest.mark.parametrize(("height", "width"), [(424, 424), (424, 500), (301, 201), (128, 128)])
def test_the_crop_is_centred_exact_and_contiguous(height, width):
    pixels = some_pixels(height, width)
    square = crop_and_resize(pixels, crop_px=128, size_px=128)
    top, left = (height - 128) // 2, (width - 128) // 2
    assert (square == pixels[top : top + 128, left : left + 128]).all()
    assert square.flags.c_contiguous


@pytest.mark.parametrize("sides", [(424, 232, 128), (424, 200, 64), (425, 231, 1)])
def test_the_crop_of_a_crop_is_the_crop_of_the_whole(sides):
    whole, middle, small = sides
    pixels = np.random.default_rng(0).integers(0, 256, (whole, whole, 3), np.uint8)
    once = crop_and_resize(pixels, crop_px=small, size_px=small)
    twice = crop_and_resize(
        crop_and_resize(pixels, crop_px=middle, size_px=middle), crop_px=small, size_px=small
    )
    assert (once == twice).all()


def test_without_a_crop_the_largest_centred_square_is_taken():
    pixels = some_pixels(40, 61)
    assert (crop_and_resize(pixels, crop_px=None, size_px=40) == pixels[:, 10:50]).all()


@pytest.mark.parametrize("size_px", [1, 16, 64, 100, 300])
def test_resizing_keeps_the_mean_and_never_leaves_the_range(size_px):
    pixels = np.random.default_rng(0).integers(100, 156, (200, 200, 3), np.uint8)
    square = crop_and_resize(pixels, crop_px=None, size_px=size_px)
    assert square.shape == (size_px, size_px, 3)
    assert abs(square.mean() - pixels.mean()) < 1
    assert square.min() >= 100
    assert square.max() <= 155


@pytest.mark.parametrize(
    ("crop_px", "size_px"), [(208, 64), (424, 128), (207, 33), (424, 1), (40, 100), (1, 7)]
)
def test_resizing_gives_pillows_pixels(crop_px, size_px):
    pixels = np.random.default_rng(0).integers(0, 256, (424, 424, 3), np.uint8)
    square = crop_and_resize(pixels, crop_px=crop_px, size_px=size_px)
    top = (424 - crop_px) // 2
    box = (top, top, top + crop_px, top + crop_px)
    plain = np.array(
        Image.fromarray(pixels).crop(box).resize((size_px, size_px), Image.Resampling.BILINEAR)
    )
    off = np.abs(square.astype(int) - plain)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01


def test_an_image_smaller_than_the_crop_is_refused_with_both_sizes():
    with pytest.raises(DataError, match=r"64 × 48 pixels, smaller than the crop of 128 × 128"):
        crop_and_resize(some_pixels(), crop_px=128, size_px=128)


def test_to_square_is_decode_then_crop_and_leaves_its_array_writable():
    data = encoded(some_pixels(), "PNG")
    square = to_square(data, crop_px=40, size_px=20)
    assert (square == crop_and_resize(some_pixels(), crop_px=40, size_px=20)).all()
    assert to_square(data, crop_px=40, size_px=40).flags.writeable
    assert square.flags.writeable


@pytest.mark.real_data
@needs_kaggle
def test_the_packaged_crops_have_the_pixels_of_the_originals():
    crops = [
        zipfile.ZipFile(path) for path in sorted(KAGGLE.glob("images_training_rev1_part*.zip"))
    ]
    compared = 0
    with zipfile.ZipFile(KAGGLE / "originals_424.zip") as originals:
        for name in originals.namelist()[:30]:
            crop = next(archive.read(name) for archive in crops if name in archive.NameToInfo)
            assert decode(crop).shape == (232, 232, 3)
            whole = originals.read(name)
            assert (
                to_square(crop, crop_px=128, size_px=128)
                == to_square(whole, crop_px=128, size_px=128)
            ).all()
            compared += 1
    for archive in crops:
        archive.close()
    assert compared == 30
