"""A run is one folder, and the folder alone is enough to predict, to judge or to go on training.

    config.toml            the resolved recipe
    tree.toml              the decision tree of its first head; tree-2.toml … of the others
    run.json               what it was trained on or joined from, and on which computer; which answers each head gives,
                           and how large its quantities are
    seen.parquet           every galaxy that taught or tuned it: id, the catalogue's word for ids, pixels, split
    metrics.jsonl          one line an epoch
    start.safetensors      where training began, if it was another run's network or had pretrained weights
    weights.safetensors    the network at the end of training; weights-2.safetensors … of a run joined from several
    calibration.toml       how far off its answers may be, once it is calibrated; calibration-2.toml … for other heads
    familiar-1-DIGEST.safetensors   what the galaxies of that calibration look like to it; familiar-2-DIGEST …
    state.safetensors      while training: network, optimiser and position, all of them or none

Every tensor file carries a digest of its tensors and of its own header, so a flipped byte is found.
Nothing is pickled.
"""

import json
import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.networks.objectives import Standard
from galaxyvotes.runs.calibration import Calibration, numbered, read_calibration, write_calibration
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.tensors import FORMAT, load_state, read_tensors, write_tensors
from galaxyvotes.runtime.digests import contents_digest, file_digest
from galaxyvotes.runtime.files import new_folder, replacing, write_text
from galaxyvotes.tree import DecisionTree

