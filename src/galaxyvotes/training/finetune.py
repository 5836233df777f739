"""From the network of another run to a new question, with a few dozen to a few hundred galaxies of
it.

The new run starts with all that the other network has learned: its encoder, and the outputs for
trees that both predict. A question that it was never asked starts with a last layer that is fitted
(`training.linear_start`). A tree that the other run does not have starts with the outputs of the
first tree of the same flowchart: another catalogue's names for the same questions. The encoder then
learns slowly (`train.encoder_rate`) or not at all. Galaxies that the other run has seen count as
seen by the new one, so neither is evaluated on them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from galaxyvotes.config import Recipe
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.networks.build import encoder
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_path
from galaxyvotes.runtime.notes import note
from galaxyvotes.store.held_out import sets_are_given
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches, open_stores
from galaxyvotes.training.choice import suited
from galaxyvotes.training.initialise import WarmStart, check_new, create_run
from galaxyvotes.training.linear_start import linear_start
from galaxyvotes.training.loop import train
from galaxyvotes.training.resume import check_recipe, run_to_resume
from galaxyvotes.training.trial import fitted_or_learned

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
    """Train the network of another run, or the bundled model, to predict the labels of these
    stores.

    As `train`, whose arguments these are, but from the run `start`, whose network it keeps (the
    first one of an ensemble): settings of `model` can change only what has no weights, such as
    `model.views`. The recipe is `finetune`; without one, for questions that a run of `compact` was
    never asked, it is `fitted` or `layered`, which a trial decides (see `training.trial`), unless
    `settings` name a rate. The stores must be packed as those of that run. With
    `other_size` they may be packed otherwise, such as with more pixels of the same sky, for a
    network whose weights fit any size: its encoder needs a few epochs at the full rate then
    (`train.encoder_rate=1`), and galaxies it has seen are recognised by their ids alone, because
    digests are of the packed pixels.

    Raises what `train` raises; CheckpointError also if `start` has no weights, or if these do not
    fit the stores or the settings; ConfigError also if `model.pretrained` is set.
    """
    opened = open_stores(stores)
    own_device = distributed.connect(choose_device(device))
    if resume and distributed.first_finds(given_path(out).exists()):
        run = run_to_resume(given_path(out), opened)
        _check_start(run, start)
        asked = _recipe(run, run.recipe if recipe is None else recipe, settings)
        check_recipe(run, suited(asked, opened))
    else:
        check_new(given_path(out))
        source = open_run(start)
        if not other_size:
            opened[0].must_fit(source.pack, source.title, otherwise=", or pass `other_size=True`")
        chosen = suited(_recipe(source, recipe or "finetune", settings), opened)
        batches = TrainingBatches.of(opened, chosen)
        if progress and distributed.rank() == 0:
            for remark in _remarks_on_seen(source, opened):
                note(remark)
        trained, copied, remarks = source.network(as_trained=True), (), list[str]()
        automatic = recipe is None and not _names_rates(settings) and distributed.count() == 1
        if automatic and _suits_linear_start(trained, batches, chosen):
            fitted, layered = (
                suited(_recipe(source, name, settings), opened) for name in ("fitted", "layered")
            )
            network, remarks = fitted_or_learned(trained, fitted, layered, batches, own_device)
        elif chosen.model.name == "layered" and trained.recipe.model.name == "compact":
            begun = linear_start(trained, chosen, batches, own_device)
            network, remarks = begun.network, [begun.remark]
        else:
            network, copied = _with_weights(trained, source, chosen, batches)
        if progress and distributed.rank() == 0:
            for remark in remarks:
                note(remark)
        warm = WarmStart(network, source.name, source.seen_by_successors, copied)
        batches = replace(batches, settings=network.recipe.train)
        create_run(batches, given_path(out), network.recipe, own_device, warm)
    return train(opened, out, resume=True, device=device, progress=progress)


def _check_start(run: Run, start: Run | str | Path | None) -> None:
    """Refuse to go on with a run from another start than it began with."""
    source = None if start is None else open_run(start)
    if source is not None and run.facts.get("start") not in (source.name, source.path.name):
        raise ConfigError(
            f"{run.path} began with {run.facts.get('start', 'new weights')}, not with"
            f" {source.name}: leave out `start=…`, or name another run"
        )


def _recipe(source: Run, recipe: str | Path | Recipe, settings: tuple[str, ...]) -> Recipe:
    """A recipe with the network of a run, and only then the settings of `model`."""
    chosen = Recipe.load(recipe, settings)
    model = replace(source.recipe.model, pretrained="")
    if chosen.model.name == "layered":
        model = replace(model, name=_layered_name(source, chosen))
    chosen = replace(chosen, model=model)
    for setting in settings:
        if setting.strip().startswith("model."):
            chosen = chosen.changed(setting)
    if chosen.model.pretrained:
        raise ConfigError(
            f"finetune begins with the weights of {source.title}: leave out model.pretrained"
        )
    return chosen


def _remarks_on_seen(source: Run, stores: Sequence[Store]) -> list[str]:
    """What is said before training of validation and test galaxies that the run to start from has
    seen: they cannot calibrate or evaluate the new run.
    """
    remarks: list[str] = []
    for store in stores:
        labelled = ~np.isnan(store.values).all(axis=1)
        counts: list[tuple[int, int, str]] = []
        for split, seen in (
            ("validation", store.seen_in(source.seen_by_successors, "train")),
            ("test", store.seen_in(source.seen)),
        ):
            galaxies = labelled & (store.splits == split)
            counts.append((int((galaxies & seen).sum()), int(galaxies.sum()), split))
        if not any(used for used, _, _ in counts):
            continue
        found = " and ".join(
            f"{used:,} of the {counted(of, f'{split} galaxy')}"
            for used, of, split in counts
            if used
        )
        remedy = (
            "give other galaxies to these sets"
            if sets_are_given(store.manifest)
            else f"pack the store again for {source.title}, which then draws others for these sets"
        )
        remarks.append(
            f"warning: {source.title} was trained on {found} of {store.path}: calibrate"
            f" and evaluate will refuse them. {remedy[0].upper() + remedy[1:]}, or evaluate with"
            " `allow_seen=True`: the errors are too small then"
        )
    return remarks


def _with_weights(
    trained: Network, source: Run, recipe: Recipe, batches: TrainingBatches
) -> tuple[Network, tuple[str, ...]]:
    """A network for these batches with the weights of a trained one, as far as they have the same
    meaning; the names of the trees that it predicts already.
    """
    pack = batches.stores[0].pack
    network = Network.build(recipe, batches.heads, pack)
    if _shapes(trained) != _shapes(network):
        raise CheckpointError(
            f"the weights of {source.title} fit {trained.recipe.model.name} on images of"
            f" {source.pack.size_px} px only, not {recipe.model.name} on {pack.size_px} px: leave"
            " out `other_size=True`, and what `settings=…` say of model"
        )
    return network, copy_weights(trained, network)


def _layered_name(source: Run, recipe: Recipe) -> str:
    """The network of a recipe that reads out all layers of that of a run.

    Raises ConfigError if it cannot, or if the last layer cannot be fitted to what is learned.
    """
    objective, targets = recipe.train.objective, recipe.train.targets
    if source.recipe.model.name not in ("compact", "layered"):
        problem = f"the network of {source.title} is {source.recipe.model.name}, not compact"
    elif (objective, targets) != ("cross_entropy", "fractions"):
        problem = f"train.objective is {objective} and train.targets {targets}"
    else:
        return "layered"
    raise ConfigError(
        f"recipe {recipe.name} fits the last layer to features of compact, by cross_entropy of"
        f" fractions, and {problem}: use recipe finetune"
    )


def _names_rates(settings: tuple[str, ...]) -> bool:
    """Whether settings say which layers learn: then nothing is tried."""
    return any(
        setting.strip().startswith(("train.encoder_rate", "train.learning_rate"))
        for setting in settings
    )


def _suits_linear_start(trained: Network, batches: TrainingBatches, recipe: Recipe) -> bool:
    """Whether `linear_start` can begin with a network: with a `compact` one that knows none of the
    questions, where what is learned is quantities or fractions, by cross-entropy.
    """
    network = Network.build(recipe, batches.heads, batches.stores[0].pack)
    return (
        trained.recipe.model.name == recipe.model.name == "compact"
        and _shapes(trained) == _shapes(network)
        and (recipe.train.objective, recipe.train.targets) == ("cross_entropy", "fractions")
        and all(store.largest is None for store in batches.stores)
        and all(_head_like(head, trained) is None for head in network.all_heads)
    )


@torch.no_grad()
def copy_weights(trained: Network, network: Network) -> tuple[str, ...]:
    """Copy the encoder, and the outputs of each head that has one like it in the trained network;
    the names of the trees of these heads.
    """
    for ours, theirs in zip(list(network.module)[:-1], list(trained.module)[:-1], strict=True):
        ours.load_state_dict(theirs.state_dict())
    last = network.module[-1]
    assert isinstance(last, nn.Linear)
    copied: list[str] = []
    for head in network.all_heads:
        other = _head_like(head, trained)
        if other is not None:
            last.weight[head.outputs], last.bias[head.outputs] = _output_weights(other, head)
            copied.append(head.tree.name)
    return tuple(copied)


def _head_like(head: Network, trained: Network) -> Network | None:
    """The trained head of the same questions and answers, else of the same flowchart."""
    others = trained.all_heads
    same = [
        other
        for other in others
        if other.columns == head.columns
        and other.tree.questions == head.tree.questions
        and not other.tree.unlike_unit(head.tree.units)
    ]
    return next(iter([*same, *(other for other in others if _alike(other, head))]), None)


def _alike(one: Network, other: Network) -> bool:
    """Whether two heads predict all of one flowchart, whatever its columns are called; one question
    alone says too little.
    """
    whole = all(
        head.columns == head.tree.columns and head.tree.kind is FRACTIONS for head in (one, other)
    )
    return whole and len(one.tree.questions) > 1 and one.tree.flowchart == other.tree.flowchart


def _output_weights(
    trained: Network, head: Network
) -> tuple[Float[Tensor, "answer feature"], Float[Tensor, " answer"]]:
    """Weights and biases with which a head predicts what a trained one does; quantities the same
    values, standardised by the new training galaxies.
    """
    last = trained.module[-1]
    assert isinstance(last, nn.Linear)
    weight, bias = last.weight[trained.outputs], last.bias[trained.outputs]
    if head.tree.kind is not QUANTITIES:
        return weight, bias
    (centre, scale), (old_centre, old_scale) = (
        weight.new_tensor(each.head.standards).T for each in (head, trained)
    )
    return weight * (old_scale / scale)[:, None], (old_centre + old_scale * bias - centre) / scale


def _shapes(network: Network) -> dict[str, torch.Size]:
    """Of all weights but those of the last layer, which has a row for each answer."""
    return {name: tensor.shape for name, tensor in encoder(network.module).state_dict().items()}
