import gzip

import pytest

from galaxyvotes.sources.signatures import begins_as_image, holds_table
from image_bytes import encoded, some_pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "AVIF"])
def test_an_image_is_known_by_its_first_bytes(kind):
    data = encoded(some_pixels(), kind)
    assert begins_as_image(data)
    assert begins_as_image(data[:64])
    assert not holds_table(data)


@pytest.mark.parametrize(
    "data", [b"", b"B", b"BMW", b"hello", b"RIFF....WAVE", b"%PDF-1.7", b"PK\3\4", b"\x1f\x8b"]
)
def test_what_is_no_image_is_known_too(data):
    assert not begins_as_image(data)
    assert not holds_table(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<VOTABLE>", True),
        (b"<?xml version='1.0'?>\n<!-- a -->\n<v:VOTABLE version='1.4'>", True),
        (b"<VOTABLES/>", False),
        (b"SIMPLE  =", False),
        (b"SIMPLE  =".ljust(80) + b"NAXIS   = 0".ljust(80) + b"END".ljust(2720), False),
        (
            b"SIMPLE  =".ljust(80)
            + b"NAXIS   = 0".ljust(80)
            + b"END".ljust(2720)
            + b"XTENSION= 'TABLE   '".ljust(80)
            + b"END".ljust(2800),
            True,
        ),
    ],
)
def test_a_votable_and_a_fits_table_are_known_packed_or_not(pack, data, expected):
    assert holds_table(pack(data)) == expected
