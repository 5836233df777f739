import io
import re
import struct
import zipfile
import zlib

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources import zip_directory
from galaxyvotes.sources.archives import Source
from zip_bytes import FILES, Entry, contents, crafted, deflated, zip_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "galaxies.zip"


def test_a_zip_behind_other_bytes_and_before_a_comment_is_read(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.jpg", b"one")
        archive.comment = b"PK\5\6 is not the end"
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    with Source.open(path) as source:
        assert contents(source) == {"galaxies.zip/1.jpg": b"one"}


def test_zip64_is_read(path):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as archive,
        archive.open("1.jpg", "w", force_zip64=True) as file,
    ):
        file.write(b"one")
    plain = buffer.getvalue()
    at, end = plain.index(b"PK\1\2"), plain.index(b"PK\5\6")
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, end - at, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    unknown = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(plain[:end] + end64 + locator + unknown)
    with Source.open(path) as source:
        assert contents(source) == {"galaxies.zip/1.jpg": b"one"}


def test_an_offset_in_a_zip64_field_is_read(path):
    plain = zip_of({"1.jpg": b"one"})
    at = plain.index(b"PK\1\2")
    line = bytearray(plain[at : plain.index(b"PK\5\6")])
    line[20:28], line[42:46] = b"\xff" * 8, b"\xff" * 4
    extra = struct.pack("<2H", 7, 2) + b"--" + struct.pack("<2H3Q", 1, 24, 3, 3, 0)
    line[30:32] = struct.pack("<H", len(extra))
    path.write_bytes(
        plain[:at]
        + line
        + extra
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(line + extra), at, 0)
    )
    with Source.open(path) as source:
        assert contents(source) == {"galaxies.zip/1.jpg": b"one"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a zip"),
        (b"<html>Please sign in</html>", "is not a zip"),
        (zip_of(FILES)[:5000], "cut short, or has other bytes after its end"),
        (zip_of(FILES)[:-1], "cut short"),
        (zip_of(FILES)[5000:], "damaged directory"),
        (zip_of(FILES)[:-22] + b"PK\5\6", "cut short"),
        (crafted(Entry("1.jpg"), count=2), "lists 1 entry instead of 2"),
        (crafted(Entry("1.jpg")).replace(b"PK\1\2", b"PK\1\3"), "lists 0 entries instead of 1"),
        (crafted(Entry("1.jpg"))[:-14] + b"\2\0" + crafted(Entry("1.jpg"))[-12:], "split zip"),
        (crafted(Entry("1.jpg"))[:-10] + b"\xff\xff\xff\x7f" + b"\0" * 6, "damaged directory"),
    ],
)
def test_what_is_no_whole_zip_is_refused_by_name(path, data, reason):
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"^galaxies\.zip: .*{reason}"):
        Source.open(path)


@pytest.mark.parametrize(
    "name",
    [
        "../1.jpg",
        "a/../../1.jpg",
        "..",
        "/1.jpg",
        "C:/1.jpg",
        "C:\\1.jpg",
        "..\\1.jpg",
        "a/..\\..\\1.txt",
        "\\\\server\\share\\1.jpg",
        "1.jpg\0.exe",
    ],
)
def test_an_entry_that_leads_outside_refuses_the_archive(path, name):
    path.write_bytes(crafted(Entry("1.jpg"), Entry(name)))
    with pytest.raises(
        DataError, match=r"^galaxies\.zip: refused: entry .* leads outside"
    ) as caught:
        Source.open(path)
    assert repr(name.replace("\\", "/")) in str(caught.value)


# Names


@pytest.mark.parametrize(
    ("raw", "is_flagged", "entry"),
    [
        ("é galaxia.jpg".encode(), True, "é galaxia.jpg"),
        ("é galaxia.jpg".encode(), False, "é galaxia.jpg"),  # Info-ZIP and 7z on Linux
        ("caf\x82.jpg".encode("latin-1"), False, "café.jpg"),  # DOS: code page 437
        (b"caf\xe9.jpg", True, "caf\\xe9.jpg"),  # flagged as what it is not
        (b"sky\\a\\1.jpg", False, "sky/a/1.jpg"),  # PowerShell 5
        (b"12:30 a\tb\r.jpg", False, "12:30 a\tb\r.jpg"),
        (b"a:b.jpg", False, "a:b.jpg"),
    ],
)
def test_a_name_is_the_one_that_other_programs_show(path, raw, is_flagged, entry):
    stand_in = "n" * len(raw)
    data = crafted(Entry(stand_in), is_utf8=is_flagged).replace(stand_in.encode(), raw)
    path.write_bytes(data)
    with Source.open(path) as source:
        assert [image.entry for image in source.images] == [entry]
        assert source.images[0].read() == b"a galaxy"


