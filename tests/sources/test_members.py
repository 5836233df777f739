import os
import zipfile

from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.members import files_at


def test_a_stamp_is_another_when_a_file_has_another_size_or_time(tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for file in files:
        file.write_bytes(b"one")
        os.utime(file, ns=(1, 1))
    a, b = files_at(tmp_path, [["a.jpg", "b.jpg"]])
    assert a.stamp == b.stamp > 0
    assert a.newest_file == "a.jpg"
    before = a.stamp
    os.utime(files[0], ns=(1, 2))
    assert a.stamp != before
    files[0].write_bytes(b"more")
    os.utime(files[0], ns=(1, 1))
    assert a.stamp != before
    files[0].unlink()
    assert (a.stamp, a.newest_file) == (0, "a.jpg")


def test_the_stamp_of_a_galaxy_is_that_of_the_files_of_all_bands(tmp_path):
    for band in "gr":
        (tmp_path / f"1-{band}.fits").write_bytes(b"one")
        os.utime(tmp_path / f"1-{band}.fits", ns=(1, 1))
    (image,) = files_at(tmp_path, [["1-g.fits"], ["1-r.fits"]])
    before = image.stamp
    os.utime(tmp_path / "1-r.fits", ns=(1, 2))
    assert image.stamp != before
    assert image.newest_file == "1-r.fits"


def test_the_stamp_of_what_is_in_a_zip_is_that_of_the_outermost(tmp_path, make_jpeg):
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
        inner.writestr("a.jpg", make_jpeg())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "outer.zip", "w", method) as outer:
            outer.write(tmp_path / "inner.zip", "inner.zip")
        with Source.open(tmp_path / "outer.zip") as source:
            (image,) = source.images
            before = image.stamp
            os.utime(tmp_path / "outer.zip", ns=(1, 1))
            assert image.stamp != before > 0
            assert image.newest_file == "outer.zip/inner.zip"
