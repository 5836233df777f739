import importlib.util
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


def test_the_page_of_results_shows_what_make_bench_last_measured():
    spec = importlib.util.spec_from_file_location("shown", ROOT / "benchmarks" / "shown.py")
    assert spec
    assert spec.loader
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    assert shown.block() in shown.PAGE.read_text("utf-8"), "run python benchmarks/shown.py"


def test_every_command_has_a_page_that_is_not_stale():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)
    assert (ROOT / "docs" / "commands.md").read_text("utf-8") == commands.commands(), (
        "run python docs/commands.py"
    )


def test_every_command_is_a_function_of_the_same_name():
    commands = {name for name in app if not name.startswith("-")}
    by_function = {"pack", "train", "evaluate", "export", "predict", "submit", "simulate"}
    assert by_function <= commands
    assert by_function <= set(galaxyvotes.__all__)


def test_the_readme_shows_every_room():
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = set(re.findall(r"^  ([a-z_]+)/ ", readme, flags=re.MULTILINE))
    rooms = {
        path.name
        for path in (ROOT / "src" / "galaxyvotes").iterdir()
        if (path / "__init__.py").is_file()
    }
    assert shown == rooms


def test_links_in_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_claim_of_the_results_page_names_a_script_that_exists():
    scripts = set(
        re.findall(
            r"benchmarks/([a-z0-9_]+\.py)", (ROOT / "docs" / "results.md").read_text("utf-8")
        )
    )
    assert scripts
    for script in scripts:
        assert (ROOT / "benchmarks" / script).is_file(), script


def test_no_pickle_is_ever_read():
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert "torch.load" not in text, path.name
        assert "import pickle" not in text, path.name
        assert "joblib" not in text, path.name
        assert "allow_pickle=True" not in text, path.name