def unicode_path(name: str, of: bytes, version: int = 1) -> bytes:
    field = struct.pack("<BI", version, zlib.crc32(of)) + name.encode()
    return struct.pack("<2H", 5, 2) + b"--" + struct.pack("<2H", 0x7075, len(field)) + field


@pytest.mark.parametrize(
    ("extra", "entry"),
    [
        (unicode_path("café.jpg", b"caf_.jpg"), "café.jpg"),
        (unicode_path("a\\é.jpg", b"caf_.jpg"), "a/é.jpg"),
        (unicode_path("café.jpg", b"other.jpg"), "caf_.jpg"),  # the name was changed since
        (unicode_path("café.jpg", b"caf_.jpg", version=2), "caf_.jpg"),
        (unicode_path("café.jpg", b"caf_.jpg")[:12], "caf_.jpg"),
    ],
)
def test_a_unicode_path_is_followed_if_it_belongs_to_the_name(path, extra, entry):
    path.write_bytes(crafted(Entry("caf_.jpg", extra=extra, local_extra=extra)))
    with Source.open(path) as source:
        assert [image.entry for image in source.images] == [entry]
        assert source.images[0].read() == b"a galaxy"


def test_a_unicode_path_that_leads_outside_refuses_the_archive(path):
    path.write_bytes(crafted(Entry("1.jpg", extra=unicode_path("../1.jpg", b"1.jpg"))))
    with pytest.raises(DataError, match="leads outside"):
        Source.open(path)


@pytest.mark.parametrize(
    "others",
    [
        [Entry("Icon\r")],
        [Entry(".DS_Store"), Entry(".DS_Store")],
        [Entry("__MACOSX/._1.jpg"), Entry("Thumbs.db"), Entry("a/Thumbs.db")],
        [Entry("a/", b""), Entry("b\\", b"")],
    ],
)
def test_rubbish_of_operating_systems_is_left_out(path, others):
    path.write_bytes(crafted(Entry("1.jpg"), *others))
    with Source.open(path) as source:
        assert [image.entry for image in source.images] == ["1.jpg"]
        assert list(source.passed_over) == []


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([Entry("readme.txt"), Entry("readme.txt", b"another")], r"is text \(\.txt\)"),
        ([Entry("a:b\n.doc"), Entry("a:b\n.doc")], r"is of a kind that is not read \(\.doc\)"),
        ([Entry("e.zip", b""), Entry("notes.zip", b"no zip")], "is not a zip"),
        ([Entry("README"), Entry("README")], "has no suffix and does not begin as an image"),
        ([Entry("locked", flags=1), Entry("locked", flags=1)], "cannot be read: is encrypted"),
    ],
)
def test_odd_entries_that_are_no_images_are_passed_over_and_refuse_nothing(path, others, reason):
    path.write_bytes(crafted(Entry("1.jpg"), *others))
    with Source.open(path) as source:
        assert [image.entry for image in source.images] == ["1.jpg"]
        passed = list(source.passed_over)
    assert [name for name, _ in passed] == [
        f"galaxies.zip/{other.name}".replace("\n", "\\n") for other in others
    ]
    assert all(re.match(reason, why) for _, why in passed)


def test_an_image_that_is_black_all_over_is_no_bomb(path):
    path.write_bytes(crafted(Entry("black.bmp", bytes(8 * 2**20), method=8)))
    with Source.open(path) as source:
        assert source.images[0].read() == bytes(8 * 2**20)


@pytest.mark.parametrize("part", [slice(4, 6), slice(6, 8)])
def test_a_part_of_a_split_zip_says_how_to_join_it(path, part):
    data = bytearray(zip_of({"1.jpg": b"one"}))
    end = data.rindex(b"PK\5\6")
    data[end + part.start : end + part.stop] = b"\2\0"
    path.write_bytes(data)
    with pytest.raises(DataError, match="one part of a split zip; join the parts first"):
        Source.open(path)


