"""The command line, called as a function."""

import re
from collections.abc import Callable

import pytest

from galaxyvotes.cli.app import main

Run = Callable[..., tuple[int, str, str]]
PYTHON = re.compile(r"`\w+=|`galaxyvotes\.|Settings\(")


@pytest.fixture
def run(capsys) -> Run:
    """`run(*arguments)`: exit status, standard output and standard error of a command, which speak
    no Python.
    """

    def call(*arguments: object) -> tuple[int, str, str]:
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        assert not PYTHON.search(captured.out + captured.err), "the command line speaks Python"
        return status, captured.out, captured.err

    return call
