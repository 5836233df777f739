import errno
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.files import (
    given_path,
    given_sources,
    new_file,
    read_text,
    replacing,
    write_text,
)


def test_a_file_takes_the_place_of_the_old_one_in_one_step(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "first\nåäö")
    with replacing(path) as partial:
        partial.write_text("second", "utf-8")
        assert read_text(path) == "first\nåäö"
    assert read_text(path) == "second"
    assert [each.name for each in path.parent.iterdir()] == ["b.txt"]


def test_one_path_or_several_are_the_sources_of_images(tmp_path):
    assert given_sources("a") == given_sources(Path("a")) == given_sources(("a",)) == [Path("a")]
    assert given_sources(np.array(["a", "b"])) == [Path("a"), Path("b")]
    assert given_sources(pa.table({"path": ["a"]})["path"].to_pylist()) == [Path("a")]
    with pytest.raises(ConfigError, match="the path is empty"):
        given_sources(["a", ""])


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (None, "NoneType"),
        (3, "int"),
        (np.zeros((2, 8, 8, 3)), "numpy.ndarray"),
        ({"path": "a"}, "dict"),
        (Table({"path": ["a"]}), "astropy.table.table.Table"),
        (["a", 3], "int"),
    ],
)
def test_what_is_no_path_is_refused_in_words(paths, kind):
    with pytest.raises(ConfigError, match=f"or a table, not {kind}: write pixels or rows into"):
        given_sources(paths)


def test_when_writing_fails_the_old_file_stays_and_nothing_is_left_behind(tmp_path):
    path = tmp_path / "b.txt"
    write_text(path, "first")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half", "utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert read_text(path) == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file_and_the_old_one_stays(tmp_path):
    path = tmp_path / "b.txt"
    write_text(path, "first")
    expected = f"cannot write {path}: No space left on device; what was there before is untouched"
    with pytest.raises(DataError, match=re.escape(expected)), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert read_text(path) == "first"


@pytest.mark.parametrize("place", ["file/inside.txt", "file/deep/inside.txt", "folder"])
def test_a_place_where_no_file_can_be_is_told(tmp_path, place):
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=re.escape(f"cannot write {tmp_path / place}: ")):
        write_text(tmp_path / place, "text")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize(
    ("content", "why"), [(b"\xff\xfe", "can't decode byte"), (None, "No such file")]
)
def test_what_is_not_text_is_told_by_name(tmp_path: Path, content, why):
    path = tmp_path / "settings.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        DataError, match=re.escape(f"{path} cannot be read as UTF-8 text: ") + f".*{why}"
    ):
        read_text(path)


def test_a_file_that_is_there_is_replaced_only_if_asked_for(tmp_path):
    path = tmp_path / "answers.csv"
    assert new_file(path, overwrite=False) == path
    path.write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match=r"answers\.csv exists: pass `overwrite=True`"):
        new_file(path, overwrite=False)
    assert new_file(path, overwrite=True) == path


def test_what_is_no_ordinary_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe is not an ordinary file"):
        new_file(tmp_path / "pipe", overwrite=True)
    with pytest.raises(ConfigError, match="is a folder: name a file in it"):
        new_file(tmp_path, overwrite=True)


@pytest.mark.parametrize("write", [given_path, lambda path: write_text(path, "text")])
def test_an_output_whose_name_is_no_text_is_refused(write, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    with pytest.raises(ConfigError, match=r"caf\\xe9.csv is not UTF-8 text"):
        write(path)
