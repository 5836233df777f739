"""A frozen encoder (`train.encoder_rate=0`): its features are computed once, and then the last
layer learns alone, in a small part of the time.

What an encoder that never changes makes of an image is the same in every epoch. So each training
galaxy is seen in a few versions, as `train.augment` shows it: the image itself; its flips and 90°
rotations; or eight draws of `sky` or `surveys`. Each step takes one version of each galaxy, drawn
from its seed. Validation galaxies are seen as they are. There are fewer versions where their
features would take more than a gigabyte, or a quarter of the memory that is left; how many is
settled when a run begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from galaxyvotes.config import TrainSettings
from galaxyvotes.networks.augment import CONTINUOUS, views
from galaxyvotes.networks.batch import share_of
from galaxyvotes.networks.build import encoder, to_input
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.memory_limits import available_memory
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches, seed_of
from galaxyvotes.training.heads import Rows

__all__ = ["FrozenFeatures", "last_layer", "versions_for"]

VERSIONS, MOST_BYTES = 8, 2**30
GROUP = 32  # images that a core computes at a time

Features = Float32[Tensor, "_ _ feature"]  # of each galaxy, of each version


@dataclass(frozen=True)
class FrozenFeatures:
    """The features of the training and the validation galaxies of each store, on a device."""

    train: tuple[Features, ...]
    validation: tuple[Features, ...]

    @staticmethod
    def of(
        network: Network, batches: TrainingBatches, device: torch.device, versions: int
    ) -> "FrozenFeatures":
        """The features that a network on a device computes of so many versions of each training
        galaxy; each process computes its share.
        """
        network.module.eval()
        train, validation = (
            tuple(
                _features(network, store, rows, count).to(device)
                for store, rows in zip(batches.stores, parts, strict=True)
            )
            for parts, count in ((batches.train, versions), (batches.validation, 1))
        )
        return FrozenFeatures(train, validation)


def versions_for(network: Network, batches: TrainingBatches) -> int:
    """How many versions of each training galaxy there are memory for, one at least; no more than
    `train.augment` has.
    """
    left = available_memory()
    most = MOST_BYTES if left is None else min(MOST_BYTES, left.bytes // 4 // distributed.count())
    of_one = 4 * sum(map(len, batches.train)) * _width(network)
    return min(max(1, most // of_one), _versions_of(network.recipe.train))


@torch.no_grad()
def last_layer(head: Network, features: Features) -> Float32[Tensor, "galaxy answer"]:
    """The outputs of a head for the first version of each galaxy, on the CPU."""
    device = features.device
    half = low_precision(head.recipe.train.precision, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        return head.module[-1](features[:, 0])[:, head.outputs].float().cpu()


def _width(network: Network) -> int:
    """How many features the last layer takes."""
    last = network.module[-1]
    assert isinstance(last, nn.Linear)
    return last.in_features


def _versions_of(settings: TrainSettings) -> int:
    """How many versions an augmentation has, at most."""
    if settings.augment == "none":
        return 1
    return VERSIONS if settings.mirror or settings.augment in CONTINUOUS else VERSIONS // 2


def _features(network: Network, store: Store, rows: Rows, versions: int) -> Features:
    """The features of these rows, on the CPU, in so many versions."""
    device, settings = next(network.module.parameters()).device, network.recipe.train
    encode, half = encoder(network.module), low_precision(settings.precision, device)

    def compute(part: slice) -> Features:
        images = torch.from_numpy(store.images(rows[part])).to(device)
        position = seed_of(settings.seed, int(rows[part][0]))
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            seen = _versions(images, settings, versions, position)
            return torch.stack([encode(each).float().cpu() for each in seen], dim=1)

    # Whole groups for each process, so that a galaxy is drawn the same for any number of them.
    parts = [slice(start, start + GROUP) for start in range(0, len(rows), GROUP)]
    own = parts[share_of(len(parts)).own]
    workers = None if device.type == "cpu" else 1
    features = torch.zeros(len(rows), versions, _width(network))
    for part, computed in on_a_core_each(compute, own, workers):
        features[part] = computed
    return distributed.summed(features)


def _versions(
    images: UInt8[Tensor, "galaxy side side 3"], settings: TrainSettings, versions: int, seed: int
) -> Iterator[Float32[Tensor, "galaxy 3 side side"]]:
    """What the network takes: the images as they are if it is one version, else as the recipe
    augments them.
    """
    change = CONTINUOUS.get(settings.augment)
    if versions > 1 and change is not None:
        for version in range(versions):
            generator = torch.Generator().manual_seed(seed_of(seed, version))
            yield change(to_input(images), generator, mirror=settings.mirror)
    else:
        for view in views(images, versions, mirror=settings.mirror):
            yield to_input(view)
