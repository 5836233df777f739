"""Jobs whose rows the actors of a Ray cluster compute: one cluster of two workers for all tests."""

import dataclasses
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galaxyvotes import ConfigError, DataError, MissingExtraError, Predicted, merge, predict
from galaxyvotes.inference import cluster as cluster_module
from galaxyvotes.inference import parts
from galaxyvotes.inference.cluster import Cluster, connected
from galaxyvotes.inference.opened import Opened


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine, which `predict` then finds, whatever address it is given."""
    pytest.importorskip("ray", reason="Ray is not installed")
    with connected("local", "cpu", 2) as joined:
        yield joined


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(parts, "BLOCK", 16)


@pytest.fixture
def images(blobs, tmp_path) -> Path:
    """Eighty images and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in blobs.rglob("*.jpg"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "g9.5.jpg").write_bytes(b"broken")
    return folder


@pytest.fixture
def table(images) -> Path:
    """A table of the same, with a row whose image is not there."""
    names = ["gone.jpg", *sorted(path.name for path in images.iterdir())]
    rows = "".join(f"{number},images/{name}\n" for number, name in enumerate(names))
    path = images.parent / "table.csv"
    path.write_text("n,file\n" + rows)
    return path


def workers_of_this_process() -> list[int]:
    """The processes of Ray's actors of ours that this one has started, at any remove."""
    parents: dict[int, int] = {}
    workers: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(state[1])
        if command.startswith(b"ray::Worker"):
            workers.append(int(folder.name))

    def is_ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return [worker for worker in workers if is_ours(worker)]


@pytest.fixture
def kill_a_worker(monkeypatch) -> Callable[[], None]:
    """Kills a worker when the first block of rows is written, once a test; then called, it asserts
    that there was one."""
    if sys.platform != "linux":
        pytest.skip("the workers are found in /proc")
    killed: list[int] = []
    write = parts.Parts.write

    def kill_then_write(self, *block):
        if not killed:
            killed.append(workers_of_this_process()[0])
            os.kill(killed[0], signal.SIGKILL)
        write(self, *block)

    monkeypatch.setattr(parts.Parts, "write", kill_then_write)
    return lambda: killed.clear() if killed else pytest.fail("nothing was killed")


def test_a_table_is_that_of_one_process_although_a_worker_is_killed(
    cluster, small_blocks, blob_run, table, tmp_path, kill_a_worker
):
    how = {"run": blob_run, "progress": False}
    done = predict(table, tmp_path / "out.csv", **how, ray="local", workers=2)
    kill_a_worker()
    whole = predict(table, **how)
    assert_same(done, whole)
    assert ", tree class, on 2 Ray workers with a core each, in " in done.made_by


@pytest.mark.real_data
def test_real_galaxies_are_predicted_as_by_one_process_although_a_worker_is_killed(
    cluster, small_blocks, shared_data, tmp_path, kill_a_worker
):
    with zipfile.ZipFile(shared_data / "gz2" / "images.zip") as file:
        for name in [name for name in file.namelist() if name.endswith(".jpg")][:64]:
            (tmp_path / Path(name).name).write_bytes(file.read(name))
    done = predict(tmp_path, tmp_path / "out.csv", progress=False, ray="local", workers=2)
    kill_a_worker()
    assert_same(done, predict(tmp_path, progress=False))


def assert_same(done: Predicted, whole: Predicted) -> None:
    assert (done.galaxies, done.rejected, done.sample.ids, done.notes) == (
        whole.galaxies,
        whole.rejected,
        whole.sample.ids,
        whole.notes,
    )
    assert done.ids == whole.ids
    assert np.array_equal(done.values, whole.values, equal_nan=True)
    if whole.familiarity is not None:
        assert np.array_equal(done.familiarity, whole.familiarity, equal_nan=True)


def test_jobs_with_and_without_ray_go_on_with_each_other_s_rows(
    cluster, small_blocks, blob_run, images, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    whole = predict("images", "whole.csv", run=blob_run, progress=False)
    predict("images", "out.csv", shard="1/2", run=blob_run, progress=False)
    on_ray = {"run": blob_run, "progress": False, "ray": "auto", "workers": 1}
    predict("images", "out.csv", shard="2/2", **on_ray)
    again = predict("images", "out.csv", shard="2/2", run=blob_run, progress=False)
    rows = again.galaxies + len(again.rejected)
    assert again.notes[0] == f"{rows} of {rows} rows were predicted by an earlier attempt"
    merged = merge("out.csv")
    assert (len(merged.rejected), merged.rejected) == (1, whole.rejected)
    assert merged.path.read_bytes() == whole.path.read_bytes()


def test_an_error_in_a_worker_is_raised_as_it_is(cluster, blob_run, blobs, monkeypatch):
    """The worker's job has other settings, as one of another version would."""
    plan = Opened.plan

    def other_plan(self, shard):
        ours = plan(self, shard)
        return dataclasses.replace(ours, facts={**ours.facts, "model": "another"})

    monkeypatch.setattr(Opened, "plan", other_plan)
    with pytest.raises(ConfigError, match=r"a worker of Ray on .* has another model or calib"):
        predict(blobs, run=blob_run, ray="local", workers=1, progress=False)


def one_worker(cluster: Cluster) -> Cluster:
    return Cluster(cluster.ray, 1, 1, 0)


def test_rows_of_an_ended_worker_are_computed_again_and_those_that_end_every_one_are_named(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster_module, "MOST_LOST", 2)

    class Worker:
        def start(self):
            pass

        def parts(self, start, stop):
            import os

            ended = tmp_path / "ended"
            if start == 30 or (start == 10 and not ended.exists()):
                ended.touch()
                os._exit(1)
            return [start]

    with one_worker(cluster).start(Worker) as pool:
        computed = pool.computed(iter([(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]))
        assert [next(computed) for _ in range(3)] == [[0], [10], [20]]
        with pytest.raises(DataError, match=r"2 workers of Ray have ended .* rows 30 to 39"):
            next(computed)


def test_workers_that_end_while_they_start_stop_the_job(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "MOST_LOST", 1)

    class Worker:
        def start(self):
            import os

            os._exit(1)

    with (
        one_worker(cluster).start(Worker) as pool,
        pytest.raises(DataError, match="all workers of Ray have ended while they started"),
    ):
        next(pool.computed(iter([(0, 10)])))


@pytest.mark.parametrize(
    ("given", "message"),
    [({"device": "mps"}, "auto, cpu or cuda"), ({"workers": 0}, "workers is 0; expected 1 or")],
)
def test_what_ray_does_not_give_is_refused(cluster, blobs, blob_run, given, message):
    with pytest.raises(ConfigError, match=message):
        predict(blobs, run=blob_run, ray="local", **given)


def test_without_ray_the_error_says_how_to_install_it(blobs, blob_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"this needs Ray.*galaxyvotes\[ray\]"):
        predict(blobs, run=blob_run, ray="local")
