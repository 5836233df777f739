import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from galaxyvotes.errors import DataError
from galaxyvotes.images.png import check_png, is_png
from galaxyvotes.images.read import decode
from image_bytes import encoded, png_chunk, raw_png, some_pixels

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PASSES = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of a PNG without filter."""
    rows = values.reshape(len(values), -1)
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    digits = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(digits.reshape(len(rows), -1).astype(bool), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def interlaced(values: np.ndarray, bits: int) -> bytes:
    return b"".join(packed(values[y::down, x::right], bits) for y, x, down, right in PASSES)


@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "bits"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)],
)
def test_every_colour_type_has_the_pixels_that_it_was_written_with(colour, bits, is_interlaced):
    values = np.random.default_rng(0).integers(0, 2**bits, (19, 23, CHANNELS[colour]))
    if colour in (4, 6):
        values[..., -1] = (2**bits - 1) * (values[..., -1] & 1)
    rows = interlaced(values, bits) if is_interlaced else packed(values, bits)
    data = raw_png(23, 19, bits=bits, colour=colour, rows=rows, interlaced=is_interlaced)
    widened = values >> 8 if bits == 16 else values * 255 // (2**bits - 1)
    expected = widened[..., : 3 if colour in (2, 6) else 1]
    if colour in (4, 6):
        expected = np.where(values[..., -1:] > 0, expected, 0)
    assert (decode(data) == expected).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("is_transparent", [False, True])
def test_every_palette_has_its_colours(bits, is_transparent):
    rng = np.random.default_rng(0)
    values, palette = rng.integers(0, 2**bits, (19, 23, 1)), rng.integers(0, 256, (2**bits, 3))
    before = png_chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if is_transparent:
        before += png_chunk(b"tRNS", b"\0")
        palette[0] = 0
    data = raw_png(23, 19, bits=bits, colour=3, rows=packed(values, bits), before=before)
    assert (decode(data) == palette[values[..., 0]]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_grey_that_is_transparent_becomes_black_and_no_other(bits):
    values = np.random.default_rng(0).integers(0, 2**bits, (19, 23, 1))
    key = int(values.max())
    values[3, 5] = key - 1  # of 16 bits, other in the low byte only
    before = png_chunk(b"tRNS", struct.pack(">H", key))
    data = raw_png(23, 19, bits=bits, colour=0, rows=packed(values, bits), before=before)
    widened = values >> 8 if bits == 16 else values * 255 // (2**bits - 1)
    assert (decode(data) == np.where(values == key, 0, widened)).all()


def test_one_colour_that_is_transparent_becomes_black_and_is_refused_of_sixteen_bits():
    values = np.arange(27).reshape(3, 3, 3)
    before = png_chunk(b"tRNS", struct.pack(">3H", 3, 4, 5))
    pixels = decode(raw_png(3, 3, bits=8, colour=2, rows=packed(values, 8), before=before))
    assert pixels[0, 1].tolist() == [0, 0, 0]
    assert (np.delete(pixels.reshape(9, 3), 1, 0) == np.delete(values.reshape(9, 3), 1, 0)).all()
    with pytest.raises(DataError, match="16-bit colours of which one is transparent"):
        decode(raw_png(3, 3, bits=16, colour=2, rows=packed(values, 16), before=before))


def test_a_wrong_checksum_of_any_chunk_refuses_the_file():
    data = raw_png(
        2,
        1,
        bits=8,
        colour=0,
        rows=b"\0ab",
        before=png_chunk(b"gAMA", struct.pack(">I", 45_455)) + png_chunk(b"tEXt", b"Title\0M 51"),
    )
    assert decode(data)[0, :, 0].tolist() == [97, 98]
    for kind in (b"IHDR", b"gAMA", b"tEXt", b"IDAT", b"IEND"):
        at = data.index(kind)
        end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
        damaged = data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]
        with pytest.raises(DataError, match=f"CRC-32.* of its {kind.decode()} chunk"):
            decode(damaged)


def test_damage_to_the_pixels_that_still_unpacks_is_found():
    rows = b"".join(b"\0" + bytes(row) for row in some_pixels(8, 8)[..., 0])
    stored = zlib.compress(rows, 0)
    data = raw_png(8, 8, bits=8, colour=0, rows=rows)
    at = data.index(b"IDAT")
    plain = data[: at - 4] + png_chunk(b"IDAT", stored) + png_chunk(b"IEND", b"")
    assert (decode(plain) == decode(data)).all()
    place = plain.index(stored) + 20
    with pytest.raises(DataError, match="IDAT"):
        decode(plain[:place] + bytes([plain[place] ^ 128]) + plain[place + 1 :])


@pytest.mark.parametrize("megabytes", [2, 70])
def test_long_texts_and_a_long_colour_profile_do_not_refuse_a_picture(megabytes):
    plain = encoded(some_pixels(), "PNG")
    text = bytes(megabytes * 2**20)
    chunks = [
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text)),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(text)),
        png_chunk(b"tEXt", b"Comment\0" + text),
        png_chunk(b"iCCP", b"sky\0\0" + zlib.compress(text)),
    ]
    for chunk in chunks:
        assert (decode(plain[:33] + chunk + plain[33:]) == some_pixels()).all()


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_orientation_in_a_text_is_followed_as_pillow_does(orientation):
    about = PngImagePlugin.PngInfo()
    about.add_itxt("XML:com.adobe.xmp", f'<x tiff:Orientation="{orientation}"/>')
    pixels = decode(encoded(some_pixels(), "PNG", pnginfo=about))
    assert pixels.shape[:2] == ((48, 64) if orientation == 1 else (64, 48))


def test_bytes_after_the_end_change_nothing_and_an_end_too_early_refuses():
    data = encoded(some_pixels(), "PNG")
    assert check_png(data + b"more" * 10) == check_png(data)
    for end in (9, 20, 40, len(data) - 1, len(data) - 12):
        assert is_png(data[:end])
        with pytest.raises(DataError, match="truncated PNG"):
            decode(data[:end])


def test_a_png_of_a_hundred_thousand_chunks_is_refused():
    data = encoded(some_pixels(), "PNG")
    with pytest.raises(DataError, match="more than 100,000 chunks"):
        decode(data[:33] + png_chunk(b"teSt", b"") * 100_001 + data[33:])


def test_an_animation_is_refused_and_one_frame_is_not():
    frames = [Image.fromarray(some_pixels()), Image.fromarray(some_pixels()[::-1].copy())]
    for kind, count in itertools.product(("PNG", "WEBP"), (1, 2)):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:count], lossless=True)
        if count == 1:
            assert (decode(data) == some_pixels()).all()
            continue
        with pytest.raises(DataError, match="holds several pages or frames"):
            decode(data)
