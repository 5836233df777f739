"""Two processes that learn one network, beside one that learns it alone.

Batch norm and dropout are different in several processes on a CPU, so the networks that must be the
same have neither: an encoder of timm's with layer norm.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from galaxyvotes import ConfigError, Run, Store, finetune, train
from galaxyvotes.runs.tensors import read_tensors
from galaxyvotes.runtime import distributed

pytest.importorskip("timm")
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no torch.distributed"
)

# With augmentation, clipping and average; in float32, because bfloat16 rounds more than a wrong sum
# might change.
COMMON = ("train.epochs=2", "train.precision=float32")
EXACT = (*COMMON, "train.batch_size=10", "model.name=timm:test_convnext", "model.dropout=0")
NORMS = ("train.epochs=1", "train.precision=float32", "train.batch_size=11", "model.width=8")
NORMS += ("train.learning_rate=1e-9", "train.augment=none", "train.average=0")
FROZEN = (*COMMON, "train.batch_size=10", "train.encoder_rate=0")

# What both processes do, in one go, because it takes longer to import torch than to train.
SCRIPT = """
import atexit, faulthandler, json, os, signal, sys
faulthandler.dump_traceback_later(240, exit=True)  # shows where they wait for each other
from galaxyvotes import ConfigError, DataError, finetune, train
from galaxyvotes.cli.app import main
from galaxyvotes.runtime import distributed
from galaxyvotes.training import learner, loop

store, out, settings, rank = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), distributed.rank()

def print_threads():  # registered first, so called last
    names = [open(f"/proc/self/task/{each}/comm").read() for each in os.listdir("/proc/self/task")]
    print("threads of torch:", sum("gloo" in name for name in names), file=sys.__stdout__)

if os.path.isdir("/proc/self/task"):
    atexit.register(print_threads)

init, learn, to_input = learner.Learner.__init__, learner.Learner.learn, learner.to_input
learners = []

def go(name, kind=None, work=train, **more):
    try:
        work(store, f"{out}/{name}", settings=tuple(settings[kind or name]), progress=False, **more)
    except (ConfigError, DataError, KeyboardInterrupt) as end:
        print(f"{type(end).__name__}: {end}")

def remembered(self, *arguments):
    init(self, *arguments)
    learners.append(self)

learner.Learner.__init__ = remembered
go("norms", recipe="compact")
sums = [tensor.double().sum().item() for tensor in learners[0].module.state_dict().values()]
print("sums", sums)
learners.clear()
learner.Learner.__init__ = init
go("small", recipe="compact")
go("small", recipe="compact")
go("frozen", work=finetune, start=f"{out}/small")
go("tuned", work=finetune, start=f"{out}/small")

def stopped(self, *arguments, **more):
    sums = learn(self, *arguments, **more)
    steps.append(1)
    if len(steps) == 3 and rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return sums

steps = []
learner.Learner.learn = stopped
go("stopped", "exact", recipe="compact")
learner.Learner.learn = learn

learner.to_input = lambda images: to_input(images) / (1 - rank)
go("diverged", "exact", recipe="compact")
learner.to_input = to_input

try:
    distributed.first(lambda: 1 / 0)
except (ZeroDivisionError, DataError) as end:
    print(f"{type(end).__name__}: {end}")

