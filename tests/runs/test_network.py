from dataclasses import replace

import pytest
import torch

from galaxyvotes import ConfigError, DecisionTree, Network, PackSettings, Recipe
from galaxyvotes.runs.calibration import Calibration
from galaxyvotes.runs.network import Head
from galaxyvotes.runs.run import bundled_run

SMALL = Recipe.load("compact", ("model.width=8",))
CLASSES = DecisionTree.of_classes(["spiral", "smooth"])
KAGGLE = DecisionTree.load("kaggle")


def network(*trees: DecisionTree, recipe: Recipe = SMALL) -> Network:
    return Network.build(recipe, [Head(tree, tree.columns) for tree in trees], PackSettings(0, 32))


def test_opening_a_network_leaves_torchs_random_numbers_alone(blob_run):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    blob_run.network()
    blob_run.untrained()
    assert torch.equal(torch.rand(4), expected)


def test_the_outputs_of_its_heads_stand_side_by_side():
    both = network(KAGGLE, CLASSES)
    assert [head.outputs for head in both.all_heads] == [slice(0, 37), slice(37, 39)]
    assert both.module[-1].out_features == 39


def test_it_is_used_for_the_tree_of_a_name_or_for_the_first():
    both = network(KAGGLE, CLASSES)
    assert both.for_tree(None).columns == KAGGLE.columns
    assert both.for_tree("class").columns == CLASSES.columns
    with pytest.raises(ConfigError, match="no tree 'gz2' in this network, only kaggle, class"):
        both.for_tree("gz2")


def test_an_objective_that_does_not_fit_a_head_is_refused_when_it_is_built():
    recipe = SMALL.changed("train.objective=mse_tree")
    with pytest.raises(ConfigError, match="needs all 37 answers"):
        Network.build(recipe, [Head(KAGGLE, KAGGLE.columns[:3])], PackSettings(0, 32))


def test_intervals_are_those_of_the_kind_of_fractions_that_it_predicts():
    bundled = bundled_run().network()
    calibration = bundled.calibration
    assert bundled.intervals is calibration.joint
    assert bundled.as_conditional.intervals is calibration.conditional
    assert calibration.joint != calibration.conditional
    bare = bundled.without_intervals
    assert (bare.intervals, bare.as_conditional.intervals) == (None, None)
    assert bare.familiarity is bundled.familiarity


def test_a_network_that_was_never_calibrated_has_an_empty_calibration():
    plain = network(CLASSES)
    assert plain.calibration == Calibration()
    assert (plain.intervals, plain.familiarity) == (None, None)


def test_members_are_the_networks_of_an_ensemble_each_by_itself():
    one, other = network(CLASSES), network(CLASSES, recipe=SMALL.changed("train.seed=1"))
    assert [member.module for member in one.members] == [one.module]
    ensemble = replace(one, other_members=(other.module,))
    assert [member.module for member in ensemble.members] == [one.module, other.module]
    assert all(member.other_members == () for member in ensemble.members)
