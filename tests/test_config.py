import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.config import (
    LabelSettings,
    ModelSettings,
    PackSettings,
    Recipe,
    SplitSettings,
    TrainSettings,
    recipe_names,
)
from galaxyvotes.errors import ConfigError, GalaxyVotesError

numbers = st.floats(0, 1, exclude_min=True, exclude_max=True)
recipes = st.builds(
    Recipe,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.builds(ModelSettings, st.text(st.characters(codec="utf-8"), max_size=8), numbers),
    st.builds(
        TrainSettings,
        epochs=st.integers(1, 10**6),
        batch_size=st.integers(2, 10**5),
        learning_rate=numbers,
        adam_epsilon=numbers,
        augment=st.sampled_from(["none", "dihedral"]),
        keep=st.sampled_from(["last", "best"]),
        precision=st.sampled_from(["auto", "float32", "bfloat16"]),
        seed=st.integers(0, 2**63 - 1),
        answers=st.lists(
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=3
        ).map(tuple),
        min_mean_fraction=st.floats(0, 1, exclude_max=True),
        checkpoint_minutes=st.floats(0, allow_nan=False),
    ),
    st.builds(PackSettings, st.integers(0, 4096), st.integers(8, 2048)),
)


@given(recipes)
@settings(max_examples=80, deadline=None)
def test_every_recipe_comes_back_equal_from_its_file(recipe):
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_the_papers_recipe_is_the_papers(tmp_path):
    paper = Recipe.load("paper")
    assert (paper.model.name, paper.train.objective) == ("vgg6", "bce")
    assert (paper.train.epochs, paper.train.batch_size, paper.train.learning_rate) == (
        50,
        256,
        1e-3,
    )
    assert (paper.train.adam_epsilon, paper.model.batch_norm_momentum) == (1e-7, 0.01)
    assert (paper.train.augment, paper.train.keep, paper.train.answers) == ("none", "last", ())
    assert paper.pack == PackSettings(128, 128)


def test_the_notebooks_recipe_differs_from_the_papers_in_its_pixels_alone():
    notebook = Recipe.load("paper-notebook")
    assert notebook.difference(Recipe.load("paper")) == ("model.pixels", "raw_bgr", "rgb")
    assert notebook.changed("model.pixels=rgb").difference(Recipe.load("paper")) is None


def test_pixels_of_the_notebook_are_for_its_network_alone():
    with pytest.raises(ConfigError, match="raw_bgr is for vgg6 only, not for compact"):
        Recipe.load("compact", ("model.pixels=raw_bgr",))


def test_a_recipe_has_the_name_it_is_loaded_by():
    assert all(Recipe.load(name).name == name for name in recipe_names())


def test_exactly_these_recipes_ship():
    assert recipe_names() == (
        "compact",
        "finetune",
        "fitted",
        "layered",
        "paper",
        "paper-notebook",
        "small",
        "strong",
    )


def test_the_papers_recipe_is_what_the_defaults_are():
    assert Recipe.load("paper") == Recipe(pack=PackSettings(128, 128))


def test_a_store_settles_how_images_are_packed_and_a_setting_does_not():
    with pytest.raises(ConfigError, match=r"setting pack.size_px=64: a store settles this"):
        Recipe.load("small", ("pack.size_px=64",))


def test_what_a_recipe_file_does_not_name_has_its_default_and_the_file_names_the_recipe(tmp_path):
    (tmp_path / "quick.toml").write_text("[train]\nepochs = 3\n", "utf-8")
    recipe = Recipe.load(tmp_path / "quick.toml")
    assert recipe == Recipe("quick", ModelSettings(), TrainSettings(epochs=3))


def test_a_setting_alone_needs_no_list():
    assert Recipe.load("small", "train.epochs=3") == Recipe.load("small", ["train.epochs=3"])


