import random
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from galaxyvotes.sources import windows
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.members import Member
from zip_bytes import zip_of


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
    read = windows._Cursor.read

    def counted(cursor, count):
        nonlocal inflated
        inflated += count
        return read(cursor, count)

    with Source.open(path) as source:
        monkeypatch.setattr(windows._Cursor, "read", counted)
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
