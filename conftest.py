"""The examples of README.md and the pages in docs/ run in the tests.

Blocks of Python and of shell commands run in the order of the page, each page in an empty folder of
its own. Commands run inside the test process, on 60 galaxies and for one epoch whatever the page
says. A block after `<!-- not run: REASON -->` is not run, but its commands are parsed, so that an
option that does not exist fails. A block after `<!-- file: NAME -->` is that file.
"""

import os
import re
import shlex
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parent
# Read when NumPy and SciPy are imported, here and in what tests start: several test processes at
# once have no cores to spare, and threads that wait for each other take most of the time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n\n)?```sh\n(?P<lines>.*?)^```$", re.M | re.S
)
_FILE = re.compile(r"^<!-- file: (?P<name>[^\n]+) -->\n\n```toml\n(?P<text>.*?)^```$", re.M | re.S)
_LEARN = ("train", "finetune")


def shell_commands(lines: str) -> list[list[str]]:
    """The words of each command of a block, without comments."""
    joined = lines.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def check(words: list[str]) -> list[str]:
    """The arguments of galaxyvotes in a command; ValueError if the command could not work.

    Of other programs it is checked that what they name is there: the target of make, the extra of
    pip, the script of python; they have no arguments for galaxyvotes.
    """
    match words:
        case ["galaxyvotes", *arguments] | ["torchrun", _, "-m", "galaxyvotes", *arguments]:
            from galaxyvotes.cli.app import app

            app.parse_args(arguments, exit_on_error=False, print_error=False)
            return arguments
        case ["make", *targets]:
            known = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
            missing = set(targets) - set(known)
        case ["pip", "install", *names]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
            extras = project["optional-dependencies"]
            pattern = re.compile(
                rf"(galaxyvotes|\.)\[({'|'.join(extras)})(,({'|'.join(extras)}))*\]"
            )
            missing = {name for name in names if "[" in name and not pattern.fullmatch(name)}
        case ["python3", "-m", "venv", ".venv", "&&", "source", ".venv/bin/activate"]:
            missing = set[str]()
        case ["python", script, *options]:
            path = ROOT / script
            text = path.read_text("utf-8") if path.is_file() else ""
            flags = {option for option in options if option.startswith("--")}
            missing = {flag for flag in flags if f'"{flag}"' not in text} if text else {script}
        case _:
            missing = {words[0]}
    if missing:
        raise ValueError(f"there is no {', '.join(sorted(missing))}")
    return []


def smaller(arguments: list[str]) -> list[str]:
    """The same command on few galaxies and for one epoch."""
    if arguments[0] in _LEARN and "--resume" not in arguments:
        return [*arguments, "--set", "train.epochs=1"]
    if "--galaxies" in arguments:
        arguments = arguments.copy()
        arguments[arguments.index("--galaxies") + 1] = "60"
    return arguments


def run_block(example: Example) -> str | None:
    """Check each command of a block and run those of galaxyvotes; what went wrong, if anything."""
    from cyclopts import CycloptsError

    from galaxyvotes.cli.app import main

    reason, lines = example.parsed
    for words in shell_commands(lines):
        try:
            arguments = check(words)
            if arguments and reason is None:
                main(smaller(arguments))
        except (ValueError, CycloptsError) as error:
            return f"{shlex.join(words)}: {error}"
        except SystemExit as end:
            if end.code:
                return f"{shlex.join(words)} ended with status {end.code}"
    return None


def shell_blocks(document: Document) -> Iterator[Region]:
    """The blocks of shell commands of a page."""
    for match in _BLOCK.finditer(document.text):
        yield Region(match.start(), match.end(), match.group("reason", "lines"), run_block)


def write_file(example: Example) -> None:
    """Write a block that is a file."""
    name, text = example.parsed
    Path(name).write_text(text, "utf-8")


def files(document: Document) -> Iterator[Region]:
    """The blocks of a page that are files."""
    for match in _FILE.finditer(document.text):
        yield Region(match.start(), match.end(), match.group("name", "text"), write_file)


def enter(namespace: dict[str, Any]) -> None:
    """Start a page as a script in a new folder."""
    namespace["__name__"] = "__main__"
    namespace["_before"] = os.getcwd()  # noqa: PTH109
    namespace["_folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)


def leave(namespace: dict[str, Any]) -> None:
    """Go back and remove the folder."""
    os.chdir(namespace["_before"])
    namespace["_folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), shell_blocks, files],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md"],
    setup=enter,
    teardown=leave,
).pytest()
