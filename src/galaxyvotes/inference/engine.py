"""One network over one slice of images. Validation, reports and whole catalogues all come through
here.

Images go through in groups of one fixed size, the last one filled up, so that what a galaxy gets
does not depend on who stands beside it: not on batch size, slice or order, to the last bit. Between
machines that multiply in bfloat16 and machines that do not, fractions of a trained network differ
by less than 0.01.

Each thread computes and averages images of its own on one core. Several cores that share a group
wait for each other after every layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import nn

from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.build import encoder, to_input
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.progress import progress_bar
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.store.store import Store

__all__ = [
    "chunks_of",
    "forward_logits",
    "look",
    "predict_images",
    "predict_parts",
    "predict_store",
    "predict_views",
    "say",
]

GROUP = 16  # on a CPU the activations of this many stay in its cache; a GPU takes a CHUNK
CHUNK = 8 * GROUP  # images that one thread takes at a time, at most

Result = TypeVar("Result")


def chunks_of(count: int, workers: int) -> list[slice]:
    """Which of so many images are looked at together: whole groups, small enough that every thread
    gets some.
    """
    step = GROUP * max(1, min(CHUNK // GROUP, count // (2 * GROUP * workers)))
    return [slice(start, start + step) for start in range(0, max(count, 1), step)]


class Seen(NamedTuple):
    """What a network makes of images: its raw output, and the features that its last layer made
    that from.
    """

    logits: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


@torch.inference_mode()
def look(network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]) -> Seen:
    """What the network makes of images that are packed as it wants them."""
    device = next(network.module.parameters()).device
    half = low_precision(network.recipe.train.precision, device)
    encode, answer = encoder(network.module), network.module[-1]
    assert isinstance(answer, nn.Linear)
    logits = np.empty((len(images), len(network.columns)), np.float32)
    features = np.empty((len(images), answer.in_features), np.float32)
    for place, filled in _groups(images, GROUP if device.type == "cpu" else CHUNK):
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            encoded = encode(to_input(torch.from_numpy(filled).to(device)))
            answered = answer(encoded)[:, network.outputs]
        for result, found in ((logits, answered), (features, encoded)):
            result[place] = found[: place.stop - place.start].float().cpu().numpy()
    return Seen(logits, features)


def _groups(
    images: UInt8[np.ndarray, "galaxy side side 3"], size: int = GROUP
) -> Iterator[tuple[slice, UInt8[np.ndarray, "group side side 3"]]]:
    """Where each group stands among the images, and its images, filled up to a size that is always
    the same.
    """
    for start in range(0, max(len(images), 1), size):
        group = images[start : start + size]
        filled = np.zeros((size, *group.shape[1:]), np.uint8)
        filled[: len(group)] = group
        yield slice(start, start + len(group)), filled


class Said(NamedTuple):
    """What a network says of images, each seen once: joint fractions, and the features that it made
    them from.
    """

    values: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


def say(network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]) -> Said:
    """What a network, of a run or of an ONNX file, says of images that are packed as it wants
    them.
    """
    if isinstance(network.module, OnnxModule):
        said = [
            [
                each[: place.stop - place.start]
                for each in network.module.say(filled, network.head_index)
            ]
            for place, filled in _groups(images)
        ]
        return Said(*(np.concatenate(each) for each in zip(*said, strict=True)))
    seen = look(network, images)
    return Said(fractions_of(network, seen.logits), seen.features)


def logits_of(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """The network's raw output for images that are packed as it wants them."""
    return look(network, images).logits


def forward_logits(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False
) -> Float32[np.ndarray, "galaxy answer"]:
    """The network's raw output for these rows of a store, in their order; the network ends in
    evaluation mode.
    """
    return forward_rows(network, store, rows, progress=progress).logits


