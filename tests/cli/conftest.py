"""The command line, called as a function."""

from collections.abc import Callable

import pytest

from galaxyvotes.cli.app import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys) -> Run:
    """`run(*arguments)`: exit status, standard output and standard error of a command."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
