"""A contact sheet: pictures of galaxies with their predictions in words, as a page or a figure.

Galaxies stand in groups, by the answer to the first question of the tree, the surest first; those
of a tree of quantities by their first quantity. Unfamiliar ones are marked, because a network
answers about noise or a blank frame, too. A page needs no other file, and whatever comes from a
table, a file or a folder name is escaped in it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxyvotes.errors import ConfigError
from galaxyvotes.figures.drawing import DARK, LIGHT, box, canvas, save, text, text_width, wrap
from galaxyvotes.kinds import QUANTITIES, FractionKind
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.html import TEMPLATES, css_variables, jpeg_uri, templates
from galaxyvotes.reports.in_words import Phrase, phrases
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.files import write_text
from galaxyvotes.tree import DecisionTree

__all__ = ["Card", "ContactSheet", "check_format", "check_page", "page_of"]

FIGURE_GALAXIES = 24  # a figure is one picture, for a slide
_PAGES = (".html", ".htm")
_PAGE = "contact_sheet.html.j2"
_NO_GLYPH = re.compile(r"[^ -\u052f\u2000-\u23ff]")  # that figures' font may have none for


def check_format(path: str | Path) -> None:
    """Refuse a file that is neither a page nor a figure: a ConfigError."""
    suffix = Path(path).suffix.lower()
    if suffix not in (*_PAGES, ".png", ".svg", ".pdf"):
        raise ConfigError(
            f"{path}: unknown format {suffix!r} of a contact sheet; name a file that ends in .html,"
            " .png, .svg or .pdf"
        )


def check_page(path: str | Path) -> None:
    """Refuse a file that is no page: a ConfigError."""
    if Path(path).suffix.lower() not in _PAGES:
        raise ConfigError(f"{path}: this contact sheet is a page; name a file that ends in .html")


class Card(NamedTuple):
    """One galaxy of the sheet."""

    id: str
    uri: str | None
    phrases: list[Phrase]
    familiarity: float | None = None
    unfamiliar: bool = False


@dataclass(frozen=True)
class ContactSheet:
    """Galaxies with predictions for a tree, and the pictures of those that have one, by id.

    `total` is of how many galaxies these are some, and `chosen` says which. A galaxy with a
    familiarity of up to `unfamiliar_level` is unfamiliar. `called` has what is shown as the id of a
    galaxy where that is another one than that of the predictions.
    """

    predictions: Predictions
    tree: DecisionTree
    pictures: Mapping[str, UInt8[np.ndarray, "height width 3"]]
    total: int
    fractions: FractionKind = "joint"
    unfamiliar_level: float = 0.0
    warning: str = ""
    chosen: str = ""
    called: Mapping[str, str] = field(default_factory=dict[str, str])

    def write(self, out: str | Path) -> None:
        """Write a page (.html) or a figure of at most 24 galaxies (.png, .svg or .pdf).

        Raises ConfigError for another extension, DataError if the file cannot be written.
        """
        check_format(out)
        if Path(out).suffix.lower() in _PAGES:
            write_text(Path(out), self.page())
        else:
            save(self.figure(), out)

    def some(self, galaxies: int) -> "ContactSheet":
        """The sheet of at most so many of the galaxies, evenly through them."""
        count = len(self.predictions)
        if count <= galaxies:
            return self
        rows = np.linspace(0, count - 1, galaxies).round().astype(np.int64)
        chosen = self.chosen and f"some of {self.chosen}"
        if count == self.total:
            chosen = "taken evenly through them"
        return replace(self, predictions=self.predictions.take(rows), chosen=chosen)

    def with_pictures(
        self, pictures: Mapping[str, UInt8[np.ndarray, "height width 3"]]
    ) -> "ContactSheet":
        """The sheet with these pictures."""
        return replace(self, pictures=pictures)

    def page(self) -> str:
        """The HTML of a page."""
        return self._rendered(_PAGE)

    def fragment(self) -> str:
        """The HTML of an element that a page or a notebook may contain."""
        return self._rendered("contact_sheet_body.html.j2")

    # ---- what is said

    @property
    def sentence(self) -> str:
        """What the sheet shows, and what its numbers mean."""
        return self._sentence(bounded=self.predictions.bounds is not None)

    def _sentence(self, *, bounded: bool) -> str:
        shown = len(self.predictions)
        galaxies = counted(self.total, "galaxy")
        if shown != self.total:
            galaxies = f"{shown:,} of {galaxies}" + (f" ({self.chosen})" if self.chosen else "")
        brackets = "; in brackets the prediction interval" if bounded else ""
        if self.tree.kind is QUANTITIES:
            return f"{galaxies}: predicted values{brackets}."
        if len(self.tree.questions) == 1:
            return f"{galaxies}: predicted fractions of each class{brackets}."
        of = "all volunteers" if self.fractions == "joint" else "those who were asked"
        return f"{galaxies}: predicted share of {of} who would give an answer{brackets}."

    @cached_property
    def groups(self) -> list[tuple[str, list[int]]]:
        """The rows of each group and its title, the largest group first."""
        first = [said[0] if said else None for said in self._phrases]
        if self.tree.kind is QUANTITIES:
            values = self.predictions.values[:, 0]
            return [("", np.argsort(values, kind="stable").tolist())]
        titles = [phrase.text if phrase else "no answer" for phrase in first]
        rows = sorted(range(len(first)), key=lambda row: -(p.value if (p := first[row]) else 0.0))
        groups = {title: [row for row in rows if titles[row] == title] for title in titles}
        return sorted(groups.items(), key=lambda group: -len(group[1]))

    @cached_property
    def _phrases(self) -> list[list[Phrase]]:
        rows = range(len(self.predictions))
        return [phrases(self.tree, self.predictions, row) for row in rows]

    @cached_property
    def _unfamiliar(self) -> Bool[np.ndarray, " galaxy"]:
        """Which galaxies are marked."""
        scores = self.predictions.familiarity
        if scores is None:
            return np.zeros(len(self.predictions), bool)
        return scores.astype(np.float32) <= np.float32(self.unfamiliar_level)

    @property
    def remark(self) -> str:
        """How many galaxies are marked, and what that means; nothing if none is."""
        if not (marked := int(self._unfamiliar.sum())):
            return ""
        typical = f"{100 * (1 - self.unfamiliar_level):.3g} %"
        return (
            f"{marked:,} {agreeing(marked, 'is')} marked as unfamiliar: less like the calibration"
            f" galaxies than {typical} of these are, so trust {agreeing(marked, 'its')} answers"
            " less; of noise, text or a blank frame they mean nothing."
        )

    # ---- the page

    def _rendered(self, template: str) -> str:
        groups = [(title, [self._card(row) for row in rows]) for title, rows in self.groups]
        remarks = [self.remark] if self.remark else []
        return _rendered(template, self.tree.title, [self.sentence, *remarks], groups, self.warning)

    def _card(self, row: int) -> Card:
        name, scores = self.predictions.ids[row], self.predictions.familiarity
        score = None if scores is None else float(scores[row])
        picture = self.pictures.get(name)
        return Card(
            self.called.get(name, name),
            None if picture is None else jpeg_uri(picture),
            self._phrases[row],
            score,
            bool(self._unfamiliar[row]),
        )

    # ---- the figure

    def figure(self, columns: int = 6) -> Figure:
        """At most 24 of the galaxies in rows, each with its words and its id below it, under what
        the sheet shows.
        """
        sheet = self.some(FIGURE_GALAXIES)
        order = [row for _, rows in sheet.groups for row in rows]
        columns = min(columns, max(len(order), 1))
        lines = -(-len(order) // columns)
        width = max(columns, _LEAST_COLUMNS) * _PITCH + _GAP
        said = filter(None, (sheet._sentence(bounded=False), sheet.remark, sheet.warning))
        head = [line for part in said for line in wrap(part, _POINTS, width - 2 * _GAP)]
        below = _TITLE + _LINE * len(head)
        height = below + lines * _DEPTH + _GAP
        figure, axes = canvas(0.0, width, 0.0, height)
        figure.set_facecolor(DARK.paper)
        _write(axes, _GAP, height - _GAP, self.tree.title, DARK.ink, "bold")
        for number, line in enumerate(head):
            _write(axes, _GAP, height - _TITLE - _LINE * number, line, DARK.muted)
        for number, row in enumerate(order):
            line, column = divmod(number, columns)
            place = _GAP + column * _PITCH, height - below - line * _DEPTH
            sheet._draw_card(axes, row, *place)
        axes.set(xlim=(0.0, width), ylim=(0.0, height), aspect="auto")
        return figure

    def _draw_card(self, axes: Axes, row: int, left: float, top: float) -> None:
        """Draw the picture of a galaxy with its words; its upper left corner is given."""
        name = self.predictions.ids[row]
        if (picture := self.pictures.get(name)) is not None:
            extent = (left, left + _SIDE, top - _SIDE, top)
            axes.imshow(picture, extent=extent, interpolation="lanczos", zorder=2)
        if self._unfamiliar[row]:
            corner, width = (left + 0.07, top - _SIDE + 0.07), text_width(_MARK, _POINTS) + 0.12
            box(axes, corner, width, 0.17, face=LIGHT.warn, edge=LIGHT.warn)
            _write(axes, corner[0] + 0.06, corner[1] + 0.085, _MARK, LIGHT.paper)
        first, *others = [f"{phrase.text} {phrase.number}" for phrase in self._phrases[row]] or [""]
        lines = [first, *_lines(others)[:2], _fitting(self.called.get(name, name))]
        for index, words in enumerate(lines):
            ink, weight = (DARK.muted, "normal") if index else (DARK.ink, "bold")
            _write(axes, left, top - _SIDE - 0.14 - _LINE * index, words, ink, weight)


_MARK = "unfamiliar"
_POINTS = 7.5
_SIDE, _GAP = 1.5, 0.14  # inches: of a picture, and between two
_LINE, _TITLE = 0.15, 0.34  # … of a line of text, and what the title takes
_PITCH, _DEPTH = _SIDE + _GAP, _SIDE + 0.83
_LEAST_COLUMNS = 3  # that what the sheet shows is readable


def _write(
    axes: Axes, left: float, middle: float, words: str, ink: str, weight: str = "normal"
) -> None:
    text(axes, left, middle, words, _POINTS, color=ink, align="left", weight=weight)


def _fitting(name: str) -> str:
    """A name, or its end if it is wider than a picture."""
    name = _NO_GLYPH.sub("\N{WHITE SQUARE}", name)
    while text_width(name, _POINTS) > _SIDE:
        name = "…" + name[max(len(name) // 8, 2) :]
    return name


def _lines(words: list[str]) -> list[str]:
    """The words in lines that are as wide as a picture, a dot between two."""
    lines: list[str] = []
    for each in words:
        longer = f"{lines[-1]} · {each}" if lines else each
        if lines and text_width(longer, _POINTS) <= _SIDE:
            lines[-1] = longer
        else:
            lines.append(each)
    return lines


def page_of(title: str, sentence: str, groups: Sequence[tuple[str, Sequence[Card]]]) -> str:
    """The HTML of a page of other cards than those of predictions, in groups with titles."""
    return _rendered(_PAGE, title, [sentence], groups)


def _rendered(
    template: str,
    title: str,
    sentences: Sequence[str],
    groups: Sequence[tuple[str, Sequence[Card]]],
    warning: str = "",
) -> str:
    return (
        templates()
        .get_template(template)
        .render(style=_style(), title=title, sentences=sentences, groups=groups, warning=warning)
    )


def _style() -> Markup:
    """The style sheet, which has nothing of a user's."""
    dark = f"@media (prefers-color-scheme: dark) {{ {css_variables(DARK, '.galaxyvotes-sheet')} }}"
    rules = (TEMPLATES / "contact_sheet.css").read_text("utf-8")
    return Markup("\n".join([css_variables(LIGHT, ".galaxyvotes-sheet"), dark, rules]))