sets = [f"--set={each}" for each in settings["exact"]]
main(["train", store, "--out", f"{out}/exact", "--recipe", "compact", *sets])
"""


def settings_of(store: Store) -> dict[str, tuple[str, ...]]:
    """The settings of each run; "small" has a last batch of one galaxy, and one process none."""
    size = len(store.rows("train")) - 1
    small = (*EXACT, f"train.batch_size={size}", "train.learning_rate=1e-4")
    return {"exact": EXACT, "norms": NORMS, "small": small, "frozen": FROZEN, "tuned": FROZEN[:-1]}


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
                json.dumps(settings_of(blob_store)),
            ],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        printed = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0]
    return out, printed


def assert_alike(run: Path, other: Path) -> None:
    """The same network and history but for rounding: of gradients, which Adam makes larger where
    they are small."""
    weights, others = (read_tensors(each / "weights.safetensors")[0] for each in (run, other))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(
            tensor,
            others[name],
            atol=2e-5,
            rtol=1e-4,
            msg=lambda message, n=name: f"{n}: {message}",
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
    out = tmp_path_factory.mktemp("alone") / "exact"
    return train(blob_store, out, recipe="compact", settings=EXACT, progress=False).path


def test_two_processes_learn_the_network_without_batch_norm_that_one_learns(together, alone):
    assert_alike(together[0] / "exact", alone)


def test_they_do_so_where_one_of_them_has_no_galaxy_of_the_last_batch(
    together, blob_store, tmp_path
):
    settings = settings_of(blob_store)["small"]
    run = train(blob_store, tmp_path / "run", recipe="compact", settings=settings, progress=False)
    assert_alike(together[0] / "small", run.path)


@pytest.mark.parametrize("kind", ["tuned", "frozen"])
def test_two_processes_finetune_as_one_does(together, blob_store, tmp_path, kind):
    settings = settings_of(blob_store)[kind]
    start = together[0] / "small"
    run = finetune(blob_store, tmp_path / "run", start=start, settings=settings, progress=False)
    assert_alike(together[0] / kind, run.path)


def test_running_means_of_batch_norms_are_those_of_the_whole_batches(
    together, blob_store, tmp_path
):
    """Weights hardly move here, so the first norm has the same input in two processes and in one;
    shares of the last batch are one galaxy and none."""
    run = train(blob_store, tmp_path / "run", recipe="compact", settings=NORMS, progress=False)
    one, two = (
        read_tensors(path / "weights.safetensors")[0] for path in (run.path, together[0] / "norms")
    )
    torch.testing.assert_close(one["norm.running_mean"], two["norm.running_mean"])
    assert not torch.equal(one["norm.running_var"], torch.ones_like(one["norm.running_var"]))
    torch.testing.assert_close(
        one["norm.running_var"], two["norm.running_var"], rtol=0.05, atol=1e-4
    )


def test_both_processes_end_with_the_same_network_batch_norms_included(together):
    sums = [
        line for printed in together[1] for line in printed.splitlines() if line.startswith("sums")
    ]
    assert len(sums) == 2
    assert sums[0] == sums[1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no list of threads")
def test_threads_of_torch_have_ended_before_the_interpreter_does(together):
    """They would abort one in ten ends of two processes otherwise."""
    assert all("threads of torch: 0" in printed for printed in together[1])


def test_the_first_process_writes_and_prints_and_nothing_else_is_left(together, alone):
    out, (printed, others) = together
    assert sorted(path.name for path in out.iterdir()) == [
        "diverged",
        "exact",
        "frozen",
        "norms",
        "small",
        "stopped",
        "tuned",
    ]
    assert sorted(path.name for path in (out / "exact").iterdir()) == sorted(
        path.name for path in alone.iterdir()
    )
    assert "exact: 2 epochs" in printed
    assert "2 epochs" not in others


def test_a_signal_to_one_stops_all_and_one_alone_goes_on_to_the_same_end(
    together, alone, blob_store
):
    out, printed = together
    assert all("KeyboardInterrupt: stopped in epoch 1" in each for each in printed)
    assert read_tensors(out / "stopped" / "state.safetensors")[1]["step"] == 3
    with pytest.warns(
        UserWarning, match="begun with 2 processes and 1 thread and goes on with 1 process"
    ):
        train(blob_store, out / "stopped", resume=True, progress=False)
    assert_alike(out / "stopped", alone)


def test_an_error_in_one_process_is_an_error_in_all(together):
    out, printed = together
    for each in printed:
        assert "ConfigError:" in each
        assert "small exists already" in each
        assert "DataError: the network's output became NaN or infinite" in each
    assert "ZeroDivisionError" in printed[0]
    assert "DataError: process 1 ends because the first one failed" in printed[1]
    assert not (out / "diverged" / "weights.safetensors").exists()


def test_several_processes_without_torchrun_are_refused(monkeypatch, blob_store, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ConfigError, match=r"WORLD_SIZE is 3, but .*RANK expected, but not set: start with torchrun"
    ):
        train(blob_store, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_several_processes_on_a_gpu_with_a_number_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ConfigError, match=r"2 processes on `device='cuda:0'`: each takes a GPU"):
        distributed.connect(torch.device("cuda:0"))


def test_a_process_alone_never_calls_torch_distributed(monkeypatch, blob_store, tmp_path):
    def called(*_: object, **__: object) -> None:
        raise AssertionError("a process alone called torch.distributed")

    for name in ("init_process_group", "all_reduce", "broadcast", "barrier"):
        monkeypatch.setattr(torch.distributed, name, called)
    assert train(
        blob_store, tmp_path / "run", recipe="compact", settings=NORMS, progress=False
    ).finished
