import numpy as np
import pytest

from galaxyvotes.figures import plots
from galaxyvotes.figures.drawing import DARK, svg
from galaxyvotes.predictions import Bounds


def test_a_reliability_plot_has_a_point_for_every_bin_that_holds_something():
    labels = np.array([[0.1, 0.9], [0.3, np.nan]])
    figure = plots.reliability_plot(labels, np.array([[0.05, 0.95], [0.05, 0.5]]))
    assert np.allclose(figure.axes[0].lines[1].get_xydata(), [[0.05, 0.2], [0.95, 0.9]])


def test_a_history_plot_shows_both_curves_of_every_measure_and_gaps_where_nothing_is_known():
    rows = [{"loss": 0.5, "mse": 0.1, "accuracy": accuracy} for accuracy in (None, 0.5, 0.6)]
    history = [
        {"epoch": i, **row, **{f"validation_{k}": v for k, v in row.items()}}
        for i, row in enumerate(rows, 1)
    ]
    axes = plots.history_plot(history).axes
    assert [len(panel.lines) for panel in axes] == [2, 2, 2]
    assert np.isnan(np.asarray(axes[2].lines[0].get_ydata(), float)).tolist() == [
        True,
        False,
        False,
    ]


def test_a_history_plot_leaves_out_a_measure_that_nobody_has():
    history = [{"epoch": 1, "loss": 0.5, "mse": 0.1, "accuracy": None, "validation_accuracy": None}]
    assert len(plots.history_plot(history).axes) == 2


def test_quantities_have_a_panel_each_with_unknown_values_left_out():
    labels = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]])
    bounds = Bounds(labels - 1, labels + 1)
    figure = plots.quantity_plots(labels, labels + 0.5, ["ttype", "colour"], bounds=bounds)
    assert [axes.get_ylabel() for axes in figure.axes] == ["predicted ttype", "predicted colour"]
    assert [len(axes.lines[1].get_xdata()) for axes in figure.axes] == [3, 2]


def test_many_galaxies_are_drawn_as_pixels_so_that_the_file_stays_small():
    values = np.random.default_rng(0).normal(size=(20_000, 1))
    assert len(svg(plots.quantity_plots(values, values + 0.1, ["ttype"]))) < 150_000


def test_the_familiarity_of_galaxies_like_the_references_lies_along_the_diagonal():
    steps = plots.familiarity_plot(np.arange(1, 101) / 100).axes[0].lines[1].get_xydata()
    assert np.abs(steps[:, 0] - steps[:, 1]).max() < 0.02


@pytest.mark.parametrize("draw", [plots.reliability_plot, plots.quantity_plots])
def test_a_figure_is_drawn_in_the_colours_of_the_palette(draw):
    labels = np.random.default_rng(1).random((20, 1))
    columns = [["a"]] if draw is plots.quantity_plots else []
    image = svg(draw(labels, labels, *columns, palette=DARK)).decode()
    assert DARK.paper in image
    assert DARK.accent in image
    assert "#ffffff" not in image


def test_a_confusion_matrix_is_a_heat_map_with_shares_and_numbers():
    galaxies = np.array([[9, 1, 0], [1, 1, 0], [0, 0, 0]])
    figure = plots.confusion_plot(galaxies, ["ring", "no ring", "$x$"])
    axes = figure.axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words[:4] == ["90 %\n9", "10 %\n1", "0 %\n0", "50 %\n1"]
    assert words[6:9] == ["–"] * 3
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ring", "no ring", "$x$"]
