"""A run is one folder, and the folder alone is enough to predict, to judge or to go on training.

    config.toml            the resolved recipe
    tree.toml              the decision tree of its first head; tree-2.toml … of the others
    run.json               what it was trained on, and on which computer; which answers each head gives, and how large
                           its quantities are
    seen.parquet           every galaxy that taught or tuned it: id, the catalogue's word for ids, pixels, split
    metrics.jsonl          one line an epoch
    start.safetensors      where training began, if it was another run's network or had pretrained weights
    weights.safetensors    the network at the end of training
    calibration.toml       how far off its answers may be, once it is calibrated; calibration-2.toml … for other heads
    familiar.safetensors   what the galaxies of that calibration look like to it; familiar-2.safetensors …
    state.safetensors      while training: network, optimiser and position, all of them or none

Every tensor file carries a digest of its tensors and of its own header, so a flipped byte is found. Nothing is pickled.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.conformal import Calibration
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.files import replacing, write_text
from galaxyvotes.models import build
from galaxyvotes.novelty import Familiar
from galaxyvotes.objectives import Objective, Standard
from galaxyvotes.pretrained import load_pretrained
from galaxyvotes.tree import DecisionTree

__all__ = ["Head", "Network", "Run", "shipped_run"]

FORMAT = 1


@dataclass(frozen=True)
class Head:
    """The answers of one tree that a network gives, one output each; a network of several trees has several heads.

    Quantities have a standard each, measured on the galaxies that teach; fractions have none.
    """

    tree: DecisionTree
    columns: tuple[str, ...]
    standards: tuple[Standard, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network with what is needed to use one of its heads, and which square of an image it wants to see."""

    module: nn.Sequential
    heads: tuple[Head, ...]
    pack: PackSettings
    recipe: Recipe
    place: int = 0
    calibrations: tuple[Calibration | None, ...] = ()
    familiars: tuple[Familiar | None, ...] = ()

    @property
    def head(self) -> Head:
        """The head in use."""
        return self.heads[self.place]

    @property
    def tree(self) -> DecisionTree:
        """The tree its answers belong to."""
        return self.head.tree

    @property
    def columns(self) -> tuple[str, ...]:
        """The answers it gives."""
        return self.head.columns

    @property
    def calibration(self) -> Calibration | None:
        """How far off its answers may be; None if nobody has measured that."""
        return self.calibrations[self.place] if self.calibrations else None

    @property
    def familiar(self) -> Familiar | None:
        """What galaxies it knows its answers for; None if it was never calibrated."""
        return self.familiars[self.place] if self.familiars else None

    @property
    def outputs(self) -> slice:
        """Where its answers stand among the outputs of the module."""
        start = sum(len(head.columns) for head in self.heads[: self.place])
        return slice(start, start + len(self.columns))

    @cached_property
    def objective(self) -> Objective:
        """What its outputs mean as fractions."""
        return Objective(self.recipe.train.objective, self.tree, self.columns, self.head.standards)

    @property
    def all_heads(self) -> tuple["Network", ...]:
        """The same network, once for each of its heads."""
        return tuple(replace(self, place=place) for place in range(len(self.heads)))

    def answering(self, tree: str | None) -> "Network":
        """The same network, used for the tree of that name; for its first one if there is no name."""
        names = [head.tree.name for head in self.heads]
        if tree is not None and tree not in names:
            raise ConfigError(f"this network answers the tree {' and '.join(names)}, not {tree!r}")
        return replace(self, place=0 if tree is None else names.index(tree))

    @staticmethod
    def build(recipe: Recipe, heads: Sequence[Head], pack: PackSettings) -> "Network":
        """An untrained network, drawn from the recipe's seed."""
        torch.manual_seed(recipe.train.seed)
        module = build(recipe.model, answers=sum(len(head.columns) for head in heads), size_px=pack.size_px)
        network = Network(module, tuple(heads), pack, recipe)
        _ = [each.objective for each in network.all_heads]  # refuses an objective that does not fit
        return network

    @staticmethod
    def beginning(recipe: Recipe, heads: Sequence[Head], pack: PackSettings) -> "Network":
        """The network that a new run of this recipe begins with: untrained, or with pretrained weights."""
        network = Network.build(recipe, heads, pack)
        if recipe.model.pretrained:
            load_pretrained(network.module, recipe.model)
        return network


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
    ) -> "Run":
        """A new folder with everything but trained weights; one that exists is refused. `start`: see the head."""
        path = Path(path)
        if path.exists():
            raise ConfigError(f"{path} exists already: continue it with --resume, or name another folder")
        path.mkdir(parents=True)
        write_text(path / "config.toml", recipe.to_toml())
        for number, head in enumerate(heads, 1):
            write_text(path / _tree_file(number), head.tree.to_toml())
        with replacing(path / "seen.parquet") as partial:
            pq.write_table(seen, partial)
        if start is not None:
            write_tensors(path / "start.safetensors", dict(start.module.state_dict()), {"start": facts["start"]})
        trees = [_tree_file(number) for number in range(1, len(heads) + 1)]
        digests = {name: _file_digest(path / name) for name in ("config.toml", *trees, "seen.parquet")}
        columns = [head.columns for head in heads]
        standards = {"standards": [head.standards for head in heads]} if any(head.standards for head in heads) else {}
        facts = {"format": FORMAT, **facts, "columns": columns, **standards, "digests": digests}
        write_text(path / "run.json", json.dumps(facts, indent=2) + "\n")
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
                f"{path} was written by a newer galaxyvotes (format {found}; this one reads {FORMAT}):"
                " upgrade galaxyvotes"
            )
        for name, digest in digests.items():
            if not (path / name).is_file() or _file_digest(path / name) != digest:
                raise CheckpointError(f"{path / name} is missing or has changed since the run began; restore it")
        return Run(path)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        return json.loads((self.path / "run.json").read_text("utf-8"))

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return Recipe.from_toml((self.path / "config.toml").read_text("utf-8"), str(self.path / "config.toml"))

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """The trees it was trained on, each with the answers that its network gives."""
        heads: list[Head] = []
        standards = self.facts.get("standards", [[]] * len(self.facts["columns"]))
        for number, (columns, each) in enumerate(zip(self.facts["columns"], standards, strict=True), 1):
            path = self.path / _tree_file(number)
            tree = DecisionTree.from_toml(path.read_text("utf-8"), str(path))
            heads.append(Head(tree, tuple(columns), tuple(Standard(*pair) for pair in each)))
        return tuple(heads)

    @cached_property
    def seen(self) -> pa.Table:
        """Every galaxy that taught or tuned it: columns id, id_name, pixels (digest), split."""
        return pq.read_table(self.path / "seen.parquet")

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: loss, MSE and accuracy on training and validation galaxies."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return (self.path / "weights.safetensors").is_file()

    def untrained(self) -> Network:
        """The network as it was before the first step."""
        return Network.build(self.recipe, self.heads, PackSettings(**self.facts["pack"]))

    def network(self, device: str | torch.device = "cpu", *, tree: str | None = None) -> Network:
        """The trained network, in evaluation mode, to answer the tree of that name or its first one."""
        if not self.finished:
            raise CheckpointError(f"{self.path} has no weights yet: finish it with galaxyvotes train --resume")
        numbers = range(1, len(self.heads) + 1)
        found = tuple(self.calibration(number) for number in numbers)
        familiars = tuple(self.familiar(number) for number in numbers)
        network = replace(self.untrained(), calibrations=found, familiars=familiars).answering(tree)
        tensors, _ = read_tensors(self.path / "weights.safetensors")
        load_state(network.module, tensors, self.path / "weights.safetensors")
        network.module.to(device).eval()
        return network

    def calibration(self, number: int = 1) -> Calibration | None:
        """How far off the answers of its head of that number may be; None if nobody has measured that."""
        path = self.path / _calibration_file(number)
        if not path.is_file():
            return None
        digest, _, text = path.read_text("utf-8").partition("\n")
        if digest != f"# {xxhash.xxh3_128(text.encode()).hexdigest()}":
            raise CheckpointError(f"{path} is damaged: its digest does not fit; run galaxyvotes calibrate again")
        return Calibration.from_toml(text, str(path))

    def keep_calibration(self, calibration: Calibration, number: int = 1) -> None:
        """Write it beside the weights, with its digest; one that is there already is replaced."""
        text = calibration.to_toml()
        write_text(self.path / _calibration_file(number), f"# {xxhash.xxh3_128(text.encode()).hexdigest()}\n{text}")

    def familiar(self, number: int = 1) -> Familiar | None:
        """What galaxies its head of that number was calibrated on; None if on none."""
        path = self.path / _familiar_file(number)
        if not path.is_file():
            return None
        tensors, _ = read_tensors(path, mend="run galaxyvotes calibrate again")
        return Familiar.from_tensors(tensors, str(path))

    def keep_familiar(self, familiar: Familiar, number: int = 1) -> None:
        """Write it beside the weights; one that is there already is replaced."""
        write_tensors(self.path / _familiar_file(number), familiar.to_tensors(), {})


