"""The report as one page that needs nothing else: no script, no font, no picture from anywhere.

It shows a document (see `write`) and adds the figures of the same predictions. Each figure is drawn
twice, light and dark, and the browser shows the one that fits its colour scheme. Figures are SVG
data URIs, galaxies JPEG. Whatever comes from a table or a folder name is escaped.
"""

import base64
import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from galaxyvotes.predictions import Predictions
from galaxyvotes.reports import figures
from galaxyvotes.reports.drawing import DARK, LIGHT, Palette, svg
from galaxyvotes.tree import DecisionTree

__all__ = ["render"]

_PICTURE_PX = 192
HEADLINE = (
    ("rmse", "RMSE", False),
    ("mae", "MAE", False),
    ("argmax_accuracy", "Accuracy, all columns", True),
    ("question_accuracy", "Accuracy, per question", True),
    ("confident_accuracy", "Accuracy, confident", True),
    ("mean_auc", "Mean AUC", True),
)
QUANTITY_HEADLINE = (
    ("rmse", "RMSE"),
    ("mae", "Mean absolute error"),
    ("bias", "Bias"),
    ("r2", "R²"),
)


def render(
    document: Mapping[str, Any],
    labels: Float[np.ndarray, "galaxy answer"],
    network: Predictions,
    tree: DecisionTree,
    *,
    pictures: UInt8[np.ndarray, "shown height width 3"] | None = None,
) -> str:
    """The page's HTML; `pictures` are of the document's best galaxies, then of its worst, then of
    the strangest.
    """
    rows = document["network"]["answers"]
    drawn = {
        "roc": themed(
            figures.roc_plots,
            labels,
            network.values,
            tree,
            columns=network.columns,
            alt="ROC curve of each answer; the areas are in the table above.",
        ),
        "reliability": themed(
            figures.reliability_plot,
            labels,
            network.values,
            alt="Mean label against mean prediction; the numbers are in the table beside.",
        ),
        **_always(document, network),
    }
    return _filled(
        "report.html.j2",
        d=document,
        figures=drawn,
        headline=HEADLINE,
        predictors={"network": document["network"], **document["baselines"]},
        texts={question.name: question.text for question in tree.questions},
        words={answer.column: answer.text for answer in tree.answers},
        widest=max((ends["high"] or 0.0 for ends in _rmses(document)), default=0.0) * 1.05 or 1.0,
        questions=[
            (question, [(answer, i) for i, answer in _rows_of(question.answers, rows)])
            for question in tree.questions
            if _rows_of(question.answers, rows)
        ],
        galaxies=_beside(document, pictures),
    )


def render_quantities(
    document: Mapping[str, Any],
    labels: Float[np.ndarray, "galaxy answer"],
    network: Predictions,
    *,
    pictures: UInt8[np.ndarray, "shown height width 3"] | None = None,
) -> str:
    """The page of quantities (see `quantities`); `pictures` as in `render`."""
    plots = themed(
        figures.quantity_plots,
        labels,
        network.values,
        network.columns,
        bounds=network.bounds,
        alt="Predicted against measured values of each quantity, one point a galaxy.",
    )
    return _filled(
        "quantities.html.j2",
        d=document,
        figures={"predicted": plots, **_always(document, network)},
        headline=QUANTITY_HEADLINE,
        predictors={"network": document["network"], **document["baselines"]},
        galaxies=_beside(document, pictures),
    )


def _always(document: Mapping[str, Any], network: Predictions) -> dict[str, Markup | None]:
    """The figures of fractions and quantities alike."""
    drawn: dict[str, Markup | None] = {"familiarity": None, "history": None}
    if document["familiarity"]:
        alt = "Cumulative distribution of familiarity; the numbers are in the table beside."
        drawn["familiarity"] = themed(figures.familiarity_plot, network.familiarity, alt=alt)
    if document["history"]:
        alt = "Loss and other measures by epoch, of the training and the validation set."
        drawn["history"] = themed(figures.history_plot, document["history"], alt=alt)
    return drawn


def _beside(
    document: Mapping[str, Any], pictures: UInt8[np.ndarray, "shown height width 3"] | None
) -> dict[str, list[tuple[Any, str | None]]]:
    """The document's groups of galaxies, each galaxy with its picture, which are in the same order,
    as a data URI.
    """
    shown = {name: document[name] for name in ("best", "worst")}
    shown["strangest"] = document["familiarity"]["strangest"] if document["familiarity"] else []
    uris = (
        itertools.repeat(None) if pictures is None else (jpeg_uri(picture) for picture in pictures)
    )
    return {
        group: [(galaxy, next(uris)) for galaxy in galaxies] for group, galaxies in shown.items()
    }


def _filled(template: str, **values: Any) -> str:
    """A template of this package with these values in it."""
    home = resources.files("galaxyvotes.reports") / "templates"
    parts = FunctionLoader(lambda name: (home / name).read_text("utf-8"))
    environment = Environment(
        loader=parts,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fixed": _fixed,
        "signed": _signed,
        "percent": _percent,
        "short": _short,
    }
    sheets = (
        _variables(LIGHT),
        f"@media (prefers-color-scheme: dark) {{ {_variables(DARK)} }}",
        (home / "report.css").read_text("utf-8"),
    )
    style = Markup("\n".join(sheets))  # nothing in it is a user's
    return environment.get_template(template).render(style=style, **values)


def _rmses(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [summary["rmse"] for summary in (document["network"], *document["baselines"].values())]


def _rows_of(answers: Any, rows: list[Mapping[str, Any]]) -> list[tuple[int, Any]]:
    """These answers with their places among the document's rows."""
    places = {row["answer"]: i for i, row in enumerate(rows)}
    return [(places[answer.column], answer) for answer in answers if answer.column in places]


def themed(draw: Callable[..., Figure], *given: Any, alt: str, **settings: Any) -> Markup:
    """A figure in both palettes, as an element that shows the one of the browser's colour scheme;
    `alt` says what is in it.
    """
    light, dark = (_uri(draw, palette, *given, **settings) for palette in (LIGHT, DARK))
    picture = (
        '<picture><source media="(prefers-color-scheme: dark)" srcset="{}"><img src="{}" alt="{}">'
        "</picture>"
    )
    return Markup(picture).format(dark, light, alt)


def _uri(draw: Callable[..., Figure], palette: Palette, *given: Any, **settings: Any) -> str:
    image = svg(draw(*given, palette=palette, **settings))
    return "data:image/svg+xml;base64," + base64.b64encode(image).decode()


def _variables(palette: Palette) -> str:
    """The colours of a palette as variables of a style sheet."""
    colours = (f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items())
    return f":root {{ {' '.join(colours)} }}"


def jpeg_uri(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as a data URI, made smaller if it is large."""
    image = Image.fromarray(picture)
    image.thumbnail((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _fixed(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _short(value: float | None) -> str:
    """Four digits, whatever the unit."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _signed(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"
