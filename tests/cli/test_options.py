from pathlib import Path

import pytest

from galaxyvotes import ConfigError
from galaxyvotes.cli.options import named


def test_paths_that_are_named_are_given_back():
    assert named((Path("a"), Path("b")), "pack") == (Path("a"), Path("b"))


def test_an_ensemble_needs_two_runs():
    with pytest.raises(ConfigError, match=r"usage: galaxyvotes ensemble RUN RUN \[RUN \.\.\.\]"):
        named((Path("a"),), "ensemble", least=2)


@pytest.mark.parametrize(
    "arguments", [("pack", "--out", "x"), ("predict", "--run", "r", "--out", "o.csv")]
)
def test_a_command_that_has_nothing_to_read_shows_its_usage(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2
    assert f"nothing to read is named; usage: galaxyvotes {arguments[0]} " in err
