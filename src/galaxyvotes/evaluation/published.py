"""The protocol of the 2023 paper, which evaluates mostly on galaxies that the network was trained
on; it shows the size of that leak.

MSE, RMSE, MAE and the accuracy over all answers are those of the training set. AUCs and whatever
else is of a fifth of all galaxies, drawn without regard to what was used in training.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from galaxyvotes.errors import ConfigError
from galaxyvotes.evaluation.seen import labels_of, with_labels
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.kinds import FRACTIONS
from galaxyvotes.reports.comparison import Comparison, ReportSettings
from galaxyvotes.reports.fractions import summarise
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.counted import counted
from galaxyvotes.store.store import Store
from galaxyvotes.tree import DecisionTree

__all__ = ["check_published", "published_protocol"]

TEST_SHARE = 0.2
_OF_TRAINING = ("mse", "rmse", "mae", "argmax_accuracy")


def check_published(tree: DecisionTree) -> None:
    """Refuse a tree of quantities or classes.

    Raises:
        ConfigError: The tree does not ask for vote fractions.
    """
    if tree.kind is not FRACTIONS:
        raise ConfigError(
            f"the 2023 paper evaluates vote fractions; {tree.name} is of {tree.kind.name}: leave"
            " out `as_published=True`"
        )


def published_protocol(
    store: Store, network: Network, seen: Bool[np.ndarray, " galaxy"], settings: ReportSettings
) -> dict[str, Any]:
    """The measures of the published protocol, `seen`, how many of the galaxies drawn are in the
    training or validation set, and a `note`.
    """
    everyone = with_labels(store, np.arange(len(store)), network.head)
    number = max(1, round(TEST_SHARE * len(everyone)))
    drawn = np.sort(np.random.default_rng(settings.seed).permutation(everyone)[:number])
    training = with_labels(store, store.rows("train"), network.head)
    of_training = _summary(store, network, training, settings)
    return {
        **_summary(store, network, drawn, settings),
        **{name: of_training[name] for name in _OF_TRAINING},
        "seen": int(seen[drawn].sum()),
        "note": (
            "As in the paper, MSE, RMSE, MAE and the accuracy over all answers are of the"
            f" {counted(len(training), 'training galaxy')}; every other measure is of the fifth of"
            " all galaxies."
        ),
    }


def _summary(
    store: Store, network: Network, rows: Int[np.ndarray, " galaxy"], settings: ReportSettings
) -> dict[str, Any]:
    labels = labels_of(store, rows, network.head)
    comparison = Comparison(store.tree, labels, predict_store(network, store, rows))
    return summarise(comparison, settings)