def test_single_settings_change_a_recipe_in_their_order():
    changed = Recipe.load(
        "small", ["train.epochs=10", "train.epochs=11", "model.batch_norm_momentum=0.5"]
    )
    assert (changed.train.epochs, changed.model.batch_norm_momentum) == (11, 0.5)
    assert changed.train.batch_size == Recipe.load("small").train.batch_size


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.learning_rate=1e-4", 1e-4),
        ("train.learning_rate = 0.5", 0.5),
        ("train.keep=best", "best"),
        ('train.keep="best"', "best"),
        ("train.answers=Class1.1,Class1.2", ("Class1.1", "Class1.2")),
        ('train.answers=["Class1.1", "no bulge"]', ("Class1.1", "no bulge")),
        ("train.answers=Class8.2", ("Class8.2",)),
        ("train.answers=", ()),
        ("train.checkpoint_minutes=2", 2.0),
        ("train.checkpoint_minutes=inf", float("inf")),
        ("train.seed=7", 7),
    ],
)
def test_a_setting_is_read_as_toml_or_as_plain_text(setting, value):
    name = setting.partition("=")[0].strip().removeprefix("train.")
    found = getattr(Recipe.load("paper", [setting]).train, name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("written", ["1.1,0.9", "[1.1, 0.9]", '["1.1", 0.9]'])
def test_a_list_of_numbers_is_read_however_it_is_written_and_kept_with_the_recipe(written):
    recipe = Recipe.load("compact", [f"model.zooms={written}", "model.views=16"])
    assert recipe.model.zooms == (1.1, 0.9)
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert recipe.changed("model.zooms=1.2").model.zooms == (1.2,)


def refusal(setting: str) -> str:
    with pytest.raises(ConfigError) as error:
        Recipe.load("paper", [setting])
    return str(error.value)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "train.epohcs=10",
            "setting train.epohcs=10: unknown setting train.epohcs; did you mean train.epochs?",
        ),
        ("trian.epochs=10", "setting trian.epochs=10: unknown setting trian; did you mean train?"),
        ("epochs=10", "setting epochs=10: unknown setting epochs; did you mean train.epochs?"),
        (
            "model.seed=1",
            "setting model.seed=1: unknown setting model.seed; did you mean train.seed?",
        ),
        ("model.x=1", "unknown setting model.x; known are model.name, model.batch_norm_momentum"),
        (
            "train.epochs",
            "setting 'train.epochs': expected section.name=value, e.g. train.epochs=10",
        ),
        ("train=10", "setting train=10: train is 10; expected a section, [train]"),
        ("=10", "unknown setting ; known are name, model, train"),
        ("train.epochs=", "setting train.epochs=: train.epochs is ''; expected a whole number"),
        ("train.epochs=ten", "train.epochs is 'ten'; expected a whole number"),
        ("train.epochs=2.5", "train.epochs is 2.5; expected a whole number"),
        ("train.epochs=true", "train.epochs is True; expected a whole number"),
        ("train.learning_rate=true", "train.learning_rate is True; expected a number"),
        ("train.learning_rate=fast", "train.learning_rate is 'fast'; expected a number"),
        ("train.objective=3", "train.objective is 3; expected a text"),
        ("train.augment=flip", "train.augment is 'flip'; expected one of none, dihedral"),
        ("train.augment=[1]", "train.augment is [1]; expected one of none, dihedral"),
        ("train.answers=[1, 2]", "train.answers is [1, 2]; expected a list of names"),
        ("train.epochs.x=1", "train.epochs is {'x': 1}; expected a whole number"),
        ("train.epochs=0", "setting train.epochs=0: train.epochs is 0; the smallest is 1"),
        ("train.batch_size=1", "train.batch_size is 1; the smallest is 2"),
        ("train.micro_batch=1", "train.micro_batch is 1; the smallest is 2, and 0 is all at once"),
        ("train.targets=votes", "train.targets is 'votes'; expected one of fractions, majority"),
        ("train.seed=-1", "train.seed is -1; the smallest is 0"),
        ("train.checkpoint_minutes=nan", "train.checkpoint_minutes is nan; the smallest is 0"),
        ("train.learning_rate=0", "train.learning_rate is 0.0; it lies between 0 and 1"),
        ("train.learning_rate=nan", "train.learning_rate is nan; it lies between 0 and 1"),
        ("train.min_mean_fraction=1", "train.min_mean_fraction is 1.0; it lies in 0–1"),
        ("model.views=17", "setting model.views=17: model.views is 17; it lies in 1–16"),
        (
            "model.zooms=1",
            "model.zooms is [1.0]; each lies in 0.83–1.2, as training shows galaxies at most",
        ),
        ("model.zooms=[1.1, 1.3]", "model.zooms is [1.1, 1.3]; each lies in 0.83–1.2"),
        ("model.zooms=nan", "model.zooms is [nan]; each lies in 0.83–1.2"),
        ("model.zooms=1.1,large", "model.zooms is ['1.1', 'large']; expected a list of numbers"),
        (
            "model.batch_norm_momentum=0",
            "model.batch_norm_momentum is 0.0; it lies above 0, up to 1",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_was_expected(setting, told):
    assert told in refusal(setting)


def test_an_unknown_key_in_a_recipe_file_is_refused_with_the_file_and_the_nearest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[train]\nlearning_rat = 0.1\n", "utf-8")
    expected = f"{path}: unknown setting train.learning_rat; did you mean train.learning_rate?"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        Recipe.load(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epochs = \n", "mine.toml: not TOML: Invalid value (at line 1, column 10)"),
        ("train = 5\n", "mine.toml: train is 5; expected a section, [train]"),
        ("[train]\nepochs = 0\n", "mine.toml: train.epochs is 0; the smallest is 1"),
        ("[train]\nepochs = 1\nepochs = 2\n", "mine.toml: not TOML: "),
    ],
)
def test_a_recipe_file_that_cannot_be_read_is_refused_by_name(tmp_path, text, told):
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=re.escape(told)):
        Recipe.load(tmp_path / "mine.toml")


