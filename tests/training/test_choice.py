"""Which recipe is chosen if none is named."""

import pytest
import torch

from galaxyvotes import Recipe
from galaxyvotes.training.choice import choose_recipe, labelled_galaxies


@pytest.mark.parametrize(
    ("galaxies", "device", "name"),
    [
        (0, "cpu", "small"),
        (999, "cuda", "small"),
        (1_000, "cpu", "compact"),
        (19_999, "cuda", "compact"),
        (20_000, "cpu", "compact"),
        (20_000, "cuda", "strong"),
        (20_000, "mps", "strong"),
    ],
)
def test_the_number_of_galaxies_and_the_device_choose_a_recipe_that_ships(galaxies, device, name):
    choice = choose_recipe(galaxies, torch.device(device))
    assert choice.name == name
    assert f"recipe {name}, because" in choice.reason
    assert f"{galaxies:,} training galaxies" in choice.reason
    assert Recipe.load(choice.name)


def test_few_galaxies_are_better_fine_tuned_and_that_is_said():
    assert (
        "Fine-tuning begins with a trained network"
        in choose_recipe(300, torch.device("cpu")).reason
    )


def test_galaxies_of_all_stores_count_if_they_have_a_label(blob_store, fractions_store):
    training = [len(store.rows("train")) for store in (blob_store, fractions_store)]
    assert labelled_galaxies([blob_store, fractions_store]) == sum(training)
