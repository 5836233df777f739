"""The loop: a store and a recipe become a run.

Everything random is drawn from the recipe's seed and the position (epoch, step), never from what came before: the
order of the galaxies from the epoch, augmentation and dropout from the step. So the state that `--resume` needs is
network, optimiser and position; and a run that was stopped (Ctrl-C, SIGTERM) or killed at any moment ends, resumed,
bit for bit where it would have ended on the same machine with the same number of threads.

Metrics of an epoch are the paper's: loss, MSE and accuracy (argmax over all answers), on the training galaxies as they
were met during the epoch and on the validation galaxies after it.
"""

import json
import math
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor

from galaxyvotes.augment import dihedral
from galaxyvotes.checkpoint import Network, Run, load_state, pack_facts, read_tensors, write_tensors
from galaxyvotes.config import Recipe
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.files import write_text
from galaxyvotes.metrics import argmax_accuracy, mse
from galaxyvotes.models import to_input
from galaxyvotes.predict import choose_device, low_precision, store_logits
from galaxyvotes.progress import bar
from galaxyvotes.store import Store

__all__ = ["train"]


def train(
    store: Store | str | Path,
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "paper",
    settings: tuple[str, ...] = (),
    resume: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Run:
    """Train a network on the store's training split and leave it in the folder `out`.

    `settings` are changes to the recipe such as `train.epochs=10`. With `resume`, a run that was stopped goes on from
    its last state with the recipe it began with; a finished one is returned as it is. KeyboardInterrupt after a stop.
    """
    store = store if isinstance(store, Store) else Store.open(store)
    if resume and Path(out).exists():
        if settings:
            raise ConfigError("a resumed run keeps its recipe: leave out --set, or start another run")
        run = Run.open(out)
        if run.facts["store"]["digest"] != store.digest:
            raise CheckpointError(
                f"{run.path} was trained on another store ({run.facts['store']['path']}), not {store.path}"
            )
    else:
        run = _create(store, Path(out), Recipe.load(recipe, settings))
    if not run.finished:
        _Training(run, store, choose_device(device)).go(progress=progress)
    return run


def chosen_columns(store: Store, recipe: Recipe) -> tuple[str, ...]:
    """The answers to learn: those the recipe names, that enough training galaxies have."""
    columns = store.tree.columns
    wanted = recipe.train.answers or columns
    for column in wanted:
        if column not in columns:
            raise ConfigError(f"train.answers names {column!r}, which is no answer of tree {store.tree.name!r}: "
                              f"{', '.join(columns)}")  # fmt: skip
    with np.errstate(invalid="ignore"):
        means = np.nanmean(store.fractions[store.rows("train")], axis=0)
    floor = recipe.train.min_mean_fraction
    kept = tuple(c for c, mean in zip(columns, means, strict=True) if c in wanted and mean >= floor)
    if len(kept) < 1:
        raise ConfigError(f"no answer has a mean fraction of {floor} or more over the training galaxies; the largest "
                          f"is {np.nanmax(means):.3f}")  # fmt: skip
    return kept


def _labelled(store: Store, split: str, columns: tuple[str, ...]) -> Int[np.ndarray, " galaxy"]:
    rows = store.rows(split)
    places = [store.tree.columns.index(column) for column in columns]
    return rows[~np.isnan(store.fractions[rows][:, places]).all(axis=1)]


def _create(store: Store, out: Path, recipe: Recipe) -> Run:
    if out.exists():
        raise ConfigError(f"{out} exists already: continue it with --resume, or name another folder")
    if not len(store.rows("train")):
        raise DataError(f"{store.path} has no galaxy with votes in its training split")
    columns = chosen_columns(store, recipe)
    Network.build(recipe, store.tree, columns, store.pack)  # a recipe that cannot be built leaves no folder behind
    parts = {split: _labelled(store, split, columns) for split in ("train", "validation")}
    for split, rows in parts.items():
        if not len(rows):
            raise DataError(f"{store.path} has no galaxy with votes in its {split} split; pack more galaxies")
    rows = np.concatenate(list(parts.values()))
    seen = pa.table(
        {
            "id": [store.ids[row] for row in rows.tolist()],
            "pixels": [store.pixels[row] for row in rows.tolist()],
            "split": np.repeat(list(parts), [len(part) for part in parts.values()]),
        }
    )
    facts = {
        "galaxyvotes": version("galaxyvotes"),
        "torch": torch.__version__,
        "columns": columns,
        "pack": pack_facts(store.pack),
        "store": {"path": store.path.name, "digest": store.digest, "galaxies": len(store), "id_name": store.id_name},
        "galaxies": {split: len(part) for split, part in parts.items()},
    }
    return Run.create(out, recipe, store.tree, seen, facts)


@dataclass
class _Position:
    """Where training stands: the next step of an epoch, and the sums of its metrics so far."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    squared: float = 0.0
    known: int = 0
    correct: int = 0
    compared: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class _Training:
    """One run in progress. Its state is what `_save` writes: network, optimiser, best network, position."""

    def __init__(self, run: Run, store: Store, device: torch.device) -> None:
        self.run, self.store, self.device = run, store, device
        self.settings = run.recipe.train
        self.network = run.untrained()
        self.module = self.network.module.to(device)
        self.optimiser = torch.optim.Adam(
            self.module.parameters(), lr=self.settings.learning_rate, eps=self.settings.adam_epsilon, fused=True
        )
        self.position = _Position()
        self.best: dict[str, Tensor] = {}
        seen = run.seen.to_pydict()
        index = {name: row for row, name in enumerate(store.ids)}
        rows = np.array([index[name] for name in seen["id"]], np.int64)
        split = np.array(seen["split"])
        self.rows = {name: rows[split == name] for name in ("train", "validation")}
        places = [run.tree.columns.index(column) for column in run.columns]
        self.truth = np.ascontiguousarray(store.fractions[:, places])
        self.low_precision = low_precision(self.settings.precision, device)
        state = run.path / "state.safetensors"
        if state.is_file():
            self._load(state)

    def go(self, *, progress: bool) -> None:
        """Train to the end, or save and raise KeyboardInterrupt when asked to stop."""
        steps = math.ceil(len(self.rows["train"]) / self.settings.batch_size)
        saved = time.monotonic()
        with _stop_signal() as stop, bar(show=progress) as shown:
            task = shown.add_task("training", total=self.settings.epochs * steps)
            while self.position.epoch < self.settings.epochs:
                order = self._order(self.position.epoch)
                shown.update(task, description=f"epoch {self.position.epoch + 1}/{self.settings.epochs}")
                began = time.monotonic()
                for images, truth in self._batches(order, self.position.step):
                    self._step(images, truth)
                    shown.update(task, completed=self.position.epoch * steps + self.position.step)
                    if stop.is_set() or time.monotonic() - saved > self.settings.checkpoint_minutes * 60:
                        self.position.seconds += time.monotonic() - began
                        began = saved = time.monotonic()
                        self._save()
                        if stop.is_set():
                            raise KeyboardInterrupt(
                                f"stopped in epoch {self.position.epoch + 1} of {self.run.path}; go on with --resume"
                            )
                self.position.seconds += time.monotonic() - began
                row = self._end_epoch()
                shown.console.print(_told(row), highlight=False) if progress else None
                if self.position.epoch < self.settings.epochs and time.monotonic() - saved > 10:
                    self._save()
                    saved = time.monotonic()
        final = self.best if self.settings.keep == "best" else self.module.state_dict()
        write_tensors(self.run.path / "weights.safetensors", dict(final), {"epochs": self.settings.epochs})
        (self.run.path / "state.safetensors").unlink(missing_ok=True)

    def _order(self, epoch: int) -> Int[np.ndarray, " galaxy"]:
        generator = torch.Generator().manual_seed(_seed(self.settings.seed, epoch, 0))
        return self.rows["train"][torch.randperm(len(self.rows["train"]), generator=generator).numpy()]

    def _batches(
        self, order: Int[np.ndarray, " galaxy"], first: int
    ) -> Iterator[tuple[UInt8[np.ndarray, "galaxy side side 3"], Float32[np.ndarray, "galaxy answer"]]]:
        """Batches from step `first` on; the next one is read while one is being learned from."""
        size = self.settings.batch_size
        parts = [order[start : start + size] for start in range(first * size, len(order), size)]
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.store.images, parts[0]) if parts else None
            for number, part in enumerate(parts):
                assert ahead is not None
                images = ahead.result()
                if number + 1 < len(parts):
                    ahead = reader.submit(self.store.images, parts[number + 1])
                yield images, self.truth[part]

    def _step(
        self, images: UInt8[np.ndarray, "galaxy side side 3"], truth: Float32[np.ndarray, "galaxy answer"]
    ) -> None:
        at, settings = self.position, self.settings
        seed = _seed(settings.seed, at.epoch, at.step + 1)
        torch.manual_seed(seed)
        pixels = torch.from_numpy(images).to(self.device)
        wanted = torch.from_numpy(truth).to(self.device)
        if settings.augment == "dihedral":
            pixels = dihedral(pixels, torch.Generator().manual_seed(seed))
        self.module.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            logits = self.module(to_input(pixels))
        logits = logits.float()
        costs = self.network.objective.loss(logits, wanted)
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.zero_grad(set_to_none=True)
        costs.mean().backward()
        self.optimiser.step()
        at.step += 1
        loss = float(costs.detach().sum())
        self._refuse_divergence(math.isfinite(loss))
        predicted = self.network.objective.fractions(logits.detach())
        known = ~wanted.isnan()
        at.loss += loss
        at.squared += float(((predicted - wanted.nan_to_num()).square() * known).sum())
        at.known += int(known.sum())
        whole = known.all(dim=1)
        at.correct += int((predicted[whole].argmax(dim=1) == wanted[whole].argmax(dim=1)).sum())
        at.compared += int(whole.sum())

    def _end_epoch(self) -> dict[str, Any]:
        at = self.position
        rows = self.rows["validation"]
        logits = torch.from_numpy(store_logits(self.network, self.store, rows))
        self._refuse_divergence(bool(logits.isfinite().all()))
        truth = self.truth[rows]
        predicted = self.network.objective.fractions(logits).numpy()
        validation_loss = float(self.network.objective.loss(logits, torch.from_numpy(truth)).mean())
        row = {
            "epoch": at.epoch + 1,
            "loss": at.loss / len(self.rows["train"]),
            "mse": at.squared / max(at.known, 1),
            "accuracy": at.correct / at.compared if at.compared else None,
            "validation_loss": validation_loss,
            "validation_mse": mse(truth, predicted),
            "validation_accuracy": argmax_accuracy(truth, predicted),
            "seconds": round(at.seconds, 3),
        }
        row = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        history = [*at.history, row]
        best = at.best_loss
        if self.settings.keep == "best" and validation_loss < best:
            best = validation_loss
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}
        self.position = _Position(epoch=at.epoch + 1, history=history, best_loss=best)
        lines = "".join(json.dumps(each) + "\n" for each in history)
        write_text(self.run.path / "metrics.jsonl", lines)
        return row

    def _learning_rate(self) -> float:
        """The rate of this step, from the recipe and the position alone."""
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        steps = math.ceil(len(self.rows["train"]) / self.settings.batch_size)
        done = (self.position.epoch + (self.position.step + 0.5) / steps) / self.settings.epochs
        return self.settings.learning_rate * min(done / 0.05, 0.5 + 0.5 * math.cos(math.pi * done))

    def _refuse_divergence(self, finite: bool) -> None:
        if not finite:
            raise DataError(
                f"the network's output is no number any more in epoch {self.position.epoch + 1}: lower"
                f" train.learning_rate ({self.settings.learning_rate:g})"
            )

    def _save(self) -> None:
        tensors = {f"network.{name}": tensor for name, tensor in self.module.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for (name, _), state in zip(self.module.named_parameters(), self.optimiser.state.values(), strict=False):
            tensors |= {f"optimiser.{key}.{name}": value for key, value in state.items()}
        position = {**asdict(self.position), "threads": torch.get_num_threads()}
        write_tensors(self.run.path / "state.safetensors", tensors, position)

    def _load(self, path: Path) -> None:
        tensors, position = read_tensors(path)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        load_state(self.module, parts["network"], path)
        self.best = parts["best"]
        for name, parameter in self.module.named_parameters():
            saved = {key: parts["optimiser"].get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            self.optimiser.state[parameter] = {
                # The moments lie in memory as the weights do: the fused step runs over both as they lie.
                key: tensor.clone() if key == "step" else torch.empty_like(parameter).copy_(tensor)
                for key, tensor in saved.items()
                if tensor is not None
            }
        threads = position.pop("threads")
        if self.device.type == "cpu" and threads != torch.get_num_threads():
            warnings.warn(
                f"{path.parent} was begun with {threads} threads and goes on with {torch.get_num_threads()}:"
                " the result will differ in the last bits",
                stacklevel=3,
            )
        self.position = _Position(**position)


@contextmanager
def _stop_signal() -> Generator[threading.Event]:
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


def _seed(*parts: int) -> int:
    """One 63-bit seed from a few numbers, so that no two positions share their random numbers."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


def _told(row: dict[str, Any]) -> str:
    shown = (f"{key.replace('_', ' ')} {value:.4f}" for key, value in row.items() if isinstance(value, float))
    return f"epoch {row['epoch']}: " + ", ".join(shown)