def forward_rows(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False
) -> Seen:
    """What the network makes of these rows of a store, in their order; it ends in evaluation
    mode.
    """
    network.module.eval()
    parts = _of_store(lambda part: look(network, store.images(part)), rows, progress=progress)
    return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _of_store(
    work: Callable[[Int[np.ndarray, " galaxy"]], Result],
    rows: Int[np.ndarray, " galaxy"],
    workers: int | None = None,
    *,
    progress: bool,
) -> Iterator[Result]:
    """What some work makes of these rows, a part for each thread at a time."""
    parts = [rows[chunk] for chunk in chunks_of(len(rows), workers or torch.get_num_threads())]
    done = on_a_core_each(work, parts, workers)
    for _ in progress_bar(parts, "predicting", show=progress):
        yield next(done)[1]


@torch.inference_mode()
def predict_images(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"], names: tuple[str, ...]
) -> Predictions:
    """What a network says of images that are packed as it wants them, with bounds and familiarity
    if it was calibrated.

    Fractions are the mean over its members and the views (`augment.views`) that its recipe asks
    for, `spread` is their standard deviation; how familiar an image is, is what the first member
    sees in the image itself. A network that tells conditional fractions has them from the joint
    ones, so averaged.
    """
    said, features = _looks(network, images)
    joint = np.mean(said, axis=0)
    fractions = _told(network, joint)
    spread = None
    if len(said) > 1:  # a view that sees nobody asked is of the mean's opinion
        each_told = [_told(network, each) for each in said]
        spread = np.std([np.where(np.isnan(each), fractions, each) for each in each_told], axis=0)
    bounds = None if network.intervals is None else network.intervals.bounds(joint, spread)
    familiarity = None if network.familiarity is None else network.familiarity.scores(features)
    return Predictions(
        names, network.columns, fractions, bounds=bounds, spread=spread, familiarity=familiarity
    )


def _looks(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]
) -> tuple[list[Float32[np.ndarray, "galaxy answer"]], Float32[np.ndarray, "galaxy feature"]]:
    """The joint fractions that each member gives each view of the images, and the first one's
    features of the first.
    """
    model = network.recipe.model
    seen = [view.numpy() for view in views(torch.from_numpy(images), model.views, model.zooms)]
    looks = [
        say(member, np.concatenate(seen)) for member in network.members
    ]  # so that few images fill a group, too
    said = [each for look in looks for each in np.split(look.values, len(seen))]
    return said, looks[0].features[: len(images)]


@torch.inference_mode()
def predict_views(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False
) -> Float32[np.ndarray, "look galaxy answer"]:
    """The joint fractions that each member gives each view of these rows of a store, in their
    order.
    """
    network = network.folded
    said = _of_store(
        lambda part: np.stack(_looks(network, store.images(part))[0]), rows, progress=progress
    )
    return np.concatenate(list(said), axis=1)


def _told(
    network: Network, joint: Float32[np.ndarray, "galaxy answer"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """Joint fractions as the kind of fractions that the network tells."""
    return (
        joint
        if network.fraction_kind == "joint"
        else network.tree.conditional(joint, network.columns)
    )


def predict_store(
    network: Network,
    store: Store,
    rows: Int[np.ndarray, " galaxy"] | None = None,
    *,
    bounds: bool = True,
    progress: bool = False,
) -> Predictions:
    """A network's answers for these rows of a store (all of them), in their order; with bounds if
    it was calibrated.
    """
    store.must_fit(network.pack, "the network")
    network = network.folded if bounds else network.folded.without_intervals
    chosen = np.arange(len(store)) if rows is None else rows
    return Predictions.together(list(predict_parts(network, store, chosen, progress=progress)))


def predict_parts(
    network: Network,
    store: Store,
    rows: Int[np.ndarray, " galaxy"],
    workers: int | None = None,
    *,
    progress: bool,
) -> Iterator[Predictions]:
    """A network's answers for these rows of a store, some at a time."""
    names = np.array(store.ids, object)

    def answer(part: Int[np.ndarray, " galaxy"]) -> Predictions:
        return replace(
            predict_images(network, store.images(part), tuple(names[part])), id_name=store.id_name
        )

    yield from _of_store(answer, rows, workers, progress=progress)


def fractions_of(
    network: Network, logits: Float32[np.ndarray, "galaxy answer"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """What the raw output means: joint fractions."""
    return network.objective.values(torch.from_numpy(logits)).numpy()
