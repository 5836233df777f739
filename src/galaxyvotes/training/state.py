"""The state of an unfinished run, in `state.safetensors`: all that `resume=True` needs.

It holds the network, the optimiser, the averaged network, the best network and the position. Random
numbers are drawn from the seed and the position, so no generator has a state to keep.
"""

import math
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galaxyvotes.runs.tensors import load_state, read_tensors, write_tensors
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.counted import counted
from galaxyvotes.training.learner import Learner

__all__ = ["Position", "read_state", "write_state"]

_WORKERS = {"processes": "process", "threads": "thread"}  # one of them


@dataclass
class Position:
    """The next step of an epoch, what the epoch has added up to so far, and what came before it.

    From `loss` to `compared` these are the sums of `learner.SUMS`, over so many `galaxies`.
    """

    epoch: int = 0
    step: int = 0
    galaxies: int = 0
    loss: float = 0.0
    squared: float = 0.0
    known: float = 0.0
    correct: float = 0.0
    compared: float = 0.0
    seconds: float = 0.0
    best_loss: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def write_state(path: Path, learner: Learner, position: Position, best: dict[str, Tensor]) -> None:
    """Let the first process write the state in one step, with the weights of the best network."""
    tensors = _named("network", learner.module.state_dict()) | _named("best", best)
    if learner.settings.average:
        tensors |= _named("averaged", learner.averaged.module.state_dict())
    for name, parameter in learner.module.named_parameters():
        moments = learner.optimiser.state.get(parameter, {})
        tensors |= {f"optimiser.{key}.{name}": tensor for key, tensor in moments.items()}
    note = {**asdict(position), **_workers()}
    distributed.first(lambda: write_tensors(path, tensors, note))


def read_state(path: Path, learner: Learner) -> tuple[Position, dict[str, Tensor]]:
    """Put the state into a learner; the position and the weights of the best network.

    Warns if another number of processes or, on a CPU, of threads goes on. Raises CheckpointError if
    the file is damaged or does not fit the network.
    """
    tensors, note = read_tensors(path)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    load_state(learner.module, parts["network"], path)
    if learner.settings.average:
        load_state(learner.averaged.module, parts["averaged"], path)
    _restore_optimiser(learner, parts.get("optimiser", {}))
    before = {name: note.pop(name, 1) for name in _workers()}
    _warn_if_others_go_on(path.parent, before, learner.device)
    if "met" in note:  # the name of `galaxies` in version 0.1
        note["galaxies"] = note.pop("met")
    return Position(**note), parts.get("best", {})


def _restore_optimiser(learner: Learner, moments: dict[str, Tensor]) -> None:
    for name, parameter in learner.module.named_parameters():
        state: dict[str, Tensor] = {}
        for key in ("step", "exp_avg", "exp_avg_sq"):
            tensor = moments.get(f"{key}.{name}")
            if tensor is None:
                continue
            # Moments lie in memory as the weights do: the fused step runs over both as they lie.
            state[key] = (
                tensor.clone() if key == "step" else torch.empty_like(parameter).copy_(tensor)
            )
        learner.optimiser.state[parameter] = state


def _workers() -> dict[str, int]:
    return {"processes": distributed.count(), "threads": torch.get_num_threads()}


def _warn_if_others_go_on(run: Path, before: dict[str, int], device: torch.device) -> None:
    now = _workers()
    if device.type != "cpu":
        now["threads"] = before["threads"]
    if before != now and distributed.rank() == 0:
        was, goes_on = (
            " and ".join(counted(number, _WORKERS[name]) for name, number in workers.items())
            for workers in (before, now)
        )
        warnings.warn(
            f"{run} was begun with {was} and goes on with {goes_on}: the result will differ in the"
            " last bits",
            stacklevel=5,
        )


def _named(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}.{name}": tensor for name, tensor in tensors.items()}
