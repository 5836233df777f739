import os

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.matching import Images
from galaxyvotes.sources.suffixes import IMAGE_SUFFIXES
from galaxyvotes.tables.names import as_shown, name_column

PATHS = ["1.jpg", "2.PNG", "a/3.jpg", "a/b.c.jpeg", "b/3.jpg", "a/1.jpg.jpg", "kö/ö.tif"]
LETTERS = "123abcö./\\ "
words = st.one_of(
    st.text(LETTERS, max_size=6),
    st.sampled_from(PATHS),
    st.sampled_from([*PATHS, "3", "b.c", "ö", ".jpg", "a/.jpg", "1.JPG", "100.5"]).map(
        lambda word: f" ./{word}\t"
    ),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for path in PATHS:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"")
    with Source.open(folder) as source:
        yield Images(source.images)


def called(images: Images, key: str) -> list[int]:
    return [n for n, image in enumerate(images.members) if key in (image.id, image.entry)]


def key_of(images: Images, word: str) -> str:
    """The key of one word, or of how it shows, by Python's own string methods."""
    key = key_of_signs(images, word)
    return key if called(images, key) else key_of_signs(images, as_shown(word))


def key_of_signs(images: Images, word: str) -> str:
    path = word.strip().replace("\\", "/").removeprefix("./")
    name = path.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    short = stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name
    return path if path != short and called(images, path) else short


@given(st.lists(words, min_size=1, max_size=8))
@example(["1  ö"])
def test_a_key_is_an_images_path_or_the_word_without_folders_and_suffix(images, words):
    keys = images.keys(name_column(words))
    assert keys.to_pylist() == [key_of(images, word) for word in words]


def test_a_whole_number_written_as_a_float_is_a_key_without_its_point(tmp_path):
    for name in ("7", "8.0", "9.50"):
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    with Source.open(tmp_path) as source:
        keys = Images(source.images).keys(name_column(["7.0", "8.0", "9.50", "10.00", "8.00"]))
        assert keys.to_pylist() == ["7", "8.0", "9.50", "10", "8"]


@given(st.lists(words, min_size=1, max_size=8))
def test_each_key_is_matched_with_the_image_that_is_called_so_or_refused(images, words):
    keys = images.keys(name_column(words))
    expected = [called(images, key) for key in keys.to_pylist()]
    assert (images.find(keys) >= 0).tolist() == [bool(places) for places in expected]
    if any(len(places) > 1 for places in expected):
        with pytest.raises(DataError, match="is the name of 2 images"):
            images.place_of_each(keys)
    else:
        assert images.place_of_each(keys).tolist() == [(*places, -1)[0] for places in expected]


@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_two_columns_agree_if_each_row_names_the_same_images(images, rows):
    ours, theirs = (images.keys(name_column(column)) for column in zip(*rows, strict=True))
    pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
    expected = all(called(images, one) == called(images, other) for one, other in pairs)
    assert images.agree(ours, theirs) == expected


def test_a_file_whose_name_is_not_text_is_indexed_beside_the_others(tmp_path):
    try:
        (tmp_path / "a\udcff.jpg").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (tmp_path / "b.jpg").write_bytes(b"")
    with Source.open(tmp_path) as source:
        images = Images(source.images)
        assert [os.fsencode(image.entry) for image in source.images] == [b"a\\udcff.jpg", b"b.jpg"]
        assert np.array_equal(images.place_of_each(name_column(["b", "c"])), [1, -1])
        assert [image.read() for image in source.images] == [b"", b""]


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("gal\xe1xia.png", "gala\u0301xia"),
        ("gala\u0301xia.png", "gal\xe1xia"),
        ("a/gala\u0301xia.png", "a/gal\xe1xia.png"),
        ("101.png", "\u200b101\ufeff"),
        ("101.png", "1\u200d01.png\u200e"),
        ("101.png", "\xa0101\xa0"),
        ("NGC 101.png", "NGC\xa0101"),
        ("NGC\xa0101.png", "NGC 101"),
        ("NGC\xa0101.png", "NGC\xa0101"),
        ("\u200b101.png", "101"),
        ("\u200b101.png", "\u200b101"),
    ],
)
def test_a_word_names_the_image_that_shows_the_same(tmp_path, file, word):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    (tmp_path / "102.png").write_bytes(b"")
    with Source.open(tmp_path) as source:
        images = Images(source.images)
        (place,) = images.place_of_each(images.keys(name_column([word])))
        assert source.images[int(place)].entry == file


def test_of_two_images_that_show_the_same_a_word_names_the_one_that_is_written_so(tmp_path):
    composed, apart = "gal\xe1xia", "gala\u0301xia"
    for name in (composed, apart, "\u200b101", "\ufeff101"):
        (tmp_path / f"{name}.png").write_bytes(b"")
    with Source.open(tmp_path) as source:
        images = Images(source.images)
        places = images.place_of_each(images.keys(name_column([composed, apart]))).tolist()
        assert [source.images[place].id for place in places] == [composed, apart]
        with pytest.raises(DataError, match=r"^101 is the name of 2 images \("):
            images.place_of_each(images.keys(name_column(["101"])))
