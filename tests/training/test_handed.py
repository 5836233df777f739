"""Questions with another answer for the mirror image: learned without mirror images, and not with
them."""

import numpy as np
import pytest
import simplejpeg

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DecisionTree,
    PackSettings,
    Recipe,
    Run,
    SplitSettings,
    Store,
    ensemble,
    export,
    pack,
    predict,
    predict_store,
    train,
)
from galaxyvotes.config import LabelSettings
from galaxyvotes.inference.onnx_model import read_onnx
from galaxyvotes.training.choice import note_of_handed, suited

COMPACT = (
    "train.epochs=14",
    "train.batch_size=16",
    "train.augment=sky",
    "train.learning_rate=5e-3",
    "train.keep=last",
    "model.name=compact",
    "model.width=8",
    "model.views=8",
)
TREE = """
name = "spin"
title = "Which way arms turn"

[[question]]
name = "spin"
text = "Which way do the arms turn?"
{handed}
[[question.answer]]
column = "left"
text = "left"

[[question.answer]]
column = "right"
text = "right"
"""


def spiral(random: np.random.Generator, sign: int, side: int = 64) -> np.ndarray:
    """Two logarithmic arms that turn one way, at any angle, with noise."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius, angle = np.hypot(x, y) + 1e-6, np.arctan2(y, x)
    phase = 2 * (sign * angle - 1.6 * np.log(radius)) + random.uniform(0, 2 * np.pi)
    light = (1 + np.cos(phase)) * np.exp(-radius / 11) * 110 + random.normal(20, 4, x.shape)
    return np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def spirals(tmp_path_factory):
    """A folder of 120 spirals and a table of which way each turns."""
    folder = tmp_path_factory.mktemp("spirals")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    lines = ["name,spin\n"]
    for number in range(120):
        image = np.ascontiguousarray(spiral(random, (1, -1)[number % 2]))
        path = folder / "images" / f"s{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(image, quality=95))
        lines.append(f"s{number},{('left', 'right')[number % 2]}\n")
    (folder / "spins.csv").write_text("".join(lines), "utf-8")
    return folder


def packed(spirals, out, handed: str = "", size: int = 64) -> Store:
    tree = out.parent / f"{out.name}.toml"
    tree.write_text(TREE.format(handed=handed), "utf-8")
    return pack(
        [spirals / "images", spirals / "spins.csv"],
        out,
        labels=LabelSettings(tree=tree, classes="spin"),
        settings=PackSettings(64, size),
        splits=SplitSettings(0.6, 0.1, 0.3),
        progress=False,
    )


@pytest.fixture(scope="module")
def plain(spirals, tmp_path_factory) -> Store:
    return packed(spirals, tmp_path_factory.mktemp("plain") / "store")


@pytest.fixture(scope="module")
def handed(spirals, tmp_path_factory) -> Store:
    """The same, whose tree file says that the question is handed."""
    return packed(spirals, tmp_path_factory.mktemp("handed") / "store", "handed = true")


@pytest.fixture(scope="module")
def run(handed, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("run") / "run"
    return train(handed, out, recipe="small", settings=COMPACT, progress=False)


def accuracy(run: Run, store: Store) -> float:
    rows = store.rows("test")
    predicted = predict_store(run.network(), store, rows).values
    return float((predicted.argmax(axis=1) == store.values[rows].argmax(axis=1)).mean())


def test_a_handed_question_is_learned(run, handed):
    assert not run.recipe.train.mirror
    assert accuracy(run, handed) > 0.9
    assert run.warning is None


def test_without_mirror_images_the_command_alone_is_enough(run, plain, tmp_path):
    again = train(
        plain,
        tmp_path / "run",
        recipe="small",
        settings=(*COMPACT, "train.mirror=false"),
        progress=False,
    )
    assert (again.path / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


def test_with_mirror_images_it_is_learned_at_chance_and_the_warning_says_what_to_do(
    plain, tmp_path
):
    mirrored = train(plain, tmp_path / "run", recipe="small", settings=COMPACT, progress=False)
    rows = plain.rows("test")
    assert np.ptp(predict_store(mirrored.network(), plain, rows).values) < 0.5
    assert accuracy(mirrored, plain) < 0.75
    assert mirrored.warning is not None
    assert (
        "`settings=('train.mirror=false',)`, if mirror images have other labels" in mirrored.warning
    )


def test_a_file_of_a_handed_network_predicts_what_the_run_does(run, handed, spirals, tmp_path):
    exported = export(tmp_path / "run.onnx", run=run)
    assert not read_onnx(exported.path).recipe.train.mirror
    for number, source in enumerate((run.path, exported.path)):
        predict(handed.path, tmp_path / f"{number}.csv", run=source, progress=False)
    ours, theirs = (
        np.loadtxt(tmp_path / f"{number}.csv", delimiter=",", skiprows=1, usecols=(1, 2))
        for number in (0, 1)
    )
    assert ours == pytest.approx(theirs, abs=0.02)
    assert np.ptp(ours[:, 0]) > 0.5


def test_networks_with_and_without_mirror_images_make_no_ensemble(run, plain, tmp_path):
    settings = (*COMPACT, "train.epochs=1", "train.seed=1")
    other = train(plain, tmp_path / "other", recipe="small", settings=settings, progress=False)
    with pytest.raises(CheckpointError, match=r"differ in .*train\.mirror"):
        ensemble([run, other], tmp_path / "mean")


def test_a_run_of_a_handed_question_is_resumed_by_the_same_command(run, handed):
    train(handed, run.path, recipe="small", settings=COMPACT, resume=True, progress=False)
    with pytest.raises(ConfigError, match=r"train\.seed is 0"):
        train(handed, run.path, settings=("train.seed=1",), resume=True, progress=False)


def test_a_tree_file_keeps_which_questions_are_handed():
    tree = DecisionTree.from_toml(TREE.format(handed="handed = true"))
    assert tree.handed
    assert DecisionTree.from_toml(tree.to_toml()) == tree
    unhanded = DecisionTree.from_toml(TREE.format(handed=""))
    assert not unhanded.handed
    assert "handed" not in unhanded.to_toml()
    with pytest.raises(ConfigError, match="handed is 1; expected true or false"):
        DecisionTree.from_toml(TREE.format(handed="handed = 1"))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("clockwise", "anticlockwise"), True),
        (("CW", "ACW"), True),
        (("spiral_cw_debiased", "spiral_acw_debiased"), True),
        (("Counter-clockwise", "clock-wise"), True),
        (("S-wise", "Z-wise"), True),
        (("ring", "no ring"), False),
        (("clockwise", "smooth"), False),
        (("backward", "scwab"), False),
    ],
)
def test_answers_that_seem_mirror_images_of_each_other_are_told(names, told):
    store = Store.__new__(Store)
    object.__setattr__(store, "tree", DecisionTree.of_classes(names))
    remark = note_of_handed(Recipe.load("compact"), [store])
    assert (remark is not None and "train.mirror=false" in remark) == told
    assert note_of_handed(Recipe.load("compact", ("train.mirror=false",)), [store]) is None
    assert note_of_handed(Recipe.load("paper"), [store]) is None


def test_a_handed_question_turns_off_mirror_images_and_that_is_said(handed, plain):
    recipe = Recipe.load("compact")
    assert suited(recipe, [plain]) == recipe
    chosen = suited(recipe, [plain, handed])
    assert not chosen.train.mirror
    assert note_of_handed(chosen, [plain, handed]) == (
        "handed: spin; images are rotated, and not mirrored"
    )
