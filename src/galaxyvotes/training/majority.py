"""One-hot labels of vote fractions, as the text of the 2023 paper has them (`to_categorical`), for
`train.targets = "majority"`.

The challenge has 37 fractions and eleven questions, so one label of 37 would nearly always be that
of a question that everybody is asked. So each question has one: the answer that most volunteers
gave. Questions are asked as the tree asks them: of a galaxy whose answer does not lead to a
question, all of its answers are 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from galaxyvotes.tree import DecisionTree

__all__ = ["majority"]


def majority(
    tree: DecisionTree, fractions: Float[Tensor, "galaxy answer"]
) -> Float[Tensor, "galaxy answer"]:
    """Joint fractions, NaN where not known, as 1 for the most voted answer of each question that
    the most voted answers lead to, and 0 for all others.

    Of two answers with as many votes it is the first. NaN where an answer of the question is not
    known, or nobody was asked though the most voted answer leads there, and for what follows.
    """
    labels = torch.full_like(fractions, torch.nan)
    for index in tree.depth_first:
        where, parent = tree.slices[index], tree.parents[index]
        own = fractions[:, where]
        known = own.sum(dim=1) > 0  # false for NaN
        largest = functional.one_hot(own.nan_to_num().argmax(dim=1), own.shape[1])
        label = torch.where(known[:, None], largest.to(fractions.dtype), torch.nan)
        if parent is not None:
            asked = labels[:, parent, None]
            label = torch.where(asked > 0, label, asked)  # 0, or NaN, goes on down the tree
        labels[:, where] = label
    return labels
