"""A network while it learns: what one batch does to its weights and to their running mean.

Everything random is drawn from a seed: augmentation for the whole batch, of which each process
takes its share, and dropout for the share.

With `train.micro_batch` a batch passes through the network in parts, whose gradients add up to its
own: the memory of a step is that of a part. The step is the one of the whole batch but for rounding
and for what galaxies of a batch do to each other: batch norm normalises each part by its own mean
and variance, its running statistics move once a part, and dropout draws other masks.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from importlib import import_module

import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor, nn

from galaxyvotes.config import TrainSettings
from galaxyvotes.errors import DataError
from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.networks.augment import CONTINUOUS, dihedral
from galaxyvotes.networks.batch import Batch, Share
from galaxyvotes.networks.build import to_input
from galaxyvotes.networks.timm_encoder import TimmNetwork
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.training.majority import majority
from galaxyvotes.training.optimiser import optimiser_of, set_rate

__all__ = ["SUMS", "Learner", "check_finite", "labels_for"]

# What a batch adds to the metrics of its epoch: the loss of its galaxies, squared errors of the
# first head and how many they are, and the same of the accuracy of its largest answer.
SUMS = ("loss", "squared", "known", "correct", "compared")


class Learner:
    """A network with its optimiser and, if the recipe averages, a running mean of its weights.

    `averaged` is the network to validate and to keep: of the mean weights, or the same one.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        """Move the network to the device, and connect it with those of other processes."""
        self.network, self.device, self.settings = network, device, network.recipe.train
        self.module = network.module.to(device)
        self.averaged = (
            replace(network, module=deepcopy(self.module)) if self.settings.average else network
        )
        if distributed.count() > 1 and device.type == "cuda":
            _synchronise_batch_norms(self.module)
        self.optimiser = optimiser_of(self.module, self.settings)
        self.frozen = self.settings.encoder_rate == 0  # batches are features of the encoder then
        self._parallel = distributed.parallel(
            nn.Sequential(self.module[-1]) if self.frozen else self.module
        )
        self._low_precision = low_precision(self.settings.precision, device)

    def learn(self, batch: Batch, share: Share, *, seed: int, rate: float) -> Float[Tensor, " sum"]:
        """Take one step of the optimiser, at a learning rate.

        The result are the `SUMS` of the whole batch, on the device: a GPU that is asked for numbers
        at each step would stand idle.
        """
        batch = batch.to(self.device)
        set_rate(self.optimiser, rate)
        self.optimiser.zero_grad(set_to_none=True)
        parts = share.parts(self.settings.micro_batch)
        whole = (
            [batch]
            if len(parts) == 1
            else [
                batch.part(slice(part.start - share.start, part.stop - share.start))
                for part in parts
            ]
        )
        sums = torch.stack(
            [
                self._add_gradient(images, part, seed=seed, number=number)
                for number, (images, part) in enumerate(zip(whole, parts, strict=True))
            ]
        )
        self._step()
        average_batch_norms(self.module, share)
        return distributed.summed(sums.sum(0))

    @torch.no_grad()
    def average(self, steps: int) -> None:
        """Let the running mean follow after so many steps; fast at first, so that it soon forgets
        the initial weights.
        """
        if not self.settings.average:
            return
        keep = min(self.settings.average, steps / (steps + 10))
        mean, now = (
            (module[-1] if self.frozen else module).state_dict()
            for module in (self.averaged.module, self.module)
        )
        for name, tensor in mean.items():
            if tensor.is_floating_point():
                tensor.lerp_(now[name], 1 - keep)
            else:
                tensor.copy_(now[name])

    def _add_gradient(
        self, batch: Batch, share: Share, *, seed: int, number: int
    ) -> Float[Tensor, " sum"]:
        """Add the gradient of this part of a batch, of a number, to those before; its `SUMS`."""
        logits = self._logits(batch, share, seed, number)
        loss = torch.stack([_loss(head, logits, batch) for head in self.network.all_heads]).sum(0)
        # Gradients become the mean over processes.
        (loss.sum() / share.of * distributed.count()).backward()
        return metric_sums(self.network, logits, batch, loss)

    def _logits(
        self, batch: Batch, share: Share, seed: int, number: int
    ) -> Float32[Tensor, "galaxy output"]:
        """The output of the network for this share of a batch, augmented."""
        if self.frozen:
            features = drawn_version(batch.images, share, seed)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._low_precision):
                return self._parallel(features).float()
        self.module.train()
        pixels, mirror = batch.images, self.settings.mirror
        if self.settings.augment == "dihedral":
            pixels = dihedral(pixels, torch.Generator().manual_seed(seed), share, mirror=mirror)
        images = to_input(pixels)
        if (change := CONTINUOUS.get(self.settings.augment)) is not None:
            images = change(images, torch.Generator().manual_seed(seed), share, mirror=mirror)
        with (
            _seeded(seed + distributed.rank() + distributed.count() * number, self.device),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._low_precision),
        ):
            return self._parallel(images).float()

    def _step(self) -> None:
        """Follow the gradient of the loss that all shares of a batch add up to."""
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm)
        self.optimiser.step()


