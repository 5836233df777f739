"""Zips as bytes, ordinary ones and hostile ones, for the tests that read them."""

import io
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass

from galaxyvotes.sources.archives import Source

FILES = {
    f"images/{1000 + i}.jpg": random.Random(i).randbytes(200 + i) + b"sky" * 100 for i in range(30)
}


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An ordinary zip, by Python's own writer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@dataclass
class Entry:
    """An entry of a zip made by hand: what is None is as it should be."""

    name: str
    data: bytes = b"a galaxy"
    method: int = 0
    flags: int = 0
    attributes: int = 0
    packed: bytes | None = None
    declared_size: int | None = None
    declared_packed: int | None = None
    checksum: int | None = None
    local_name: str | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    offset: int | None = None


def crafted(*entries: Entry, count: int | None = None, is_utf8: bool = True) -> bytes:
    """A zip made by hand, as hostile as its entries."""
    body, directory = b"", b""
    for entry in entries:
        raw, local = (
            entry.name.encode(),
            (entry.name if entry.local_name is None else entry.local_name).encode(),
        )
        packed = deflated(entry.data) if entry.method == 8 else entry.data
        packed = packed if entry.packed is None else entry.packed
        sizes = (
            zlib.crc32(entry.data) if entry.checksum is None else entry.checksum,
            len(packed) if entry.declared_packed is None else entry.declared_packed,
            len(entry.data) if entry.declared_size is None else entry.declared_size,
        )
        offset = len(body) if entry.offset is None else entry.offset
        common = (20, entry.flags | (0x800 if is_utf8 else 0), entry.method, 0, 0x21, *sizes)
        extra = entry.local_extra
        directory += struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            0x31E,
            *common,
            len(raw),
            len(entry.extra),
            0,
            0,
            0,
            entry.attributes,
            offset,
        )
        directory += raw + entry.extra
        body += (
            struct.pack("<4s5H3I2H", b"PK\3\4", *common, len(local), len(extra))
            + local
            + extra
            + packed
        )
    count = len(entries) if count is None else count
    return (
        body
        + directory
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    )


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


def contents(source: Source) -> dict[str, bytes]:
    return {image.name: image.read() for image in source.images}
