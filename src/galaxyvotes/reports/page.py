"""The report as one page that needs no other file: no script, no font, no image from elsewhere.

The page shows a document (see `document`) and figures of the same predictions, in the sections of
its kind (see `sections`). Figures are SVG data URIs, galaxies JPEG. Whatever comes from a table or
a folder name is escaped.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from galaxyvotes.figures.drawing import DARK, LIGHT
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.digits import digits_of, span, written
from galaxyvotes.reports.document import rows_shown
from galaxyvotes.reports.headline import HEADLINE
from galaxyvotes.reports.html import TEMPLATES, css_variables, jpeg_uri, templates
from galaxyvotes.reports.sections import SECTIONS
from galaxyvotes.reports.units import titled
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.tree import DecisionTree

__all__ = ["render"]


def render(document: Mapping[str, Any], comparison: Comparison) -> str:
    """The HTML of the page."""
    tree, columns = comparison.tree, comparison.predicted.columns
    hints = {section.name: section.hint(document) for section in SECTIONS[comparison.kind]}
    sections = [
        section
        for section in SECTIONS[comparison.kind]
        if section.present(document) or hints[section.name]
    ]
    return (
        _environment(document["decimals"])
        .get_template("report.html.j2")
        .render(
            style=_style(),
            sections=sections,
            d=document,
            kind=comparison.kind,
            hints=hints,
            figures={
                s.name: s.figure(comparison) for s in sections if s.figure and not hints[s.name]
            },
            headline=HEADLINE[comparison.kind],
            predictors={"network": document["network"], **document["baselines"]},
            questions=_questions(tree, columns),
            texts={question.name: question.text for question in tree.questions},
            words={answer.column: answer.text for answer in tree.answers},
            galaxies=_with_images(document, comparison),
        )
    )


def _questions(tree: DecisionTree, columns: tuple[str, ...]) -> list[tuple[Any, list[Any]]]:
    """Each question with those of its answers that are predicted, and their places."""
    place = {column: i for i, column in enumerate(columns)}
    rows = [
        (
            question,
            [
                (answer, place[answer.column])
                for answer in question.answers
                if answer.column in place
            ],
        )
        for question in tree.questions
    ]
    return [(question, answers) for question, answers in rows if answers]


# ---- galaxies


def _with_images(
    document: Mapping[str, Any], comparison: Comparison
) -> dict[str, list[tuple[Any, str | None]]]:
    """The galaxies that the document describes, by group, each with its image as a data URI."""
    groups = document["shown"]
    rows = np.concatenate([rows_shown(comparison)[group] for group in groups])
    uris = itertools.repeat(None)
    if comparison.images is not None and len(rows):
        uris = (jpeg_uri(image) for image in comparison.images(rows))
    return {
        group: [(galaxy, next(uris)) for galaxy in galaxies] for group, galaxies in groups.items()
    }


# ---- templates


def _environment(decimals: int) -> Environment:
    environment = templates()
    filters: dict[str, Callable[..., Any]] = {
        "agreeing": agreeing,
        "count": "{:,}".format,
        "counted": counted,
        "digits": partial(digits_of, decimals=decimals),
        "digits_in_unit": partial(digits_of, decimals=None),
        "fixed": partial(written, decimals=decimals),
        "percent": _percent,
        "short": partial(written, decimals=None),
        "span": span,
        "titled": titled,
    }
    environment.filters.update(filters)
    return environment


def _style() -> Markup:
    """The style sheet, which has nothing of a user's: colours of both schemes, then the rules."""
    dark = f"@media (prefers-color-scheme: dark) {{ {css_variables(DARK)} }}"
    rules = (TEMPLATES / "report.css").read_text("utf-8")
    return Markup("\n".join([css_variables(LIGHT), dark, rules]))


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"
