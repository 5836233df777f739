import sys

import pytest
from rich.console import Console

from galaxyvotes.runtime import progress
from galaxyvotes.runtime.progress import announce, bar, counting


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal."""
    monkeypatch.setattr(
        progress, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=80)
    )


def test_a_terminal_shows_what_is_done_and_of_how_many(terminal, capsys):
    with counting("packing", 7) as advance:
        advance(3, 7)
    shown = capsys.readouterr()
    assert "packing" in shown.err
    assert "3/7" in shown.err
    assert shown.out == ""


def test_the_total_may_change_on_the_way(terminal):
    with bar() as shown:
        task = shown.add_task("reading", total=1)
        shown.update(task, completed=2, total=5)
        assert (shown.tasks[0].completed, shown.tasks[0].total) == (2, 5)


@pytest.mark.parametrize("show", [True, False])
def test_a_log_stays_silent(show, capsys):
    assert not sys.stderr.isatty()
    with counting("packing", 7, show=show) as advance:
        advance(3, 7)
    assert capsys.readouterr().err.strip() == ""


def test_a_terminal_stays_silent_if_it_is_asked_to(terminal, capsys):
    with bar(show=False) as shown:
        shown.add_task("counting", total=1)
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize("show", [True, False])
def test_a_command_is_announced_in_one_line_however_long_it_is(show, capsys):
    command = "galaxyvotes predict " + "a-long-name/" * 30
    announce(command, show=show)
    assert capsys.readouterr().err == (f"$ {command}\n" if show else "")
