"""Whether fractions that obey the tree are better fractions: one encoder, four ways to answer from
its features.

    python benchmarks/tree_output.py --json benchmarks/json/tree_output.json

The encoder is the base of `five_folds.py` (seed 0), which has seen none of the judged galaxies.
For each objective a linear layer learns the 37 fractions from the features of four folds, eight
sides of each galaxy, and answers for the fifth, with the mean over its sides. How strongly its
weights are held back is chosen for each fold and objective by the galaxies of the next fold, which
then teach as well. `bce` and `mse` answer each column by itself; `mse_tree` and `cross_entropy`
give each question's answers shares of those who were asked. A few minutes on two cores."""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

import galaxyvotes as gv
from catalogues import without_judged
from galaxyvotes.inference.engine import forward
from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.batch import Batch
from galaxyvotes.networks.objectives import Objective, objective_for
from galaxyvotes.store.splits import assign_splits
from provenance import write

FOLDS = 5
HELD_BACK = (3e-4, 3e-3, 3e-2)
OBJECTIVES = ("bce", "mse", "mse_tree", "cross_entropy")


def learned(
    objective: Objective, seen: Tensor, labels: Tensor, held_back: float
) -> tuple[Tensor, Tensor]:
    """The weights and biases of least cost, the squares of the weights counted too."""
    weights = torch.zeros(labels.shape[1], seen.shape[-1], requires_grad=True)
    biases = torch.zeros(labels.shape[1], requires_grad=True)
    fit = torch.optim.LBFGS(
        [weights, biases], max_iter=60, history_size=20, line_search_fn="strong_wolfe"
    )
    inputs, wanted = seen.flatten(0, 1), labels.repeat(len(seen), 1)
    # A mean over columns and a sum over questions are different sizes of cost; in units of the
    # answer that knows nothing, the same number holds weights back as strongly.
    unit = float(objective.loss(torch.zeros_like(wanted), wanted).mean())

    def cost() -> Tensor:
        fit.zero_grad()
        loss = (
            objective.loss(inputs @ weights.T + biases, wanted).mean() / unit
            + held_back * weights.square().sum()
        )
        loss.backward()
        return loss

    fit.step(cost)
    return weights.detach(), biases.detach()


def answered(objective: Objective, seen: Tensor, layer: tuple[Tensor, Tensor]) -> np.ndarray:
    return (
        torch.stack([objective.values(side @ layer[0].T + layer[1]) for side in seen])
        .mean(dim=0)
        .numpy()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/folds"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    store = without_judged(given.data, given.work)[0].whole
    network = gv.Run.open(given.work / "base-0").network()
    sides = views(torch.from_numpy(store.images(np.arange(len(store)))), 8)
    seen = torch.stack([torch.from_numpy(forward(network, Batch(side)).features) for side in sides])
    seen = (seen - seen.mean(dim=(0, 1))) / (seen.std(dim=(0, 1)) + 1e-3)
    labels, digests = torch.from_numpy(store.values), pa.array(store.pixels)
    turns = [gv.SplitSettings(0.8, 0.0, 0.2, turn=fold / FOLDS) for fold in range(FOLDS)]
    folds = np.array([assign_splits(store.ids, digests, turn) == "test" for turn in turns]).argmax(
        axis=0
    )
    errors, figures = {}, {}
    for name in OBJECTIVES:
        objective, found = (
            objective_for(name, store.tree, store.tree.columns),
            np.zeros(labels.shape, np.float32),
        )
        chosen = []
        for fold in range(FOLDS):
            judged, cuts = folds == fold, folds == (fold + 1) % FOLDS
            first = [
                learned(objective, seen[:, ~judged & ~cuts], labels[~judged & ~cuts], h)
                for h in HELD_BACK
            ]
            tried = [
                np.square(answered(objective, seen[:, cuts], layer) - labels[cuts].numpy()).mean()
                for layer in first
            ]
            chosen.append(HELD_BACK[int(np.argmin(tried))])
            layer = learned(objective, seen[:, ~judged], labels[~judged], chosen[-1])
            found[judged] = answered(objective, seen[:, judged], layer)
        errors[name] = np.square(found - labels.numpy()).mean(axis=1)
        figures[name] = {"rmse": float(np.sqrt(errors[name].mean())), "held back": chosen}
        print(name, figures[name], flush=True)

    def rmse_less(name: str):
        """How much lower the RMSE of `mse` is than another's, as a function of weights over
        galaxies."""
        return lambda weights: (
            np.sqrt(weights @ errors[name] / weights.sum(axis=1))
            - np.sqrt(weights @ errors["mse"] / weights.sum(axis=1))
        )

    for name, each in confidence_intervals(
        {n: rmse_less(n) for n in OBJECTIVES if n != "mse"}, len(labels)
    ).items():
        figures[name]["minus mse"] = {
            end: float(getattr(each, end)) for end in ("value", "low", "high")
        }
        print(name, "minus mse", figures[name]["minus mse"])
    write(given.json, {"galaxies": len(labels), **figures})


if __name__ == "__main__":
    main()