def test_a_missing_or_unknown_recipe_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(
        ConfigError,
        match=re.escape("no recipe 'papper'; did you mean paper?; or give a .toml file"),
    ):
        Recipe.load("papper")
    with pytest.raises(ConfigError, match=re.escape(f"no recipe file {tmp_path / 'none.toml'}")):
        Recipe.load(tmp_path / "none.toml")


def test_a_recipe_file_that_is_not_text_is_refused_by_name(tmp_path):
    (tmp_path / "photo.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        GalaxyVotesError, match=re.escape(f"{tmp_path / 'photo.toml'} cannot be read as UTF-8 text")
    ):
        Recipe.load(tmp_path / "photo.toml")


@pytest.mark.parametrize(
    "parts", [(0.8, 0.1, 0.2), (1.1, -0.1, 0.0), (float("nan"), 0.5, 0.5), (0.0, 0.0, 0.0)]
)
def test_splits_that_are_no_division_are_refused(parts):
    with pytest.raises(
        ConfigError,
        match=r"must be three fractions from 0 to 1 that add up to 1, e\.g\. 0\.8,0\.1,0\.1",
    ):
        SplitSettings(*parts)


@pytest.mark.parametrize(("crop", "size"), [(-1, 128), (128, 7), (128, 4096)])
def test_sizes_that_no_image_can_have_are_refused(crop, size):
    with pytest.raises(ConfigError, match=f"crop {crop} px, size {size} px: crop is 0 "):
        PackSettings(crop, size)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe.load("paper").train.epochs = 3


def test_classes_and_a_kind_of_votes_are_not_read_at_once():
    with pytest.raises(ConfigError, match="leave out classes 'type' or votes 'joint'"):
        LabelSettings(classes="type", votes="joint")


def test_a_limit_below_zero_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"^limit is -1; expected 1 or more galaxies, or 0"):
        SplitSettings(limit=-1)
