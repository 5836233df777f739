"""What the first bytes of a file say about it, where its name leaves that open."""

import re
import zlib

__all__ = ["FIRST_BYTES", "begins_as_image", "holds_table"]

FIRST_BYTES = 64 * 1024  # of a file: more than any survey's primary FITS header

_BEGINNINGS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    b"GIF8",
    b"SIMPLE  =",  # FITS
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"\xff\x0a",  # JPEG XL
    b"\0\0\0\x0cJXL ",
)
_FTYP = re.compile(rb"....ftyp(?:avif|avis|heic|heix|hevc|mif1|msf1)", re.DOTALL)
_CARD_BYTES, _BLOCK_BYTES = 80, 2880
_TABLE_EXTENSION = re.compile(rb"XTENSION= '(?:BINTABLE|TABLE   )")
_VOTABLE = re.compile(rb"<(?:\w+:)?VOTABLE[\s>]")


def begins_as_image(start: bytes) -> bool:
    """Whether a file begins as an image does, of a kind that is read or not."""
    webp = start.startswith(b"RIFF") and start[8:12] == b"WEBP"
    bitmap = not start.startswith(b"BM") or start[6:10] == bytes(4)
    return webp or (start.startswith(_BEGINNINGS) and bitmap) or bool(_FTYP.match(start))


def holds_table(start: bytes) -> bool:
    """Whether a file, compressed by gzip or not, begins as a VOTable does, or as a FITS file whose
    first data are a table.
    """
    if start.startswith(b"\x1f\x8b"):
        start = _inflate(start)
    if not start.startswith(b"SIMPLE  ="):
        return bool(_VOTABLE.search(start[:4096]))
    if _has_pixels(start):
        return False
    extension = start[_end_of_header(start) :]
    header = extension[: _end_of_header(extension)]
    cards = [header[at : at + _CARD_BYTES] for at in range(0, len(header), _CARD_BYTES)]
    compressed = any(card.startswith(b"ZIMAGE  =") and b" T" in card[9:32] for card in cards)
    return bool(_TABLE_EXTENSION.match(header)) and not compressed


def _has_pixels(header: bytes) -> bool:
    """Whether a primary header has data of its own."""
    axes = re.search(rb"NAXIS   =\s+(\d+)", header[:_BLOCK_BYTES])
    return axes is None or int(axes[1]) > 0


def _end_of_header(data: bytes) -> int:
    """Where the blocks end that begin with a header."""
    for at in range(0, len(data) - _CARD_BYTES + 1, _CARD_BYTES):
        if data.startswith(b"END     ", at):
            return -(-(at + _CARD_BYTES) // _BLOCK_BYTES) * _BLOCK_BYTES
    return len(data)


def _inflate(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(start, FIRST_BYTES)
    except zlib.error:
        return b""