__all__ = ["Run", "opened", "shipped_run"]


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
        start: Network | None = None,
        weights: Sequence[Path] = (),
    ) -> "Run":
        """A new folder, there whole or not at all; one that exists is refused.

        It holds everything but trained weights, or copies of these. `start`: see the head.
        """
        path = Path(path)
        if path.exists():
            raise ConfigError(
                f"{path} exists already: continue it with --resume, or name another folder"
            )
        trees = [numbered("tree.toml", number) for number in range(1, len(heads) + 1)]
        with new_folder(path) as folder:
            write_text(folder / "config.toml", recipe.to_toml())
            for name, head in zip(trees, heads, strict=True):
                write_text(folder / name, head.tree.to_toml())
            with replacing(folder / "seen.parquet") as partial:
                pq.write_table(seen, partial)
            if start is not None:
                write_tensors(
                    folder / "start.safetensors",
                    dict(start.module.state_dict()),
                    {"start": facts["start"]},
                )
            for number, source in enumerate(weights, 1):
                with replacing(folder / numbered("weights.safetensors", number)) as partial:
                    shutil.copyfile(source, partial)
            digests = {
                name: file_digest(folder / name) for name in ("config.toml", *trees, "seen.parquet")
            }
            columns = [head.columns for head in heads]
            facts = {"format": FORMAT, **facts, "columns": columns, "digests": digests}
            if any(head.standards for head in heads):
                facts["standards"] = [head.standards for head in heads]
            facts["digest"] = _digest_of(facts)
            write_text(folder / "run.json", json.dumps(facts, indent=2) + "\n")
        return Run(path)

    @staticmethod
    def open(path: str | Path) -> "Run":
        """The run in a folder, its small files checked against their digests."""
        path = Path(path)
        if not (path / "run.json").is_file():
            raise CheckpointError(f"{path} is no run: it has no run.json")
        try:
            facts = json.loads((path / "run.json").read_text("utf-8"))
            found, digests = int(facts["format"]), dict(facts["digests"])
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path / 'run.json'} is damaged: {error!r}") from None
        if found > FORMAT:
            raise CheckpointError(
                f"{path} was written by a newer galaxyvotes (format {found}; this one reads"
                f" {FORMAT}): upgrade galaxyvotes"
            )
        lacking = [name for name in ("pack", "stores", "columns") if name not in facts]
        if lacking or facts.get("digest", _digest_of(facts)) != _digest_of(
            facts
        ):  # older runs have no digest
            raise CheckpointError(
                f"{path / 'run.json'} is damaged or has changed since the run began; restore it"
            )
        for name, digest in digests.items():
            if not (path / name).is_file() or file_digest(path / name) != digest:
                raise CheckpointError(
                    f"{path / name} is missing or has changed since the run began; restore it"
                )
        return Run(path)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        return json.loads((self.path / "run.json").read_text("utf-8"))

    @property
    def pack(self) -> PackSettings:
        """Which square of an image its network wants to see."""
        return PackSettings(**self.facts["pack"])

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return Recipe.from_toml(
            (self.path / "config.toml").read_text("utf-8"), str(self.path / "config.toml")
        )

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """The trees it was trained on, each with the answers that its network gives."""
        heads: list[Head] = []
        standards = self.facts.get("standards", [[]] * len(self.facts["columns"]))
        for number, (columns, each) in enumerate(
            zip(self.facts["columns"], standards, strict=True), 1
        ):
            path = self.path / numbered("tree.toml", number)
            tree = DecisionTree.from_toml(path.read_text("utf-8"), str(path))
            heads.append(Head(tree, tuple(columns), tuple(Standard(*pair) for pair in each)))
        return tuple(heads)

    @cached_property
    def seen(self) -> pa.Table:
        """Every galaxy that taught or tuned it: columns id, id_name, pixels (digest), split."""
        return pq.read_table(self.path / "seen.parquet")

    @property
    def passed_on(self) -> pa.Table:
        """What a run that begins with this one has seen by it: galaxies that chose the epoch have
        taught that run.
        """
        if not self.recipe.train.chooses:
            return self.seen
        place = self.seen.column_names.index("split")
        return self.seen.set_column(
            place, "split", pa.array(["train"] * len(self.seen), pa.string())
        )

    @property
    def caveat(self) -> str | None:
        """What to know of its validation figures: that the run it began with had learned from these
        galaxies.
        """
        known, galaxies = self.facts.get("known_before", (0, 0))
        if not known:
            return None
        return (
            f"{known:,} of its {galaxies:,} validation galaxies had taught {self.facts['start']}"
            " before: its validation figures flatter, and neither calibrate nor evaluate takes"
            " such galaxies"
        )

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: loss, MSE and accuracy on training and validation galaxies."""
        path = self.path / "metrics.jsonl"
        return (
            [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            if path.is_file()
            else []
        )

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return (self.path / "weights.safetensors").is_file()

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the runs it was joined from; its own if it was not."""
        return tuple(self.facts.get("members", [self.path.name]))

    @property
    def weights(self) -> tuple[Path, ...]:
        """Where the weights of its networks are."""
        return tuple(
            self.path / numbered("weights.safetensors", n) for n in range(1, len(self.members) + 1)
        )

    def alone(self) -> "Run":
        """This run, to learn from or to go on with; CheckpointError if it was joined from
        several.
        """
        if "members" in self.facts:
            raise CheckpointError(
                f"{self.path} was joined from {', '.join(self.members)} and cannot learn as one"
                " network: name one of these runs, and join what comes of them"
            )
        return self

    def untrained(self) -> Network:
        """The network as it was before the first step."""
        return Network.build(self.recipe, self.heads, self.pack)

    def network(
        self,
        device: str | torch.device = "cpu",
        *,
        tree: str | None = None,
        as_trained: bool = False,
    ) -> Network:
        """The trained network or networks, in evaluation mode, to answer the tree of that name or
        the first one.

        As sure of its answers as calibrating found that it should be; or, if it is wanted
        `as_trained`, as it is.
        """
        if not self.finished:
            raise CheckpointError(
                f"{self.path} has no weights yet: finish it with galaxyvotes train --resume"
            )
        numbers = range(1, len(self.heads) + 1)
        found = [self.calibrated(number) for number in numbers]
        network = self.untrained()
        others = tuple(deepcopy(network.module) for _ in self.weights[1:])
        for module, path in zip((network.module, *others), self.weights, strict=True):
            load_state(module, read_tensors(path)[0], path)
            for head, each in zip(network.all_heads, found, strict=True):
                if each.certainty is not None and not as_trained:
                    each.certainty.teach(module, head.outputs)
            module.to(device).eval()
        return replace(
            network,
            calibrations=tuple(each.joint for each in found),
            familiars=tuple(each.familiar for each in found),
            conditionals=tuple(each.conditional for each in found),
            others=others,
        ).for_tree(tree)

    def calibrated(self, number: int = 1) -> Calibration:
        """What calibrating found of its head of that number."""
        return read_calibration(self.path, self.weights, number)

    def save_calibration(self, found: Calibration, number: int = 1) -> None:
        """Write it beside the weights, all of it or nothing; what is there already is replaced."""
        write_calibration(found, self.path, self.weights, number)


def _digest_of(facts: dict[str, Any]) -> str:
    return contents_digest(facts, partial(json.dumps, sort_keys=True))


def shipped_run() -> Run:
    """The run that comes with the package."""
    return Run.open(Path(str(resources.files("galaxyvotes"))) / "weights")


def opened(run: Run | str | Path | None) -> Run:
    """A run by its folder or opened already; the bundled one if there is none."""
    if run is None:
        return shipped_run()
    return run if isinstance(run, Run) else Run.open(run)
