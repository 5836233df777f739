"""Two processes that learn one network, beside one that learns it alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxyvotes import ConfigError, Recipe, Run, Store, finetune, train
from galaxyvotes.cli.app import main
from galaxyvotes.runs.tensors import read_tensors
from galaxyvotes.runtime import distributed
from galaxyvotes.training.batches import TrainingBatches

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch knows no other processes"
)

# float32, because bfloat16 rounds more than a wrong sum might show. With augment sky, clipping,
# average and dropout.
OURS = ("model.width=8", "train.epochs=2", "train.batch_size=10", "train.precision=float32")

# What both processes do, in one go, because it takes longer to import torch than to train.
SCRIPT = """
import faulthandler, os, signal, sys
faulthandler.dump_traceback_later(240, exit=True)  # says where they wait for each other
from importlib import import_module
from galaxyvotes import ConfigError, DataError, finetune, train
from galaxyvotes.runtime import distributed
from galaxyvotes.cli.app import main

store, out, ours, papers = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
training, rank = import_module("galaxyvotes.training.loop"), distributed.rank()
step, to_input = training._Training._step, training.to_input

def go(name, recipe="compact", settings=ours):
    try:
        train(store, f"{out}/{name}", recipe=recipe, settings=tuple(settings), progress=False)
    except (ConfigError, DataError, KeyboardInterrupt) as end:
        print(f"{type(end).__name__}: {end}")

go("papers", "paper", papers)
go("papers", "paper", papers)
finetune(store, f"{out}/tuned", start=f"{out}/papers", settings=tuple(ours[1:]), progress=False)

def stopped(self, images, said):
    step(self, images, said)
    if self.position.step == 3 and rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)

training._Training._step = stopped
go("stopped")
training._Training._step = step

training.to_input = lambda images: to_input(images) / (1 - rank)
go("diverged")
training.to_input = to_input

try:
    distributed.first(lambda: 1 / 0)
except (ZeroDivisionError, DataError) as end:
    print(f"{type(end).__name__}: {end}")

main(["train", store, "--out", f"{out}/ours", "--recipe", "compact", *(f"--set={each}" for each in ours)])
"""


def papers(store: Store) -> tuple[str, ...]:
    """The paper's recipe, with a last batch of one galaxy, of which one process has none."""
    size = len(store.rows("train")) - 1
    return (
        "train.epochs=2",
        f"train.batch_size={size}",
        "train.precision=float32",
        "train.learning_rate=1e-4",
    )


@pytest.fixture(scope="module")
def together(blob_store: Store, tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder with the runs of two processes, and what each of them printed."""
    out = tmp_path_factory.mktemp("together")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    settings = [",".join(each) for each in (OURS, papers(blob_store))]
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                SCRIPT,
                str(blob_store.path),
                str(out),
                *settings,
            ],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        said = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0]
    return out, said


def assert_alike(run: Path, other: Path) -> None:
    """The same network and history but for rounding: of gradients, which Adam makes larger where
    they are small."""
    weights, others = (read_tensors(each / "weights.safetensors")[0] for each in (run, other))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(
            tensor, others[name], atol=2e-5, rtol=1e-4, msg=lambda told, n=name: f"{n}: {told}"
        )
    history, others = (
        [dict(row, seconds=0) for row in Run.open(each).history] for each in (run, other)
    )
    assert len(history) == len(others)
    for row, its in zip(history, others, strict=True):
        assert row == pytest.approx(its, rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def alone(blob_store, tmp_path_factory) -> Path:
    """The run of one process."""
    out = tmp_path_factory.mktemp("alone") / "ours"
    return train(blob_store, out, recipe="compact", settings=OURS, progress=False).path


def test_two_processes_learn_the_network_that_one_learns_alone(together, alone):
    assert_alike(together[0] / "ours", alone)


def test_batch_norm_and_dropout_see_the_whole_batch_even_where_one_process_has_no_galaxy(
    together, blob_store, tmp_path
):
    run = train(
        blob_store, tmp_path / "run", recipe="paper", settings=papers(blob_store), progress=False
    )
    assert_alike(together[0] / "papers", run.path)


def test_two_processes_finetune_as_one_does(together, blob_store, tmp_path):
    start = together[0] / "papers"
    run = finetune(blob_store, tmp_path / "run", start=start, settings=OURS[1:], progress=False)
    assert_alike(together[0] / "tuned", run.path)


def test_the_first_process_writes_and_prints_and_nothing_else_is_left(together, alone):
    out, (said, others) = together
    assert sorted(path.name for path in out.iterdir()) == [
        "diverged",
        "ours",
        "papers",
        "stopped",
        "tuned",
    ]
    assert sorted(path.name for path in (out / "ours").iterdir()) == sorted(
        path.name for path in alone.iterdir()
    )
    assert "ours: 2 epochs" in said
    assert "2 epochs" not in others


def test_a_signal_to_one_stops_all_and_one_alone_goes_on_to_the_same_end(
    together, alone, blob_store
):
    out, said = together
    assert all("KeyboardInterrupt: stopped in epoch 1" in each for each in said)
    assert read_tensors(out / "stopped" / "state.safetensors")[1]["step"] == 3
    with pytest.warns(
        UserWarning, match="begun with 2 processes and 1 threads and goes on with 1 processes"
    ):
        train(blob_store, out / "stopped", resume=True, progress=False)
    assert_alike(out / "stopped", alone)


def test_an_error_in_one_process_is_an_error_in_all(together):
    out, said = together
    for each in said:
        assert "ConfigError:" in each
        assert "papers exists already: continue it with --resume" in each
        assert "DataError: the network's output is no number any more" in each
    assert "ZeroDivisionError" in said[0]
    assert "DataError: process 1 ends because the first one failed" in said[1]
    assert not (out / "diverged" / "weights.safetensors").exists()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("galaxies", [0, 1, 6, 64])
def test_the_shares_of_all_processes_are_the_batch_and_differ_by_one_at_most(
    monkeypatch, count, galaxies
):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    parts = []
    for rank in range(count):
        monkeypatch.setenv("RANK", str(rank))
        share = distributed.share_of(galaxies)
        assert share.of == galaxies
        parts.append(np.arange(galaxies)[share.place])
    assert np.concatenate(parts).tolist() == list(range(galaxies))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_cannot_work_in_several_processes_is_refused(
    monkeypatch, capsys, blob_store, tmp_path
):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "images", "--out", "answers.csv"])
    assert "predict runs in one process, and here are 3" in capsys.readouterr().err
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ConfigError,
        match=r"RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set: start with torchrun",
    ):
        train(blob_store, tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match=r"train\.batch_size is 2, and there are 3 processes"):
        _ = TrainingBatches.of([blob_store], Recipe.load("small", ("train.batch_size=2",))).quotas
    assert not (tmp_path / "run").exists()


def test_alone_nothing_asks_for_other_processes(monkeypatch, blob_store, tmp_path):
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("a process alone spoke to others")

    for name in ("init_process_group", "all_reduce", "broadcast", "barrier"):
        monkeypatch.setattr(torch.distributed, name, asked)
    assert train(
        blob_store, tmp_path / "run", recipe="compact", settings=OURS, progress=False
    ).finished
