import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from galaxyvotes import Predictions


@pytest.fixture
def table(tmp_path, kaggle, make_fractions):
    predictions = Predictions(("a", "b"), kaggle.columns, make_fractions(kaggle, 2))
    predictions.write(tmp_path / "answers.csv", kaggle)
    return tmp_path / "answers.csv"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_server_prints_its_address_and_ends_well(table, end):
    command = [sys.executable, "-m", "galaxyvotes", "serve", table, "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        # A shell starts what runs in the background with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(address + "galaxies?sort=-Class1.1") as answered:
            assert b'"matching":2' in answered.read()
        process.send_signal(end)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("place", ["Server._start", "Server.wait", "_open_site"])
def test_a_server_that_is_ended_at_any_moment_ends_well(run, table, monkeypatch, place):
    def ended(*_, **__):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(f"galaxyvotes.web.serve.{place}", ended)
    status, out, err = run("serve", table, "--port", "0")
    assert (status, err) == (0, "")
    assert out.startswith("http://") == (place == "Server.wait")


def test_what_cannot_be_served_is_one_line(run, tmp_path):
    status, _, err = run("serve", tmp_path / "none.parquet", "--port", "0")
    assert (status, err.count("\n"), "cannot be read" in err) == (2, 1, True)
    status, _, err = run("serve", "--images", tmp_path, "--port", "0")
    assert (status, "name the catalogue" in err) == (2, True)
