"""What several processes share: each batch, what they add up, and one that writes.

    torchrun --nproc-per-node=2 -m galaxyvotes train STORE RUN

The network is learned by all of them as by one, but for rounding. Each learns from its share of
every batch, and all take the same step: gradients are added up, batch norm has mean and variance of
the whole batch, and what is random is drawn for the whole batch by everybody, who then takes their
share of it. The first process alone writes.

torchrun says in the environment who is who. Without it a process is alone, and nothing here calls
torch.distributed. The processes of several computers need a folder they all see.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from galaxyvotes.errors import ConfigError, DataError

__all__ = [
    "Share",
    "add_gradients",
    "added",
    "among_several",
    "anyone",
    "as_one_batch",
    "count",
    "first",
    "first_found",
    "gathered",
    "meet",
    "rank",
    "share_of",
    "stop_signal",
    "total",
]


class Share(NamedTuple):
    """The place of a process's galaxies in a batch, and how many the whole batch has."""

    place: slice
    of: int


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def share_of(galaxies: int) -> Share:
    """This process's share of so many galaxies; empty for some if there are fewer than
    processes.
    """
    start, stop = (galaxies * place // count() for place in (rank(), rank() + 1))
    return Share(slice(start, stop), galaxies)


def among_several(arguments: Sequence[str]) -> None:
    """Refuse a command that runs in one process; of one that runs in several, only the first
    process prints.
    """
    if count() == 1:
        return
    command = next(iter(arguments), "")
    if command not in ("train", "finetune"):
        raise ConfigError(
            f"galaxyvotes {command} runs in one process, and here are {count()}: start it without"
            " torchrun; train and finetune run in several"
        )
    if rank():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def meet(device: torch.device) -> torch.device:
    """The device of this process, a GPU for each on a computer, once all processes have met.

    They part when they end: to meet again at the same address, one could come before another has
    left.
    """
    if count() == 1:
        return device
    own = _own(device)
    if not distributed.is_initialized():
        distributed.init_process_group("gloo" if own.type == "cpu" else "cpu:gloo,cuda:nccl")
        atexit.register(_part)
    return own


def _part() -> None:
    """Leave the others once they have come as far; left to the interpreter's end, torch's threads
    may abort that.
    """
    with suppress(RuntimeError):  # one that has failed comes no more
        met = distributed.all_reduce(torch.zeros(1), async_op=True)
        assert met is not None
        met.wait(timedelta(seconds=10))
    distributed.destroy_process_group()


def _own(device: torch.device) -> torch.device:
    if not distributed.is_available():
        raise ConfigError(
            f"WORLD_SIZE is {count()}, but this torch knows no other processes: train in one"
        )
    missing = [
        name
        for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
        if name not in os.environ
    ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {count()}, but {', '.join(missing)} is not set: start with torchrun, or"
            " unset WORLD_SIZE"
        )
    if device.type == "cpu":
        return device
    local = int(os.environ["LOCAL_RANK"])
    if str(device) != "cuda" or local >= torch.cuda.device_count():
        raise ConfigError(
            f"{count()} processes on --device {device}: each takes a GPU of its own, and this one"
            f" would take number {local} of {torch.cuda.device_count()}: start fewer, or name cuda"
            " without a number, or cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def total(*values: float) -> tuple[float, ...]:
    """The sum of each value over all processes, which all ask at the same time."""
    if count() == 1:
        return values
    sums = _added(torch.tensor(values, dtype=torch.float64))
    return tuple(float(each) for each in sums)


def added(sums: Tensor) -> Tensor:
    """The sum of each number over all processes, on the device where it stands; nobody waits for it
    yet.
    """
    return sums if count() == 1 else _added(sums)


def anyone(*truths: bool) -> tuple[bool, ...]:
    """Whether each is true for any process, so that all of them do the same."""
    return tuple(found > 0 for found in total(*map(float, truths)))


def first_found(truth: bool) -> bool:
    """What the first process found, which may have changed by the time another looks."""
    return anyone(truth and rank() == 0)[0]


def first(action: Callable[[], object]) -> None:
    """Let the first process do something, for which the others wait; an error there is an error
    everywhere.
    """
    if count() == 1:
        action()
        return
    failed = None
    if rank() == 0:
        try:
            action()
        except Exception as error:
            failed = error
    (somewhere,) = anyone(failed is not None)
    if failed is not None:
        raise failed
    if somewhere:
        raise DataError(f"process {rank()} ends because the first one failed, which says why")


def gathered(
    find: Callable[[Int[np.ndarray, " part"]], Float32[np.ndarray, "part answer"]],
    rows: Int[np.ndarray, " galaxy"],
) -> Float32[np.ndarray, "galaxy answer"]:
    """What `find` gives for rows, each process having found its share."""
    if count() == 1:
        return find(rows)
    place = share_of(len(rows)).place
    part = find(rows[place])
    whole = torch.zeros(len(rows), part.shape[1])
    whole[place] = torch.from_numpy(part)
    return _added(whole).numpy()


def add_gradients(module: nn.Module) -> None:
    """Make each gradient the sum over all processes, in one message."""
    if count() == 1:
        return
    gradients = [each.grad for each in module.parameters() if each.grad is not None]
    sums = _added(torch.cat([each.flatten() for each in gradients]))
    parts: Sequence[Tensor] = torch.split(sums, [each.numel() for each in gradients])
    for each, part in zip(gradients, parts, strict=True):
        each.copy_(part.view(each.shape))


def as_one_batch(
    module: nn.Module, images: Float[Tensor, "galaxy 3 side side"], share: Share
) -> Float[Tensor, "galaxy output"]:
    """What a network makes of a share, with batch norm and dropout as they would be with the whole
    batch.
    """
    if count() == 1:
        return module(images)
    with _OneBatch(share):
        if len(images):
            return module(images)
        # Kernels crash without a galaxy; a black one, which counts for nothing, keeps step with the
        # other processes.
        return module(images.new_zeros(1, *images.shape[1:]))[:0]


class _OneBatch(TorchFunctionMode):
    """Stands between any network, of ours or of timm's, and the two functions in which galaxies of
    a batch meet.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given: dict[str, Any] = kwargs or {}
        empty = self.share.place.start == self.share.place.stop
        if func is functional.batch_norm and given["training"]:
            return _batch_norm(*args, **given, counts=not empty)
        if func is functional.dropout and given["training"] and given["p"] and not empty:
            return args[0] * self._dropped(args[0], given["p"])
        return func(*args, **given)

    def _dropped(
        self, features: Float[Tensor, " galaxy *rest"], p: float
    ) -> Float[Tensor, " galaxy *rest"]:
        """This share of the mask that one process would draw: in the order in which its memory
        would lie.
        """
        shape, rest = (self.share.of, *features.shape[1:]), features.shape[1:].numel()
        ones = torch.empty_strided(
            shape, (rest, *features.stride()[1:]), dtype=features.dtype, device=features.device
        ).fill_(1)
        return functional.dropout(ones, p, training=True)[self.share.place]


def _batch_norm(
    image: Float[Tensor, "galaxy channel *rest"],
    running_mean: Tensor | None,
    running_var: Tensor | None,
    *,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
    training: bool,
    counts: bool,
) -> Float[Tensor, "galaxy channel *rest"]:
    """Batch norm by mean and variance of the galaxies of all processes, which also enter the
    running ones.
    """
    assert training
    channels, device = image.shape[1], image.device
    nought, one = torch.zeros(channels, device=device), torch.ones(channels, device=device)
    values = counts * image.numel() // channels
    # float32 beside bfloat16 images makes statistics float32.
    mean, var = torch.batch_norm_update_stats(image.detach(), nought.clone(), one.clone(), 0.0)
    mean, var = mean.double(), var.double()  # so that the squares may cancel
    sums = _added(
        torch.cat([mean * values, (var + mean.square()) * values, mean.new_full((1,), values)])
    )
    everywhere = sums[-1]
    mean, square = sums[:-1].div(everywhere).chunk(2)
    var = (square - mean.square()).clamp(min=0)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((var * everywhere / (everywhere - 1)).to(running_var.dtype), momentum)
    weight, bias = one if weight is None else weight, nought if bias is None else bias
    return _Normalised.apply(
        image, weight, bias, mean.float(), var.float(), everywhere.float(), eps, counts
    )


class _Normalised(torch.autograd.Function):
    """Normalised by a mean and a variance to which the galaxies of every process have given."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        image, weight, bias, mean, var, values, ctx.eps, ctx.counts = given
        ctx.save_for_backward(image, weight, mean, var, values)
        return functional.batch_norm(image, mean, var, weight, bias, eps=ctx.eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradient with mean and variance held, less what it does through them: (ȳ + x̂ · mean
        of x̂ȳ) · w / σ.
        """
        image, weight, mean, var, values = ctx.saved_tensors
        held, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], image, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        through_var, through_mean = _added(torch.cat([for_weight, for_bias])).div(values).chunk(2)
        if not ctx.counts:  # mean and variance have nothing of this image
            return held, for_weight, for_bias, None, None, None, None, None
        rate = (var + ctx.eps).rsqrt()
        slope = -weight * rate.square() * through_var
        start = -weight * rate * through_mean - slope * mean
        shape = (-1, *[1] * (image.dim() - 2))
        whole = (
            torch.addcmul(start.view(shape), image, slope.view(shape)).add_(held).to(image.dtype)
        )
        return whole, for_weight, for_bias, None, None, None, None, None


def _added(tensor: Tensor) -> Tensor:
    distributed.all_reduce(tensor)
    return tensor


@contextmanager
def stop_signal() -> Generator[threading.Event]:
    """Set once Ctrl-C or SIGTERM arrives; a second Ctrl-C stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
