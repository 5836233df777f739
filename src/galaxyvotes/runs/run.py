"""A run is one folder, and the folder alone is enough to predict, to evaluate or to go on training.

    config.toml          the resolved recipe
    tree.toml            the decision tree of its first head; tree-2.toml … of the others
    run.json             the stores it was trained on, or the runs it is an ensemble of; the image
                         that it takes; the answers of each head, and the mean and deviation of
                         quantities; digests of the small files
    seen.parquet         every training and validation galaxy: id, the catalogue's word for ids,
                         digest of the pixels, split
    metrics.jsonl        one line an epoch
    start.safetensors    the weights that training started from, if they were not new
    weights.safetensors  the trained network; weights-2.safetensors … of an ensemble's others
    calibration.toml, familiar-1-DIGEST.safetensors
                         once it is calibrated; see `runs.calibration`
    state.safetensors    while training: network, optimiser and position, all of them or none

Every tensor file carries a digest of its tensors and of its own header, so a flipped byte is found.
Nothing is pickled.
"""

import json
import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.kinds import Standard
from galaxyvotes.runs.calibration import (
    Calibration,
    numbered_file,
    read_calibration,
    write_calibration,
)
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.skill import advice_after, warning_after_training
from galaxyvotes.runs.small_files import facts_digest, write_facts, write_small_files
from galaxyvotes.runs.tensors import FORMAT, load_state, read_tensors, write_tensors
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.digests import digest_of, file_digest
from galaxyvotes.runtime.files import given_path, new_folder, replacing
from galaxyvotes.store.seen_before import BUNDLED, bundled_folder
from galaxyvotes.tree import DecisionTree

__all__ = ["Run", "bundled_run", "open_run"]


def bundled_run() -> "Run":
    """The run that comes with the package."""
    return Run.open(bundled_folder())


def open_run(run: "Run | str | Path | None") -> "Run":
    """A run by its folder, or opened already; the bundled one if that is None.

    Raises CheckpointError if the folder is no run, or damaged.
    """
    if run is None:
        return bundled_run()
    return run if isinstance(run, Run) else Run.open(run)