@pytest.mark.parametrize(
    "name", ["a..b/1.jpg", "...jpg", "..a/1.jpg", "J081412.47+220853.0.png", "café/1.jpg"]
)
def test_an_innocent_name_is_accepted(path, name):
    path.write_bytes(crafted(Entry("galaxies/" + name)))
    with Source.open(path) as source:
        assert [image.entry for image in source.images] == (
            [] if name.startswith("..") else ["galaxies/" + name]
        )


def test_two_entries_of_one_name_refuse_the_archive(path):
    path.write_bytes(crafted(Entry("1.jpg", b"one"), Entry("2.jpg"), Entry("1.jpg", b"another")))
    with pytest.raises(DataError, match=r"refused: two entries are named '1\.jpg'"):
        Source.open(path)


@pytest.mark.parametrize(
    "entries",
    [
        [Entry("1.jpg"), Entry("2.jpg", offset=0)],  # the same bytes twice
        [
            Entry("1.jpg", declared_packed=60, declared_size=60),
            Entry("2.jpg"),
        ],  # one quotes the next one's header
        [Entry("1.jpg", offset=10_000)],  # beyond the directory
        [Entry("1.jpg"), Entry("2.jpg", declared_packed=9, declared_size=9)],  # into the directory
        [
            Entry("1.txt", offset=0),
            Entry("2.jpg", offset=0),
        ],  # also if one of them would not be read
        [Entry("1.jpg", b"", offset=2**32 - 2)],
    ],
)
def test_overlapping_entries_refuse_the_archive(path, entries):
    path.write_bytes(crafted(*entries))
    with pytest.raises(DataError, match=r"refused: entry '.\....' overlaps"):
        Source.open(path)


def test_a_bomb_of_quoted_headers_is_refused(path):
    """Fifield's full overlap: every entry's stored block swallows the header of the next, down to
    one kernel."""
    kernel = deflated(bytes(900_000))
    body, offsets = b"", []
    for i in range(50):
        offsets.append(len(body))
        header = (
            struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 0, 0, 6, 0)
            + f"{i:02}.jpg".encode()
        )
        body += header + (struct.pack("<BHH", 0, 41, 41 ^ 0xFFFF) if i < 49 else b"")
    body += kernel
    directory = b"".join(
        struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            20,
            20,
            0,
            8,
            0,
            0,
            0,
            len(body) - at - 36,
            900_000,
            6,
            0,
            0,
            0,
            0,
            0,
            at,
        )
        + f"{i:02}.jpg".encode()
        for i, at in enumerate(offsets)
    )
    path.write_bytes(
        body
        + directory
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 50, 50, len(directory), len(body), 0)
    )
    with pytest.raises(DataError, match=r"refused: entry '00\.jpg' overlaps"):
        Source.open(path)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("1.jpg", 256 * 2**20 + 1),
        ("votes.zip", 2**32 - 2),
        ("1.jpg", 2**32 - 2),
        ("votes.csv", 2**32 - 2),
    ],
)
def test_an_entry_that_declares_too_much_refuses_the_archive(path, name, size):
    path.write_bytes(crafted(Entry(name, method=8, declared_size=size)))
    with pytest.raises(
        DataError,
        match=rf"refused: entry '{name}' (has [\d,]+ bytes; at most|unpacks to over 1,000)",
    ):
        Source.open(path)


def test_an_entry_that_shrank_a_thousandfold_refuses_the_archive(path):
    path.write_bytes(crafted(Entry("small.csv", bytes(2**20), method=8)))
    with Source.open(path) as source:
        assert source.tables[0].read() == bytes(2**20)
    path.write_bytes(crafted(Entry("large.csv", bytes(8 * 2**20), method=8)))
    with pytest.raises(DataError, match=r"'large\.csv' unpacks to over 1,000 times"):
        Source.open(path)


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [("_MAX_ENTRIES", 29, "more than 29 entries"), ("_MAX_DIRECTORY_BYTES", 99, "at most 99")],
)
def test_an_archive_of_too_many_entries_is_refused(path, monkeypatch, limit, value, reason):
    path.write_bytes(zip_of(FILES))
    monkeypatch.setattr(zip_directory, limit, value)
    with pytest.raises(DataError, match=rf"galaxies\.zip: refused: .*{reason}"):
        Source.open(path)
