"""The loop: stores and a recipe become a run.

Everything random is drawn from the recipe's seed and the position (epoch, step), never from what
came before: the order of the galaxies from the epoch, augmentation and dropout from the step. So
the state that `--resume` needs is network, optimiser, averaged network and position; and a run that
was stopped (Ctrl-C, SIGTERM) or killed at any moment ends, resumed, bit for bit where it would have
ended on the same machine with the same number of threads and processes. With another number of them
it ends there but for rounding; see `processes`.

Metrics of an epoch are the paper's: loss, MSE and accuracy (argmax over all answers), on the
training galaxies as they were met during the epoch and on the validation galaxies after it. With
several stores, the loss is that of all heads together, and MSE and accuracy are those of the first
store's head; on validation galaxies, those of each other head stand beside them under its tree's
name. Quantities have no accuracy.
"""

import json
import math
import time
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from galaxyvotes.config import Recipe
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.inference.engine import forward_logits
from galaxyvotes.metrics.scores import argmax_accuracy, mse
from galaxyvotes.networks.augment import dihedral, sky
from galaxyvotes.networks.build import encoder, to_input
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runs.tensors import load_state, read_tensors, write_tensors
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import choose_device, low_precision
from galaxyvotes.runtime.files import write_text
from galaxyvotes.runtime.progress import bar
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import Answers, TrainingBatches, open_stores, seed_of
from galaxyvotes.training.initialise import create_run
from galaxyvotes.training.optimiser import learning_rate, optimiser_of, set_rate

__all__ = ["train"]


