import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.figures.drawing import svg
from galaxyvotes.figures.flowchart import Edge, back_edges, flowchart, lay_out
from galaxyvotes.tree import Answer, DecisionTree, Question

KAGGLE = DecisionTree.load("kaggle")
CAMPAIGNS = ["kaggle", "gz2", "decals", "classes5"]


def words_of(figure) -> str:
    """All text of a figure, in one line."""
    return " ".join(text for text in ET.fromstring(svg(figure)).itertext() if text.strip())


def boxes_of(figure) -> list:
    return [p.get_window_extent() for p in figure.axes[0].patches if p.get_zorder() == 3]


# ---- the drawing


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_flowchart_shows_every_question_and_every_answer(name):
    tree = DecisionTree.load(name)
    words = words_of(flowchart(tree)).split()
    for question in tree.questions:
        assert question.name in words
        for text in (question.text, *(answer.text for answer in question.answers)):
            assert set(text.split()) <= set(words)


def test_the_kaggle_flowchart_ends_after_artifact_nothing_odd_and_what_is_odd():
    assert words_of(flowchart(KAGGLE)).split().count("end") == 3


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_boxes_do_not_overlap_unless_one_is_inside_the_other(name):
    for a, b in combinations(boxes_of(flowchart(DecisionTree.load(name))), 2):
        inside = a.containsx(b.x0) and a.containsx(b.x1) and a.containsy(b.y0) and a.containsy(b.y1)
        around = b.containsx(a.x0) and b.containsx(a.x1) and b.containsy(a.y0) and b.containsy(a.y1)
        assert inside or around or not a.overlaps(b)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_each_text_lies_inside_a_box(name):
    figure = flowchart(DecisionTree.load(name))
    figure.canvas.draw()
    boxes = boxes_of(figure)
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        assert any(
            b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 and extent.y1 <= b.y1
            for b in boxes
        )


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_arrows_of_the_campaigns_do_not_cross(name):
    figure = flowchart(DecisionTree.load(name))
    paths = [p.get_path() for p in figure.axes[0].patches if p.get_zorder() == 1]
    ends = [path.vertices[-1] for path in paths]
    for (a, end), (b, other) in combinations(zip(paths, ends, strict=True), 2):
        if (end != other).any():  # arrows into the same box meet above it
            assert not a.intersects_path(b, filled=False)


def test_an_answer_that_leads_back_names_the_question():
    ask = Question("Q1", "Again?", (Answer("a", "yes", "Q1"), Answer("b", "no")))
    assert "back to Q1" in words_of(flowchart(DecisionTree("loop", "A loop", (ask,))))


def test_text_that_looks_like_markup_is_drawn_as_it_is():
    words = words_of(flowchart(DecisionTree.of_classes(["<script>", "$x$ & y"])))
    assert "<script>" in words
    assert "$x$ & y" in words


# ---- positions


def test_a_long_arrow_has_a_straight_lane_beside_the_boxes():
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
    assert layout.layers == [0, 1, 1, 2, 3, 4]
    assert [len(lane) for lane in layout.lanes] == [0, 0, 1, 0, 0, 2, 0]
    assert layout.lanes[5][0] == pytest.approx(layout.lanes[5][1], abs=0.02)
    assert abs(layout.x[1] - layout.x[2]) >= 2.5 - 1e-9
    for box, width in ((1, 3.0), (2, 1.0)):
        assert abs(layout.lanes[5][0] - layout.x[box]) - width / 2 >= 0.6 - 1e-9


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 7)), max_size=12))
def test_boxes_are_below_what_leads_to_them_and_keep_their_distance(pairs):
    edges = [Edge(*sorted(pair)) for pair in pairs if pair[0] != pair[1]]
    widths = [1.0 + 0.3 * box for box in range(8)]
    layout = lay_out(widths, edges, gap=0.5, lane=0.2)
    assert all(layout.layers[edge.source] < layout.layers[edge.target] for edge in edges)
    placed = [(layer, x, w) for layer, x, w in zip(layout.layers, layout.x, widths, strict=True)]
    for edge, lane in zip(edges, layout.lanes, strict=True):
        first = layout.layers[edge.source] + 1
        placed += [(first + i, x, 0.2) for i, x in enumerate(lane)]
    for (layer, x, width), (other, y, wide) in pairwise(sorted(placed)):
        assert layer != other or y - x >= (width + wide) / 2 + 0.5 - 1e-6


def test_an_edge_leads_back_only_to_a_box_on_the_way():
    assert back_edges(4, [(0, 1), (1, 2), (2, 0), (0, 2), (3, 3), (3, 2)]) == {(2, 0), (3, 3)}
