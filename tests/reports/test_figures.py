import re
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from galaxyvotes.errors import ConfigError
from galaxyvotes.reports import figures
from galaxyvotes.reports.diagrams import _layers
from galaxyvotes.reports.layout import Edge, lay_out, leads_back
from galaxyvotes.tree import Answer, DecisionTree, Question

KAGGLE = DecisionTree.load("kaggle")


def vgg6() -> nn.Module:
    return nn.Sequential(
        *(
            nn.Conv2d(3, 16, 3),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
        ),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.BatchNorm2d(32)),
        *(
            nn.MaxPool2d(4),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(6272, 256),
            nn.ReLU(),
            nn.Dropout(0.5),
        ),
        *(nn.Linear(256, 37), nn.Sigmoid()),
    )


def galaxies(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    conditional = np.concatenate(
        [random.dirichlet([0.4] * len(q.answers), count) for q in KAGGLE.questions], axis=1
    )
    labels = KAGGLE.joint(conditional).astype(np.float32)
    return labels, np.clip(0.7 * labels + random.uniform(0, 0.2, labels.shape), 0, 1).astype(
        np.float32
    )


def words_of(figure) -> str:
    """All text of a figure's SVG, in one line."""
    return " ".join(
        text for text in ET.fromstring(figures.to_svg(figure)).itertext() if text.strip()
    )


# ---- flowchart


@pytest.mark.parametrize("name", ["kaggle", "gz2", "decals", "classes5"])
def test_the_flowchart_shows_every_question_and_every_answer(name):
    tree = DecisionTree.load(name)
    words = words_of(figures.flowchart(tree)).split()
    for question in tree.questions:
        assert question.name in words
        for text in (question.text, *(answer.text for answer in question.answers)):
            assert set(text.split()) <= set(words)


def test_the_kaggle_flowchart_ends_where_volunteers_end():
    assert (
        words_of(figures.flowchart(KAGGLE)).split().count("end") == 3
    )  # artifact, nothing odd, what is odd


def test_no_box_of_a_flowchart_lies_over_another():
    axes = figures.flowchart(KAGGLE).axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches if patch.get_zorder() == 3]
    for a, b in combinations(boxes, 2):
        inside = a.containsx(b.x0) and a.containsx(b.x1) and a.containsy(b.y0) and a.containsy(b.y1)
        around = b.containsx(a.x0) and b.containsx(a.x1) and b.containsy(a.y0) and b.containsy(a.y1)
        assert inside or around or not a.overlaps(b)


def test_the_text_of_an_answer_fits_its_box():
    figure = figures.flowchart(KAGGLE)
    figure.canvas.draw()
    axes = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches if patch.get_zorder() == 3]
    for text in axes.texts:
        extent = text.get_window_extent()
        assert any(
            b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 and extent.y1 <= b.y1
            for b in boxes
        )


def test_an_answer_that_leads_back_says_so():
    ask = Question("Q1", "Again?", (Answer("a", "yes", "Q1"), Answer("b", "no")))
    assert "back to Q1" in words_of(figures.flowchart(DecisionTree("loop", "A loop", (ask,))))


def test_text_that_looks_like_markup_is_drawn_as_it_is():
    tree = DecisionTree.of_classes(["<script>", "$x$ & y"])
    words = words_of(figures.flowchart(tree))
    assert "<script>" in words
    assert "$x$ & y" in words


def test_layers_put_every_box_below_those_that_lead_to_it_and_keep_boxes_and_lanes_apart():
    edges = [
        Edge(0, 1),
        Edge(0, 2, 0.4),
        Edge(1, 4),
        Edge(2, 3),
        Edge(3, 4),
        Edge(0, 4, 0.8),
        Edge(4, 5),
    ]
    layout = lay_out([2.0, 3.0, 1.0, 1.0, 2.0, 1.0], edges, gap=0.5, lane=0.2)
    assert layout.layers == (0, 1, 1, 2, 3, 4)
    assert [len(lane) for lane in layout.lanes] == [0, 0, 1, 0, 0, 2, 0]
    assert len(set(layout.lanes[5])) == 1  # straight
    assert abs(layout.x[1] - layout.x[2]) >= 2.5 - 1e-9
    assert (
        min(
            abs(layout.lanes[5][0] - layout.x[box]) - width / 2
            for box, width in ((1, 3.0), (2, 1.0))
        )
        >= 0.6 - 1e-9
    )


def test_an_edge_leads_back_only_to_a_box_on_the_way():
    assert leads_back(4, [(0, 1), (1, 2), (2, 0), (0, 2), (3, 3), (3, 2)]) == {(2, 0), (3, 3)}


# ---- architecture


def test_the_architecture_names_every_kind_of_layer_and_the_parameters():
    words = words_of(figures.architecture(vgg6(), (3, 128, 128)))
    for kind in (
        "Conv2d",
        "ReLU",
        "MaxPool2d",
        "Dropout",
        "BatchNorm2d",
        "Flatten",
        "Linear",
        "Sigmoid",
    ):
        assert re.search(rf"{kind} × \d", words)
    assert "1,632,117 trainable parameters" in words
    for shape in ("16 × 126 × 126", "32 × 14 × 14", "6,272", "256", "37"):
        assert shape in words


def test_looking_at_a_network_leaves_it_as_it_was():
    network = vgg6()
    network[4].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    figures.architecture(network, (3, 128, 128))
    assert network.training
    assert network[3].training
    assert not network[4].training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_layer_used_twice_stands_twice_and_its_parameters_count_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, images):
            return self.layer(self.layer(images)) * self.scale.sum()

    layers = _layers(Twice(), (3, 8, 8))
    assert [layer.parameters for layer in layers] == [12, 0]
    words = words_of(figures.architecture(Twice(), (3, 8, 8)))
    assert "17 trainable parameters, 5 of them outside these layers" in words


def test_a_long_network_is_drawn_in_rows():
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(30)))
    width, height = figures.architecture(network, (3, 64, 64)).get_size_inches()
    assert width < 13
    assert height > 8


# ---- curves


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


# ---- files


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.PDF"])
def test_the_same_figure_is_the_same_bytes(tmp_path, name):
    tree = DecisionTree.load("classes5")
    for folder in ("a", "b"):
        figures.save(figures.flowchart(tree), tmp_path / folder / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [name]


def test_an_unknown_figure_format_is_refused_by_name(tmp_path):
    with pytest.raises(
        ConfigError, match=r"tree\.gif: unknown figure format '\.gif'.*\.svg, \.png or \.pdf"
    ):
        figures.save(figures.flowchart(DecisionTree.load("classes5")), tmp_path / "tree.gif")
    assert list(tmp_path.iterdir()) == []
