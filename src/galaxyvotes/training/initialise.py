"""A run before its first step: its folder, the galaxies it will have seen, and the network it
starts with.
"""

import math
from copy import deepcopy
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import nn

from galaxyvotes.config import Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.batch import Share
from galaxyvotes.networks.timm_encoder import TimmNetwork
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.locks import writer_of
from galaxyvotes.store.held_out import has_large_shares
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.frozen import versions_for
from galaxyvotes.training.heads import means_of
from galaxyvotes.training.step_memory import memory_warning
from galaxyvotes.training.validation import validate

__all__ = ["WarmStart", "check_new", "create_run"]


class WarmStart(NamedTuple):
    """The network that a run starts with, the name of the run it comes from, the galaxies that
    this has seen, and the trees whose outputs are those of that run: of others they are new.
    """

    network: Network
    name: str
    seen: pa.Table
    copied: tuple[str, ...] = ()


def create_run(
    batches: TrainingBatches,
    out: Path,
    recipe: Recipe,
    device: torch.device,
    start: WarmStart | None = None,
) -> Run:
    """A new run folder, written by the first process; its network starts as its recipe says, or
    with that of another run. It is trained in the precision that suits the device, wherever it
    goes on.

    Raises ConfigError if `out` exists, saying who trains there, if a step takes more memory than
    there is, or if batch norms of an encoder of timm's would have a single galaxy; whatever else
    prevents the network from being built comes before there is a folder, too.
    """
    check_new(out)
    pack = batches.stores[0].pack
    recipe = replace(recipe, pack=pack)
    network = start.network if start else Network.initial(recipe, batches.heads, pack)
    _check_batch_norms(network, batches)
    memory_warning(network, device)
    name = start.name if start else recipe.model.pretrained
    half = low_precision(recipe.train.precision, device)
    facts = _facts(batches) | {"precision": "bfloat16" if half else "float32"}
    facts |= {"start": name} if name else {}
    facts["means"] = [_means(head, batches) for head in batches.heads]
    facts |= {"versions": versions_for(network, batches)} if not recipe.train.encoder_rate else {}
    seen = batches.seen()
    if start:
        facts["known_before"] = _known_before(seen, start.seen)
        facts["copied_heads"] = list(start.copied)
        if start.copied and not facts["known_before"][0]:  # on those it would be too good
            facts["validation_at_start"] = _validation_at_start(network, batches, facts, device)
        seen = pa.concat_tables([seen, start.seen])
    distributed.first(
        lambda: Run.create(out, recipe, batches.heads, seen, facts, start=network if name else None)
    )
    return Run(out)


def check_new(out: Path) -> None:
    """Raise ConfigError if a path exists, so that no new run can have it."""
    if distributed.first_finds(out.exists()):
        raise ConfigError(_existing(out))


def _existing(out: Path) -> str:
    """Why a new run cannot have a folder that exists, and what to do."""
    if (writer := writer_of(out)) is not None:
        return (
            f"{out} is being trained by {writer}: wait until that has ended, or name another folder"
        )
    if not (out / "run.json").is_file():
        return f"{out} exists already and is no run: name another folder"
    if Run(out).finished:
        return f"{out} exists already and is a finished run: name another folder"
    return f"{out} exists already: continue it with `resume=True`, or name another folder"


def _facts(batches: TrainingBatches) -> dict[str, Any]:
    """What `run.json` says of the software and the stores."""
    return {
        "galaxyvotes": version("galaxyvotes"),
        "torch": torch.__version__,
        "pack": batches.stores[0].pack.to_table(),
        "stores": [
            {
                "path": store.path.name,
                "digest": store.digest,
                "galaxies": len(store),
                "id_name": store.id_name,
                "train": len(train),
                "validation": len(validation),
                "large_shares": has_large_shares(store.manifest),
            }
            for store, train, validation in zip(
                batches.stores, batches.train, batches.validation, strict=True
            )
        ],
        "left_out": batches.left_out,
    }


def _validation_at_start(
    network: Network, batches: TrainingBatches, facts: dict[str, Any], device: torch.device
) -> dict[str, float | None]:
    """The metrics of the validation galaxies before the first step, in the precision of the run."""
    recipe = network.recipe.changed(f"train.precision={facts['precision']}")
    module = deepcopy(network.module).to(device).eval()
    row = validate(replace(network, module=module, recipe=recipe), batches, epoch=0)
    return {name: None if math.isnan(value) else value for name, value in row.items()}


def _means(head: Head, batches: TrainingBatches) -> dict[str, float]:
    """The mean label over the training galaxies of each answer of a head's tree, those included
    that its network does not predict, where any is known.
    """
    whole = replace(head, columns=head.tree.columns)
    means = means_of(whole, batches.stores, batches.train).tolist()
    pairs = zip(whole.columns, means, strict=True)
    return {column: round(mean, 9) for column, mean in pairs if not math.isnan(mean)}


def _known_before(seen: pa.Table, before: pa.Table) -> tuple[int, int]:
    """How many of the validation galaxies another run was trained on, and how many there are."""
    validation, train = (
        [
            {row["pixels"], (row["id_name"], row["id"])}
            for row in table.to_pylist()
            if row["split"] == split
        ]
        for table, split in ((seen, "validation"), (before, "train"))
    )
    trained_on = {key for keys in train for key in keys}
    return sum(not trained_on.isdisjoint(keys) for keys in validation), len(validation)


def _check_batch_norms(network: Network, batches: TrainingBatches) -> None:
    """ConfigError if a process would have one galaxy of a batch, or of a part of it, at a time:
    batch norms of timm's encoders fail where that is left with one pixel.
    """
    module, settings = network.module, batches.settings
    has_norms = any(isinstance(each, nn.BatchNorm2d) for each in module.modules())
    if not (isinstance(module, TimmNetwork) and has_norms):
        return
    whole, last = batches.size_of(0), batches.size_of(batches.steps - 1)
    for galaxies in (whole, last):
        least = galaxies // distributed.count()
        parts = len(Share(0, least, galaxies).parts(settings.micro_batch))
        if least // parts > 1:
            continue
        shared = f" for {distributed.count()} processes" if distributed.count() > 1 else ""
        if parts > 1:
            shared += f", in parts of {settings.micro_batch} or fewer"
        raise ConfigError(
            f"of {len(batches.train[0])} training galaxies in batches of {settings.batch_size} the"
            f" last has {last}{shared}, and {network.recipe.model.name} has batch norms, which want"
            f" two{shared and ' each'}: set another train.batch_size"
            + (" or train.micro_batch" if parts > 1 else "")
        )
