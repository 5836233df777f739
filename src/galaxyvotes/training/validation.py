"""Metrics of the validation galaxies, of which each process predicts its share."""

import math

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32
from torch import Tensor

from galaxyvotes.inference.engine import forward_rows
from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.metrics.accuracy import argmax_accuracy
from galaxyvotes.metrics.scores import mse
from galaxyvotes.networks.batch import share_of
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime import distributed
from galaxyvotes.store.store import Store
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.frozen import FrozenFeatures, last_layer
from galaxyvotes.training.heads import means_of
from galaxyvotes.training.learner import check_finite, labels_for

__all__ = ["validate"]


def validate(
    network: Network,
    batches: TrainingBatches,
    *,
    epoch: int,
    frozen: FrozenFeatures | None = None,
) -> dict[str, float]:
    """The loss of all heads together, and MSE, accuracy and skill of each.

    Those of the first head are `validation_mse`, `validation_accuracy` and `validation_skill`; of
    another, the name of its tree stands before these. The accuracy of quantities is NaN. For the
    skill see `skill`. What a `frozen` encoder makes of the images is not computed again.

    Raises DataError if an output is NaN or infinite.
    """
    row: dict[str, float] = {"validation_loss": 0.0}
    for head in network.all_heads:
        outputs, values, votes = _outputs_and_labels(head, batches, frozen)
        check_finite(bool(outputs.isfinite().all()), batches.settings, epoch)
        logits, labels = outputs[:, head.outputs], labels_for(head, values, votes)
        row["validation_loss"] += float(head.objective.loss(logits, labels).mean())
        predicted, known = head.objective.values(logits).numpy(), values[:, head.outputs].numpy()
        prefix = "" if head.head_index == 0 else f"{head.tree.name}_"
        row[f"{prefix}validation_mse"] = mse(known, predicted)
        row[f"{prefix}validation_accuracy"] = (
            argmax_accuracy(known, predicted) if head.tree.kind is not QUANTITIES else math.nan
        )
        means = means_of(head.head, batches.stores, batches.train)
        row[f"{prefix}validation_skill"] = skill(head, known, predicted, means)
    return row


def skill(
    head: Network,
    labels: Float32[np.ndarray, "galaxy answer"],
    predicted: Float32[np.ndarray, "galaxy answer"],
    means: Float32[np.ndarray, " answer"],
) -> float:
    """One minus the mean squared error over that of predicting the mean label of the training
    galaxies for every galaxy.

    1 for a network without errors, 0 for one that is no better than the mean, less for one that is
    worse; of a classification, the mean label is the frequency of each class. Quantities are
    standardised, so that each weighs alike. NaN if the mean has no error.

    Source: Murphy 1988, Monthly Weather Review 116, 2417, equation 4.
    """
    scale = np.array([standard.scale for standard in head.head.standards] or [1.0], np.float64)
    labels = np.where(np.isnan(means), np.nan, labels)
    of_mean = np.broadcast_to(np.nan_to_num(means), labels.shape)
    error, error_of_mean = (mse(labels / scale, each / scale) for each in (predicted, of_mean))
    return 1 - error / error_of_mean if error_of_mean > 0 else math.nan


def _outputs_and_labels(
    head: Network, batches: TrainingBatches, frozen: FrozenFeatures | None
) -> tuple[
    Float32[Tensor, "galaxy output"],
    Float32[Tensor, "galaxy output"],
    Int32[Tensor, "galaxy output"] | None,
]:
    """The outputs of a head, zeros in place of those of others, for the validation galaxies of its
    stores; and their labels.
    """
    logits: list[Tensor] = []
    values: list[Tensor] = []
    votes: list[Tensor] = []
    for number, (store, rows) in enumerate(zip(batches.stores, batches.validation, strict=True)):
        if len(rows) and batches.head_of(store) is batches.heads[head.head_index]:
            features = None if frozen is None else frozen.validation[number]
            logits.append(
                _logits(head, store, rows) if features is None else last_layer(head, features)
            )
            labels = batches.labels.of_store(number, rows)
            values.append(labels.values)
            votes += [] if labels.votes is None else [labels.votes]
    whole_values = torch.cat(values)
    outputs = torch.zeros_like(whole_values)
    outputs[:, head.outputs] = torch.cat(logits)
    return outputs, whole_values, torch.cat(votes) if len(votes) == len(values) else None


def _logits(
    head: Network, store: Store, rows: Int[np.ndarray, " galaxy"]
) -> Float32[Tensor, "galaxy answer"]:
    """The outputs of a head for rows of a store, of which each process computes its share."""
    own = share_of(len(rows)).own
    logits = torch.zeros(len(rows), len(head.columns))
    logits[own] = torch.from_numpy(forward_rows(head, store, rows[own]).logits)
    return distributed.summed(logits)
