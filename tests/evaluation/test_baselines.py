import csv
import io
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from rich.console import Console

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.evaluation.baselines import (
    BASELINES,
    Galaxies,
    all_zeros,
    boosted_trees,
    central_colour,
    central_pixel,
    mean_vote,
)
from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.metrics.scores import rmse
from galaxyvotes.tree import Answer, DecisionTree, Question

TREE = DecisionTree(
    "round",
    "How round?",
    (
        Question("shape", "Round?", (Answer("round", "round"), Answer("flat", "flat"))),
        Question(
            "colour",
            "Red?",
            (Answer("red", "red"), Answer("blue", "blue"), Answer("black", "black")),
        ),
    ),
)


@dataclass(frozen=True)
class Fake:
    """A store in memory that notes whose images were looked at."""

    tree: DecisionTree
    values: np.ndarray
    splits: np.ndarray
    pixels: np.ndarray
    seen: set[int] = field(default_factory=set)

    @property
    def ids(self):
        return tuple(f"g{row}" for row in range(len(self.pixels)))

    def rows(self, split):
        return np.flatnonzero(self.splits == split)

    def images(self, rows):
        self.seen.update(rows.tolist())
        return self.pixels[rows]


def fake(number: int = 300, seed: int = 0, side: int = 48) -> Fake:
    """Galaxies whose votes follow from their axis ratio and colour, with some unknown."""
    random = np.random.default_rng(seed)
    ratio, red = random.uniform(0.2, 1, number), random.random(number)
    angle = random.uniform(0, np.pi, number)[:, None, None]
    along = (np.arange(side) - (side - 1) / 2) / (side / 2)
    y, x = np.meshgrid(along, along, indexing="ij")
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    light = 200 * np.exp(-(u**2 + (v / ratio[:, None, None]) ** 2) / (2 * 0.3**2))
    tint = np.stack([0.5 + 0.5 * red, np.full(number, 0.75), 1 - 0.5 * red], axis=1)[:, None, None]
    pixels = np.clip(
        light[..., None] * tint + random.normal(8, 3, (number, side, side, 3)), 0, 255
    ).astype(np.uint8)
    fractions = np.stack(
        [ratio, 1 - ratio, 0.9 * red, 0.9 * (1 - red), np.full(number, 0.1)], axis=1
    )
    fractions[random.random(number) < 0.1, 2:] = np.nan
    splits = np.where(np.arange(number) % 3 == 0, "test", "train")
    return Fake(TREE, fractions.astype(np.float32), splits, pixels)


STORE = fake()
TEST = STORE.rows("test")
TRAIN = STORE.rows("train")
OF_FRACTIONS = BASELINES[FRACTIONS]
every_baseline = pytest.mark.parametrize(
    "baseline", OF_FRACTIONS.values(), ids=[name.replace(" ", "_") for name in OF_FRACTIONS]
)
learning = pytest.mark.parametrize("baseline", [mean_vote, central_pixel, boosted_trees])


# ---- what all have in common


def test_a_store_in_memory_is_enough():
    assert isinstance(STORE, Galaxies)
    assert list(OF_FRACTIONS) == ["all zeros", "mean vote", "central pixel", "boosted trees"]


def test_quantities_have_the_baselines_that_need_no_votes():
    assert BASELINES[QUANTITIES] == {
        "mean": mean_vote,
        "central pixel": central_pixel,
        "boosted trees": boosted_trees,
    }


def test_boosted_trees_of_quantities_are_not_cut_to_fractions():
    tree = DecisionTree.of_numbers(["ttype"])
    values = (20 * STORE.values[:, :1] - 10).astype(np.float32)
    found = boosted_trees(replace(STORE, tree=tree, values=values), TEST).values
    assert found.min() < -1
    assert found.max() > 2


@every_baseline
def test_predictions_are_fractions_of_the_rows_asked_for_in_their_order(baseline):
    found = baseline(STORE, TEST)
    assert found.ids == tuple(f"g{row}" for row in TEST)
    assert found.columns == TREE.columns
    assert found.values.dtype == np.float32
    assert ((found.values >= 0) & (found.values <= 1)).all()
    turned = baseline(STORE, TEST[::-1])
    assert turned.ids == found.ids[::-1]
    np.testing.assert_array_equal(turned.values[::-1], found.values)


@every_baseline
def test_some_columns_alone_are_predicted_as_among_all(baseline):
    found = baseline(STORE, TEST, columns=("blue", "round"))
    assert found.columns == ("blue", "round")
    np.testing.assert_array_equal(found.values, baseline(STORE, TEST).values[:, [3, 0]])


