"""What several processes share when they learn one network: each batch, what they add up, and one
that writes.

    torchrun --nproc-per-node=2 -m galaxyvotes train STORE --out RUN

Each process learns from its share of every batch, and all take the same step: torch's
DistributedDataParallel adds up their gradients. The first process alone writes.

The networks are those of a single process but for rounding and for what galaxies of a batch do to
each other: on GPUs batch norm has the statistics of the whole batch (SyncBatchNorm), on CPUs each
process has those of its share, and dropout draws other masks in each process.

torchrun names the processes in the environment. Without it a process is alone, and nothing here
calls torch.distributed. The processes of several computers need a folder that all of them see.
"""

import atexit
import gc
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import counted

__all__ = [
    "all_processes",
    "any_of",
    "connect",
    "count",
    "first",
    "first_finds",
    "parallel",
    "rank",
    "summed",
]

# What torch's errors say of a process that answers no more, of Gloo and of NCCL.
_ENDED = ("connection reset", "connection closed", "broken pipe", "remote process exited")


def count() -> int:
    """The number of processes; ConfigError if the environment has none that is possible."""
    return _from_environment("WORLD_SIZE", 1, least=1)


def rank() -> int:
    """The number of this process, from 0; ConfigError as `count`."""
    return _from_environment("RANK", 0) if count() > 1 else 0


def _from_environment(name: str, default: int, *, least: int = 0) -> int:
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ConfigError(
            f"{name} is {text!r} in the environment; expected a whole number from {least} on:"
            f" start several processes with torchrun, or unset {name}"
        )
    return int(text)


def connect(device: torch.device) -> torch.device:
    """The device of this process, a GPU for each on a computer, once all processes are connected.

    Raises ConfigError if they cannot be.
    """
    if count() == 1:
        return device
    own = device if device.type == "cpu" else _own_gpu(device)
    if not distributed.is_available():
        raise ConfigError(f"WORLD_SIZE is {count()}, but this torch has no torch.distributed")
    if not distributed.is_initialized():
        # Its functions have the group of processes as a default argument. Imported later, as
        # DistributedDataParallel does, they would keep the group, and its threads, beyond the end.
        import_module("torch.distributed.nn.functional")
        try:
            distributed.init_process_group("gloo" if own.type == "cpu" else "cpu:gloo,cuda:nccl")
        except ValueError as error:
            raise ConfigError(
                f"WORLD_SIZE is {count()}, but {error}: start with torchrun, or unset WORLD_SIZE"
            ) from None
        atexit.register(_disconnect)
    return own


def _own_gpu(device: torch.device) -> torch.device:
    local = _from_environment("LOCAL_RANK", rank())
    if str(device) != "cuda" or local >= torch.cuda.device_count():
        raise ConfigError(
            f"{counted(count(), 'process')} on `device={str(device)!r}`: each takes a GPU of its"
            f" own, and this one would take number {local} of {torch.cuda.device_count()}: start"
            " fewer, or name cuda without a number, or cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _disconnect() -> None:
    """Leave when all others do, and end torch's threads: they may abort an interpreter that ends
    while they run.
    """
    gc.collect()  # a DistributedDataParallel that nobody uses any more holds these threads
    with suppress(RuntimeError):  # a process that has failed does not come
        work = distributed.all_reduce(torch.zeros(1), async_op=True)
        assert work is not None
        work.wait(timedelta(seconds=10))
    distributed.destroy_process_group()


def parallel(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """What to call instead of the module, so that its gradients are the mean over all processes."""
    # Static: a part of the network that has no part in the loss may stay without gradient.
    return module if count() == 1 else DistributedDataParallel(module, static_graph=True)


def summed(numbers: Tensor) -> Tensor:
    """The sum of each number over all processes, on its device."""
    if count() > 1:
        distributed.all_reduce(numbers)
    return numbers


def any_of(*truths: bool) -> tuple[bool, ...]:
    """Whether each is true in any process, so that all of them do the same."""
    processes = summed(torch.tensor(truths, dtype=torch.int32))
    return tuple(bool(number) for number in processes)


def first_finds(truth: bool) -> bool:
    """What the first process finds, which may have changed by the time that another looks."""
    return any_of(truth and rank() == 0)[0]


@contextmanager
def all_processes(remedy: str) -> Generator[None]:
    """What all processes do together; a DataError with a remedy where another one has ended, as one
    does that the system kills for want of memory.
    """
    try:
        yield
    except RuntimeError as error:  # torch's own types of errors are these
        if count() == 1 or not any(phrase in str(error).lower() for phrase in _ENDED):
            raise
        raise DataError(
            f"another process of the {count()} has ended: it says why, unless the system has killed"
            f" it, which lacks memory then. {remedy}"
        ) from None


def first(action: Callable[[], object]) -> None:
    """Let the first process do something, for which the others wait.

    Raises its error there, and DataError in the others.
    """
    error = None
    if rank() == 0:
        try:
            action()
        except Exception as raised:
            error = raised
    (failed,) = any_of(error is not None)
    if error is not None:
        raise error
    if failed:
        raise DataError(f"process {rank()} ends because the first one failed, which says why")
