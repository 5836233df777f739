"""A run as it is before the first step: its folder, what it will have seen, and the network that it
begins with.
"""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from galaxyvotes.config import Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.networks.timm_encoder import TimmNetwork
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime import distributed
from galaxyvotes.training.batches import TrainingBatches

__all__ = ["create_run"]


def create_run(
    batches: TrainingBatches,
    out: Path,
    recipe: Recipe,
    *,
    begun: tuple[Network, pa.Table] | None = None,
    start: str = "",
) -> Run:
    """A new run folder; it begins as its recipe says, or with the network called `start` and what
    that has seen.
    """
    if distributed.first_found(out.exists()):
        raise ConfigError(
            f"{out} exists already: continue it with --resume, or name another folder"
        )
    pack = batches.stores[0].pack
    network = (
        begun[0] if begun else Network.beginning(recipe, batches.heads, pack)
    )  # fails before there is a folder
    start = start or recipe.model.pretrained
    _ = batches.quotas
    _refuse_a_galaxy_alone(network, batches)
    facts: dict[str, Any] = {
        "galaxyvotes": version("galaxyvotes"),
        "torch": torch.__version__,
        "pack": asdict(pack),
        "stores": [
            {
                "path": store.path.name,
                "digest": store.digest,
                "galaxies": len(store),
                "id_name": store.id_name,
                "train": len(train_),
                "validation": len(validation),
            }
            for store, train_, validation in zip(
                batches.stores, batches.train, batches.validation, strict=True
            )
        ],
        "left_out": batches.left_out,
        **({"start": start} if start else {}),
    }
    if begun:
        validation, taught = (
            [
                (row["pixels"], (row["id_name"], row["id"]))
                for row in table.to_pylist()
                if row["split"] == split
            ]
            for table, split in ((batches.seen(), "validation"), (begun[1], "train"))
        )
        known = {key for keys in taught for key in keys}
        facts["known_before"] = (
            sum(not known.isdisjoint(keys) for keys in validation),
            len(validation),
        )
    seen = pa.concat_tables([batches.seen(), *(begun[1:] if begun else ())])
    distributed.first(
        lambda: Run.create(out, recipe, batches.heads, seen, facts, network if start else None)
    )
    return Run(out)


def _refuse_a_galaxy_alone(network: Network, batches: TrainingBatches) -> None:
    """Batch norms of others' encoders stop at a map of one pixel of one galaxy, at the end of an
    epoch.
    """
    alone = batches.galaxies(batches.steps - 1) == 1 and isinstance(network.module, TimmNetwork)
    if alone and any(isinstance(module, nn.BatchNorm2d) for module in network.module.modules()):
        raise ConfigError(
            f"of {len(batches.train[0])} training galaxies in batches of"
            f" {batches.settings.batch_size} the last would be alone, and"
            f" {network.recipe.model.name} has batch norms, which want two: set another"
            " train.batch_size"
        )
