from pathlib import Path

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.class_folders import class_folders


def classes_of(folder: Path, *paths: str, answers: list[str] | None = None) -> list[str] | None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    with Source.open(folder) as source:
        assert [image.entry for image in source.images] == sorted(paths)
        folders = class_folders(source.images, answers)
        return None if folders is None else folders.to_pylist()


@pytest.mark.parametrize(
    "paths",
    [
        ["edge-on/2.jpg", "spiral/1.jpg"],
        ["train/edge-on/2.jpg", "train/spiral/1.jpg"],
        ["test/edge-on/2.jpg", "train/spiral/1.jpg"],
        ["my/edge-on/2.jpg", "my/spiral/1.jpg"],
        ["edge-on/batch1/2.jpg", "spiral/batch2/1.jpg"],
        ["edge-on/part_1/x/2.jpg", "spiral/1.jpg"],
        ["edge-on/2.jpg", "spiral/images/more/1.jpg"],
        ["galaxy_images/Validation/edge-on/2.jpg", "galaxy_images/training/spiral/1.jpg"],
        ["fold0/edge-on/2.jpg", "fold1/spiral/1.jpg"],
    ],
)
def test_the_class_is_the_level_whose_names_differ_and_do_not_only_divide(tmp_path, paths):
    assert classes_of(tmp_path, *paths) == ["edge-on", "spiral"]


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1"),
        ("parting", "testy"),
        ("Sa", "Sb"),
        ("E", "data"),
        ("galaxy", "star"),
        ("group", "single"),
        ("full_ring", "part_ring"),
        ("set", "unset"),
    ],
)
def test_a_name_that_begins_like_a_division_is_a_class_beside_one_that_does_not(tmp_path, names):
    one, other = names
    paths = [f"{one}/1.jpg", f"{other}/2.jpg"]
    assert classes_of(tmp_path, *paths) == [one, other]


def test_a_level_whose_names_divide_in_part_is_not_mixed_with_the_next(tmp_path):
    paths = [
        f"{kind}/{light}/1.jpg" for kind in ("galaxy", "star") for light in ("bright", "faint")
    ]
    with pytest.raises(DataError, match=r"may be galaxy, star \(2\) or bright, faint \(2\)"):
        classes_of(tmp_path, *paths)


@pytest.mark.parametrize(
    "paths",
    [
        ["1.jpg", "2.jpg"],
        ["spiral/1.jpg", "spiral/2.jpg"],
        ["test/1.jpg", "train/2.jpg"],
        ["images_test_rev1/1.jpg", "images_training_rev1/2.jpg"],
        ["1.jpg", "spiral/2.jpg"],
    ],
)
def test_images_that_do_not_lie_in_two_classes_have_none(tmp_path, paths):
    assert classes_of(tmp_path, *paths) is None


def test_where_two_levels_could_be_the_classes_both_are_named(tmp_path):
    paths = ["decals/edge-on/2.jpg", "sdss/spiral/1.jpg"]
    with pytest.raises(DataError, match=r"may be decals, sdss \(2\) or edge-on, spiral \(2\)"):
        classes_of(tmp_path, *paths)
    assert classes_of(tmp_path, *paths, answers=["edge-on", "spiral", "other"]) == [
        "edge-on",
        "spiral",
    ]
