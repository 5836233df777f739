"""Predictions → numbers, and the files that tell them: `report.json`, `report.csv` and the page
`report.html`.

Everything comes in as arrays, so a report can be made of any predictions of any galaxies. The
numbers are one plain dictionary (a *document*): it is the JSON file, and the page and the CSV show
what stands in it and nothing else. Every measure is `{"value", "low", "high"}`, the ends of a 95 %
bootstrap interval over galaxies; undefined is null.

What each measure means is said in `metrics`. Accuracy and confident accuracy as one number are the
mean over the questions that have galaxies to count.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from galaxyvotes.confidence.familiarity import Shift, cumulative_counts
from galaxyvotes.errors import DataError
from galaxyvotes.metrics import cuts, scores
from galaxyvotes.metrics.bootstrap import Measure, intervals, mean_defined, number
from galaxyvotes.metrics.coverage import statistics
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.challenge import leaderboard as known_places
from galaxyvotes.reports.challenge import leaderboard_place
from galaxyvotes.reports.page import render
from galaxyvotes.runtime.files import write_text
from galaxyvotes.tree import DecisionTree

__all__ = ["Asked", "Report", "compare", "summarise", "write_report"]

FORMAT = 1
SHOWN = 6  # galaxies predicted best, and as many predicted worst, and the strangest
QUESTIONS_SHOWN = 3

Images = Callable[[Int[np.ndarray, " galaxy"]], UInt8[np.ndarray, "galaxy height width 3"]]


class Asked(NamedTuple):
    """Fractions of those who were asked: the volunteers', NaN where too few were, and the
    network's, with bounds.
    """

    labels: Float[np.ndarray, "galaxy answer"]
    network: Predictions


@dataclass(frozen=True)
class Report:
    """The numbers, and where the three files are."""

    document: dict[str, Any]
    html: Path
    json: Path
    csv: Path


# ---- numbers


def summarise(
    labels: Float[np.ndarray, "galaxy answer"],
    predicted: Predictions,
    tree: DecisionTree,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Every measure of these predictions, ready for JSON; `labels` has the predictions' rows and
    columns.

    The mean AUC is over the answers where it is defined, and once more over those with ten
    positives or more: with fewer, an AUC says little.
    """
    guess, columns = predicted.values, predicted.columns
    found = scores.bootstrap(
        labels,
        guess,
        tree,
        columns=columns,
        resamples=resamples,
        auc_resamples=min(resamples, 200),
        seed=seed,
    )
    positives, negatives = scores.sides(labels)
    defined = (positives > 0) & (negatives > 0)
    curve = scores.reliability(labels, guess)

    def over_questions(name: str, min_confidence: float) -> dict[str, Any]:
        each = scores.question_accuracy(
            labels, guess, tree, columns=columns, min_confidence=min_confidence
        )
        rows = [
            {"question": q, "galaxies": n} | found[name].measure(i)
            for i, (q, (_, n)) in enumerate(each.items())
        ]
        return found[f"mean_{name}"].measure() | {"questions": rows}

    return {
        "galaxies": len(predicted),
        **{name: found[name].measure() for name in ("mse", "rmse", "mae", "argmax_accuracy")},
        "question_accuracy": over_questions("question_accuracy", 0.0),
        "confident_accuracy": over_questions("confident_accuracy", scores.MIN_CONFIDENCE),
        "mean_auc": found["mean_auc"].measure() | {"answers": int(defined.sum())},
        "mean_auc_of_frequent": (
            found["mean_auc_of_frequent"].measure()
            | {"answers": int((defined & (positives >= scores.FEW_POSITIVES)).sum())}
        ),
        "calibration_error": found["calibration_error"].measure(),
        "reliability": [
            {"mean_predicted": number(p), "mean_truth": number(t), "fractions": int(n)}
            for p, t, n in zip(curve.mean_predicted, curve.mean_truth, curve.counts, strict=True)
        ],
        "consistency": [
            {"question": name, "mean": number(gap.mean), "largest": number(gap.largest)}
            for name, gap in scores.consistency(guess, tree, columns=columns).items()
        ],
        "answers": [
            {
                "answer": column,
                "mean_fraction": number(float(mean_defined(labels[:, i]))),
                "mean_predicted": number(float(mean_defined(guess[:, i]))),
                "rmse": found["rmse_per_answer"].measure(i),
                "auc": found["auc_per_answer"].measure(i),
                "positives": int(positives[i]),
                "negatives": int(negatives[i]),
            }
            for i, column in enumerate(columns)
        ],
    }


