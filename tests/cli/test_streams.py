"""Standard output as it may be, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GALAXYVOTES = f"{sys.executable} -m galaxyvotes"


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command line of a shell, where $G is galaxyvotes."""
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env=os.environ | {"G": GALAXYVOTES} | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["$G tree kaggle", "$G --help", "$G tree gz9→"])
def test_what_an_encoding_lacks_is_printed_with_backslashes(command):
    done = shell(command, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


def test_a_closed_output_loses_what_is_printed_and_nothing_else(tmp_path):
    out = tmp_path / "tree.toml"
    done = shell(f"$G tree gz2 --out {out} <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert out.read_text().startswith("name")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_is_one_line_and_status_1(unbuffered):
    done = shell("$G tree > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr == "galaxyvotes: cannot write the output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_error_that_cannot_be_printed_keeps_its_status():
    assert shell("$G tree nothing 2> /dev/full").returncode == 2


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "x"},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": ""},
        {"WORLD_SIZE": "2", "RANK": "y"},
    ],
)
def test_a_number_of_processes_that_is_none_is_one_line(variables):
    done = shell("$G train store --out run", **variables)
    assert done.returncode == 2
    assert "in the environment; expected a whole number" in done.stderr
    assert done.stderr.count("\n") == 1
