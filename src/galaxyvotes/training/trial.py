"""Whether the layers of a network should learn a new question, or whether its fitted last layer is
better left as it is: a trial with four fifths of the training galaxies, judged on the others.

With a hundred labels, or where the network has seen such galaxies, learning often adds more noise
than it removes; with more labels, or at another scale, it pays. Validation galaxies have no part in
it, so that they can calibrate the run.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from galaxyvotes.config import Recipe
from galaxyvotes.runs.network import Network
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.heads import Rows
from galaxyvotes.training.initialise import WarmStart, create_run
from galaxyvotes.training.linear_start import linear_start
from galaxyvotes.training.loop import Training
from galaxyvotes.training.validation import validate

__all__ = ["Trial", "fitted_or_learned", "trial"]

LEFT_OUT = 5  # one galaxy in so many
MANY = 2_000  # training galaxies, with which all layers learn without a trial
_SEEN = {"id": pa.string(), "id_name": pa.string(), "pixels": pa.binary(), "split": pa.string()}


class Trial(NamedTuple):
    """The loss of galaxies that were left out, of the fitted last layer and after learning."""

    fitted: float
    learned: float
    galaxies: int

    @property
    def pays(self) -> bool:
        """Whether learning made the loss smaller."""
        return self.learned < self.fitted

    @property
    def remark(self) -> str:
        """What is done, and why."""
        done = "all layers learn" if self.pays else "the layers before it stay as they are"
        return (
            f"{done}: of {self.galaxies} training galaxies left out of a trial the loss is"
            f" {self.fitted:.4g} fitted, {self.learned:.4g} learned"
        )


def fitted_or_learned(
    trained: Network,
    fitted: Recipe,
    layered: Recipe,
    batches: TrainingBatches,
    device: torch.device,
) -> tuple[Network, list[str]]:
    """The network that a run for these batches begins with, of the recipe that suits them: the last
    layer is fitted, and then all layers learn or none. And why, in a line each.
    """
    begun = linear_start(trained, layered, batches, device)
    remarks, network = [begun.remark], begun.network
    if sum(map(len, batches.train)) > MANY:
        return network, remarks
    judged = trial(trained, network.recipe, batches, device) if _enough(batches) else None
    if judged is not None:
        remarks.append(judged.remark)
    if judged is None or not judged.pays:
        model = replace(fitted.model, scale=network.recipe.model.scale)
        network = replace(network, recipe=replace(fitted, model=model))
    return network, remarks


def _enough(batches: TrainingBatches) -> bool:
    """Whether every store has galaxies to learn from and to leave out."""
    return all(len(rows) >= 2 * LEFT_OUT for rows in batches.train)


def trial(
    trained: Network, recipe: Recipe, batches: TrainingBatches, device: torch.device
) -> Trial:
    """What a network of a recipe, with the layers of a trained one, makes of galaxies that it has
    not learned from; nothing of it is kept.
    """
    parts = [_divided(rows, recipe.train.seed) for rows in batches.train]
    divided = replace(
        batches,
        train=tuple(train for train, _ in parts),
        validation=tuple(left_out for _, left_out in parts),
        settings=recipe.train,
    )
    network = linear_start(trained, recipe, divided, device, (recipe.model.scale,)).network
    fitted = validate(network, divided, epoch=0)["validation_loss"]
    nothing = pa.table({name: pa.array([], kind) for name, kind in _SEEN.items()})
    with TemporaryDirectory() as folder:
        warm = WarmStart(network, "trial", nothing)
        run = create_run(divided, Path(folder) / "trial", network.recipe, device, warm)
        with _saying_what_is_lost():
            Training(run, divided, device).go(progress=False)
        learned = run.history[-1]["validation_loss"]
    return Trial(fitted, learned, sum(len(rows) for rows in divided.validation))


@contextmanager
def _saying_what_is_lost() -> Generator[None]:
    """Say after Ctrl-C that there is no run yet, whatever training says of the trial's."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "stopped in the trial before the run, of which nothing is kept: begin again with the"
            " same arguments"
        ) from None


def _divided(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """The galaxies of a trial, and those that are left out."""
    order = np.random.default_rng(seed).permutation(rows)
    count = len(rows) // LEFT_OUT
    return np.sort(order[count:]), np.sort(order[:count])
