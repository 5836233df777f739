import re
from itertools import combinations

import numpy as np
import pytest

from galaxyvotes.predictions import Bounds
from galaxyvotes.reports import figures
from galaxyvotes.reports.drawing import DARK, svg
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")


def galaxies(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    conditional = np.concatenate(
        [random.dirichlet([0.4] * len(q.answers), count) for q in KAGGLE.questions], axis=1
    )
    labels = KAGGLE.joint(conditional).astype(np.float32)
    return labels, np.clip(0.7 * labels + random.uniform(0, 0.2, labels.shape), 0, 1).astype(
        np.float32
    )


def test_every_answer_has_a_roc_panel_with_its_auc_or_says_why_not():
    labels, predicted = galaxies()
    lens = KAGGLE.columns.index("Class8.2")
    labels[:, lens] = 0.1
    figure = figures.roc_plots(labels, predicted, KAGGLE)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 37
    assert titles[lens] == "Class8.2 lens or arc\nAUC undefined"
    assert [text.get_text() for text in figure.axes[lens].texts] == ["undefined\n(0 positives)"]
    assert re.fullmatch(r"Class1\.1 smooth\nAUC 0\.\d{3}", titles[0])


def test_roc_panels_of_a_part_of_the_answers_are_named_after_them():
    labels, predicted = galaxies()
    figure = figures.roc_plots(
        labels[:, 3:5], predicted[:, 3:5], KAGGLE, columns=KAGGLE.columns[3:5]
    )
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == [
        "Class2.1 edge-on",
        "Class2.2 not edge-on",
    ]


def test_titles_of_roc_panels_have_room():
    tree = DecisionTree.load("decals")
    figure = figures.roc_plots(
        np.zeros((3, len(tree.columns))), np.ones((3, len(tree.columns))), tree
    )
    figure.canvas.draw()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert not any(a.overlaps(b) for a, b in combinations(titles, 2))


def test_a_roc_plot_of_galaxies_that_are_all_positive_is_undefined():
    axes = figures.roc_plot(np.full(4, 0.9), np.linspace(0, 1, 4), title="all").axes[0]
    assert axes.texts[0].get_text() == "undefined\n(0 negatives)"


def test_a_reliability_plot_has_a_point_for_every_bin_that_holds_something():
    labels = np.array([[0.1, 0.9], [0.3, np.nan]])
    figure = figures.reliability_plot(labels, np.array([[0.05, 0.95], [0.05, 0.5]]))
    assert np.allclose(figure.axes[0].lines[1].get_xydata(), [[0.05, 0.2], [0.95, 0.9]])


def test_a_history_plot_shows_both_curves_of_every_measure_and_gaps_where_nothing_is_known():
    rows = [{"loss": 0.5, "mse": 0.1, "accuracy": accuracy} for accuracy in (None, 0.5, 0.6)]
    history = [
        {"epoch": i, **row, **{f"validation_{k}": v for k, v in row.items()}}
        for i, row in enumerate(rows, 1)
    ]
    axes = figures.history_plot(history).axes
    assert [len(panel.lines) for panel in axes] == [2, 2, 2]
    assert np.isnan(np.asarray(axes[2].lines[0].get_ydata(), float)).tolist() == [
        True,
        False,
        False,
    ]


def test_a_history_plot_leaves_out_a_measure_that_nobody_has():
    history = [{"epoch": 1, "loss": 0.5, "mse": 0.1, "accuracy": None, "validation_accuracy": None}]
    assert len(figures.history_plot(history).axes) == 2


def test_quantities_have_a_panel_each_with_unknown_values_left_out():
    labels = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]])
    bounds = Bounds(labels - 1, labels + 1)
    figure = figures.quantity_plots(labels, labels + 0.5, ["ttype", "colour"], bounds=bounds)
    assert [axes.get_ylabel() for axes in figure.axes] == ["predicted ttype", "predicted colour"]
    assert [len(axes.lines[1].get_xdata()) for axes in figure.axes] == [3, 2]


def test_many_galaxies_are_drawn_as_pixels_so_that_the_file_stays_small():
    values = np.random.default_rng(0).normal(size=(20_000, 1))
    assert len(svg(figures.quantity_plots(values, values + 0.1, ["ttype"]))) < 150_000


def test_the_familiarity_of_galaxies_like_the_references_lies_along_the_diagonal():
    steps = figures.familiarity_plot(np.arange(1, 101) / 100).axes[0].lines[1].get_xydata()
    assert np.abs(steps[:, 0] - steps[:, 1]).max() < 0.02


@pytest.mark.parametrize("draw", [figures.reliability_plot, figures.quantity_plots])
def test_a_figure_is_drawn_in_the_colours_of_the_palette(draw):
    labels = np.random.default_rng(1).random((20, 1))
    columns = [["a"]] if draw is figures.quantity_plots else []
    image = svg(draw(labels, labels, *columns, palette=DARK)).decode()
    assert DARK.paper in image
    assert DARK.accent in image
    assert "#ffffff" not in image
