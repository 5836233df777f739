"""What a volunteer's answers would tell: entropy of predictions, and mutual information (BALD).

A volunteer goes down the tree and gives one answer to each question that is asked. From joint
fractions f the entropy of what is given, in bits, is

    H(f) = − Σ f_a · log2 c_a

over all answers a, where c_a is the fraction of those who were asked. With several predictions of
the same galaxy, by the views of it and the members of an ensemble, H of their mean is how uncertain
the answers are, and

    I = H(mean of f) − mean of H(f)

how much of that is disagreement, which the answers would settle.

Sources: Houlsby et al. 2011, arXiv:1112.5745, equation 2; Gal, Islam & Ghahramani 2017, ICML, PMLR
70, 1183; for Galaxy Zoo Walmsley et al. 2020, MNRAS 491, 1554, who count all votes of a galaxy
where this counts those of one volunteer.
"""

import numpy as np
from jaxtyping import Float

from galaxyvotes.tree import DecisionTree

__all__ = ["entropy", "information"]


def entropy(
    tree: DecisionTree, joint: Float[np.ndarray, "galaxy answer"], columns: tuple[str, ...]
) -> Float[np.ndarray, " galaxy"]:
    """The entropy of one volunteer's answers, in bits, from joint fractions of these columns.

    Raises ConfigError if the tree asks for quantities.
    """
    conditional = tree.conditional(joint, columns)
    given = (joint > 0) & (conditional > 0)  # 0 · log 0 is 0
    return -np.where(given, joint * np.log2(np.where(given, conditional, 1)), 0).sum(axis=1)


def information(
    tree: DecisionTree,
    joint: Float[np.ndarray, "prediction galaxy answer"],
    columns: tuple[str, ...],
) -> Float[np.ndarray, " galaxy"]:
    """What one volunteer's answers are expected to tell of which prediction is right, in bits.

    Raises ConfigError if the tree asks for quantities.
    """
    each = np.mean([entropy(tree, one, columns) for one in joint], axis=0)
    return np.maximum(entropy(tree, joint.mean(axis=0), columns) - each, 0)
