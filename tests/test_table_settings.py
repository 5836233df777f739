from pathlib import Path

import pytest

from galaxyvotes import ConfigError, TableSettings


@pytest.mark.parametrize(
    ("file", "naming"),
    [("a.fits", "identifier"), ("a.VOT", "identifier"), ("a.xml", "identifier"), ("a.csv", "tree"),
     ("a.ecsv", "tree"), ("a.parquet", "tree")],
)  # fmt: skip
def test_formats_that_expressions_are_made_of_have_identifiers(file, naming):
    assert TableSettings().naming(Path(file)) == naming
    assert TableSettings("tree").naming(Path(file)) == "tree"


def test_galaxy_zoos_names_are_for_conditional_fractions():
    assert TableSettings().kind(None) == "joint"
    assert TableSettings("galaxyzoo").kind(None) == "conditional"
    assert TableSettings("identifier").kind("conditional") == "conditional"
    with pytest.raises(ConfigError, match="fractions of those who were asked"):
        TableSettings("galaxyzoo").kind("joint")