@dataclass(frozen=True)
class Run:
    """A run folder; `Run.open` checks that this program can read it."""

    path: Path

    @staticmethod
    def create(
        path: str | Path,
        recipe: Recipe,
        heads: Sequence[Head],
        seen: pa.Table,
        facts: dict[str, Any],
        *,
        start: Network | None = None,
        weights: Sequence[Path] = (),
    ) -> "Run":
        """A new folder, there whole or not at all.

        `facts` are those of run.json. `start` is the network that training starts from, if its
        weights are not new; `facts` name it. `weights` are copied: the files of an ensemble.

        Raises ConfigError if the path exists, DataError if it cannot be written.
        """
        path = given_path(path)
        if path.exists():
            raise ConfigError(
                f"{path} exists already: continue it with `resume=True`, or name another folder"
            )
        with new_folder(path) as folder:
            small = write_small_files(folder, recipe, heads, seen)
            if start is not None:
                state = dict(start.module.state_dict())
                write_tensors(folder / "start.safetensors", state, {"start": facts["start"]})
            for number, source in enumerate(weights, 1):
                with replacing(folder / numbered_file("weights.safetensors", number)) as partial:
                    shutil.copyfile(source, partial)
            digests = {name: file_digest(folder / name) for name in small}
            columns = [head.columns for head in heads]
            facts = {"format": FORMAT, **facts, "columns": columns, "digests": digests}
            if any(head.standards for head in heads):
                facts["standards"] = [head.standards for head in heads]
            write_facts(folder, facts)
        return Run(path)

    @staticmethod
    def open(path: str | Path) -> "Run":
        """The run in a folder.

        Raises CheckpointError if it is none, if a newer galaxyvotes wrote it, or if a small file is
        missing, damaged or has changed. Files of tensors are checked when they are read.
        """
        path = given_path(path)
        if not (path / "run.json").is_file():
            raise CheckpointError(f"{path} is no run: it has no run.json")
        try:
            facts = json.loads((path / "run.json").read_text("utf-8"))
            written_as, digests = int(facts["format"]), dict(facts["digests"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path / 'run.json'} is damaged: {error!r}") from None
        if written_as > FORMAT:
            raise CheckpointError(
                f"{path} was written by a newer galaxyvotes (format {written_as}; this one reads"
                f" {FORMAT}): upgrade galaxyvotes"
            )
        lacking = [name for name in ("pack", "stores", "columns") if name not in facts]
        digest = facts_digest(facts)
        if lacking or facts.get("digest", digest) != digest:  # older runs have no digest
            raise CheckpointError(
                f"{path / 'run.json'} is damaged or has changed since the run began; restore it"
            )
        for name, digest in digests.items():
            if not (path / name).is_file() or file_digest(path / name) != digest:
                raise CheckpointError(
                    f"{path / name} is missing or has changed since the run began; restore it"
                )
        return Run(path)

    # ---- what the folder holds

    @property
    def title(self) -> str:
        """What messages call it: its folder, or "the bundled model"."""
        return BUNDLED if self.path == bundled_folder() else str(self.path)

    @property
    def name(self) -> str:
        """The name of its folder, or "the bundled model"."""
        return BUNDLED if self.path == bundled_folder() else self.path.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The contents of `run.json`."""
        return json.loads((self.path / "run.json").read_text("utf-8"))

    @property
    def pack(self) -> PackSettings:
        """Which square of an image its network takes; CheckpointError if nothing sensible says so,
        as in a damaged run of an older galaxyvotes, which has no digest.
        """
        try:
            return PackSettings(**self.facts["pack"])
        except (TypeError, ConfigError) as error:
            raise CheckpointError(
                f"{self.path / 'run.json'} is damaged: pack: {error}; restore it"
            ) from None

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        path = self.path / "config.toml"
        return replace(Recipe.from_toml(path.read_text("utf-8"), str(path)), pack=self.pack)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """The trees it was trained on, each with the answers that its network predicts."""
        heads: list[Head] = []
        standards = self.facts.get("standards", [[]] * len(self.facts["columns"]))
        for number, (columns, pairs) in enumerate(
            zip(self.facts["columns"], standards, strict=True), 1
        ):
            path = self.path / numbered_file("tree.toml", number)
            tree = DecisionTree.from_toml(path.read_text("utf-8"), str(path))
            heads.append(Head(tree, tuple(columns), tuple(Standard(*pair) for pair in pairs)))
        return tuple(heads)

    @cached_property
    def seen(self) -> pa.Table:
        """Every training and validation galaxy: columns id, id_name, pixels (digest), split."""
        return pq.ParquetFile(self.path / "seen.parquet").read()

    @property
    def seen_by_successors(self) -> pa.Table:
        """`seen` for a run that starts from this one: galaxies that chose the epoch count as its
        training galaxies.
        """
        if not self.recipe.train.selects_epoch:
            return self.seen
        index = self.seen.column_names.index("split")
        return self.seen.set_column(
            index, "split", pa.array(["train"] * len(self.seen), pa.string())
        )

    @property
    def caveat(self) -> str | None:
        """What limits the validation figures: galaxies that the run it started from was trained
        on.
        """
        known, galaxies = self.facts.get("known_before", (0, 0))
        if not known:
            return None
        return (
            f"{known:,} of its {counted(galaxies, 'validation galaxy')} {agreeing(known, 'was')} in"
            f" the training set of {self.facts['start']}, from which it started: its validation"
            " figures are too good, and neither calibrate nor evaluate takes such galaxies"
        )

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: loss, MSE and accuracy on training and validation galaxies.

        Raises CheckpointError if a row is damaged.
        """
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        try:
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}; restore it") from None
        if not rows:
            raise CheckpointError(f"{path} is damaged: it is empty; restore it")
        for number, row in enumerate(rows, 1):
            if not (isinstance(row, dict) and {"epoch", "validation_loss"} <= row.keys()):
                raise CheckpointError(f"{path} is damaged: line {number} is no epoch; restore it")
        return rows

    @property
    def kept(self) -> dict[str, Any]:
        """The row of `history` of the epoch whose network is kept; empty before the first one."""
        rows = self.history
        if self.recipe.train.keep == "best" and rows:
            return min(rows, key=lambda row: row["validation_loss"])
        return rows[-1] if rows else {}

    @property
    def warning(self) -> str | None:
        """A warning if a head is no better on the validation galaxies than the mean label of the
        training galaxies, or than before fine-tuning; None if all are, or training has not ended.
        """
        stores = self.facts["stores"]
        galaxies = sum(store["validation"] for store in stores)
        if not (self.finished and galaxies):
            return None
        at_start = self.facts.get("validation_at_start", {})
        warning = warning_after_training(self.heads, self.kept, galaxies, at_start)
        large, mirrors = all(one.get("large_shares") for one in stores), self.recipe.mirrors
        advice = advice_after(self.begun_by, galaxies, mirrors=mirrors, large_shares=large)
        return warning and f"{self.path} {warning}. {advice}"

    @property
    def begun_by(self) -> str:
        """The command that began it: train or finetune."""
        return "finetune" if "known_before" in self.facts else "train"

    @property
    def resume_call(self) -> str:
        """The call that continues it, with the names of its stores."""
        stores = [store["path"] for store in self.facts["stores"]]
        named = stores[0] if len(stores) == 1 else stores
        return f"galaxyvotes.{self.begun_by}({named!r}, out={str(self.path)!r}, resume=True)"

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return (self.path / "weights.safetensors").is_file()

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the runs that an ensemble was made of; its own name otherwise."""
        return tuple(self.facts.get("members", [self.path.name]))

    @property
    def default_tree(self) -> str:
        """The tree that it predicts unless another is named: the one that it is a calibrated copy
        for, or its first.
        """
        return self.facts.get("default_tree", self.heads[0].tree.name)

    @property
    def weights(self) -> tuple[Path, ...]:
        """The files of weights, one a member."""
        numbers = range(1, len(self.members) + 1)
        return tuple(self.path / numbered_file("weights.safetensors", n) for n in numbers)

    @property
    def digest(self) -> str:
        """One digest of all that decides its predictions: the weights and the temperature scaling.

        Raises CheckpointError if a calibration is damaged.
        """
        calibrations = [self.calibration(number) for number in range(1, len(self.heads) + 1)]
        scalings = [repr(each.temperature).encode() for each in calibrations if each.temperature]
        return digest_of([*(path.read_bytes() for path in self.weights), *scalings])

    def check_trainable(self) -> None:
        """Raise CheckpointError if this is an ensemble, which cannot be trained as one network."""
        if "members" in self.facts:
            raise CheckpointError(
                f"{self.path} is an ensemble of {', '.join(self.members)} and cannot be trained as"
                " one network: name one of these runs, and make an ensemble of the results"
            )

    # ---- the network

    def untrained(self) -> Network:
        """The network with new weights of the recipe's seed."""
        return Network.build(self.recipe, self.heads, self.pack)

    def network(
        self,
        device: str | torch.device = "cpu",
        *,
        tree: str | None = None,
        as_trained: bool = False,
    ) -> Network:
        """The trained network, or the members of the ensemble, in evaluation mode, for the tree of
        that name or `default_tree`.

        Its logits are scaled by the temperature that calibration found; if `as_trained`, it is not
        calibrated at all.

        Raises CheckpointError if training is not finished, or if weights or calibration are
        missing, damaged or do not fit; ConfigError if the run has no such tree.
        """
        if not self.finished:
            raise CheckpointError(
                f"{self.path} has no weights yet: finish it with `{self.resume_call}`"
            )
        network = self.untrained()
        if not as_trained:
            calibrations = tuple(self.calibration(n) for n in range(1, len(self.heads) + 1))
            network = replace(network, calibrations=calibrations)
        others = tuple(deepcopy(network.module) for _ in self.weights[1:])
        network = replace(network, other_members=others)
        for member, path in zip(network.members, self.weights, strict=True):
            load_state(member.module, read_tensors(path)[0], path)
            if not as_trained:
                member.scale_logits()
            member.module.to(device).eval()
        return network.for_tree(tree or self.default_tree)

    def check(self) -> None:
        """Raise CheckpointError if training is not finished, or if a file is missing, damaged or
        does not fit the recipe.
        """
        self.network()

    def calibration(self, number: int = 1) -> Calibration:
        """The calibration of the head of that number; an empty one if there is none.

        Raises CheckpointError if it is damaged, or was measured with other weights.
        """
        return read_calibration(self.path, self.weights, number, self.heads[number - 1].tree)

    def copy_to(self, folder: Path, default_tree: str | None = None) -> "Run":
        """The same finished run in an empty folder, with the weights that it started from and its
        calibrations, without reports; it predicts `default_tree` unless another is named.
        """
        names = ["run.json", *self.facts["digests"], *(path.name for path in self.weights)]
        names += [
            path.name
            for pattern in (
                "metrics.jsonl",
                "start.*",
                "calibration*.toml",
                "familiar*.safetensors",
            )
            for path in self.path.glob(pattern)
        ]
        for name in names:
            shutil.copyfile(self.path / name, folder / name)
        if default_tree not in (None, self.default_tree):
            facts = {name: fact for name, fact in self.facts.items() if name != "digest"}
            write_facts(folder, {**facts, "default_tree": default_tree})
        return Run(folder)

    def save_calibration(self, calibration: Calibration, number: int = 1) -> None:
        """Write a calibration, all of it or nothing; one that is there already is replaced."""
        write_calibration(calibration, self.path, self.weights, number)
