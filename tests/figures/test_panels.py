import re
from itertools import combinations

import numpy as np
import pytest

from galaxyvotes.figures import panels
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
    figure = panels.roc_plots(labels, predicted, KAGGLE)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 37
    assert titles[lens] == "Class8.2 lens or arc\nAUC undefined"
    assert [text.get_text() for text in figure.axes[lens].texts] == ["undefined\n(0 positives)"]
    assert re.fullmatch(r"Class1\.1 smooth\nAUC 0\.\d{3}", titles[0])


def test_roc_panels_of_a_part_of_the_answers_are_named_after_them():
    labels, predicted = galaxies()
    figure = panels.roc_plots(
        labels[:, 3:5], predicted[:, 3:5], KAGGLE, columns=KAGGLE.columns[3:5]
    )
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == [
        "Class2.1 edge-on",
        "Class2.2 not edge-on",
    ]


def test_titles_of_roc_panels_have_room():
    tree = DecisionTree.load("decals")
    figure = panels.roc_plots(
        np.zeros((3, len(tree.columns))), np.ones((3, len(tree.columns))), tree
    )
    figure.canvas.draw()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert not any(a.overlaps(b) for a, b in combinations(titles, 2))


def test_a_roc_plot_of_galaxies_that_are_all_positive_is_undefined():
    axes = panels.roc_plot(np.full(4, 0.9), np.linspace(0, 1, 4), title="all").axes[0]
    assert axes.texts[0].get_text() == "undefined\n(0 negatives)"


def test_precision_recall_panels_have_the_share_of_positives_and_the_average_precision():
    labels, predicted = galaxies()
    labels[:, 1] = 0
    figure = panels.precision_recall_plots(
        labels[:, :2], predicted[:, :2], KAGGLE, columns=KAGGLE.columns[:2]
    )
    first, second = figure.axes
    assert re.fullmatch(r"Class1\.1 smooth\naverage precision 0\.\d{3}", first.get_title())
    share = float((labels[:, 0] > 0.5).mean())
    assert np.allclose(np.asarray(first.lines[0].get_ydata(), float), share)
    assert second.get_title().endswith("undefined")
    assert len(second.lines) == 0


def test_agreement_panels_count_galaxies_by_label_and_prediction():
    labels = np.array([[0.1, 0.9], [0.1, np.nan], [0.95, np.nan]])
    predicted = np.array([[0.1, 0.5], [0.1, 0.5], [0.5, 0.5]])
    figure = panels.agreement_plots(labels, predicted, KAGGLE, columns=KAGGLE.columns[:2])
    counts = [np.ma.filled(axes.collections[0].get_array(), 0).sum() for axes in figure.axes]
    assert counts == [3, 1]
    assert figure.axes[1].get_title().endswith("RMSE 0.400")


@pytest.mark.parametrize("draw", [panels.roc_plots, panels.agreement_plots])
def test_panels_have_one_size_however_many_there_are(draw):
    labels, predicted = galaxies()
    sizes = set()
    for number in (1, 2, 5, 9):
        figure = draw(
            labels[:, :number], predicted[:, :number], KAGGLE, columns=KAGGLE.columns[:number]
        )
        figure.canvas.draw()
        box = figure.axes[0].get_window_extent()
        sizes.add((round(box.width), round(box.height)))
    assert len(sizes) == 1