def drawn_version(
    features: Float32[Tensor, "galaxy version feature"], share: Share, seed: int
) -> Float32[Tensor, "galaxy feature"]:
    """One version of each galaxy, drawn for the whole batch, of which these may be a share."""
    generator = torch.Generator().manual_seed(seed)
    versions = torch.randint(features.shape[1], (share.of,), generator=generator)[share.rows]
    return features[torch.arange(len(features)), versions.to(features.device)]


def labels_for(
    network: Network,
    values: Float32[Tensor, "galaxy output"] | None,
    votes: Int32[Tensor, "galaxy output"] | None,
) -> Float32[Tensor, "galaxy answer"] | Int32[Tensor, "galaxy answer"]:
    """What the objective of the head in use learns from, of the labels of all outputs."""
    labels = votes if network.objective.uses_votes else values
    assert labels is not None  # stores without votes are refused an objective that needs them
    own = labels[:, network.outputs]
    by_majority = network.recipe.train.targets == "majority"
    return majority(network.tree, own) if by_majority else own


def _loss(head: Network, logits: Float[Tensor, "galaxy output"], batch: Batch) -> Tensor:
    """The loss of each galaxy, of what a head learns from."""
    outputs, own = head.outputs, logits[:, head.outputs]
    loss = head.objective.loss(own, labels_for(head, batch.values, batch.votes))
    if batch.largest is None or head.tree.kind is QUANTITIES:
        return loss
    of_head = (outputs.start <= batch.largest) & (batch.largest < outputs.stop)
    largest = torch.where(of_head, batch.largest - outputs.start, -1)
    return loss + head.objective.loss_of_largest(own, largest)


def metric_sums(
    network: Network,
    logits: Float[Tensor, "galaxy output"],
    batch: Batch,
    loss: Float[Tensor, " galaxy"],
) -> Float[Tensor, " sum"]:
    """The `SUMS` of a batch, from the loss of each galaxy; of quantities the largest means nothing,
    so none is compared.
    """
    assert batch.values is not None
    labels = batch.values[:, network.outputs]
    predicted = network.objective.values(logits.detach()[:, network.outputs])
    known = ~labels.isnan()
    squared = (predicted - labels.nan_to_num()).square() * known
    compared = known.all(dim=1) & (network.tree.kind is not QUANTITIES)
    correct = (predicted.argmax(dim=1) == labels.nan_to_num().argmax(dim=1)) & compared
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64
    terms = (loss.detach(), squared, known, correct, compared)
    return torch.stack([term.sum().to(dtype) for term in terms])


def check_finite(finite: bool, settings: TrainSettings, epoch: int) -> None:
    """DataError unless the outputs of an epoch, counted from 0, are finite."""
    if not finite:
        raise DataError(
            f"the network's output became NaN or infinite in epoch {epoch + 1}: lower"
            f" train.learning_rate ({settings.learning_rate:g})"
        )


@torch.no_grad()
def average_batch_norms(module: nn.Module, share: Share) -> None:
    """Make the running statistics of batch norms the mean over all processes, weighted by their
    galaxies.

    Those of SyncBatchNorm are of the whole batch already.
    """
    if distributed.count() == 1:
        return
    running = [
        statistics
        for norm in module.modules()
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and norm.training
        for statistics in (norm.running_mean, norm.running_var)
        if statistics is not None
    ]
    if not running:
        return
    means = distributed.summed(torch.cat(running) * (share.galaxies / share.of))
    parts: Sequence[Tensor] = torch.split(means, [len(statistics) for statistics in running])
    for statistics, part in zip(running, parts, strict=True):
        statistics.copy_(part)


def _synchronise_batch_norms(module: nn.Module) -> None:
    """Replace batch norms by those that have the statistics of the whole batch."""
    if isinstance(module, TimmNetwork):  # timm's have an activation inside, which torch would lose
        import_module("timm.layers").convert_sync_batchnorm(module)
    else:
        nn.SyncBatchNorm.convert_sync_batchnorm(module)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Generator[None]:
    """torch's own generators, from which dropout draws, begin with a seed; afterwards they are as
    before.
    """
    others = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(others, device_type=device.type):
        torch.default_generator.manual_seed(seed)
        for other in others:
            state = torch.Generator(other).manual_seed(seed).get_state()
            torch.get_device_module(other).set_rng_state(state, other)
        yield