@every_baseline
def test_no_rows_give_no_predictions(baseline):
    assert baseline(STORE, TEST[:0]).values.shape == (0, 5)


@every_baseline
def test_only_the_training_split_is_learned_from(baseline):
    expected = baseline(STORE, TEST[:9])
    fractions = STORE.values.copy()
    fractions[TEST] = np.random.default_rng(1).random((len(TEST), 5))
    store = replace(STORE, values=fractions, seen=set())
    np.testing.assert_array_equal(baseline(store, TEST[:9]).values, expected.values)
    assert store.seen <= {
        *TRAIN.tolist(),
        *TEST[:9].tolist(),
    }, "images of other galaxies were looked at"


@learning
def test_without_training_galaxies_or_known_votes_the_answers_are_named(baseline):
    with pytest.raises(
        DataError, match="none of 0 training galaxies has a known fraction of round, flat"
    ):
        baseline(replace(STORE, splits=np.full(len(STORE.pixels), "test")), TEST)
    fractions = STORE.values.copy()
    fractions[TRAIN, 2:] = np.nan
    with pytest.raises(DataError, match="known fraction of red, blue, black: pack more"):
        baseline(replace(STORE, values=fractions), TEST)


@every_baseline
def test_an_unknown_answer_is_refused_with_the_answers_there_are(baseline):
    with pytest.raises(ConfigError, match="no answer 'green'; its answers are round, flat"):
        baseline(STORE, TEST, columns=("round", "green"))


# ---- one by one


def test_all_zeros_are_zeros():
    assert not all_zeros(STORE, TEST).values.any()


def test_the_mean_vote_is_the_mean_of_the_known_training_votes():
    found = mean_vote(STORE, TEST).values
    mean = np.nanmean(STORE.values[TRAIN].astype(float), axis=0)
    np.testing.assert_allclose(found, np.tile(mean, (len(TEST), 1)), rtol=1e-6)


def test_no_constant_fits_the_training_votes_better_than_the_mean_vote():
    labels, found = STORE.values[TRAIN], mean_vote(STORE, TRAIN).values
    for shift in (-0.01, 0.01):
        assert rmse(labels, found) < rmse(labels, found + np.float32(shift))


def test_the_colour_of_the_centre_is_which_channels_reach_the_mean():
    patches = np.zeros((5, 20, 20, 3), np.uint8)
    for patch, colour in zip(
        patches, [(90, 60, 30), (60, 60, 60), (0, 0, 0), (250, 40, 10), (50, 60, 70)], strict=True
    ):
        patch[:] = 255  # only the central 10 × 10 pixels count
        patch[5:15, 5:15] = colour
    expected = [(1, 1, 0), (1, 1, 1), (0, 0, 0), (2, 0, 0), (0, 1, 1)]
    np.testing.assert_array_equal(central_colour(patches), expected)


def coloured(colours, fractions) -> Fake:
    pixels = np.broadcast_to(np.array(colours, np.uint8)[:, None, None], (len(colours), 12, 12, 3))
    tree = DecisionTree.of_classes(["a", "b"])
    splits = np.array(["train"] * len(fractions) + ["test"] * (len(colours) - len(fractions)))
    unknown = np.full((len(colours) - len(fractions), 2), np.nan)
    return Fake(tree, np.concatenate([fractions, unknown]).astype(np.float32), splits, pixels)


def test_galaxies_of_one_central_colour_share_their_mean_vote_and_others_get_that_of_all():
    red, redder, blue, grey = (90, 60, 30), (100, 70, 20), (30, 60, 90), (50, 50, 50)
    votes = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.2, np.nan]]
    store = coloured([red, redder, blue, grey, red, blue, grey, (0, 0, 0)], votes)
    found = central_pixel(store, store.rows("test")).values
    np.testing.assert_allclose(found[0], [0.75, 0.25])
    np.testing.assert_allclose(found[1], [0.0, 1.0])
    np.testing.assert_allclose(
        found[2], [0.2, 0.5], err_msg="the answer that no grey galaxy has gets the mean vote"
    )
    np.testing.assert_allclose(
        found[3], [0.425, 0.5], rtol=1e-6, err_msg="nor has any training galaxy a black centre"
    )


def test_central_pixel_beats_the_mean_vote_on_colour_and_boosted_trees_beat_both_on_shape_too():
    labels = STORE.values[TEST]
    shape, colour = slice(0, 2), slice(2, 4)
    of = {name: baseline(STORE, TEST).values for name, baseline in OF_FRACTIONS.items()}
    error = {
        name: (rmse(labels[:, shape], p[:, shape]), rmse(labels[:, colour], p[:, colour]))
        for name, p in of.items()
    }
    assert error["central pixel"][1] < 0.7 * error["mean vote"][1]
    assert error["central pixel"][0] > 0.9 * error["mean vote"][0]
    assert error["boosted trees"][0] < 0.3 * error["mean vote"][0]
    assert error["boosted trees"][1] < 0.7 * error["central pixel"][1]


