import gc
import gzip
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import DataError, GalaxyVotesError
from galaxyvotes.images.read import read_square
from galaxyvotes.sources import suffixes
from galaxyvotes.sources.archives import Source
from image_bytes import encoded, some_pixels
from zip_bytes import FILES, contents, zip_of

KAGGLE = Path(__file__).parents[3] / "shared" / "data" / "kaggle"
needs_kaggle = pytest.mark.skipif(not KAGGLE.is_dir(), reason=f"no real galaxies in {KAGGLE}")


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
        assert dict(source.passed_over).keys() == {"notes.txt"}


def test_whatever_is_no_image_is_listed_with_its_reason(tmp_path):
    reasons = {
        "README": "has no suffix and does not begin as an image does",
        "galaxies.h5": "is of a kind that is not read (.h5)",
        "images.tar.gz": "is an archive of a kind that is not read (.tar.gz); unpack it first",
        "images.z01": "is a part of a split zip; join the parts first (zip -s 0 PARTS.zip -O"
        " WHOLE.zip)",
        "votes.csv.bz2": "is compressed (.bz2); unpack it first",
        "votes.txt": "is text (.txt), which is taken for a table only if it is named itself",
        "votes.xlsx": "is a spreadsheet; save it as CSV",
        "page.xml": "is no VOTable",
    }
    for name in (*reasons, ".DS_Store", "Thumbs.db", "Icon\r", "@eaDir/x", "lost+found/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"nothing")
    with Source.open(tmp_path) as source:
        assert dict(source.passed_over) == reasons
        assert source.passed_over.hint == (
            f" (8 files were passed over: votes.txt: {reasons['votes.txt']})"
        )
    with Source.open(tmp_path / "votes.txt") as source:
        assert [table.name for table in source.tables] == ["votes.txt"]
        assert source.passed_over.hint == ""


def test_images_are_found_under_all_their_suffixes_and_under_none(tmp_path):
    jpeg, fits = encoded(some_pixels()), b"SIMPLE  =" + b" " * 2871
    files = {
        "1.jfif": jpeg,
        "2.JPE": jpeg,
        "3.mpo": jpeg,
        "5": encoded(some_pixels(), "PNG"),
        "6.fits.gz": gzip.compress(fits),
        "7.fits": fits,
        "8.heif": b"heif",
        "9.j2k": b"j2k",
        "J081412.47+220853.0": jpeg,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "all.zip").write_bytes(zip_of(files, zipfile.ZIP_DEFLATED))
    ids = ["1", "2", "3", "5", "6", "7", "8", "9", "J081412.47+220853.0"]
    with Source.open(tmp_path) as source:
        assert sorted(image.id for image in source.images) == sorted(ids * 2)
        assert not source.passed_over
        squares = {image.name: read_square(image, PackSettings(0, 8)) for image in source.images}
    reasons = {name: square.reason for name, square in squares.items() if square.pixels is None}
    assert reasons["7.fits"] == reasons["all.zip/6.fits.gz"]
    assert "the header of HDU 0 has no end" in reasons["7.fits"]
    unread = ["6.fits.gz", "7.fits", "8.heif", "9.j2k"]
    assert reasons.keys() == {*unread, *(f"all.zip/{name}" for name in unread)}


def test_a_fits_file_of_a_table_is_a_table(tmp_path):
    def header(*cards: str) -> bytes:
        text = "".join(card.ljust(80) for card in (*cards, "END"))
        return text.ljust(-(-len(text) // 2880) * 2880).encode()

    primary = header("SIMPLE  =                    T", "NAXIS   =                    0")
    table = header("XTENSION= 'BINTABLE'", "NAXIS   =                    2")
    squeezed = header("XTENSION= 'BINTABLE'", "ZIMAGE  =                    T")
    image = header("XTENSION= 'IMAGE   '")
    for name, data in {
        "table.fits": primary + table,
        "table.fits.gz": gzip.compress(primary + table),
        "image.fits": primary + image,
        "image.fits.fz": primary + squeezed,
        "pixels.fits": header("SIMPLE  =", "NAXIS   =                    2") + table,
        "votes.xml": b"<?xml version='1.0'?>\n<VOTABLE version='1.4'>",
    }.items():
        (tmp_path / name).write_bytes(data)
    with Source.open(tmp_path) as source:
        images, tables = ([file.name for file in files] for files in (source.images, source.tables))
    assert images == ["image.fits", "image.fits.fz", "pixels.fits"]
    assert tables == ["table.fits", "table.fits.gz", "votes.xml"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (
            "https://a.org/1.jpg",
            r"^https://a\.org/1\.jpg: is a URL, and URLs are not read: download",
        ),
        ("file:///a/1.jpg", r"^file:///a/1\.jpg: is a URL"),
        ("", r'the path is empty \(""\)'),
    ],
)
def test_a_url_and_an_empty_path_are_refused(path, reason):
    with pytest.raises(GalaxyVotesError, match=reason):
        Source.open(path)
    with pytest.raises(GalaxyVotesError, match=reason):
        Source.open(Path(path) if path else path)


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
    [
        ("absent", "no such file or folder"),
        ("notes.doc", r"no folder and no file that is read: it is of a kind"),
    ],
)
def test_a_path_that_cannot_be_a_source_is_refused_by_name(tmp_path, name, reason):
    (tmp_path / "notes.doc").write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}: .*{reason}"):
        Source.open(tmp_path / name)


def test_a_file_that_has_gone_is_an_error_of_its_own(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"one")
    with Source.open(tmp_path) as source:
        (tmp_path / "1.jpg").unlink()
        with pytest.raises(DataError, match=r"^1\.jpg: cannot be read: .*No such file"):
            source.images[0].read()


def test_a_zip_in_a_zip_in_a_zip_is_refused(path):
    deep = {"c.zip": zip_of({"1.jpg": b"one"})}
    path.write_bytes(zip_of({"a.zip": zip_of(deep)}))
    with pytest.raises(DataError, match=r"galaxies\.zip/a\.zip/c\.zip: is a zip in a zip in a zip"):
        Source.open(path)


def test_a_file_over_the_limit_is_refused_when_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").write_bytes(bytes(1000))
    monkeypatch.setitem(suffixes.MAX_BYTES, ".jpg", 999)
    with (
        Source.open(tmp_path) as source,
        pytest.raises(DataError, match=r"1\.jpg: has 1,000 bytes; at most 999"),
    ):
        source.images[0].read()


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


@pytest.fixture
def arrow_pool():
    """A pool of Arrow's that counts from now on what is allocated, and what was at most."""
    default = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(default)
    pa.set_memory_pool(pool)
    yield pool
    pa.set_memory_pool(default)


def test_a_listed_entry_costs_less_than_a_hundred_bytes(path, arrow_pool):
    path.write_bytes(
        zip_of({f"images_training_rev1/{100_000 + i}.jpg": b"" for i in range(20_000)})
    )
    tracemalloc.start()
    with Source.open(path) as source:
        gc.collect()
        held, most = tracemalloc.get_traced_memory()
        held, most = held + arrow_pool.bytes_allocated(), most + arrow_pool.max_memory()
    tracemalloc.stop()
    assert held / len(source.images) < 90
    # A directory is read a mebibyte at a time.
    assert most / len(source.images) < 150 + 3 * 2**20 / 20_000


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
