import io
import random
import struct
import zipfile
from contextlib import suppress

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source
from zip_bytes import FILES, Entry, contents, crafted, deflated, zip_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "galaxies.zip"


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
                    right += image.read() == FILES.get(image.entry)  # a name may be changed
    assert right > 500
