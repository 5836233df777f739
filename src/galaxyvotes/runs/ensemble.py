"""Several runs become one ensemble, which predicts the mean over their networks.

Networks that differ in nothing but chance (their seeds, the order of the galaxies) make different
errors; their mean makes fewer, and where they disagree a galaxy is hard. The ensemble is a run like
any other: it predicts, is evaluated and calibrated, and can be a member of another one, where each
of its networks counts by itself. Its training and validation galaxies are those of any member. It
is not calibrated, whatever its members were: their prediction intervals are not those of the mean.

What decides the shape of the network and the meaning of its outputs must be the same in all runs;
how they were trained may differ, but for whether validation galaxies chose the epoch, which decides
what may calibrate the ensemble. Quantities must have the same training galaxies, because their mean
and deviation give the outputs their meaning.

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
from galaxyvotes.runtime.files import given_path

__all__ = ["ensemble"]

_TRAINING_ONLY = ("batch_norm_momentum", "dropout", "pretrained")  # do not change what it predicts


def ensemble(runs: Sequence[Run | str | Path], out: str | Path) -> Run:
    """A new run folder that predicts the mean over the networks of finished runs, each counting the
    same.

    The recipe is that of the first.

    Raises CheckpointError if a run is not finished or damaged, if two hold the same network, or if
    they do not belong together (it names what differs); ConfigError if there are fewer than two or
    the folder exists.
    """
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    if len(opened) < 2:
        raise ConfigError(f"an ensemble takes two runs or more, not {len(opened)}")
    if given_path(out).exists():
        raise ConfigError(f"{out} exists already: name another folder")
    for run in opened:
        run.check()
        _check_alike(run, opened[0])
    weights = _weights_of(opened)
    stores = {store["digest"]: store for run in opened for store in run.facts["stores"]}
    facts = {
        "galaxyvotes": version("galaxyvotes"),
        "torch": torch.__version__,
        "pack": opened[0].facts["pack"],
        "stores": list(stores.values()),
        "members": [name for run in opened for name in run.members],
    }
    means = opened[0].facts.get("means")
    if means is not None and all(run.facts.get("means") == means for run in opened):
        facts["means"] = means
    first = opened[0]
    return Run.create(out, first.recipe, first.heads, _seen(opened), facts, weights=weights)


def _check_alike(run: Run, first: Run) -> None:
    expected = _common(first)
    differing = [name for name, value in _common(run).items() if value != expected[name]]
    if differing:
        raise CheckpointError(
            f"{run.path} and {first.path} do not make an ensemble: they differ in"
            f" {', '.join(differing)}"
        )


def _common(run: Run) -> dict[str, Any]:
    """What must be the same in all of them."""
    train = run.recipe.train
    return {
        **run.facts["pack"],
        "trees or answers": [(head.tree.questions, head.columns) for head in run.heads],
        "the training galaxies of their quantities": [head.standards for head in run.heads],
        **{
            f"model.{name}": value
            for name, value in asdict(run.recipe.model).items()
            if name not in _TRAINING_ONLY
        },
        **{
            f"train.{name}": getattr(train, name)
            for name in ("objective", "precision", "keep", "mirror")
        },
        "train.patience (0 or not)": train.patience > 0,
    }


def _weights_of(runs: Sequence[Run]) -> tuple[Path, ...]:
    """The files of weights of all of them; CheckpointError if two are equal."""
    files: dict[str, Path] = {}
    for path in (path for run in runs for path in run.weights):
        digest = file_digest(path)
        if digest in files:
            raise CheckpointError(
                f"{path} and {files[digest]} are the same network: name runs of different seeds"
            )
        files[digest] = path
    return tuple(files.values())


def _seen(runs: Sequence[Run]) -> pa.Table:
    """The galaxies of all of them, each once for each split that it was in."""
    together = pa.concat_tables([run.seen for run in runs])
    return together.group_by(together.column_names, use_threads=False).aggregate([])
