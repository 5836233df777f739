"""What training prints: one line an epoch, at any width, on a terminal and in a file."""

import re

import pytest
from rich.console import Console

from galaxyvotes.runtime import progress
from galaxyvotes.runtime.counted import duration
from galaxyvotes.training import log
from galaxyvotes.training.log import TrainingLog

ROW = {"epoch": 5, "loss": 0.01234, "validation_loss": 0.01301}


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if "epoch" in line]


@pytest.fixture
def clock(monkeypatch):
    """`clock.now`: the time, which goes on only when a test says so."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(log.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def terminal(monkeypatch):
    """`terminal(width)`: standard error is a terminal of that width."""

    def make(width: int) -> None:
        monkeypatch.setattr(
            progress,
            "Console",
            lambda stderr: Console(stderr=stderr, force_terminal=True, width=width),
        )

    return make


def test_an_epoch_is_one_line_with_what_is_left_in_a_file(clock, capsys):
    with TrainingLog.opened(show=True, epochs=60, galaxies=100, done=400) as shown:
        clock.now += 2
        shown.step(4, 100)
        shown.epoch(ROW, 60)
    assert lines_of(capsys.readouterr().err) == [
        "epoch 5 of 60, loss 0.0123, validation 0.0130, at most 2 min left"
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_an_epoch_is_one_line_of_a_terminal_of_any_width(terminal, capsys, width):
    terminal(width)
    with TrainingLog.opened(show=True, epochs=60, galaxies=100, done=400) as shown:
        shown.epoch(ROW, 60)
    printed = [line for line in capsys.readouterr().err.splitlines() if "5 of 60" in line]
    assert len([line for line in printed if "loss" in line or width == 20]) == 1
    assert all(len(re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]|\r", "", line)) <= width for line in printed)


def test_quick_epochs_are_passed_over_but_for_the_last(clock, capsys):
    with TrainingLog.opened(show=True, epochs=30, galaxies=10, done=0) as shown:
        for epoch in range(30):
            clock.now += 0.1
            shown.epoch(ROW | {"epoch": epoch + 1}, 30)
    numbers = [re.findall(r"epoch (\d+) of 30", line) for line in lines_of(capsys.readouterr().err)]
    assert numbers == [["1"], ["11"], ["21"], ["30"]]


def test_in_a_long_epoch_a_file_has_a_line_a_minute_that_counts_galaxies(clock, capsys):
    with TrainingLog.opened(show=True, epochs=2, galaxies=61_578, done=0) as shown:
        for step in range(1, 241):
            clock.now += 1
            shown.step(0, 256 * step)
    assert lines_of(capsys.readouterr().err) == [
        "epoch 1 of 2, 15,616 of 61,578 galaxies, at most 7 min left",
        "epoch 1 of 2, 31,232 of 61,578 galaxies, at most 6 min left",
        "epoch 1 of 2, 46,848 of 61,578 galaxies, at most 5 min left",
    ]


def test_nothing_is_printed_if_nothing_is_to_be_shown(capsys):
    with TrainingLog.opened(show=False, epochs=2, galaxies=3, done=0) as shown:
        assert shown is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599.0, "1 h"),
        (4200.0, "1 h 10 min"),
        (7200.0, "2 h"),
        (360_000.0, "100 h"),
    ],
)
def test_a_duration_is_rounded_to_what_one_wants_to_know(seconds, words):
    assert duration(seconds) == words
