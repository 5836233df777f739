import zipfile

import pytest

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import DataError
from galaxyvotes.sources.catalog import open_catalog
from galaxyvotes.sources.listed_images import open_source


@pytest.fixture
def folder(tmp_path, make_jpeg):
    for seed, name in enumerate(("a/1.jpg", "b/1.jpg", "b/2.jpg", "c/unlisted.jpg")):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(make_jpeg(seed))
    (tmp_path / "tables").mkdir()
    return tmp_path


@pytest.mark.parametrize("start", ["../images/", "./../images/", "..\\images\\", "{}/images/"])
@pytest.mark.parametrize("source", ["tables/t.csv", "tables"])
def test_a_table_of_paths_alone_finds_its_images(folder, start, source):
    start = start.format(folder)
    rows = [("a/1.jpg", "S"), ("b/1.jpg", "E"), ("b/2.jpg", "S"), ("b/3.jpg", "E")]
    text = "".join(f"{start}{path},{kind}\n" for path, kind in rows)
    (folder / "tables" / "t.csv").write_text(f"path,type\n{text}")
    with open_catalog(folder / source, LabelSettings(classes="type")) as catalog:
        assert [image.read() for image in catalog.images] == [
            (folder / "images" / path).read_bytes() for path, _ in rows[:3]
        ]
        assert catalog.values is not None
        assert catalog.values[:, 1].tolist() == [1, 0, 1]
        assert len(catalog.rows_without_image) == 1


@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
def test_a_list_of_paths_needs_no_header_and_may_be_of_one(folder, name):
    for paths in (["images/a/1.jpg", "images/b/1.jpg"], ["images/b/2.jpg"]):
        (folder / name).write_text("\n".join(paths) + "\n")
        with open_source([folder / name]) as source:
            assert [image.entry for image in source.images] == paths


def test_images_that_are_not_there_are_passed_over_and_counted(folder):
    paths = ["images/a/1.jpg", "images/gone.png", "images/a/1.jpg", "images/b/3.jpg", "no image"]
    (folder / "t.csv").write_text("path\n" + "\n".join(paths) + "\n")
    with open_source([folder / "t.csv"]) as source:
        assert [image.entry for image in source.images] == ["images/a/1.jpg"]
        why = "is named in t.csv, and is not there"
        assert list(source.passed_over) == [("images/gone.png", why), ("images/b/3.jpg", why)]


def test_images_among_the_sources_come_before_those_that_a_table_names(folder):
    (folder / "t.csv").write_text("path\nimages/a/1.jpg\n")
    with open_source([folder / "t.csv"]) as source:
        assert [image.entry for image in source.images] == ["images/a/1.jpg"]
    with open_source([folder]) as source:
        assert len(source.images) == 4


def test_a_table_in_a_zip_or_a_damaged_one_names_nothing(folder):
    (folder / "t.csv").write_text("path\nimages/a/1.jpg\n")
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        archive.write(folder / "t.csv", "t.csv")
    (folder / "tables" / "bad.parquet").write_bytes(b"PAR1 and nothing more")
    for path in (folder / "t.zip", folder / "tables"):
        with open_source([path]) as source:
            assert len(source.images) == 0
    with (
        pytest.raises(DataError, match=r"no image .* in .*t\.zip"),
        open_catalog(folder / "t.zip", LabelSettings()),
    ):
        pass
