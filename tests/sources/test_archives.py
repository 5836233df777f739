import gc
import os
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from zip_bytes import FILES, contents, zip_of

from galaxyvotes.errors import DataError
from galaxyvotes.sources import archives
from galaxyvotes.sources.archives import Source

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


def test_a_zip_in_a_zip_in_a_zip_is_refused(path):
    deep = {"c.zip": zip_of({"1.jpg": b"one"})}
    path.write_bytes(zip_of({"a.zip": zip_of(deep)}))
    with pytest.raises(DataError, match=r"galaxies\.zip/a\.zip/c\.zip: is a zip in a zip in a zip"):
        Source.open(path)


def test_a_file_over_the_limit_is_refused_when_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").write_bytes(bytes(1000))
    monkeypatch.setitem(archives._MAX_BYTES, ".jpg", 999)
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