def test_boosted_trees_repeat_themselves_for_a_seed_and_differ_for_another():
    first, again, other = (
        boosted_trees(STORE, TEST, columns=["round"], seed=seed).values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_allclose(first, other, atol=0.3)


def test_boosted_trees_show_on_a_terminal_how_far_they_are(monkeypatch, capsys):
    terminal = partial(Console, force_terminal=True, width=80)
    monkeypatch.setattr("galaxyvotes.runtime.progress.Console", terminal)
    boosted_trees(STORE, TEST, columns=["round", "red"], progress=True)
    shown = capsys.readouterr().err
    assert "measuring images" in shown
    assert "fitting boosted trees" in shown
    assert "2/2" in shown
    boosted_trees(STORE, TEST, columns=["round"])
    assert capsys.readouterr().err == ""


def test_boosted_trees_leave_out_galaxies_whose_answer_is_not_known():
    known = TRAIN[~np.isnan(STORE.values[TRAIN, 2])]
    splits = STORE.splits.copy()
    splits[np.setdiff1d(TRAIN, known)] = "validation"
    expected = boosted_trees(replace(STORE, splits=splits), TEST, columns=["red"]).values
    np.testing.assert_array_equal(boosted_trees(STORE, TEST, columns=["red"]).values, expected)


def test_boosted_trees_predict_an_answer_that_never_varies_as_it_is():
    np.testing.assert_array_equal(
        boosted_trees(STORE, TEST, columns=["black"]).values, np.float32(0.1)
    )


def test_boosted_trees_of_a_handful_of_galaxies_are_the_mean_vote():
    splits = np.where(np.arange(len(STORE.pixels)) < 10, "train", "test")
    few = replace(STORE, splits=splits)
    found = [
        baseline(few, TEST[-5:], columns=["round"]).values
        for baseline in (boosted_trees, mean_vote)
    ]
    np.testing.assert_allclose(*found, rtol=1e-5)


# ---- real galaxies


def jpeg_centre(archive: zipfile.ZipFile, name: str, side: int) -> np.ndarray:
    image = simplejpeg.decode_jpeg(archive.read(name))
    first = (len(image) - side) // 2
    return image[first : first + side, first : first + side]


@pytest.mark.real_data
def test_central_colours_of_real_galaxies_make_the_clusters_of_kaggles_own_submission(shared_data):
    folder = shared_data / "kaggle"
    with (
        zipfile.ZipFile(folder / "central_pixel_benchmark.zip") as archive,
        archive.open(archive.namelist()[0]) as file,
    ):
        published = {row[0]: tuple(row[1:]) for row in csv.reader(io.TextIOWrapper(file))}
    of_cluster = defaultdict(set)
    with zipfile.ZipFile(folder / "images_test_rev1.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".jpg"):
                colour = central_colour(jpeg_centre(archive, name, 128)[None])[0]
                of_cluster[published[Path(name).stem]].add(tuple(colour.tolist()))
    clusters = list(of_cluster.values())
    assert sorted(map(sorted, clusters)) == [
        [(0, 0, 1)],
        [(1, 0, 0)],
        [(1, 1, 0)],
    ], "one cluster, one colour"


@pytest.mark.real_data
def test_on_real_galaxies_every_baseline_beats_the_one_before(shared_data):
    folder = shared_data / "kaggle"
    with (folder / "training_solutions_rev1.csv").open() as file:
        rows = list(csv.reader(file))[1:801]
    archives = [
        zipfile.ZipFile(folder / f"images_training_rev1_part{part}.zip") for part in (1, 2, 3, 4)
    ]
    names = {
        Path(name).stem: (archive, name) for archive in archives for name in archive.namelist()
    }
    pixels = np.stack([jpeg_centre(*names[row[0]], 128) for row in rows])
    fractions = np.array([row[1:] for row in rows], np.float32)
    splits = np.where(
        np.random.default_rng(0).permutation(len(rows)) < 0.8 * len(rows), "train", "test"
    )
    store = Fake(DecisionTree.load("kaggle"), fractions, splits, pixels)
    answers = ("Class1.1", "Class1.2", "Class2.1", "Class7.1", "Class7.3")
    test = store.rows("test")
    labels = fractions[test][:, [store.tree.columns.index(answer) for answer in answers]]
    errors = [
        rmse(labels, baseline(store, test, columns=answers).values)
        for baseline in OF_FRACTIONS.values()
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.75 * errors[1]
