"""Joint fractions (of everybody) from conditional ones (of those who were asked), and back.

The joint fraction of an answer is its conditional fraction times the joint fraction of the answer
whose givers are asked its question. Functions of arrays; `tree.DecisionTree` says which that is.

Source: Willett et al. 2013, MNRAS 435, 2835, section 3.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num

__all__ = [
    "Branch",
    "asked_fractions",
    "conditional_fractions",
    "joint_fractions",
    "volunteers_of",
]

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits

Branch = tuple[slice, int | None]
"""The columns of a question's answers, and the column whose givers are asked it; None means
everybody. Of several, each stands after the one that it hangs from.
"""


def asked_fractions(
    joint: Float[np.ndarray, "galaxy answer"], parents: Sequence[int]
) -> Float[np.ndarray, "galaxy answer"]:
    """Per cell, the fraction of everybody who was asked, from joint fractions.

    `parents` is per answer the column whose givers are asked, -1 for everybody.
    """
    joint = joint.astype(np.float64).clip(0, 1)
    return np.column_stack([joint, np.ones(len(joint))])[:, list(parents)]


def conditional_fractions(
    joint: Float[np.ndarray, "galaxy answer"],
    asked: Float[np.ndarray, "galaxy answer"],
    min_asked: float = 0.0,
) -> Float[np.ndarray, "galaxy answer"]:
    """Fractions of those who were asked, in 0–1; NaN where fewer than `min_asked` were."""
    joint = joint.astype(np.float64).clip(0, 1)
    reached = (asked > 0) & (asked >= min_asked - _ROUNDING)
    return np.divide(joint, asked, out=np.full(joint.shape, np.nan), where=reached).clip(0, 1)


def joint_fractions(
    conditional: Float[np.ndarray, "galaxy answer"], branches: Sequence[Branch]
) -> Float[np.ndarray, "galaxy answer"]:
    """Fractions of everybody, from fractions of those who were asked.

    Zero where nobody gave the answer that leads to the question, whatever the conditional fraction
    is there; NaN where somebody gave it and the conditional fraction is NaN.
    """
    result = np.full_like(conditional, np.nan)
    for where, parent in branches:
        everybody = np.ones(len(conditional), conditional.dtype)
        asked = (everybody if parent is None else result[:, parent])[:, None]
        result[:, where] = np.where(asked == 0, 0, conditional[:, where] * asked)
    return result


def volunteers_of(
    votes: Num[np.ndarray, "galaxy answer"], branches: Sequence[Branch]
) -> Float[np.ndarray, "galaxy answer"]:
    """How many volunteers each joint fraction comes from: all votes on the question that its branch
    begins with.

    `votes` are whole counts, -1 where not known (NaN in the result).
    """
    counts = votes.astype(np.float64)
    result = np.full(counts.shape, np.nan)
    for where, parent in branches:
        unknown = (counts[:, where] < 0).any(axis=1)
        first = np.where(unknown, np.nan, counts[:, where].sum(axis=1))
        result[:, where] = (first if parent is None else result[:, parent])[:, None]
    return result