def shipped_run() -> Run:
    """The run that comes with the package."""
    return Run.open(Path(str(resources.files("galaxyvotes"))) / "weights")


def _tree_file(number: int) -> str:
    return "tree.toml" if number == 1 else f"tree-{number}.toml"


def _calibration_file(number: int) -> str:
    return "calibration.toml" if number == 1 else f"calibration-{number}.toml"


def _familiar_file(number: int) -> str:
    return "familiar.safetensors" if number == 1 else f"familiar-{number}.safetensors"


def load_state(module: nn.Module, tensors: dict[str, Tensor], origin: Path) -> None:
    """Put tensors into a module; ones that do not fit are a CheckpointError."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{origin} does not fit the network of its run: {error}") from None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and a JSON-able note in one step, with the digest of both."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    note = json.dumps(metadata)
    header = {"format": FORMAT, "note": note, "digest": _tensor_digest(tensors, note)}
    with replacing(path) as partial:
        # One key: safetensors writes several in any order, and equal runs shall be equal files.
        save_file(tensors, partial, metadata={"galaxyvotes": json.dumps(header)})


def read_tensors(path: Path, *, mend: str = "restore it or train again") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and their note; damage is a CheckpointError that says how to `mend` it."""
    try:
        opened: Any = safe_open(path, framework="pt")
        with opened as file:
            notes: dict[str, str] = file.metadata() or {}
            header = json.loads(notes.get("galaxyvotes", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found, note, digest = int(header["format"]), str(header["note"]), header["digest"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error!r}; {mend}") from None
    if found > FORMAT:
        raise CheckpointError(
            f"{path} was written by a newer galaxyvotes (format {found}; this one reads {FORMAT}): upgrade galaxyvotes"
        )
    if _tensor_digest(tensors, note) != digest:
        raise CheckpointError(f"{path} is damaged: its digest does not fit; {mend}")
    return tensors, json.loads(note)


def _tensor_digest(tensors: dict[str, Tensor], note: str) -> str:
    digest = xxhash.xxh3_128(note.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    return xxhash.xxh3_128(path.read_bytes()).hexdigest()


def pack_facts(pack: PackSettings) -> dict[str, int]:
    """Pack settings as plain data."""
    return asdict(pack)
