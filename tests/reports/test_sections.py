from importlib import resources

import pytest

from galaxyvotes.figures.drawing import DARK, LIGHT, canvas
from galaxyvotes.reports.sections import SECTIONS, Section, themed

TEMPLATES = resources.files("galaxyvotes.reports") / "templates"


@pytest.mark.parametrize("sections", SECTIONS.values(), ids=lambda sections: sections[1].name)
def test_every_section_has_a_template_and_an_anchor_of_its_own(sections):
    assert len({section.name for section in sections}) == len(sections)
    for section in sections:
        assert (TEMPLATES / f"{section.template}.html.j2").is_file()


def test_a_section_is_there_if_one_of_its_keys_holds_something():
    section = Section("a", "A", "a", ("one", "two"))
    assert section.present({"one": None, "two": 0.0})
    assert not section.present({"one": None, "two": []})
    assert Section("b", "B", "b").present({})


def test_a_figure_is_drawn_once_in_each_palette_and_its_description_is_escaped():
    palettes = []

    def draw(palette):
        palettes.append(palette)
        return canvas(0.0, 1.0, 0.0, 1.0)[0]

    markup = themed(draw, alt='a "b" <c>')
    assert palettes == [LIGHT, DARK]
    assert "a &#34;b&#34; &lt;c&gt;" in markup
    assert markup.startswith('<picture><source media="(prefers-color-scheme: dark)" srcset="data:')
