import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.figures.drawing import DARK, LIGHT, canvas, save, svg, text, text_width, wrap
from galaxyvotes.figures.flowchart import flowchart
from galaxyvotes.tree import DecisionTree

TREE = DecisionTree.load("classes5")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_has_the_contrast_that_wcag_asks_for(palette):
    paper = luminance(palette.paper)
    for colour in (palette.ink, palette.muted, palette.accent, palette.warn):
        low, high = sorted((paper, luminance(colour)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.PDF"])
def test_the_same_figure_is_the_same_bytes(tmp_path, name):
    for folder in ("a", "b"):
        save(flowchart(TREE), tmp_path / folder / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [name]


def test_an_unknown_figure_format_is_refused_by_name(tmp_path):
    message = r"tree\.gif: unknown figure format '\.gif'.*\.svg, \.png or \.pdf"
    with pytest.raises(ConfigError, match=message):
        save(flowchart(TREE), tmp_path / "tree.gif")
    assert list(tmp_path.iterdir()) == []


def test_text_stays_text_in_an_svg_and_nothing_in_it_is_markup():
    figure, axes = canvas(0.0, 3.0, 0.0, 1.0)
    text(axes, 1.5, 0.5, "$z$ < 0.1 & <b>", 9.0)
    assert b"$z$ &lt; 0.1 &amp; &lt;b&gt;" in svg(figure)


def test_lines_fit_the_width_and_are_even():
    words = "Is the galaxy simply smooth and rounded, with no sign of a disk?"
    lines = wrap(words, 9.0, 2.0)
    assert " ".join(lines) == words
    widths = [text_width(line, 9.0) for line in lines]
    assert max(widths) <= 2.0
    assert min(widths) > 0.6 * max(widths)


def test_a_word_wider_than_the_line_has_a_line_of_its_own():
    assert wrap("a Sérsic-profile b", 9.0, 0.3) == ["a", "Sérsic-profile", "b"]
