"""Training: stores and a recipe become a run.

Everything random is drawn from the recipe's seed and the position (epoch, step), never from what
came before: the order of the galaxies from the epoch, augmentation and dropout from the step. So
the state that `resume=True` needs is network, optimiser, averaged network and position; and a run
that was stopped (Ctrl-C, SIGTERM) or killed at any moment ends, resumed, bit for bit where it would
have ended on the same machine with the same number of threads and processes. With another
number of them it differs; see `galaxyvotes.runtime.distributed`.

Metrics of an epoch are the paper's: loss, MSE and accuracy (argmax over all answers), on the
training galaxies while the network learns from them and on the validation galaxies afterwards. With
several stores, the loss is that of all heads together, and MSE and accuracy are those of the first
store's head; those of other heads on validation galaxies stand beside them under the name of their
tree. Quantities have no accuracy.
"""

import json
import math
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galaxyvotes.config import Recipe
from galaxyvotes.networks.batch import Batch, share_of
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runs.tensors import load_state, read_tensors, write_tensors
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import choose_device, low_precision
from galaxyvotes.runtime.files import given_path, write_text
from galaxyvotes.runtime.locks import locked_folder
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.notes import note
from galaxyvotes.runtime.signals import stop_requested
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches, open_stores, seed_of
from galaxyvotes.training.choice import choose_recipe, labelled_galaxies, note_of_handed, suited
from galaxyvotes.training.ending import ending_in_words, finished_in_words, patience_is_over
from galaxyvotes.training.frozen import FrozenFeatures, versions_for
from galaxyvotes.training.initialise import create_run
from galaxyvotes.training.learner import SUMS, Learner, check_finite
from galaxyvotes.training.log import TrainingLog
from galaxyvotes.training.optimiser import converged_after, last_epoch, learning_rate
from galaxyvotes.training.resume import check_recipe, run_to_resume
from galaxyvotes.training.state import Position, read_state, write_state
from galaxyvotes.training.step_memory import memory_warning, remedy
from galaxyvotes.training.validation import validate

__all__ = ["Training", "train"]

_AS_SAVED = "Nothing before the last saved state is lost: go on with `resume=True`"


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
    """Train a network on the training split of one or several stores, in the run folder `out`.

    Several stores share one encoder and have a head for each of their trees. Without a recipe, the
    one for so many training galaxies is chosen (see `training.choice`) and said on standard error;
    `settings` are changes to it such as `train.epochs=10`. With `resume`, a run that was stopped
    goes on from its last state with the recipe it began with, which may be named again; a finished
    run is returned as it is. Started by torchrun, the processes train one network together. The
    result has a `warning` if it is no better than the mean label.

    Raises KeyboardInterrupt after Ctrl-C or SIGTERM, once the state is saved; ConfigError if `out`
    exists and is not to be resumed, if settings, stores and recipe do not fit together, or if a
    step takes more memory than there is; DataError if a store has nothing to learn from, if
    training diverges, if memory is short after all, if one of several processes ends, or if another
    process is training this run; CheckpointError if a run to resume is damaged or belongs to other
    stores.
    """
    opened = open_stores(stores)
    own_device = distributed.connect(choose_device(device))
    if resume and distributed.first_finds(given_path(out).exists()):
        run = run_to_resume(given_path(out), opened)
        asked = Recipe.load(run.recipe if recipe is None else recipe, settings)
        check_recipe(run, suited(asked, opened))
        batches = TrainingBatches.of(opened, run.recipe)
    else:
        if recipe is None:
            recipe, reason = choose_recipe(labelled_galaxies(opened), own_device)
            if progress and distributed.rank() == 0:
                note(reason)
        chosen = suited(Recipe.load(recipe, settings), opened)
        batches = TrainingBatches.of(opened, chosen)
        run = create_run(batches, given_path(out), chosen, own_device)
    warning = None if run.finished else memory_warning(run.untrained(), own_device)
    if progress and distributed.rank() == 0:
        for remark in (*_remarks(run, opened, own_device), warning):
            if remark:
                note(remark)
    if not run.finished:
        with ExitStack() as held:
            distributed.first(lambda: held.enter_context(locked_folder(run.path)))
            held.enter_context(_saying_how_to_resume(run))
            held.enter_context(distributed.all_processes(_AS_SAVED))
            with enough_memory(remedy(run.recipe.train)):
                Training(run, batches, own_device).go(progress=progress)
    return run


