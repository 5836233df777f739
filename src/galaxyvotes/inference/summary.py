"""Predictions of a galaxy in two columns: the most likely way down the tree in words, and how
uncertain the answers are.

The way begins at the first question. At each it takes the answer with the largest fraction, and
goes on as the flowchart does; it ends where the flowchart ends, or at a question that is not
predicted or that nobody would be asked. No class of Hubble's is made of it: volunteers were not
asked for one, and none follows from their answers without a choice of thresholds.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FractionKind
from galaxyvotes.metrics.information import entropy
from galaxyvotes.predictions import Predictions
from galaxyvotes.questions import SUMMARY
from galaxyvotes.runs.network import Network
from galaxyvotes.table_formats.columns import column
from galaxyvotes.tables.names import name_column
from galaxyvotes.tree import DecisionTree

__all__ = ["SUMMARY_FIELDS", "check_summary", "likely_paths", "summary_columns"]

SUMMARY_FIELDS = (
    column(SUMMARY[0], pa.string(), description="most likely answers, down the decision tree"),
    column(
        SUMMARY[1],
        pa.float32(),
        description="entropy of one volunteer's answers",
        unit="bit",
        ucd="stat.uncalib",
    ),
)
_ARROW = " > "


def check_summary(network: Network) -> None:
    """Raise ConfigError if a network's predictions have no summary: quantities, and conditional
    fractions of some questions only, whose entropy depends on the others.
    """
    if not network.tree.kind.bounded:
        raise ConfigError(
            f"the tree {network.tree.name!r} asks for quantities, which have no summary: leave out"
            " `table=TableSettings(summary=True)`"
        )
    if network.fraction_kind == "conditional" and network.columns != network.tree.columns:
        raise ConfigError(
            "conditional fractions of some questions have no summary: leave out"
            " `fractions='conditional'` or `table=TableSettings(summary=True)`"
        )


def summary_columns(
    tree: DecisionTree, fractions: FractionKind, predictions: Predictions
) -> list[pa.Array]:
    """The columns of `SUMMARY_FIELDS` for some galaxies."""
    values = predictions.values
    joint = tree.joint(np.nan_to_num(values)) if fractions == "conditional" else values
    bits = entropy(tree, joint, predictions.columns)
    paths = name_column(likely_paths(tree, values, predictions.columns))
    return [paths.cast(pa.string()), pa.array(bits.astype(np.float32))]


def likely_paths(
    tree: DecisionTree, values: Float[np.ndarray, "galaxy answer"], columns: Sequence[str]
) -> list[str]:
    """The most likely way of each galaxy down the tree, from fractions of either kind."""
    paths = np.full(len(values), "", object)
    place = {name: number for number, name in enumerate(columns)}
    waiting = {tree.questions[0].name: np.arange(len(values))}
    questions = {question.name: question for question in tree.questions}
    for _ in tree.questions:  # no way is longer
        following: dict[str, list[np.ndarray]] = {}
        for name, rows in waiting.items():
            answers = questions[name].answers
            if any(answer.column not in place for answer in answers):
                continue
            given = np.nan_to_num(values[rows][:, [place[answer.column] for answer in answers]])
            is_asked = given.max(axis=1) > 0
            rows, best = rows[is_asked], given[is_asked].argmax(axis=1)
            for number, answer in enumerate(answers):
                chosen = rows[best == number]
                paths[chosen] += np.where(paths[chosen] == "", "", _ARROW) + answer.text
                if answer.next is not None and len(chosen):
                    following.setdefault(answer.next, []).append(chosen)
        waiting = {name: np.concatenate(parts) for name, parts in following.items()}
    return paths.tolist()
