import numpy as np
import pytest
import torch

from galaxyvotes import ConfigError, Recipe
from galaxyvotes.networks.batch import Batch, Share
from galaxyvotes.runs.network import Network
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.learner import Learner
from galaxyvotes.training.majority import majority


def test_each_question_that_the_majority_comes_to_has_its_most_voted_answer(kaggle, make_fractions):
    fractions = make_fractions(kaggle, 50)
    labels = majority(kaggle, torch.from_numpy(fractions)).numpy()
    for where, parent in zip(kaggle.slices, kaggle.parents, strict=True):
        asked = np.ones(50) if parent is None else labels[:, parent]
        assert (labels[:, where].sum(axis=1) == asked).all()
        rows = asked == 1
        assert (labels[rows, where].argmax(axis=1) == fractions[rows, where].argmax(axis=1)).all()
    assert set(np.unique(labels)) == {0, 1}


def test_the_majority_of_an_unknown_question_is_unknown_and_so_is_what_follows(
    kaggle, make_fractions
):
    fractions = torch.from_numpy(make_fractions(kaggle, 5))
    fractions[:, 0] = torch.nan  # of the first question, which leads to nearly all others
    labels = majority(kaggle, fractions)
    where = kaggle.columns.index("Class6.1")
    odd = slice(where, where + 2)
    assert labels[:, kaggle.slices[0]].isnan().all()
    assert not labels[:, odd].isnan().any()
    assert labels[:, kaggle.slices[1]].isnan().all()


def test_a_network_learns_the_majority_and_is_judged_on_the_fractions(fractions_store):
    settings = ("train.batch_size=8", "train.targets=majority", "train.precision=float32")
    recipe = Recipe.load("compact", (*settings, "train.objective=mse", "model.width=8"))
    batches = TrainingBatches.of([fractions_store], recipe)
    network = Network.build(recipe, batches.heads, fractions_store.pack)
    batch = next(batches.batches(0, 0))
    one_hot = Batch(batch.images, majority(fractions_store.tree, batch.values))
    losses = []
    for targets, given in (("majority", batch), ("fractions", one_hot)):
        made = Network.build(
            recipe.changed(f"train.targets={targets}"), network.heads, network.pack
        )
        learned = Learner(made, torch.device("cpu")).learn(given, Share(0, 8, 8), seed=1, rate=1e-3)
        losses.append(learned.tolist())
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] < losses[1][1]  # squared errors are of fractions, nearer to a new network


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (("train.answers=Class1.1,Class1.2",), "needs all 37 answers of the tree, not 2"),
        (("train.objective=dirichlet_multinomial",), "learns from whole votes"),
    ],
)
def test_where_there_is_no_majority_it_is_refused(fractions_store, settings, problem):
    recipe = Recipe.load("small", (*settings, "train.targets=majority"))
    with pytest.raises(ConfigError, match=problem):
        TrainingBatches.of([fractions_store], recipe)
