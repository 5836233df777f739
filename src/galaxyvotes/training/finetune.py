"""From a network that knows galaxies to a new question, with a few dozen to a few hundred galaxies
of it.

The new run begins with everything the other one knows: all of its network but the last layer, and
of that the heads for trees that both answer. A tree that it does not answer begins with the first
it does answer that asks the same: another catalogue's columns for one flowchart. The encoder then
learns slowly (`train.encoder_rate`) or not at all. What the other run has seen counts as seen by
the new one, so neither can be judged on it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from galaxyvotes.config import Recipe
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.networks.build import encoder
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runs.run import opened as opened_run
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches, open_stores
from galaxyvotes.training.initialise import create_run
from galaxyvotes.training.loop import train

__all__ = ["finetune"]


def finetune(
    stores: Store | str | Path | Sequence[Store | str | Path],
    out: str | Path,
    *,
    start: Run | str | Path | None = None,
    recipe: str | Path | Recipe | None = None,
    settings: tuple[str, ...] = (),
    resume: bool = False,
    other_size: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Run:
    """Teach the network of another run, or the one that comes with the package, to answer what
    these stores ask.

    As `train`, whose arguments these are, but with recipe `finetune` and from `start`, whose
    network it keeps (the first, if it was joined from several): of `model`, settings can change
    only what holds no weights, such as `model.views`. The stores must be packed as that run's were.
    With `other_size` they may be packed otherwise, such as with more pixels of the same sky, for a
    network whose weights fit any size: its encoder needs a few epochs at the full rate then
    (`train.encoder_rate=1`), and what it has seen is known by ids alone, because the digests of
    pixels are of the packed ones. CheckpointError if something does not fit.
    """
    opened = open_stores(stores)
    distributed.meet(choose_device(device))
    if not (resume and distributed.first_found(Path(out).exists())):
        begun = opened_run(start)
        chosen = replace(
            Recipe.load(recipe or "finetune", settings),
            model=replace(begun.recipe.model, pretrained=""),
        )
        for setting in settings:
            chosen = chosen.changed(setting) if setting.strip().startswith("model.") else chosen
        if chosen.model.pretrained:
            raise ConfigError(
                f"finetune begins with the weights of {begun.path}: leave out model.pretrained"
            )
        if not other_size:
            opened[0].must_fit(begun.pack, str(begun.path), otherwise=", or pass --other-size")
        batches = TrainingBatches.of(opened, chosen)
        network = Network.build(chosen, batches.heads, opened[0].pack)
        known = begun.network(as_trained=True)
        if _shapes(known) != _shapes(network):
            raise CheckpointError(
                f"the weights of {begun.path} fit {known.recipe.model.name} on images of"
                f" {begun.pack.size_px} px only, not {chosen.model.name} on {opened[0].size_px} px:"
                " leave out --other-size and --set model.…"
            )
        _begin_from(known, network)
        create_run(
            batches, Path(out), chosen, begun=(network, begun.passed_on), start=begun.path.name
        )
        recipe, settings = None, ()
    return train(
        opened, out, recipe=recipe, settings=settings, resume=True, device=device, progress=progress
    )


@torch.no_grad()
def _begin_from(known: Network, new: Network) -> None:
    """Give a new network all that another one knows, but for heads of trees whose flowchart the
    other does not know.
    """
    last, before = new.module[-1], known.module[-1]
    assert isinstance(last, nn.Linear)
    assert isinstance(before, nn.Linear)
    for ours, theirs in zip(list(new.module)[:-1], list(known.module)[:-1], strict=True):
        ours.load_state_dict(theirs.state_dict())
    for head in new.all_heads:
        same = [
            h
            for h in known.all_heads
            if h.columns == head.columns and h.tree.questions == head.tree.questions
        ]
        alike = [h for h in known.all_heads if _alike(h, head)]
        for other in (*same, *alike)[:1]:
            weight, bias = before.weight[other.outputs], before.bias[other.outputs]
            if head.tree.of_quantities:  # the same value, by the new galaxies' standard
                (now, wide), (then, before_wide) = (
                    weight.new_tensor(each.head.standards).T for each in (head, other)
                )
                weight, bias = (
                    weight * (before_wide / wide)[:, None],
                    (then + before_wide * bias - now) / wide,
                )
            last.weight[head.outputs], last.bias[head.outputs] = weight, bias


def _shapes(network: Network) -> dict[str, torch.Size]:
    """Of all weights but those of the last layer, which has a row for each answer."""
    return {name: tensor.shape for name, tensor in encoder(network.module).state_dict().items()}


def _alike(one: Network, other: Network) -> bool:
    """Whether two heads answer one flowchart in full, whatever its columns are called; one question
    says too little.
    """
    whole = all(
        head.columns == head.tree.columns and not head.tree.of_quantities for head in (one, other)
    )
    return whole and len(one.tree.questions) > 1 and one.tree.flowchart == other.tree.flowchart
