import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.tables.headers import Header


def test_a_column_is_found_but_for_spaces_and_case():
    header = Header(["GalaxyID", "T  Type", "class1.1"])
    assert header.find("galaxyid") == "GalaxyID"
    assert header.find(" t type ") == "T  Type"
    assert header.find("Class1.1") == "class1.1"
    assert header.find("Class1.2") is None
    assert "CLASS1.1" in header
    assert "class11" not in header


def test_the_name_as_it_is_written_comes_first_and_a_choice_between_others_is_refused():
    header = Header(["Type", "type"])
    assert header.find("type") == "type"
    with pytest.raises(ConfigError, match=r"several columns are called 'TYPE' .* 'Type', 'type'"):
        header.find("TYPE")


@pytest.mark.parametrize(
    "name", ["caf\xe9", "cafe\u0301", "\u200bcaf\xe9\ufeff", "\xa0Caf\xe9\xa0"]
)
def test_a_column_is_found_however_its_letters_are_composed_and_whatever_has_no_width(name):
    assert Header(["id", name]).find("caf\xe9") == name
    assert Header(["id", "caf\xe9"]).find(name) == "caf\xe9"
