import errno
import os

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source
from zip_bytes import contents

ELSEWHERE = "is a link to a folder that is listed elsewhere"


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/1.jpg").write_bytes(b"one")
    return tmp_path / "inside"


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/2.jpg").write_bytes(b"two")
    (tmp_path / "outside/deep/3.jpg").write_bytes(b"three")
    return tmp_path / "outside"


def test_links_to_files_and_folders_are_followed_wherever_they_lead(inside, outside):
    (inside / "a.jpg").symlink_to("1.jpg")
    (inside / "b.jpg").symlink_to(outside / "2.jpg")
    (inside / "away").symlink_to(outside)
    with Source.open(inside) as source:
        assert contents(source) == {
            "1.jpg": b"one",
            "a.jpg": b"one",
            "away/2.jpg": b"two",
            "away/deep/3.jpg": b"three",
            "b.jpg": b"two",
        }
        assert not source.passed_over


def test_a_link_that_is_named_itself_is_followed(inside, outside):
    (inside / "away").symlink_to(outside)
    (inside / "b.jpg").symlink_to(outside / "2.jpg")
    with Source.open(inside / "away", inside / "b.jpg") as source:
        assert list(contents(source)) == ["2.jpg", "deep/3.jpg", "b.jpg"]


def test_each_folder_is_listed_once_however_many_links_lead_to_it(inside, outside):
    (inside / "around").symlink_to(inside)
    (outside / "back").symlink_to(outside)
    (outside / "inside").symlink_to(inside)
    (inside / "x").symlink_to(outside)
    (inside / "y").symlink_to(outside)
    (inside / "w").symlink_to(outside / "deep")
    with Source.open(inside) as source:
        assert list(contents(source)) == ["1.jpg", "w/3.jpg", "x/2.jpg"]
        assert dict(source.passed_over) == dict.fromkeys(
            ["around", "x/back", "x/deep", "x/inside", "y"], ELSEWHERE
        )


def test_links_of_links_are_listed_in_time_that_grows_with_the_folders(tmp_path):
    for level in range(30):
        (tmp_path / f"levels/{level}").mkdir(parents=True)
        for name in "ab":
            (tmp_path / f"levels/{level}/{name}").symlink_to(tmp_path / f"levels/{level + 1}")
    (tmp_path / "levels/30").mkdir()
    (tmp_path / "levels/30/1.jpg").write_bytes(b"one")
    (tmp_path / "start").mkdir()
    (tmp_path / "start/first").symlink_to(tmp_path / "levels/0")
    with Source.open(tmp_path / "start") as source:
        assert [image.id for image in source.images] == ["1"]
        assert len(source.passed_over) == 30


def test_links_to_nothing_circles_and_what_is_no_file_are_listed_with_the_reason(inside):
    (inside / "2.jpg").symlink_to("nowhere.jpg")
    (inside / "3.jpg").symlink_to("3.jpg")
    (inside / "4.csv").symlink_to("nowhere.csv")
    os.mkfifo(inside / "5.jpg")
    (inside / "6.jpg").symlink_to("5.jpg")
    (inside / ".7.jpg").symlink_to("nowhere.jpg")
    with Source.open(inside) as source:
        assert list(contents(source)) == ["1.jpg"]
        assert not source.tables
        reasons = dict(source.passed_over)
    assert reasons.keys() == {"2.jpg", "3.jpg", "4.csv", "5.jpg", "6.jpg"}
    assert reasons["2.jpg"] == "is a link that leads nowhere (No such file or directory)"
    assert reasons["3.jpg"].startswith("is a link that leads nowhere (")
    assert reasons["5.jpg"] == reasons["6.jpg"] == "is not an ordinary file"


def test_a_pipe_that_is_named_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(DataError, match=r"1\.jpg: is no folder .* it is not an ordinary file"):
        Source.open(tmp_path / "1.jpg")


@pytest.fixture
def deep_folder(tmp_path):
    """A folder more than a thousand levels deep, with an image at its end."""
    folders = [tmp_path / "top"]
    folders[0].mkdir()
    for _ in range(1_100):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    (folders[-1] / "1.jpg").write_bytes(b"one")
    yield folders[0]
    (folders[-1] / "1.jpg").unlink()
    for folder in reversed(folders):  # as pytest's own removal goes no deeper than Python does
        folder.rmdir()


def test_a_folder_is_listed_however_deep_it_is(deep_folder):
    with Source.open(deep_folder) as source:
        assert [image.id for image in source.images] == ["1"]
        assert not source.passed_over


@pytest.mark.parametrize("refused", [errno.EACCES, errno.ENAMETOOLONG, errno.EIO])
@pytest.mark.parametrize("call", ["scandir", "stat"])
def test_folders_that_cannot_be_read_are_listed_with_the_reason(inside, monkeypatch, call, refused):
    (inside / "closed/deeper").mkdir(parents=True)
    (inside / "open").mkdir()
    (inside / "open/2.jpg").write_bytes(b"two")
    system = getattr(os, call)

    def closed(path, *args, **options):
        if str(path).endswith(("closed", "closed/")):
            raise OSError(refused, os.strerror(refused), path)
        return system(path, *args, **options)

    monkeypatch.setattr(os, call, closed)
    with Source.open(inside) as source:
        assert list(contents(source)) == ["1.jpg", "open/2.jpg"]
        reason = f"is a folder that cannot be read ({os.strerror(refused)})"
        assert dict(source.passed_over) == {"closed": reason}


def test_a_named_folder_that_cannot_be_read_is_refused(inside, monkeypatch):
    def closed(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"inside: cannot be read: Permission denied$"):
        Source.open(inside)
