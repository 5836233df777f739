import io
import os
import random
import struct
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources import archives, zips
from galaxyvotes.sources.archives import Member, Source

KAGGLE = Path(__file__).parents[3] / "shared" / "data" / "kaggle"
needs_kaggle = pytest.mark.skipif(not KAGGLE.is_dir(), reason=f"no real galaxies in {KAGGLE}")

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
    local_extra: bytes = b""
    offset: int | None = None


def crafted(*entries: Entry, count: int | None = None) -> bytes:
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
        common = (20, entry.flags | 0x800, entry.method, 0, 0x21, *sizes)
        extra = entry.local_extra
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 0x31E, *common, len(raw), 0, 0, 0, 0, entry.attributes, offset
        )
        directory += raw
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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "galaxies.zip"


# What is found


def test_a_folder_is_listed_in_order_without_hidden_files(tmp_path):
    for name in (
        "b/2.JPG",
        "b/1.png",
        "a/3.jpeg",
        "10.tiff",
        "votes.csv",
        "notes.txt",
        "__MACOSX/._1.jpg",
        ".git/4.jpg",
        "b/._1.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with Source.open(tmp_path) as source:
        assert [image.entry for image in source.images] == [
            "10.tiff",
            "a/3.jpeg",
            "b/1.png",
            "b/2.JPG",
        ]
        assert [image.id for image in source.images] == ["10", "3", "1", "2"]
        assert [table.name for table in source.tables] == ["votes.csv"]
        assert contents(source) == {image.entry: image.entry.encode() for image in source.images}


def test_symbolic_links_out_of_a_folder_or_to_folders_are_passed_over(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (inside / "1.jpg").write_bytes(b"one")
    (inside / "2.jpg").symlink_to("1.jpg")
    (inside / "3.jpg").symlink_to(outside / "secret.jpg")
    (inside / "4.jpg").symlink_to("nowhere.jpg")
    (inside / "around").symlink_to(inside)
    (inside / "away").symlink_to(outside)
    os.mkfifo(inside / "5.jpg")
    with Source.open(inside) as source:
        assert contents(source) == {"1.jpg": b"one", "2.jpg": b"one"}


def test_zips_in_a_folder_are_looked_into(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/1.zip").write_bytes(zip_of({"1.jpg": b"one"}))
    (tmp_path / "2.jpg").write_bytes(b"two")
    with Source.open(tmp_path) as source:
        assert contents(source) == {"2.jpg": b"two", "parts/1.zip/1.jpg": b"one"}
        assert [image.entry for image in source.images] == ["2.jpg", "1.jpg"]


def test_several_paths_are_one_source(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of({"1.jpg": b"one"}))
    (tmp_path / "b.zip").write_bytes(zip_of({"2.jpg": b"two"}))
    (tmp_path / "votes.csv").write_bytes(b"id,votes\n")
    (tmp_path / "3.png").write_bytes(b"three")
    with Source.open(
        *(tmp_path / name for name in ("b.zip", "a.zip", "votes.csv", "3.png"))
    ) as source:
        assert contents(source) == {"b.zip/2.jpg": b"two", "a.zip/1.jpg": b"one", "3.png": b"three"}
        assert [table.read() for table in source.tables] == [b"id,votes\n"]
        assert [image.id for image in source.images] == ["2", "1", "3"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent", "no such file or folder"), ("notes.txt", "no folder and no file")],
)
def test_a_path_that_cannot_be_a_source_is_refused_by_name(tmp_path, name, reason):
    (tmp_path / "notes.txt").write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}: .*{reason}"):
        Source.open(tmp_path / name)


def test_a_file_that_has_gone_is_an_error_of_its_own(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"one")
    with Source.open(tmp_path) as source:
        (tmp_path / "1.jpg").unlink()
        with pytest.raises(DataError, match=r"^1\.jpg: cannot be read: .*No such file"):
            source.images[0].read()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_back_its_files(path, method):
    others = {
        "votes.csv": b"id\n1\n",
        "readme.txt": b"-",
        "__MACOSX/images/._1000.jpg": b"-",
        ".hidden.jpg": b"-",
        "images/": b"",
    }
    path.write_bytes(zip_of(FILES | others, method))
    with Source.open(path) as source:
        assert contents(source) == {f"galaxies.zip/{name}": data for name, data in FILES.items()}
        assert [image.entry for image in source.images] == list(FILES)
        assert [image.id for image in source.images] == [str(1000 + i) for i in range(30)]
        assert {table.name: table.read() for table in source.tables} == {
            "galaxies.zip/votes.csv": b"id\n1\n"
        }


def test_a_zip_written_to_a_pipe_gives_back_its_files(path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # sizes follow the data
        for name, data in FILES.items():
            archive.writestr(name, data)
    path.write_bytes(pipe.getvalue())
    with Source.open(path) as source:
        assert list(contents(source).values()) == list(FILES.values())


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


# Zips in zips


@pytest.mark.parametrize("outer", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("inner", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_zips_is_read_without_unpacking_it(path, outer, inner):
    parts = {
        "train.zip": zip_of(FILES, inner),
        "solutions.zip": zip_of({"solutions.csv": b"id\n" * 999}, inner),
    }
    path.write_bytes(zip_of(parts | {"benchmark.csv": b"1"}, outer))
    with Source.open(path) as source:
        assert contents(source) == {
            f"galaxies.zip/train.zip/{name}": data for name, data in FILES.items()
        }
        assert [image.entry for image in source.images] == list(FILES)
        tables = {table.name: table.read() for table in source.tables}
    assert tables == {
        "galaxies.zip/solutions.zip/solutions.csv": b"id\n" * 999,
        "galaxies.zip/benchmark.csv": b"1",
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["galaxies.zip"]


@pytest.fixture(scope="module")
def deflated_in_deflated(tmp_path_factory):
    """A zip of 6 MiB that hardly shrinks, deflated inside a zip, and its files."""
    files = {f"{i}.jpg": random.Random(i).randbytes(20_000) for i in range(300)}
    path = tmp_path_factory.mktemp("nested") / "nested.zip"
    path.write_bytes(
        zip_of({"inner.zip": zip_of(files, zipfile.ZIP_DEFLATED)}, zipfile.ZIP_DEFLATED)
    )
    return path, files


def test_a_deflated_zip_in_a_zip_is_read_in_any_order_by_any_number_of_threads(
    deflated_in_deflated,
):
    path, files = deflated_in_deflated
    with Source.open(path) as source, ThreadPoolExecutor(4) as pool:
        shuffled = random.Random(0).sample(source.images, len(source.images))
        for images in (source.images, source.images[::-1], shuffled):
            assert all(
                data == files[image.entry]
                for image, data in zip(images, pool.map(Member.read, images), strict=True)
            )


def test_a_deflated_zip_in_a_zip_is_inflated_once_if_read_in_order(
    deflated_in_deflated, monkeypatch
):
    path, files = deflated_in_deflated
    inflated = 0
    read = zips._Cursor.read

    def counted(cursor, count):
        nonlocal inflated
        inflated += count
        return read(cursor, count)

    with Source.open(path) as source:
        monkeypatch.setattr(zips._Cursor, "read", counted)
        for image in source.images:
            image.read()
    assert inflated < 1.02 * sum(map(len, files.values()))


def test_a_deflated_zip_in_a_zip_is_read_in_flat_memory(deflated_in_deflated):
    path, _ = deflated_in_deflated
    tracemalloc.start()
    with Source.open(path) as source:
        for image in source.images:
            image.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 2**20


def test_a_zip_in_a_zip_in_a_zip_is_refused(path):
    deep = {"c.zip": zip_of({"1.jpg": b"one"})}
    path.write_bytes(zip_of({"a.zip": zip_of(deep)}))
    with pytest.raises(DataError, match=r"galaxies\.zip/a\.zip/c\.zip: is a zip in a zip in a zip"):
        Source.open(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_truncated_zip_in_a_zip_is_refused_by_name(path, method):
    path.write_bytes(zip_of({"a.zip": zip_of(FILES)[:-30]}, method))
    with pytest.raises(DataError, match=r"^galaxies\.zip/a\.zip: is a zip that is cut short"):
        Source.open(path)


def test_a_damaged_deflated_zip_in_a_zip_is_refused_by_name(path):
    inner = zip_of(FILES)
    entry = Entry("a.zip", inner, method=8, packed=deflated(inner)[:-2000])
    path.write_bytes(crafted(entry))
    with pytest.raises(
        DataError, match=r"^galaxies\.zip/a\.zip: unpacks to fewer bytes than it declares"
    ):
        Source.open(path)
    path.write_bytes(crafted(Entry("a.zip", inner, method=8, packed=b"\xff" * 3000)))
    with pytest.raises(
        DataError, match=r"^galaxies\.zip/a\.zip: is damaged: it cannot be unpacked"
    ):
        Source.open(path)


# Hostile archives, refused whole


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a zip"),
        (b"<html>Please sign in</html>", "is not a zip"),
        (zip_of(FILES)[:5000], "cut short, or has other bytes after its end"),
        (zip_of(FILES)[:-1], "cut short"),
        (zip_of(FILES)[5000:], "damaged directory"),
        (zip_of(FILES)[:-22] + b"PK\5\6", "cut short"),
        (crafted(Entry("1.jpg"), count=2), "lists 1 entries instead of 2"),
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
        "c:1.jpg",
        "a\\1.jpg",
        "..\\1.jpg",
        "1.jpg\0.exe",
        "\x1b[2J.jpg",
    ],
)
def test_an_entry_that_leads_outside_refuses_the_archive(path, name):
    path.write_bytes(crafted(Entry("1.jpg"), Entry(name)))
    with pytest.raises(
        DataError, match=r"^galaxies\.zip: refused: entry .* leads outside"
    ) as caught:
        Source.open(path)
    assert repr(name) in str(caught.value)


def test_an_entry_whose_name_is_not_utf8_refuses_the_archive(path):
    path.write_bytes(crafted(Entry("aa.jpg")).replace(b"aa.jpg", b"\xff\xfe.jpg"))
    with pytest.raises(DataError, match="refused: entry"):
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
    monkeypatch.setattr(zips, limit, value)
    with pytest.raises(DataError, match=rf"galaxies\.zip: refused: .*{reason}"):
        Source.open(path)


def test_a_file_over_the_limit_is_refused_when_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").write_bytes(bytes(1000))
    monkeypatch.setitem(archives._MAX_BYTES, ".jpg", 999)
    with (
        Source.open(tmp_path) as source,
        pytest.raises(DataError, match=r"1\.jpg: has 1,000 bytes; at most 999"),
    ):
        source.images[0].read()


# Spoilt entries, refused alone


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry("1.jpg", checksum=1), "its checksum .* does not match"),
        (Entry("1.jpg", method=8, checksum=1), "its checksum .* does not match"),
        (Entry("1.jpg", method=8, packed=b"\xff\xff\xff"), "is damaged: it cannot be unpacked"),
        (
            Entry("1.jpg", method=8, packed=deflated(b"a galaxy")[:-3]),
            "does not unpack to the 8 bytes",
        ),
        (
            Entry("1.jpg", b"sky" * 99, method=8, declared_size=200),
            "does not unpack to the 200 bytes",
        ),
        (
            Entry("1.jpg", b"sky" * 99, method=8, declared_size=400),
            "does not unpack to the 400 bytes",
        ),
        (Entry("1.jpg", declared_size=9), "declares two sizes"),
        (Entry("1.jpg", method=12), "packed by method 12"),
        (Entry("1.jpg", flags=1), "is encrypted"),
        (Entry("1.jpg", b"/etc/passwd", attributes=0o120777 << 16), "symbolic link"),
        (Entry("1.jpg", local_name="9.jpg"), r"called '9\.jpg' by its local header"),
        (Entry("1.jpg", local_name="../../1.jpg"), "by its local header"),
        (Entry("10000.jpg", local_name="1.jpg", local_extra=b"xxxx"), "by its local header"),
    ],
)
def test_a_spoilt_entry_is_refused_by_name_and_its_neighbours_are_read(path, entry, reason):
    path.write_bytes(crafted(Entry("0.jpg"), entry, Entry("2.jpg")))
    with Source.open(path) as source:
        first, spoilt, last = source.images
        with pytest.raises(DataError, match=rf"^galaxies\.zip/{entry.name}: .*{reason}"):
            spoilt.read()
        assert first.read() == last.read() == b"a galaxy"


def test_an_extra_field_that_reaches_into_the_next_entry_is_found_out(path):
    data = bytearray(crafted(Entry("1.jpg"), Entry("2.jpg")))
    data[28:30] = struct.pack("<H", 43)
    path.write_bytes(data)
    with Source.open(path) as source:
        with pytest.raises(DataError, match=r"1\.jpg: has bytes that belong to the next entry"):
            source.images[0].read()
        assert source.images[1].read() == b"a galaxy"


def test_an_entry_that_is_not_where_the_directory_says_is_found_out(path):
    data = bytearray(crafted(Entry("1.jpg"), Entry("2.jpg")))
    data[0:4] = b"XXXX"
    path.write_bytes(data)
    with (
        Source.open(path) as source,
        pytest.raises(DataError, match=r"1\.jpg: is not where the directory"),
    ):
        source.images[0].read()


def test_an_archive_that_shrinks_after_it_was_listed_is_found_out(path):
    path.write_bytes(zip_of(FILES))
    with Source.open(path) as source:
        with path.open("rb+") as file:
            file.truncate(100)
        with pytest.raises(
            DataError,
            match=r"galaxies\.zip/images/1029\.jpg: the file ends at byte [\d,]+, in the middle",
        ):
            source.images[-1].read()


def test_whatever_the_bytes_the_answer_is_files_or_a_data_error(path):
    rng = random.Random(0)
    inner = zip_of(FILES, zipfile.ZIP_DEFLATED)
    originals = [
        inner,
        zip_of({"a.zip": inner, "votes.csv": b"1"}),
        zip_of({"a.zip": inner}, zipfile.ZIP_DEFLATED),
    ]
    right = 0
    for turn in range(150):
        data = bytearray(originals[turn % 3])
        for _ in range(rng.choice((1, 3))):
            data[rng.randrange(max(0, len(data) - rng.choice((60, 2000, 90_000))), len(data))] = (
                rng.randrange(256)
            )
        path.write_bytes(data)
        with suppress(DataError), Source.open(path) as source:
            for image in source.images:
                with suppress(DataError):
                    right += image.read() == FILES[image.entry]
    assert right > 500


# Handles and memory


def test_a_closed_source_reads_no_more(path):
    path.write_bytes(zip_of(FILES))
    with Source.open(path) as source:
        pass
    with pytest.raises(DataError, match="its source has been closed"):
        source.images[0].read()


def test_a_source_that_cannot_be_opened_leaves_no_file_open(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of(FILES))
    (tmp_path / "b.zip").write_bytes(b"no zip")
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not list its open files")
    before = set(descriptors.iterdir())
    with pytest.raises(DataError, match=r"^b\.zip: is not a zip"):
        Source.open(tmp_path)
    assert len(set(descriptors.iterdir())) == len(before)


def test_a_listed_entry_costs_less_than_a_hundred_bytes(path):
    path.write_bytes(
        zip_of({f"images_training_rev1/{100_000 + i}.jpg": b"" for i in range(20_000)})
    )
    tracemalloc.start()
    with Source.open(path) as source:
        held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(source.images) < 90
    assert (
        most / len(source.images) < 150 + 3 * 2**20 / 20_000
    )  # a directory is read a mebibyte at a time


# Real galaxies


@pytest.mark.real_data
@needs_kaggle
def test_the_challenge_as_published_is_listed_whole_and_read_right():
    with Source.open(KAGGLE) as source:
        parts = [image for image in source.images if "images_training_rev1_part" in image.name]
        assert len(parts) == 31_465
        assert len({image.id for image in parts}) == 31_465
        tables = {table.name: table for table in source.tables}
        assert set(tables) >= {
            "training_solutions_rev1.csv",
            "central_pixel_benchmark.zip/central_pixel_benchmark.csv",
        }
        assert tables["central_pixel_benchmark.zip/central_pixel_benchmark.csv"].read().count(
            b"\n"
        ) in (79_975, 79_976)
        with zipfile.ZipFile(KAGGLE / "images_training_rev1_part2.zip") as archive:
            for image in [
                image for image in parts if image.name.startswith("images_training_rev1_part2.zip")
            ][::100]:
                assert image.read() == archive.read(image.entry)


@pytest.mark.real_data
@needs_kaggle
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_challenge_as_downloaded_is_a_zip_of_zips(tmp_path, method):
    names = ("images_test_rev1.zip", "originals_424.zip", "central_pixel_benchmark.zip")
    with zipfile.ZipFile(tmp_path / "challenge.zip", "w", method) as archive:
        for name in names:
            archive.write(KAGGLE / name, name)
    with (
        Source.open(*(KAGGLE / name for name in names)) as one,
        Source.open(tmp_path / "challenge.zip") as other,
    ):
        assert [f"challenge.zip/{image.name}" for image in one.images] == [
            image.name for image in other.images
        ]
        assert [image.read() for image in one.images] == [image.read() for image in other.images]
        assert one.tables[0].read() == other.tables[0].read()
