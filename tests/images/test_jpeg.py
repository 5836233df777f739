import io
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from galaxyvotes.errors import DataError
from galaxyvotes.images import jpeg
from galaxyvotes.images.jpeg import JpegHeader, decode_jpeg, decode_top_rows, is_jpeg
from image_bytes import encoded, exif, some_pixels, with_size


def noise(height: int = 211, width: int = 97) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# The header


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"exif": exif(3)}]
)
def test_a_header_has_the_size_that_libjpeg_reads(options):
    data = encoded(some_pixels(48, 64), **options)
    header = JpegHeader.read(data)
    assert is_jpeg(data)
    assert (header.height, header.width) == simplejpeg.decode_jpeg_header(data)[:2] == (48, 64)
    assert data[header.height_at : header.height_at + 4] == struct.pack(">HH", 48, 64)


@pytest.mark.parametrize(("channels", "expected"), [(1, True), (3, True), (4, False)])
def test_grey_and_colour_are_plain_and_cmyk_is_not(channels, expected):
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    header = JpegHeader.read(encoded(Image.fromarray(some_pixels()).convert(mode)))
    assert (header.channels, header.is_plain) == (channels, expected)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_read_in_both_byte_orders(orientation, order):
    header = JpegHeader.read(encoded(some_pixels(), exif=exif(orientation, order)))
    assert (header.orientation, header.is_plain) == (orientation, orientation == 1)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("options", [{"kind": 4}, {"apart": 20}, {"kind": 4, "apart": 3}])
def test_an_orientation_of_type_long_and_one_that_is_not_the_first_are_read(options, order):
    data = encoded(some_pixels(), exif=exif(6, order, **options))
    assert JpegHeader.read(data).orientation == 6


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


XMP = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='1'"


@pytest.mark.parametrize(
    ("segments", "orientation"),
    [
        ([(0xE1, XMP + b' tiff:Orientation="6"/>')], 6),
        ([(0xE1, XMP + b' tiff:Orientation="6"/>'), (0xE1, exif(3))], 3),
        ([(0xE1, exif(3)), (0xE1, exif(6))], 3),
        ([(0xE0, bytes(40)), (0xFE, exif(3)), (0xE1, exif(8))], 8),
        ([(0xE1, b"another use"), (0xE1, exif(6, kind=4))], 6),
    ],
)
@pytest.mark.parametrize("after", [b"\xff\xd8", b"\xff\xc0"])
def test_an_orientation_is_read_wherever_it_stands_as_pillow_reads_it(segments, orientation, after):
    plain = encoded(some_pixels())
    at = plain.index(after) + 2
    at += 0 if after == b"\xff\xd8" else int.from_bytes(plain[at : at + 2], "big")
    data = plain[:at] + b"".join(segment(*parts) for parts in segments) + plain[at:]
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
    assert JpegHeader.read(data).orientation == orientation


def test_a_jpeg_of_several_pictures_is_refused_and_of_one_is_not():
    frames = [Image.fromarray(some_pixels()), Image.fromarray(some_pixels())]
    with pytest.raises(DataError, match="holds several pages or frames"):
        JpegHeader.read(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert JpegHeader.read(encoded(frames[0], "MPO")).is_plain


def test_a_jpeg_of_more_segments_than_an_honest_one_is_refused():
    plain = encoded(some_pixels())
    JpegHeader.read(plain[:2] + segment(0xE5, b"") * 300 + plain[2:])
    with pytest.raises(DataError, match="has no size"):
        JpegHeader.read(plain[:2] + segment(0xE5, b"") * 10_000 + plain[2:])


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0XX*\0\x08\0\0\0",
        exif(0),
        exif(9),
        exif(6)[:-10],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40),
    ],
)
def test_a_broken_exif_block_turns_nothing(block):
    assert JpegHeader.read(encoded(some_pixels(), exif=block)).is_plain


@pytest.mark.parametrize("end", [2, 3, 10, 100])
def test_a_file_that_ends_before_its_size_is_refused(end):
    with pytest.raises(DataError, match="its header has no size"):
        JpegHeader.read(encoded(some_pixels())[:end])


def test_a_jpeg_of_a_thousand_scans_is_refused():
    data = encoded(some_pixels(), progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(DataError, match="more than 100 scans"):
        JpegHeader.read(data[:scan] + data[scan:-2] * 1000 + data[-2:])


# Pixels


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_pixels_are_decoded_at_the_scale_that_is_asked_for(shrink):
    data = encoded(noise())
    pixels = decode_jpeg(data, JpegHeader.read(data), shrink)
    assert pixels.shape == (-(-211 // shrink), -(-97 // shrink), 3)


@pytest.mark.parametrize("cut", [2, 100, 5000])
def test_a_truncated_jpeg_is_refused(cut):
    data = encoded(noise())[:-cut]
    with pytest.raises(DataError, match="damaged or truncated"):
        decode_jpeg(data, JpegHeader.read(data))


# The first rows alone


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
@pytest.mark.parametrize("rows", [1, 8, 64, 65, 160])
def test_the_first_rows_are_those_of_the_whole_image(rows, shrink, subsampling):
    data = encoded(noise(), subsampling=subsampling)
    header = JpegHeader.read(data)
    top, whole = decode_top_rows(data, header, rows, shrink), decode_jpeg(data, header, shrink)
    wanted = -(-rows // shrink)
    assert top is not None
    assert wanted <= len(top) < len(whole)
    np.testing.assert_array_equal(top[:wanted], whole[:wanted])


def test_a_grey_image_has_first_rows_too():
    data = encoded(noise()[..., 0])
    header = JpegHeader.read(data)
    top = decode_top_rows(data, header, 50)
    assert top is not None
    np.testing.assert_array_equal(top[:50], decode_jpeg(data, header)[:50])


def test_the_bytes_that_are_decoded_are_a_copy():
    data = encoded(noise())
    before = bytes(data)
    decode_top_rows(data, JpegHeader.read(data), 50)
    assert data == before


@pytest.mark.parametrize(
    ("options", "rows"),
    [({"progressive": True}, 50), ({"restart_marker_blocks": 2}, 50), ({}, 207), ({}, 300)],
)
def test_what_must_be_decoded_whole_has_no_first_rows(options, rows):
    data = encoded(noise(), **options)
    assert decode_top_rows(data, JpegHeader.read(data), rows) is None


@pytest.mark.parametrize("kept", [0.1, 0.3])
def test_an_image_that_is_cut_off_within_its_first_rows_has_none(kept):
    data = encoded(noise())
    assert decode_top_rows(data[: int(kept * len(data))], JpegHeader.read(data), 150) is None


def test_an_image_with_damage_in_its_first_rows_has_none():
    data = bytearray(encoded(noise()))
    scan = data.index(b"\xff\xda") + 14
    data[scan + 500 : scan + 502] = b"\xff\xd9"
    assert decode_top_rows(bytes(data), JpegHeader.read(bytes(data)), 150) is None


def test_if_libjpeg_put_its_remark_otherwise_the_whole_image_would_be_decoded(monkeypatch):
    data = encoded(noise())

    def decode(*args, **options):
        raise ValueError("Corrupt JPEG data: there is more")

    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg", decode)
    assert decode_top_rows(data, JpegHeader.read(data), 50) is None


def test_an_image_that_claims_more_rows_than_it_has_is_refused():
    data = with_size(encoded(noise()), 400, 97)
    with pytest.raises(DataError, match="damaged or truncated"):
        decode_jpeg(data, JpegHeader.read(data))
