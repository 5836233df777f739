"""The pictures in docs/pictures/, drawn from the figures in benchmarks/json/.

    python benchmarks/pictures.py

Each picture notes the digest of the JSON file that it shows; a test fails when that file has
changed since."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

JSON = Path(__file__).parent / "json"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
BLUE, GREY, LIGHT = "#1f5fa8", "#666666", "#bbbbbb"
STYLE = {
    "svg.hashsalt": "galaxyvotes",
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def bundled(figures: dict[str, Any]) -> Figure:
    """A reliability diagram, and the ROC curves of the answers with enough positives."""
    figure = Figure((8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = figures["reliability"]
    left.plot([0, 1], [0, 1], color=LIGHT, lw=1)
    left.plot(bins["predicted"], bins["labels"], "o-", color=BLUE, ms=4)
    left.set(xlabel="predicted fraction", ylabel="volunteers' fraction")
    left.set_title(f"{figures['galaxies']} galaxies never seen, 37 fractions each", fontsize=9)
    for curve in figures["roc"].values():
        right.plot(curve["false"], curve["true"], color=BLUE, lw=0.7, alpha=0.6)
    right.plot([0, 1], [0, 1], color=LIGHT, lw=1)
    auc = figures["mean_auc_of_frequent"]
    right.set(xlabel="false positive rate", ylabel="true positive rate")
    right.set_title(
        f"{len(figures['roc'])} answers, mean AUC {auc['value']:.3f}"
        f" ({auc['low']:.3f}–{auc['high']:.3f})",
        fontsize=9,
    )
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return figure


def answers(figures: dict[str, Any]) -> Figure:
    """The RMSE of each answer, and that of the mean vote."""
    figure = Figure((8, 3.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(figures["columns"]))
    for name, label, color in (
        ("mean_vote_rmse_per_answer", "mean vote", LIGHT),
        ("rmse_per_answer", "bundled model", BLUE),
    ):
        axes.plot(places, figures[name], "o", color=color, ms=4, label=label)
    axes.vlines(
        places, figures["rmse_per_answer"], figures["mean_vote_rmse_per_answer"], color=LIGHT, lw=1
    )
    names = [column.removeprefix("Class") for column in figures["columns"]]
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set(xlabel="answer", ylabel="RMSE", ylim=(0, None), xlim=(-0.7, len(places) - 0.3))
    axes.legend(frameon=False)
    return figure


def few_labels(figures: dict[str, Any]) -> Figure:
    """The errors of four methods with 100 labels, on two tasks."""
    figure = Figure((8, 2), layout="constrained")
    methods = {
        "mean vote": "mean vote",
        "from nothing": "from scratch",
        "boosted trees": "boosted trees",
        "finetune": "fine-tuned",
    }
    tasks = {
        "five classes": "five classes, error rate",
        "Galaxy Zoo 2's fractions": "Galaxy Zoo 2, RMSE",
    }
    for axes, (task, label) in zip(figure.subplots(1, 2), tasks.items(), strict=True):
        found = [figures[task][method] for method in methods]
        axes.barh(
            list(methods.values()),
            [each["mean"] for each in found],
            xerr=[each["deviation"] for each in found],
            color=[GREY, GREY, GREY, BLUE],
            height=0.6,
        )
        axes.set_xlabel(f"{label} ({figures['labels']} labels, {figures['seeds']} seeds)")
    return figure


DRAWN: dict[str, tuple[str, Callable[[dict[str, Any]], Figure]]] = {
    "bundled": ("bundled", bundled),
    "answers": ("bundled", answers),
    "few_labels": ("few_labels", few_labels),
}


def digest(name: str) -> str:
    """Of a JSON file."""
    return hashlib.blake2b((JSON / f"{name}.json").read_bytes(), digest_size=12).hexdigest()


def stale() -> list[str]:
    """The pictures whose figures have changed since they were drawn, or that are missing."""
    return [
        picture
        for picture, (source, _) in DRAWN.items()
        if not (path := PICTURES / f"{picture}.svg").is_file()
        or not re.search(f"{source}.json {digest(source)}", path.read_text("utf-8"))
    ]


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        for picture, (source, draw) in DRAWN.items():
            figures = json.loads((JSON / f"{source}.json").read_text("utf-8"))
            note = {"Date": None, "Description": f"drawn from {source}.json {digest(source)}"}
            draw(figures).savefig(PICTURES / f"{picture}.svg", metadata=note)


if __name__ == "__main__":
    main()
