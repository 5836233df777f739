import re
from pathlib import Path

import pytest

import galaxyvotes
from galaxyvotes.cli.app import app

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "galaxyvotes").rglob("*.py"))


def test_the_public_names_are_sorted_and_all_there():
    assert list(galaxyvotes.__all__) == sorted(galaxyvotes.__all__)
    for name in galaxyvotes.__all__:
        assert callable(getattr(galaxyvotes, name)), name


def test_no_public_name_is_the_name_of_a_module():
    homes = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "src" / "galaxyvotes").iterdir()
    }
    assert not homes & set(galaxyvotes.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="trian"):
        _ = galaxyvotes.trian


def test_every_module_says_what_it_is_and_what_it_gives():
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert text.startswith('"""'), path.name
        assert path.name in ("__init__.py", "__main__.py") or "__all__" in text, path.name


def test_every_command_is_a_function_of_the_same_name():
    commands = {name for name in app if not name.startswith("-")}
    by_function = {"pack", "train", "evaluate", "export", "predict", "submit", "simulate"}
    assert by_function <= commands
    assert by_function <= set(galaxyvotes.__all__)


def test_the_readme_shows_every_room():
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = re.findall(r"^  ([a-z_]+/(?:, [a-z_]+/)*) ", readme, flags=re.MULTILINE)
    shown = {room.removesuffix("/") for line in lines for room in line.split(", ")}
    rooms = {
        path.name
        for path in (ROOT / "src" / "galaxyvotes").iterdir()
        if (path / "__init__.py").is_file()
    }
    assert shown == rooms


def test_commands_of_the_makefile_are_ones_that_there_are():
    lines = re.findall(r"^\t\$\(BIN\)/galaxyvotes (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert lines
    for line in lines:
        app.parse_args(line, exit_on_error=False, print_error=False)
