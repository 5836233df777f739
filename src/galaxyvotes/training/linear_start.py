"""The network of a run, before it learns a question that this run was never asked: read out at all
layers (`networks.layered`), at the scale that suits the question, with a last layer that is fitted.

Features are the mean over flips and rotations of each training galaxy, and their principal
components. On these, logistic regression (fractions are weights of the answers) or ridge regression
(quantities) gives the last layer. How strongly it is regularised, and at which scale images enter
the network, is what has the smallest loss on training galaxies that were left out of the fit.
Validation galaxies have no part in it.

Source: Kumar et al. 2022, ICLR (arXiv:2202.10054): a fitted last layer first, then all layers;
features are distorted less than when both begin together.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from galaxyvotes.config import Recipe
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.build import to_input
from galaxyvotes.networks.layered import Layered, Projection
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.heads import Rows
from galaxyvotes.training.linear_fit import linear_fit

__all__ = ["LinearStart", "linear_start"]

SCALES = (1.0, 2 / 3, 1.5)  # of equally good ones the first
VIEWS = 4
MOST = 1_000  # training galaxies of a store that the last layer is fitted to
GROUP = 32  # images that a core computes at a time
TINY = 1e-6  # scatter of a number that is always the same

Features = Float64[np.ndarray, "galaxy feature"]


class LinearStart(NamedTuple):
    """A network with a fitted last layer, and the loss at each scale, of galaxies that
    were left out of the fit.
    """

    network: Network
    losses: dict[float, float]

    @property
    def remark(self) -> str:
        """Which scale was chosen, and why."""
        chosen = self.network.recipe.model.scale
        losses = ", ".join(f"{loss:.4g} at {scale:.2g}" for scale, loss in self.losses.items())
        return (
            f"the last layer is fitted to features of all layers, of images at {chosen:.2g} times"
            f" their size (cross-validated loss {losses})"
        )


def linear_start(
    trained: Network,
    recipe: Recipe,
    batches: TrainingBatches,
    device: torch.device,
    scales: Sequence[float] = SCALES,
) -> LinearStart:
    """The network of a recipe for these batches, with the layers of a trained network, at the one
    of some scales that has the smallest loss.
    """
    best, losses, pack = None, {}, batches.stores[0].pack
    for scale in scales:
        model = replace(recipe.model, scale=scale)
        network = Network.build(replace(recipe, model=model), batches.heads, pack)
        losses[scale] = _fit(network, trained, batches, device)
        if best is None or losses[scale] < losses[best.recipe.model.scale]:
            best = network
    assert best is not None
    return LinearStart(best, losses)


@torch.no_grad()
def _fit(
    network: Network, trained: Network, batches: TrainingBatches, device: torch.device
) -> float:
    """Fit projection and last layer of a network to the features of a trained one; the loss."""
    module = network.module
    assert isinstance(module, Layered)
    own = trained.module.state_dict()
    module.layers.load_state_dict({name: own[name] for name in module.layers.state_dict()})
    module.to(device).eval()
    rows = [_some(part) for part in batches.drawn]
    numbers = [
        _numbers(network, store, part)
        for store, part in zip(batches.stores, rows, strict=True)
        if len(part)
    ]
    labels = torch.cat(
        [batches.labels.of_all(number, part).values for number, part in enumerate(rows)]
    )
    module.to("cpu")
    features = _measure(module.projection, np.concatenate(numbers))
    loss = 0.0
    for head in network.all_heads:
        fit = linear_fit(head, features, labels[:, head.outputs].double().numpy())
        module.dense.weight[head.outputs] = torch.from_numpy(fit.weight).float()
        module.dense.bias[head.outputs] = torch.from_numpy(fit.bias).float()
        loss += fit.loss
    return loss


def _some(rows: Rows) -> Rows:
    """These rows, or as many of them as are fitted to, evenly among them."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(int)]


def _numbers(network: Network, store: Store, rows: Rows) -> Float64[np.ndarray, "galaxy number"]:
    """What all layers say of these rows, the mean over views."""
    module, settings = network.module, network.recipe.train
    assert isinstance(module, Layered)
    device = next(module.parameters()).device
    half = low_precision(settings.precision, device)

    def compute(part: slice) -> Float64[np.ndarray, "galaxy number"]:
        images = torch.from_numpy(store.images(rows[part])).to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            seen = [
                module.layers(to_input(view))
                for view in views(images, VIEWS, mirror=settings.mirror)
            ]
        return torch.stack(seen).double().mean(dim=0).cpu().numpy()

    parts = [slice(start, start + GROUP) for start in range(0, len(rows), GROUP)]
    workers = None if device.type == "cpu" else 1
    return np.concatenate([part for _, part in on_a_core_each(compute, parts, workers)])


def _measure(projection: Projection, numbers: Float64[np.ndarray, "galaxy number"]) -> Features:
    """Let a projection have the mean, the scatter and the principal components of galaxies; their
    features.
    """
    middle, scatter = numbers.mean(axis=0), numbers.std(axis=0) + TINY
    standardised = (numbers - middle) / scatter
    components = np.linalg.svd(standardised, full_matrices=False)[2]
    directions = np.zeros(projection.directions.shape)
    directions[: len(components)] = components[: len(directions)]
    for buffer, values in (
        (projection.middle, middle),
        (projection.scatter, scatter),
        (projection.directions, directions),
    ):
        buffer.copy_(torch.from_numpy(values))
    return standardised @ directions.T
