"""Several runs become one, which answers as the mean of their networks.

Networks that differ in nothing but chance (their seeds, the order of the galaxies) make different
mistakes; their mean makes fewer, and where they disagree a galaxy is hard. The joined folder is a
run like any other: it predicts, and is judged, calibrated and joined again. It has seen what any of
its members saw. It is not calibrated, whatever its members were: their intervals are not those of
the mean.

What decides which network it is and what it was told must be the same in all runs; how it learned
may differ, but for whether validation galaxies chose the epoch, which says what may calibrate it.
Quantities must have been taught by the same galaxies, because their mean and deviation say what the
outputs mean.

Source: Lakshminarayanan et al. 2017, NeurIPS 30, section 2.4.
"""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.digests import file_digest

__all__ = ["ensemble"]

_LEARNING = (
    "batch_norm_momentum",
    "dropout",
    "pretrained",
)  # settings of a model that its answers do not depend on


def ensemble(runs: Sequence[Run | str | Path], out: str | Path) -> Run:
    """Join finished runs in a new run folder, whose answers are the mean of theirs, each network
    counting the same.

    The recipe is that of the first. CheckpointError if the runs do not belong together, ConfigError
    if there are fewer than two or the folder exists.
    """
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    if len(opened) < 2:
        raise ConfigError(f"joining takes two runs or more, not {len(opened)}")
    if Path(out).exists():
        raise ConfigError(f"{out} exists already: name another folder")
    first = opened[0]
    weights: dict[str, Path] = {}
    for run in opened:
        _ = run.network()  # finished, undamaged, and of the shape that its recipe says
        differing = [what for what, value in _common(run).items() if value != _common(first)[what]]
        if differing:
            raise CheckpointError(
                f"{run.path} and {first.path} cannot be joined: they differ in"
                f" {', '.join(differing)}"
            )
        for path in run.weights:
            if before := weights.get(digest := file_digest(path)):
                raise CheckpointError(
                    f"{path} and {before} are the same network: join runs of different seeds"
                )
            weights[digest] = path
    facts = {
        "galaxyvotes": version("galaxyvotes"),
        "torch": torch.__version__,
        "pack": first.facts["pack"],
        "stores": list(
            {each["digest"]: each for run in opened for each in run.facts["stores"]}.values()
        ),
        "members": [name for run in opened for name in run.members],
    }
    return Run.create(
        out, first.recipe, first.heads, _seen(opened), facts, weights=tuple(weights.values())
    )


def _common(run: Run) -> dict[str, Any]:
    """What must be the same in all of them."""
    train = run.recipe.train
    return {
        **run.facts["pack"],
        "trees or answers": [(head.tree.questions, head.columns) for head in run.heads],
        "the galaxies that taught their quantities": [head.standards for head in run.heads],
        **{
            f"model.{name}": value
            for name, value in asdict(run.recipe.model).items()
            if name not in _LEARNING
        },
        **{f"train.{name}": getattr(train, name) for name in ("objective", "precision", "keep")},
        "train.patience (0 or not)": train.patience > 0,
    }


def _seen(runs: Sequence[Run]) -> pa.Table:
    """What any of them saw, each galaxy once for each split that it stood in."""
    together = pa.concat_tables([run.seen for run in runs])
    return together.group_by(together.column_names, use_threads=False).aggregate([])