@contextmanager
def _saying_how_to_resume(run: Run) -> Generator[None]:
    """Complete a KeyboardInterrupt that comes when nobody listens for it, before the first epoch
    or after the last.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = stop.args or (
            f"stopped: {run.path} is begun; go on with the same arguments and `resume=True`",
        )
        raise


class Training:
    """A run in progress: its learner, its position, and the weights of its best epoch."""

    def __init__(self, run: Run, batches: TrainingBatches, device: torch.device) -> None:
        """From its start, or from its last saved state."""
        self.run, self.batches, self.settings = run, batches, run.recipe.train
        self.learner = Learner(_initial_network(run, device), device)
        self.frozen = None
        if self.learner.frozen:
            network = self.learner.network
            versions = run.facts.get("versions") or versions_for(network, batches)
            self.frozen = FrozenFeatures.of(network, batches, device, versions)
        self.copies = self.frozen.train if self.frozen else batches.images_on_gpu(device)
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.state = run.path / "state.safetensors"
        if self.state.is_file():
            self.position, self.best = read_state(self.state, self.learner)
        # Those of the position and what the device has added to them since; see `_read_sums`.
        sums = [getattr(self.position, name) for name in SUMS]
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.sums = torch.tensor(sums, dtype=dtype, device=device)
        self.saved = self.counted = time.monotonic()

    def go(self, *, progress: bool) -> None:
        """Train to the end; or, when asked to stop, save the state and raise KeyboardInterrupt."""
        epochs, galaxies = self.settings.epochs, self.batches.galaxies
        progress = progress and distributed.rank() == 0
        done = self.position.epoch * galaxies + self.position.galaxies
        shown = TrainingLog.opened(show=progress, epochs=epochs, galaxies=galaxies, done=done)
        with stop_requested() as stop, shown as log:
            while self.position.epoch < self._end and not self._patience_is_over:
                epoch = self.position.epoch
                self.counted = time.monotonic()
                for batch in self.batches.batches(epoch, self.position.step, self.copies):
                    self._learn(batch)
                    if log:
                        log.step(epoch, self.position.galaxies)
                    self._save_if_due(stop)
                row = self._end_epoch()
                if log:
                    log.epoch(row, self._end)
        self._finish()
        if progress:
            note(f"training ended {ending_in_words(self.settings, self.position.history)}")
            if self.run.warning:
                note(f"warning: {self.run.warning}")

    def _learn(self, batch: Batch) -> None:
        """Take a step, and add what it says of the epoch."""
        at, steps = self.position, self.batches.steps
        share = share_of(self.batches.size_of(at.step))
        seed = seed_of(self.settings.seed, at.epoch, at.step + 1)
        rate = learning_rate(self.settings, at.epoch + (at.step + 0.5) / steps, self._converged)
        self.sums += self.learner.learn(batch, share, seed=seed, rate=rate)
        at.step += 1
        at.galaxies += share.of
        self.learner.average(at.epoch * steps + at.step)
        if self.learner.device.type == "cpu" or at.step % 100 == 0:
            self._read_sums()

    def _read_sums(self) -> None:
        """Bring the position up to date with the device, or find that training has diverged."""
        sums = dict(zip(SUMS, map(float, self.sums.cpu()), strict=True))
        check_finite(math.isfinite(sums["loss"]), self.settings, self.position.epoch)
        self.position = replace(self.position, **sums)

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self.counted
        self.counted = now

    def _end_epoch(self) -> dict[str, Any]:
        """Validate, write the metrics, and go to the next epoch; the row of metrics."""
        self._read_sums()
        self._count_seconds()
        at = self.position
        row: dict[str, Any] = {
            "epoch": at.epoch + 1,
            "loss": at.loss / at.galaxies,
            "mse": at.squared / max(at.known, 1),
            "accuracy": at.correct / at.compared if at.compared else math.nan,
            **validate(self.learner.averaged, self.batches, epoch=at.epoch, frozen=self.frozen),
            "seconds": round(at.seconds, 3),
        }
        row = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in row.items()
        }
        best_loss = at.best_loss
        if self.settings.keep == "best" and row["validation_loss"] < best_loss:
            best_loss = row["validation_loss"]
            weights = self.learner.averaged.module.state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        history = [*at.history, row]
        self.position = Position(epoch=at.epoch + 1, history=history, best_loss=best_loss)
        self.sums.zero_()
        lines = "".join(json.dumps(each) + "\n" for each in history)
        distributed.first(lambda: write_text(self.run.path / "metrics.jsonl", lines))
        (due,) = distributed.any_of(time.monotonic() - self.saved > 10)
        if due and self.position.epoch < self._end:
            self._save()
        return row

    @property
    def _converged(self) -> int | None:
        """After how many epochs training had converged, if it has."""
        return converged_after(self.settings, [row["loss"] for row in self.position.history])

    @property
    def _end(self) -> int:
        """How many epochs training has, as far as one knows."""
        return last_epoch(self.settings, self._converged)

    @property
    def _patience_is_over(self) -> bool:
        return patience_is_over(self.settings, self.position.history)

    def _save_if_due(self, stop: threading.Event) -> None:
        """Save the state every few minutes and, before KeyboardInterrupt, when asked to stop."""
        overdue = time.monotonic() - self.saved > self.settings.checkpoint_minutes * 60
        stopping, overdue = distributed.any_of(stop.is_set(), overdue)
        if stopping or overdue:
            self._count_seconds()
            self._save()
        if stopping:
            raise KeyboardInterrupt(
                f"stopped in epoch {self.position.epoch + 1} of {self.settings.epochs} of"
                f" {self.run.path}, which is saved; go on with the same arguments and `resume=True`"
            )

    def _save(self) -> None:
        self.saved = time.monotonic()
        self._read_sums()
        write_state(self.state, self.learner, self.position, self.best)

    def _finish(self) -> None:
        """Write the weights, and remove the state."""
        weights = self.learner.averaged.module.state_dict()
        if self.settings.keep == "best":
            weights = self.best
        path, note = self.run.path / "weights.safetensors", {"epochs": self.position.epoch}
        distributed.first(lambda: write_tensors(path, dict(weights), note))
        distributed.first(lambda: self.state.unlink(missing_ok=True))


def _initial_network(run: Run, device: torch.device) -> Network:
    """The network before the first step, untrained or with the weights that the run starts from; in
    the precision that the run began with.
    """
    network = run.untrained()
    recipe = run.recipe.changed(f"train.precision={_precision(run, device)}")
    network = replace(network, recipe=recipe)
    if "start" in run.facts:
        load_state(network.module, read_tensors(run.path / "start.safetensors")[0], run.path)
    return network


def _precision(run: Run, device: torch.device) -> str:
    """The precision that a run began with; of older runs, which do not say, the device's."""
    half = low_precision(run.recipe.train.precision, device)
    return run.facts.get("precision", "bfloat16" if half else "float32")


def _remarks(run: Run, stores: Sequence[Store], device: torch.device) -> list[str]:
    """What is said before a run begins or goes on."""
    remark = note_of_handed(run.recipe, stores)
    name, precision = run.recipe.model.name, _precision(run, device)
    begun = f"training {name} in {precision} on {device}"
    if run.finished:
        return [finished_in_words(run)]
    return [remark, begun] if remark else [begun]