def train(
    stores: Store | str | Path | Sequence[Store | str | Path],
    out: str | Path,
    *,
    recipe: str | Path | Recipe | None = None,
    settings: tuple[str, ...] = (),
    resume: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Run:
    """Train a network on the training split of one or several stores and leave it in the folder
    `out`.

    Several stores share one encoder and have a head for each of their trees; see
    `galaxyvotes.training.batches`. The recipe is `paper` unless another is given, and `settings`
    are changes to it such as `train.epochs=10`. With `resume`, a run that was stopped goes on from
    its last state with the recipe it began with, and another one is refused; a finished run is
    returned as it is. KeyboardInterrupt after a stop.

    Started by torchrun, the processes learn one network together; see
    `galaxyvotes.runtime.distributed`.
    """
    opened = open_stores(stores)
    own = distributed.meet(choose_device(device))
    if resume and distributed.first_found(Path(out).exists()):
        if settings:
            raise ConfigError(
                "a resumed run keeps its recipe: leave out --set, or start another run"
            )
        run = Run.open(out).alone()
        if recipe is not None and Recipe.load(recipe).name != run.recipe.name:
            raise ConfigError(
                f"{out} goes on with the recipe it began with, {run.recipe.name}: leave out the"
                " recipe, or name another run"
            )
        if [each["digest"] for each in run.facts["stores"]] != [store.digest for store in opened]:
            before = ", ".join(each["path"] for each in run.facts["stores"])
            raise CheckpointError(
                f"{run.path} was trained on another store ({before}), not"
                f" {', '.join(str(s.path) for s in opened)}"
            )
        batches = TrainingBatches.of(opened, run.recipe)
    else:
        chosen = Recipe.load(recipe or "paper", settings)
        batches = TrainingBatches.of(opened, chosen)
        run = create_run(batches, Path(out), chosen)
    if not run.finished:
        _Training(run, batches, own).go(progress=progress)
    return run


SUMS = ("loss", "squared", "known", "correct", "compared")  # of a position, counted by the device


@dataclass
class _Position:
    """Where training stands: the next step of an epoch, and the sums of its metrics so far."""

    epoch: int = 0
    step: int = 0
    met: int = 0
    loss: float = 0.0
    squared: float = 0.0
    known: float = 0
    correct: float = 0
    compared: float = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class _Training:
    """One run in progress. Its state is what `_save` writes: network, optimiser, averages, best
    network, position.
    """

    def __init__(self, run: Run, batches: TrainingBatches, device: torch.device) -> None:
        self.run, self.batches, self.device = run, batches, device
        self.settings = settings = run.recipe.train
        self.network = run.untrained()
        if "start" in run.facts:
            load_state(
                self.network.module, read_tensors(run.path / "start.safetensors")[0], run.path
            )
        self.module = self.network.module.to(device)
        self.encoder = encoder(self.module)
        self.optimiser = optimiser_of(self.module, settings)
        self.averaged = (
            replace(self.network, module=deepcopy(self.module))
            if settings.average
            else self.network
        )
        self.position = _Position()
        self.best: dict[str, Tensor] = {}
        self.low_precision = low_precision(settings.precision, device)
        self.held = batches.held(device)
        # What each step adds to the position, read when it is wanted: a GPU that is asked at each
        # step stands idle.
        self.sums = torch.zeros(
            len(SUMS), dtype=torch.float32 if device.type == "mps" else torch.float64, device=device
        )
        state = run.path / "state.safetensors"
        if state.is_file():
            self._load(state)

    def go(self, *, progress: bool) -> None:
        """Train to the end, or save and raise KeyboardInterrupt when asked to stop."""
        steps = self.batches.steps
        saved = time.monotonic()
        progress = progress and distributed.rank() == 0
        with distributed.stop_signal() as stop, bar(show=progress) as shown:
            task = shown.add_task("training", total=self.settings.epochs * steps)
            while self.position.epoch < self.settings.epochs and not self._given_up:
                shown.update(
                    task, description=f"epoch {self.position.epoch + 1}/{self.settings.epochs}"
                )
                began = time.monotonic()
                for images, said in self.batches.batches(
                    self.position.epoch, self.position.step, self.held
                ):
                    self._step(images, said)
                    if self.device.type == "cpu" or self.position.step % 100 == 0:
                        self._add_up()
                    shown.update(task, completed=self.position.epoch * steps + self.position.step)
                    overdue = time.monotonic() - saved > self.settings.checkpoint_minutes * 60
                    stopping, overdue = distributed.anyone(stop.is_set(), overdue)
                    if stopping or overdue:
                        self.position.seconds += time.monotonic() - began
                        began = saved = time.monotonic()
                        self._save()
                        if stopping:
                            raise KeyboardInterrupt(
                                f"stopped in epoch {self.position.epoch + 1} of {self.run.path}; go"
                                " on with --resume"
                            )
                self._add_up()
                self.position.seconds += time.monotonic() - began
                row = self._end_epoch()
                shown.console.print(_told(row), highlight=False) if progress else None
                (overdue,) = distributed.anyone(time.monotonic() - saved > 10)
                if self.position.epoch < self.settings.epochs and overdue:
                    self._save()
                    saved = time.monotonic()
        final = self.best if self.settings.keep == "best" else self.averaged.module.state_dict()
        path, facts = self.run.path, {"epochs": self.position.epoch}
        distributed.first(lambda: write_tensors(path / "weights.safetensors", dict(final), facts))
        distributed.first(lambda: (path / "state.safetensors").unlink(missing_ok=True))

    @property
    def _given_up(self) -> bool:
        losses = [row["validation_loss"] for row in self.position.history]
        return (
            0 < self.settings.patience <= len(losses) - 1 - losses.index(min(losses))
            if losses
            else False
        )

    def _step(self, images: UInt8[Tensor, "galaxy side side 3"], said: Answers) -> None:
        at, settings = self.position, self.settings
        seed = seed_of(settings.seed, at.epoch, at.step + 1)
        torch.manual_seed(seed)
        share = distributed.share_of(self.batches.galaxies(at.step))
        pixels = images.to(self.device)
        wanted = torch.from_numpy(said.values).to(self.device)
        if settings.augment == "dihedral":
            pixels = dihedral(pixels, torch.Generator().manual_seed(seed), share)
        seen = to_input(pixels)
        if settings.augment == "sky":
            seen = sky(seen, torch.Generator().manual_seed(seed), share)
        self.module.train()
        if settings.encoder_rate == 0:
            self.encoder.eval()  # its batch statistics stay, too
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            logits = distributed.as_one_batch(self.module, seen, share)
        logits = logits.float()
        costs = torch.stack([_costs(head, logits, said) for head in self.network.all_heads]).sum(
            dim=0
        )
        set_rate(
            self.optimiser, learning_rate(settings, at.epoch + (at.step + 0.5) / self.batches.steps)
        )
        self.optimiser.zero_grad(set_to_none=True)
        (costs.sum() / share.of).backward()
        distributed.add_gradients(self.module)
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), settings.clip_norm)
        self.optimiser.step()
        at.step += 1
        self._average()
        predicted = self.network.objective.values(logits.detach()[:, self.network.outputs])
        wanted = wanted[:, self.network.outputs]
        known = ~wanted.isnan()
        squared = (predicted - wanted.nan_to_num()).square() * known
        whole = known.all(dim=1) & (
            not self.network.tree.of_quantities
        )  # the largest of them says nothing
        right = (predicted.argmax(dim=1) == wanted.nan_to_num().argmax(dim=1)) & whole
        sums = torch.stack(
            [
                each.sum().to(self.sums.dtype)
                for each in (costs.detach(), squared, known, right, whole)
            ]
        )
        self.sums += distributed.added(sums)
        at.met += share.of

    def _add_up(self) -> None:
        """Read what the steps so far have added up to, and refuse it if it is no number."""
        values = [float(each) for each in self.sums.cpu()]
        sums = dict(zip(SUMS, values, strict=True))
        self._refuse_divergence(math.isfinite(sums["loss"]))
        self.position = replace(self.position, **sums)

    @torch.no_grad()
    def _average(self) -> None:
        """Let the averaged network follow; quickly at first, so that it soon forgets how the
        network began.
        """
        if not self.settings.average:
            return
        done = self.position.epoch * self.batches.steps + self.position.step
        keep = min(self.settings.average, done / (done + 10))
        mean, now = self.averaged.module.state_dict(), self.module.state_dict()
        for name, tensor in mean.items():
            if tensor.is_floating_point():
                tensor.lerp_(now[name], 1 - keep)
            else:
                tensor.copy_(now[name])

    def _end_epoch(self) -> dict[str, Any]:
        at = self.position
        row: dict[str, Any] = {
            "epoch": at.epoch + 1,
            "loss": at.loss / at.met,
            "mse": at.squared / max(at.known, 1),
            "accuracy": at.correct / at.compared if at.compared else None,
            **self._validate(),
            "seconds": round(at.seconds, 3),
        }
        row = {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        history = [*at.history, row]
        best = at.best_loss
        if self.settings.keep == "best" and row["validation_loss"] < best:
            best = row["validation_loss"]
            state = self.averaged.module.state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        self.position = _Position(epoch=at.epoch + 1, history=history, best_loss=best)
        self.sums.zero_()
        lines = "".join(json.dumps(each) + "\n" for each in history)
        distributed.first(lambda: write_text(self.run.path / "metrics.jsonl", lines))
        return row

    def _validate(self) -> dict[str, float]:
        """Loss of all validation galaxies, and MSE and accuracy of each head on its own."""
        row: dict[str, float] = {"validation_loss": 0.0}
        outputs = sum(len(head.columns) for head in self.network.heads)
        for head in self.averaged.all_heads:
            logits: list[Float32[np.ndarray, "galaxy answer"]] = []
            parts: list[Answers] = []
            for place, (store, rows) in enumerate(
                zip(self.batches.stores, self.batches.validation, strict=True)
            ):
                if self.batches.heads.index(self.batches.head_of(store)) == head.place:
                    find = partial(forward_logits, head, store)
                    logits.append(distributed.gathered(find, rows))
                    parts.append(self.batches.answers(place, rows))
            found, said = np.concatenate(logits), Answers.together(parts)
            self._refuse_divergence(bool(np.isfinite(found).all()))
            whole = torch.zeros(len(found), outputs)
            whole[:, head.outputs] = torch.from_numpy(found)
            row["validation_loss"] += float(_costs(head, whole, said).mean())
            predicted = head.objective.values(whole[:, head.outputs]).numpy()
            labels = said.values[:, head.outputs]
            name = "validation_{}" if head.place == 0 else f"{head.tree.name}_validation_{{}}"
            row |= {
                name.format("mse"): mse(labels, predicted),
                name.format("accuracy"): (
                    math.nan if head.tree.of_quantities else argmax_accuracy(labels, predicted)
                ),
            }
        return row

    def _refuse_divergence(self, finite: bool) -> None:
        if not finite:
            raise DataError(
                f"the network's output is no number any more in epoch {self.position.epoch + 1}:"
                f" lower train.learning_rate ({self.settings.learning_rate:g})"
            )

    def _save(self) -> None:
        self._add_up()
        tensors = {f"network.{name}": tensor for name, tensor in self.module.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        if self.settings.average:
            tensors |= {
                f"averaged.{name}": tensor
                for name, tensor in self.averaged.module.state_dict().items()
            }
        for name, parameter in self.module.named_parameters():
            state = self.optimiser.state.get(parameter, {})
            tensors |= {f"optimiser.{key}.{name}": value for key, value in state.items()}
        position = {
            **asdict(self.position),
            "threads": torch.get_num_threads(),
            "processes": distributed.count(),
        }
        distributed.first(
            lambda: write_tensors(self.run.path / "state.safetensors", tensors, position)
        )

    def _load(self, path: Path) -> None:
        tensors, position = read_tensors(path)
        parts: dict[str, dict[str, Tensor]] = {
            "network": {},
            "best": {},
            "averaged": {},
            "optimiser": {},
        }
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        load_state(self.module, parts["network"], path)
        self.best = parts["best"]
        if self.settings.average:
            load_state(self.averaged.module, parts["averaged"], path)
        for name, parameter in self.module.named_parameters():
            saved = {
                key: parts["optimiser"].get(f"{key}.{name}")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
            self.optimiser.state[parameter] = {
                # The moments lie in memory as the weights do: the fused step runs over both as they
                # lie.
                key: tensor.clone() if key == "step" else torch.empty_like(parameter).copy_(tensor)
                for key, tensor in saved.items()
                if tensor is not None
            }
        now = {"processes": distributed.count(), "threads": torch.get_num_threads()}
        before = {name: position.pop(name, 1) for name in now}
        if self.device.type != "cpu":
            now["threads"] = before["threads"]
        if before != now and distributed.rank() == 0:
            warnings.warn(
                f"{path.parent} was begun with {_each(before)} and goes on with {_each(now)}: the"
                " result will differ in the last bits",
                stacklevel=3,
            )
        self.position = _Position(**position)
        self.sums.copy_(
            torch.tensor([getattr(self.position, name) for name in SUMS], dtype=self.sums.dtype)
        )


def _costs(
    head: Network, logits: Float[Tensor, "galaxy output"], said: Answers
) -> Float[Tensor, " galaxy"]:
    """What each galaxy costs a head, from the outputs of the whole network and what volunteers
    said.
    """
    labels = said.votes if head.objective.wants_votes else said.values
    assert labels is not None  # a mixture without votes is refused an objective that wants them
    return head.objective.loss(
        logits[:, head.outputs], torch.from_numpy(labels[:, head.outputs].copy()).to(logits.device)
    )


def _each(counts: dict[str, int]) -> str:
    return " and ".join(f"{number} {name}" for name, number in counts.items())


def _told(row: dict[str, Any]) -> str:
    shown = (
        f"{key.replace('_', ' ')} {value:.4f}"
        for key, value in row.items()
        if isinstance(value, float)
    )
    return f"epoch {row['epoch']}: " + ", ".join(shown)
