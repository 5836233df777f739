"""The report as one page that needs nothing else: no script, no font, no picture from anywhere.

It shows a document (see `report`) and adds the figures of the same predictions. Figures are inline
SVG whose colours follow the page's, light or dark; galaxies are JPEG data URIs. Whatever comes from
a table or a folder name is escaped.
"""

import base64
import io
import itertools
import re
from collections.abc import Mapping
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
from galaxyvotes.reports.diagrams import ACCENT, FILL, INK, MUTED, PAPER, RULE
from galaxyvotes.tree import DecisionTree

__all__ = ["render"]

_COLOURS = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    FILL: "fill",
    PAPER: "paper",
    ACCENT: "accent",
}
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
        "roc": inline_svg(figures.roc_plots(labels, network.values, tree, columns=network.columns)),
        "reliability": inline_svg(figures.reliability_plot(labels, network.values)),
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
    plots = figures.quantity_plots(labels, network.values, network.columns, bounds=network.bounds)
    return _filled(
        "quantities.html.j2",
        d=document,
        figures={"predicted": inline_svg(plots), **_always(document, network)},
        headline=QUANTITY_HEADLINE,
        predictors={"network": document["network"], **document["baselines"]},
        galaxies=_beside(document, pictures),
    )


def _always(document: Mapping[str, Any], network: Predictions) -> dict[str, Markup | None]:
    """The figures of fractions and quantities alike."""
    ranks = network.familiarity if document["familiarity"] else None
    return {
        "familiarity": None if ranks is None else inline_svg(figures.familiarity_plot(ranks)),
        "history": (
            inline_svg(figures.history_plot(document["history"])) if document["history"] else None
        ),
    }


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
    style = Markup((home / "report.css").read_text("utf-8"))  # ours, not a user's
    return environment.get_template(template).render(style=style, **values)


def _rmses(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [summary["rmse"] for summary in (document["network"], *document["baselines"].values())]


def _rows_of(answers: Any, rows: list[Mapping[str, Any]]) -> list[tuple[int, Any]]:
    """These answers with their places among the document's rows."""
    places = {row["answer"]: i for i, row in enumerate(rows)}
    return [(places[answer.column], answer) for answer in answers if answer.column in places]


def inline_svg(figure: Figure) -> Markup:
    """A figure as part of a page: its colours and font are the page's."""
    text = figures.to_svg(figure)
    text = text[text.index("<svg") :]
    text = re.sub(
        r"<metadata>.*?</metadata>\s*|<defs>\s*<style.*?</defs>\s*", "", text, flags=re.DOTALL
    )
    text = re.sub(
        r' xmlns(:xlink)?="[^"]*"| version="1.1"| width="[^"]*pt" height="[^"]*pt"',
        "",
        text,
        count=4,
    )
    text = re.sub(
        r' id="[a-z0-9.]+_\d+"', "", text
    )  # matplotlib's names of groups would stand twice on a page
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text).replace("xlink:href", "href")
    for colour, name in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text)  # matplotlib has escaped what it was given


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
