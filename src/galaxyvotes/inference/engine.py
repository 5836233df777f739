"""One network predicts images: those of a batch, or rows of a store. Training's validation,
evaluation, calibration and whole catalogues all come through here.

Images go through the network in groups of one fixed size, the last one filled up, so that the
prediction for a galaxy does not depend on the others: not on batch size, slice or order, to the
last bit. Between machines that multiply in bfloat16 and machines that do not, fractions of a
trained network differ by less than 0.01.

Rows of a store are divided among threads, each of which computes on one core. Several cores that
share a group wait for each other after every layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor, nn

from galaxyvotes.confidence.appearance import appearance
from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.batch import Batch
from galaxyvotes.networks.build import encoder, to_input
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.store.store import Store

__all__ = [
    "appearance_rows",
    "chunk_size",
    "chunks_of",
    "compute_rows",
    "estimate",
    "estimate_views",
    "forward",
    "forward_rows",
    "predict_batch",
    "predict_store",
    "predict_views",
    "represent_batch",
]

GROUP = 16  # on a CPU the activations of this many stay in its cache; a GPU takes a CHUNK
CHUNK = 8 * GROUP  # images that one thread takes at a time, at most
VECTORS = (
    32  # numbers: torch computes two vectors at a time, of 16 with AVX-512, of fewer elsewhere
)

Rows = Int[np.ndarray, " galaxy"]
Result = TypeVar("Result")


class Outputs(NamedTuple):
    """What a network computes for images: its logits, and the features from which its last layer
    computes them.
    """

    logits: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


class Estimates(NamedTuple):
    """Joint fractions or quantities from one pass of images through one network, and their
    features.
    """

    values: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


# ---- a batch


@torch.inference_mode()
def forward(network: Network, batch: Batch) -> Outputs:
    """The logits of the head in use and the features, from a network in evaluation mode that is no
    ONNX file.
    """
    device = next(network.module.parameters()).device
    half = low_precision(network.recipe.train.precision, device)
    encode, last = encoder(network.module), network.module[-1]
    assert isinstance(last, nn.Linear)

    def compute(images: UInt8[Tensor, "group side side 3"]) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            features = encode(to_input(images.to(device)))
            return last(features)[:, network.outputs], features

    return Outputs(*_in_groups(compute, batch.images, GROUP if device.type == "cpu" else CHUNK))


@torch.inference_mode()
def estimate(network: Network, batch: Batch) -> Estimates:
    """Joint fractions or quantities of the head in use, and features, by the first member of a
    network, of a run or of an ONNX file.

    Raises CheckpointError if an ONNX file cannot be computed.
    """
    if isinstance(network.module, OnnxModule):
        return Estimates(*_in_groups(network.module.head(network.head_index), batch.images, GROUP))
    logits, features = forward(network, batch)
    return Estimates(_values(network, logits), features)


def _values(
    network: Network, logits: Float32[np.ndarray, "galaxy answer"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """Joint fractions or quantities, of a number of rows that is filled up to whole vectors.

    Torch computes the numbers that are left over at the end of an array by other instructions than
    the rest, which round otherwise.
    """
    filled = torch.zeros(-(-len(logits) // VECTORS) * VECTORS, logits.shape[1])
    filled[: len(logits)] = torch.from_numpy(logits)
    return network.objective.values(filled).numpy()[: len(logits)]


def _in_groups(
    compute: Callable[[UInt8[Tensor, "group side side 3"]], tuple[Tensor, Tensor]],
    images: UInt8[Tensor, "galaxy side side 3"],
    size: int,
) -> list[Float32[np.ndarray, "galaxy _"]]:
    """The two results for all images, computed in groups of one size; the last is filled up with
    black images.
    """
    parts: list[list[Float32[np.ndarray, "group _"]]] = []
    for start in range(0, max(len(images), 1), size):
        group = images[start : start + size]
        filled = group.new_zeros((size, *group.shape[1:]))
        filled[: len(group)] = group
        results = compute(filled)
        parts.append([result[: len(group)].float().cpu().numpy() for result in results])
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@torch.inference_mode()
def predict_batch(network: Network, batch: Batch, ids: tuple[str, ...]) -> Predictions:
    """Predictions for the images of a batch; with bounds and familiarity if the network is
    calibrated.

    Values are the mean over the members of an ensemble and the views (`augment.views`) that the
    recipe asks for, and `spread` is their standard deviation. Conditional fractions are those of
    the mean joint ones. Familiarity is that of the image itself to the first member.
    """
    by_view, features = estimate_views(network, batch)
    joint = np.mean(by_view, axis=0)
    values = _of_kind(network, joint)
    spread = None
    if len(by_view) > 1:  # where a view predicts that nobody is asked, the mean stands for it
        parts = [_of_kind(network, part) for part in by_view]
        spread = np.std([np.where(np.isnan(part), values, part) for part in parts], axis=0)
    bounds = None if network.intervals is None else network.intervals.bounds(joint, spread)
    return Predictions(
        ids,
        network.columns,
        values,
        bounds=bounds,
        spread=spread,
        familiarity=_familiarity(network, batch, features),
    )


def _familiarity(
    network: Network, batch: Batch, features: Float32[np.ndarray, "galaxy feature"]
) -> Float32[np.ndarray, " galaxy"] | None:
    """The familiarity scores of images with these features, if the network is calibrated."""
    familiarity = network.familiarity
    if familiarity is None:
        return None
    if familiarity.appearance is None:
        return familiarity.scores(features)
    return familiarity.scores(features, appearance(batch.images).numpy())


def estimate_views(
    network: Network, batch: Batch
) -> tuple[list[Float32[np.ndarray, "galaxy answer"]], Float32[np.ndarray, "galaxy feature"]]:
    """The values of each view by each member, and the features of the first view by the first
    member.
    """
    together, count = _all_views(network, batch)
    estimates = [estimate(member, together) for member in network.members]
    by_view = [part for each in estimates for part in np.split(each.values, count)]
    return by_view, estimates[0].features[: len(batch)]


def _all_views(network: Network, batch: Batch) -> tuple[Batch, int]:
    """The views of all images, one view after the other, and their number; together, so that the
    views of few images fill a group.
    """
    model, mirror = network.recipe.model, network.recipe.train.mirror
    seen = list(views(batch.images, model.views, model.zooms, mirror=mirror))
    return Batch(torch.cat(seen)), len(seen)


@torch.inference_mode()
def represent_batch(network: Network, batch: Batch) -> Float32[np.ndarray, "galaxy feature"]:
    """The representation of each image: the features that the last layer of the first member takes,
    the mean over the views that the recipe asks for.
    """
    together, count = _all_views(network, batch)
    features = estimate(network.members[0], together).features
    return np.mean(np.split(features, count), axis=0)


def _of_kind(
    network: Network, joint: Float32[np.ndarray, "galaxy answer"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """Joint fractions as the kind of fractions that the network predicts."""
    if network.fraction_kind == "joint":
        return joint
    return network.tree.conditional(joint, network.columns)


# ---- rows of a store


def forward_rows(network: Network, store: Store, rows: Rows, *, progress: bool = False) -> Outputs:
    """The logits of the head in use and the features of these rows, in their order; the network is
    in evaluation mode afterwards.
    """
    network.module.eval()
    parts = _of_rows(
        lambda part: forward(network, _batch(store, part)), rows, None, progress=progress
    )
    return Outputs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def predict_views(
    network: Network, store: Store, rows: Rows, *, progress: bool = False
) -> Float32[np.ndarray, "view galaxy answer"]:
    """The joint fractions or quantities of each view of these rows by each member, in the order of
    the rows.
    """
    network = network.folded
    parts = _of_rows(
        lambda part: np.stack(estimate_views(network, _batch(store, part))[0]),
        rows,
        None,
        progress=progress,
    )
    return np.concatenate(list(parts), axis=1)


def predict_store(
    network: Network,
    store: Store,
    rows: Rows | None = None,
    *,
    intervals: bool = True,
    progress: bool = False,
) -> Predictions:
    """Predictions for these rows of a store (all of them), in their order; with bounds if the
    network is calibrated.

    Raises CheckpointError if the store is packed otherwise than the network takes images.
    """
    store.must_fit(network.pack, "the network")
    network = network.folded if intervals else network.folded.without_intervals
    rows = np.arange(len(store)) if rows is None else rows
    parts = compute_rows(partial(predict_batch, network), store, rows, progress=progress)
    return replace(Predictions.concatenate(list(parts)), id_name=store.id_name)


def compute_rows(
    compute: Callable[[Batch, tuple[str, ...]], Result],
    store: Store,
    rows: Rows,
    workers: int | None = None,
    *,
    progress: bool,
) -> Iterator[Result]:
    """What is computed from images and their ids, for these rows of a store, in their order, some
    rows at a time.
    """
    ids = np.array(store.ids, object)

    def work(part: Rows) -> Result:
        return compute(_batch(store, part), tuple(ids[part]))

    yield from _of_rows(work, rows, workers, progress=progress)


def appearance_rows(
    store: Store, rows: Rows, *, progress: bool = False
) -> Float32[np.ndarray, "galaxy statistic"]:
    """The appearance of these rows, in their order (see `confidence.appearance`)."""
    parts = _of_rows(
        lambda part: appearance(_batch(store, part).images).numpy(), rows, None, progress=progress
    )
    return np.concatenate(list(parts))


def _batch(store: Store, rows: Rows) -> Batch:
    return Batch(torch.from_numpy(store.images(rows)))


def _of_rows(
    work: Callable[[Rows], Result], rows: Rows, workers: int | None, *, progress: bool
) -> Iterator[Result]:
    """The result of each part of the rows, computed on a core each."""
    parts = [rows[chunk] for chunk in chunks_of(len(rows), workers or torch.get_num_threads())]
    with bar(show=progress) as shown:
        task = shown.add_task("predicting", total=len(rows))
        for part, result in on_a_core_each(work, parts, workers):
            shown.advance(task, len(part))
            yield result


def chunks_of(count: int, workers: int) -> list[slice]:
    """A division of so many images into whole groups, small enough that every thread has some."""
    step = chunk_size(count, workers)
    return [slice(start, start + step) for start in range(0, max(count, 1), step)]


def chunk_size(count: int, workers: int) -> int:
    """How many of so many images a thread takes at a time."""
    return GROUP * max(1, min(CHUNK // GROUP, count // (2 * GROUP * workers)))
