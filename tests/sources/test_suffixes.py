import pytest

from galaxyvotes.sources.suffixes import HIDDEN, split_suffix


@pytest.mark.parametrize(
    ("path", "stem", "suffix"),
    [
        ("a/1.JPG", "1", ".jpg"),
        ("a.b/1", "1", ""),
        ("1.2.jpeg", "1.2", ".jpeg"),
        ("votes.csv.gz", "votes", ".csv.gz"),
        ("1.FITS.gz", "1", ".fits.gz"),
        ("1.jpg.gz", "1.jpg", ".gz"),
        ("images.tar.gz", "images", ".tar.gz"),
        ("images.7z", "images", ".7z"),
        ("images.zip.001", "images", ".zip.001"),
        ("J081412.47+220853.0", "J081412.47+220853.0", ""),
        ("getjpeg?ra=1.5&dec=2.25", "getjpeg?ra=1.5&dec=2.25", ""),
        ("1.jpg~", "1", ".jpg~"),
        ("...jpg", "...jpg", ""),
        (".jpg", ".jpg", ""),
        (".gz", ".gz", ""),
        (".fits.gz", ".fits", ".gz"),
        ("", "", ""),
    ],
)
def test_a_name_is_split_where_its_suffix_begins(path, stem, suffix):
    assert split_suffix(path) == (stem, suffix)


@pytest.mark.parametrize(
    "path",
    [".a", "a/.b.jpg", "__MACOSX/1.jpg", "a/Thumbs.db", "desktop.ini", "Icon\r", "@eaDir/1.jpg"],
)
def test_hidden_files_and_rubbish_are_known(path):
    assert HIDDEN.search(path)


@pytest.mark.parametrize(
    "path", ["a.b", "my__MACOSX/1.jpg", "Thumbs.db.jpg", "Icon.jpg", "./1.jpg"]
)
def test_other_files_are_not_hidden(path):
    assert not HIDDEN.search(path)
