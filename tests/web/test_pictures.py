import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.tables.names import name_column
from galaxyvotes.web.pictures import Index


def test_an_image_is_found_by_its_id_or_by_its_path():
    index = Index.of(name_column(["a", "b", "c.v2"]))
    assert [index.row(name) for name in ("a", "images/b.jpg", "b.fits.gz", "c.v2")] == [0, 1, 1, 2]
    with pytest.raises(DataError, match="no image of 'd"):
        index.row("d.jpg")