def compare(
    labels: Float[np.ndarray, "galaxy answer"],
    predicted: Predictions,
    other: Predictions,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Measure:
    """By how much the RMSE of `other` is above that of `predicted`, with its interval.

    Both are judged on the same resamples, so the interval is that of the difference, narrower than
    the two apart.
    """
    squares = [
        np.where(np.isnan(labels), 0.0, (one.values - labels) ** 2) for one in (predicted, other)
    ]
    sums = np.stack([np.asarray(square.sum(axis=1), np.float64) for square in squares], axis=1)
    known = (~np.isnan(labels)).sum(axis=1, dtype=np.float64)

    def difference(weights: np.ndarray) -> np.ndarray:
        cells = weights @ known
        roots = np.sqrt(weights @ sums / np.where(cells > 0, cells, np.nan)[:, None])
        return roots[:, 1] - roots[:, 0]

    return intervals({"rmse": difference}, len(labels), resamples=resamples, seed=seed)[
        "rmse"
    ].measure()


# ---- the document and the files


def write_report(
    out: str | Path,
    *,
    network: Predictions,
    baselines: Mapping[str, Predictions],
    labels: Float[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    provenance: Mapping[str, Any],
    seen_in_training: int,
    images: Images | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    contaminated: Mapping[str, Any] | None = None,
    leaderboard: bool = True,
    nominal_coverage: float | None = None,
    asked: Asked | None = None,
    noise_floor: float | None = None,
    shift: Shift | None = None,
    title: str = "How close the network comes to the volunteers",
    seed: int = 0,
    resamples: int = 1000,
) -> Report:
    """Write `report.html`, `report.json` and `report.csv` into the folder `out`, each in one step.

    `labels` has the network's rows and columns; a baseline may have more columns, in any order.
    `images` gives the galaxies at these places of `labels` as pictures. `provenance` is shown as it
    is, in its order. `history` is the rows of `scores.jsonl`. `contaminated` is a summary (see
    `summarise`) of the same measures on galaxies of which some were trained on, and under "seen"
    how many. `leaderboard` is for galaxies of the challenge: it says nothing about others, and is
    left out for any tree but the challenge's, or for a part of its answers. `nominal_coverage` is
    what the network's bounds promise, if it has any, and those of the fractions `asked`;
    `noise_floor` the RMSE that the volunteers' number allows, if known; `shift` whether these
    galaxies are like those of the calibration, if the network knows how familiar they are.
    """
    out = Path(out)
    if not len(network):
        raise DataError("no galaxy to judge by: a report needs galaxies with known fractions")
    aligned = {name: _aligned(baseline, network, name) for name, baseline in baselines.items()}
    document: dict[str, Any] = {
        "format": FORMAT,
        "title": title,
        "tree": tree.name,
        "galaxies": len(network),
        "seen_in_training": seen_in_training,
        "bootstrap": {"seed": seed, "resamples": resamples, "auc_resamples": min(resamples, 200)},
        "network": summarise(labels, network, tree, seed=seed, resamples=resamples),
        "baselines": {
            n: summarise(labels, b, tree, seed=seed, resamples=resamples)
            for n, b in aligned.items()
        },
        "ahead_of": {
            n: compare(labels, network, b, seed=seed, resamples=resamples)
            for n, b in aligned.items()
        },
        "choosing": _choosing(labels, network, tree, seed=seed, resamples=resamples),
        "intervals": None,
        "conditional_intervals": None,
        "noise_floor": noise_floor,
        "familiarity": None,
        "leaderboard": None,
        "contaminated": contaminated and dict(contaminated),
        "history": [dict(row) for row in history or ()],
        "provenance": dict(provenance),
    }
    if network.bounds is not None and nominal_coverage is not None:
        document["intervals"] = _intervals(
            labels, network, nominal_coverage, seed=seed, resamples=resamples
        )
    if asked is not None and nominal_coverage is not None:
        document["conditional_intervals"] = _intervals(
            *asked, nominal_coverage, seed=seed, resamples=resamples
        )
    rmse = document["network"]["rmse"]["value"]
    if (
        leaderboard
        and rmse is not None
        and tree.name == known_places()["tree"]
        and network.columns == tree.columns
    ):
        document["leaderboard"] = leaderboard_place(rmse)
    document["summary"] = _summary(document)
    best, worst = _best_and_worst(labels, network.values)
    document["familiarity"], strangest = familiarity(network, shift)
    document["best"] = [_galaxy(row, labels, network, tree) for row in best.tolist()]
    document["worst"] = [_galaxy(row, labels, network, tree) for row in worst.tolist()]
    shown = np.concatenate([best, worst, strangest])
    page = render(
        document, labels, network, tree, pictures=images(shown) if images and len(shown) else None
    )
    report = Report(document, out / "report.html", out / "report.json", out / "report.csv")
    write_text(
        report.json,
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n",
    )
    write_text(report.csv, _table(document, tree))
    write_text(report.html, page)
    return report


def _choosing(
    labels: Float[np.ndarray, "galaxy answer"],
    network: Predictions,
    tree: DecisionTree,
    *,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """What cuts on the network's fractions choose, and which answer it takes for which."""
    guess, columns = network.values, network.columns
    measures = {
        f"{name} at {cut}": statistic
        for cut in cuts.CUTS
        for name, statistic in cuts.statistics(labels, guess, cut).items()
    }
    found = intervals(measures, len(labels), resamples=resamples, seed=seed)
    counts = {cut: cuts.chosen(labels, guess, cut) for cut in cuts.CUTS}
    return {
        "answers": [
            {
                "answer": column,
                "cuts": [
                    {
                        "cut": cut,
                        "chosen": int(counts[cut][i]),
                        **{
                            name: found[f"{name} at {cut}"].measure(i)
                            for name in ("purity", "completeness")
                        },
                    }
                    for cut in cuts.CUTS
                ],
            }
            for i, column in enumerate(columns)
        ],
        "questions": [
            {"question": name, "answers": list(each.columns), "galaxies": each.galaxies.tolist()}
            for name, each in cuts.confusion(labels, guess, tree, columns=columns).items()
        ],
    }


def _intervals(
    labels: Float[np.ndarray, "galaxy answer"],
    network: Predictions,
    nominal: float,
    *,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """How often the network's bounds held, and how wide they are."""
    assert network.bounds is not None
    measures = statistics(labels, *network.bounds, coverage=nominal)
    found = intervals(measures, len(labels), resamples=resamples, seed=seed)
    return {
        "nominal": nominal,
        **{name: found[name].measure() for name in ("coverage", "width", "interval_score")},
        "answers": [
            {
                "answer": column,
                "coverage": found["coverage_per_answer"].measure(i),
                "width": found["width_per_answer"].measure(i),
            }
            for i, column in enumerate(network.columns)
        ],
    }


def familiarity(
    network: Predictions, shift: Shift | None
) -> tuple[dict[str, Any] | None, Int[np.ndarray, " shown"]]:
    """How the galaxies' familiarity is distributed, beside that of galaxies like those of the
    calibration, and the places of the strangest; nothing of a network that does not know.
    """
    ranks = network.familiarity
    if ranks is None or shift is None:
        return None, np.empty(0, np.int64)
    strangest = np.argsort(ranks, kind="stable")[:SHOWN]
    places: list[int] = strangest.tolist()
    told = {
        "references": shift.references,
        "strange": {"galaxies": shift.unfamiliar, "share": shift.share, "expected": shift.level},
        "shifted": shift.detected,
        "sentence": str(shift),
        "up_to": [
            {
                "familiarity": level,
                "galaxies": found,
                "share": found / len(ranks),
                "expected": expected,
            }
            for level, found, expected in cumulative_counts(ranks, shift.references)
        ],
        "strangest": [
            {"id": network.ids[place], "familiarity": float(ranks[place])} for place in places
        ],
    }
    return told, strangest


def _aligned(baseline: Predictions, network: Predictions, name: str) -> Predictions:
    """A baseline with the network's columns only."""
    missing = set(network.columns) - set(baseline.columns)
    if missing or baseline.ids != network.ids:
        what = (
            f"has no column {sorted(missing)[0]!r}"
            if missing
            else "is about other galaxies than the network"
        )
        raise ValueError(f"baseline {name!r} {what}")
    places = [baseline.columns.index(column) for column in network.columns]
    return replace(baseline, columns=network.columns, values=baseline.values[:, places])


def _summary(document: Mapping[str, Any]) -> str:
    """The report in a sentence or two, that promise no more than the numbers do."""
    network, seen, galaxies = (
        document["network"],
        document["seen_in_training"],
        document["galaxies"],
    )
    rmse = network["rmse"]
    whom = (
        f"{galaxies:,} galaxies that it never saw in training"
        if not seen
        else f"{galaxies:,} galaxies"
    )
    text = (
        f"On {whom}, the network's {len(network['answers'])} vote fractions have an RMSE of"
        f" {told(rmse)}."
    )
    scored = {
        n: b["rmse"]["value"]
        for n, b in document["baselines"].items()
        if b["rmse"]["value"] is not None
    }
    if scored:
        best = min(scored, key=lambda name: scored[name])
        ahead = verdict(**document["ahead_of"][best])
        text += f" The best baseline, {best}, has {scored[best]:.4f}: {ahead}."
    if seen:
        text += (
            f" {seen:,} of these galaxies taught or tuned it, so this says little about how it does"
            " on others."
        )
    return text


def verdict(value: float, low: float, high: float, form: str = ".4f") -> str:
    """Who is better, in words; with no clear difference the sign says by how much the baseline's
    RMSE is above.
    """
    if low > 0:
        return (
            f"the network is better by {value:{form}} (95\N{NO-BREAK SPACE}% interval {low:{form}}"
            f" to {high:{form}})"
        )
    if high < 0:
        return (
            f"the network is worse by {-value:{form}} (95\N{NO-BREAK SPACE}% interval"
            f" {-high:{form}} to {-low:{form}})"
        )
    return (
        f"no clear difference ({value:+{form}}, 95\N{NO-BREAK SPACE}% interval {low:+{form}} to"
        f" {high:+{form}})"
    )


def told(measure: Measure, form: str = ".4f") -> str:
    """A measure and its interval in words."""
    if measure["value"] is None:
        return "undefined"
    low, high = measure["low"], measure["high"]
    return (
        f"{measure['value']:{form}} (95\N{NO-BREAK SPACE}% interval {low:{form}} to {high:{form}})"
    )


def _best_and_worst(
    labels: Float[np.ndarray, "galaxy answer"], predicted: Float[np.ndarray, "galaxy answer"]
) -> tuple[Int[np.ndarray, " best"], Int[np.ndarray, " worst"]]:
    """The galaxies with the smallest and largest RMSE over their known answers; none is among
    both.
    """
    known = ~np.isnan(labels)
    counts = known.sum(axis=1)
    squares = np.where(known, (predicted - labels) ** 2, 0.0).sum(axis=1)
    order = np.argsort(squares / np.maximum(counts, 1), kind="stable")
    order = order[counts[order] > 0]
    shown = min(SHOWN, len(order) // 2)
    return order[:shown], order[::-1][:shown]


def _galaxy(
    row: int, labels: np.ndarray, network: Predictions, tree: DecisionTree
) -> dict[str, Any]:
    """One galaxy: of the questions that half of the volunteers reached, or half in the network's
    view, the worst.
    """
    places = {column: i for i, column in enumerate(network.columns)}
    said: np.ndarray = labels[row].astype(float)
    guess: np.ndarray = network.values[row].astype(float)
    missed: dict[str, float] = {}
    shown: list[dict[str, Any]] = []
    for question, _ in tree:
        answers = [
            (answer.text, places[answer.column])
            for answer in question.answers
            if answer.column in places
        ]
        at = [place for _, place in answers]
        if (
            not at
            or np.isnan(said[at]).any()
            or max(said[at].sum(), guess[at].sum()) < scores.MIN_ASKED
        ):
            continue
        bars = [
            {"text": text, "volunteers": float(said[i]), "network": float(guess[i])}
            for text, i in answers
        ]
        missed[question.name] = float(((said[at] - guess[at]) ** 2).sum())
        shown.append({"question": question.name, "text": question.text, "answers": bars})
    worst = sorted(missed, key=lambda name: -missed[name])[:QUESTIONS_SHOWN]
    return {
        "id": network.ids[row],
        "rmse": float(np.sqrt(np.nanmean((said - guess) ** 2))),
        "questions": [question for question in shown if question["question"] in worst],
    }


def _table(document: Mapping[str, Any], tree: DecisionTree) -> str:
    """The CSV: one row an answer."""
    texts = {a.column: (q.name, a.text) for q, _ in tree for a in q.answers}
    names = list(document["baselines"])
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["question", "answer", "text", "mean_fraction", "rmse", "rmse_low", "rmse_high"]
    head += ["auc", "auc_low", "auc_high", "positives", "negatives"]
    head += [
        f"{name}_at_{cut}" for cut in cuts.CUTS for name in ("chosen", "purity", "completeness")
    ]
    writer.writerow([*head, *(f"rmse_{name.replace(' ', '_')}" for name in names)])
    for i, row in enumerate(document["network"]["answers"]):
        question, text = texts[row["answer"]]
        cells = [
            question,
            row["answer"],
            text,
            row["mean_fraction"],
            *row["rmse"].values(),
            *row["auc"].values(),
        ]
        others = [document["baselines"][name]["answers"][i]["rmse"]["value"] for name in names]
        cells += [row["positives"], row["negatives"]]
        for cut in document["choosing"]["answers"][i]["cuts"]:
            cells += [cut["chosen"], cut["purity"]["value"], cut["completeness"]["value"]]
        writer.writerow([*cells, *others])
    return file.getvalue()
