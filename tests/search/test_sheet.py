import pytest

from galaxyvotes import ConfigError
from galaxyvotes.search.sheet import card, write_cards


def test_names_of_galaxies_are_escaped(tmp_path):
    cards = [card("<script>", None, 0.25), card("a&b", None)]
    out = write_cards(tmp_path / "page.html", "t", "s", [("<i>", cards)], overwrite=False)
    page = out.read_text("utf-8")
    assert "<script>" not in page
    assert "<i>" not in page.replace("<i></i>", "")
    assert "&lt;script&gt;" in page
    assert "distance 0.25" in page


def test_a_page_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        write_cards(tmp_path / "page.html", "t", "s", [], overwrite=False)
