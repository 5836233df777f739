"""One writer at a time, who is named; a lock ends with its process."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.locks import locked, locked_folder

HOLD = """
import sys, time
from pathlib import Path
from galaxyvotes.runtime import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold():
    """Another process that holds a path until the test ends, or it is killed."""
    holders = []

    def start(lock, path):
        command = [sys.executable, "-c", HOLD, lock.__name__, str(path)]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("lock", [locked, locked_folder])
def test_who_comes_second_is_told_who_writes(tmp_path, hold, lock):
    path = tmp_path / "out"
    holder = hold(lock, path)
    expected = rf"out is being written by process {holder.pid} on .*since .*: wait"
    with pytest.raises(DataError, match=expected), lock(path):
        pass


@pytest.mark.parametrize("lock", [locked, locked_folder])
def test_the_lock_of_a_process_that_was_killed_holds_nobody_up(tmp_path, hold, lock):
    path = tmp_path / "out"
    holder = hold(lock, path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock(path):
        pass


def test_nothing_is_left_beside_a_file(tmp_path):
    with locked(tmp_path / "new" / "answers.csv"):
        assert [file.name for file in (tmp_path / "new").iterdir()] == [".answers.csv.lock"]
    assert not list((tmp_path / "new").iterdir())


def test_two_threads_of_one_process_do_not_write_one_file(tmp_path):
    path = tmp_path / "answers.csv"

    def second():
        with locked(path):
            pass

    with locked(path), ThreadPoolExecutor(1) as pool:
        future = pool.submit(second)
        with pytest.raises(DataError, match=f"process {os.getpid()} "):
            future.result()
    second()


def test_a_holder_who_cannot_be_read_is_another_process(tmp_path, hold):
    path = tmp_path / "answers.csv"
    hold(locked, path)
    (tmp_path / ".answers.csv.lock").write_text("[]")
    with pytest.raises(DataError, match="by another process: wait"), locked(path):
        pass


def test_where_nothing_can_be_written_the_reason_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "answers.csv"
    with pytest.raises(DataError, match=r"cannot write into .*file: Not a"), locked(path):
        pass
