import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

import galaxyvotes
from galaxyvotes.cli.app import app
from galaxyvotes.tables.vote_layout import find_layout
from galaxyvotes.tables.votes import read_votes

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "src" / "galaxyvotes" / "weights" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
RECORDS = {"decisions.md"}  # an entry keeps the names of its date
WIDTH = 88


def script(path: str) -> ModuleType:
    """A Python file of the repository that is in no package, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines of a page, by number, that are in no block of code or comment."""
    text = re.sub(
        r"^```.*?^```$|<!--.*?-->",
        lambda block: "\n" * block.group().count("\n"),
        page.read_text("utf-8"),
        flags=re.M | re.S,
    )
    return list(enumerate(text.splitlines(), 1))


def test_every_command_has_a_page_that_is_not_stale():
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert page == script("docs/commands.py").commands(), "run python docs/commands.py"


def test_the_page_on_speed_shows_what_was_last_measured():
    speed = script("benchmarks/speed_page.py")
    assert speed.PAGE.read_text("utf-8") == speed.page(), "run python benchmarks/speed_page.py"


def test_the_pictures_show_what_was_last_measured():
    assert script("benchmarks/pictures.py").stale() == [], "run python benchmarks/pictures.py"


def test_every_script_of_the_results_exists():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    scripts = re.findall(r"\| `(\w+\.py)` \|", page)
    assert scripts
    assert [name for name in scripts if not (ROOT / "benchmarks" / name).is_file()] == []


def test_the_api_page_has_every_public_name():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^\.\. auto[a-z]+:: ([A-Za-z_]+)$", page, flags=re.MULTILINE)
    assert sorted(listed) == list(galaxyvotes.__all__)


def test_the_readme_fits_on_two_screens():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_figures_that_a_page_names_exist(page: Path):
    named = re.findall(r"\b((?:benchmarks|docs)/[a-z0-9_/]+\.[a-z]+)", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_is_88_columns_wide(page: Path):
    long = [
        (number, line)
        for number, line in prose(page)
        if len(line) > WIDTH and not line.startswith(("|", "![", "    "))
    ]
    assert long == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in RECORDS], ids=lambda page: page.name
)
def test_commands_within_a_sentence_are_understood(page: Path):
    text = "\n".join(line for _, line in prose(page))
    for command in re.findall(r"`galaxyvotes ([^`]+)`", text):
        words = shlex.split(command.replace("[SOURCE ...]", ""))
        if "--help" not in words:
            app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in RECORDS], ids=lambda page: page.name
)
def test_options_that_a_page_names_exist(page: Path):
    commands = (ROOT / "docs" / "commands.md").read_text("utf-8")
    scripts = "\n".join(path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", commands + scripts))
    known |= {"--help", "--nproc-per-node"}
    text = "\n".join(line for _, line in prose(page))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - known == set()


def test_the_tree_of_ones_own_in_the_docs_is_a_tree_and_reads_its_table(tmp_path):
    text = (ROOT / "docs" / "data.md").read_text("utf-8")
    block = re.search(r"^<!-- file: rings.toml -->\n\n```toml\n(.*?)^```$", text, re.M | re.S)
    assert block is not None
    tree = galaxyvotes.DecisionTree.from_toml(block[1])
    assert tree.parent_of == {"ring": None, "no_ring": None, "inner": "ring", "outer": "ring"}
    layout = find_layout([f"{name}_count" for name in tree.columns], tree=tree)
    assert layout is not None
    counts = pa.table({"ring_count": [6], "no_ring_count": [4], "inner_count": [2],
                       "outer_count": [4]})  # fmt: skip
    votes = read_votes(counts, layout, at=lambda row: f"row {row}")
    assert votes.values[0].tolist() == pytest.approx([0.6, 0.4, 0.2, 0.4])
