import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.files import new_file
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.rights import check_writable


@pytest.mark.parametrize("place", ["", "new", "new/deep"])
def test_a_folder_that_can_be_written_or_made_is_one(tmp_path, place):
    check_writable(tmp_path / place)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file", "file/new", "file/new/deep"])
def test_a_folder_that_can_never_be_is_refused_wherever_something_is_to_be_written(tmp_path, place):
    (tmp_path / "file").write_text("", "utf-8")
    problem = "cannot write into .*: Not a directory"
    with pytest.raises(DataError, match=problem):
        check_writable(tmp_path / place)
    with pytest.raises(DataError, match=problem):
        new_file(tmp_path / place / "table.csv", overwrite=True)
    with pytest.raises(DataError, match=problem), locked(tmp_path / place / "run"):
        pass
