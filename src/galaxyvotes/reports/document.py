"""The numbers of a report as one plain dictionary: what `report.json` holds, and what the page and
the CSV show.

Every measure is `{"value", "low", "high"}`, the ends of a 95 % bootstrap confidence interval over
galaxies; undefined is None.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.confidence.familiarity import cumulative_counts
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.metrics.bootstrap import FEW_GALAXIES
from galaxyvotes.reports import classes, fractions, quantities
from galaxyvotes.reports.chance import at_chance
from galaxyvotes.reports.comparison import Comparison, ReportSettings, Values
from galaxyvotes.reports.digits import decimals_for
from galaxyvotes.reports.paper_table import beside_paper
from galaxyvotes.reports.summary import (
    summary_of_classes,
    summary_of_fractions,
    summary_of_quantities,
)
from galaxyvotes.tree import DecisionTree

__all__ = ["CONTENTS", "Contents", "document_of", "rows_shown"]

FORMAT = 1
SHOWN = 4  # galaxies of each group

Section = Callable[[Comparison, ReportSettings], Any]


@dataclass(frozen=True)
class Contents:
    """What the document of one kind of labels holds.

    `summarise` gives the measures of one predictor, `difference` those of two; `sections` give
    further keys; `errors` and `uncertainties` rank the galaxies (None if nothing is known of
    these), and `galaxy` describes one. `summary` and `table` are made of the document.
    """

    title: str
    summarise: Section
    difference: Callable[[Comparison, Comparison, ReportSettings], Any]
    sections: Mapping[str, Section]
    errors: Callable[[Values, Values], Float[np.ndarray, " galaxy"]]
    uncertainties: Callable[[Comparison], Float[np.ndarray, " galaxy"] | None]
    galaxy: Callable[[int, Comparison], dict[str, Any]]
    summary: Callable[[Mapping[str, Any]], str]
    table: Callable[[Mapping[str, Any], DecisionTree], list[list[Any]]]


CONTENTS: dict[Kind, Contents] = {
    FRACTIONS: Contents(
        title="Evaluation of predicted vote fractions",
        summarise=fractions.summarise,
        difference=fractions.rmse_difference,
        sections={
            "cuts": fractions.cut_tables,
            "intervals": fractions.prediction_intervals,
            "conditional_intervals": fractions.conditional_intervals,
            "noise_floor": lambda comparison, _: comparison.noise_floor,
            "leaderboard": fractions.leaderboard,
            "contaminated": lambda comparison, _: (
                None if comparison.contaminated is None else dict(comparison.contaminated)
            ),
        },
        errors=fractions.galaxy_errors,
        uncertainties=fractions.galaxy_entropies,
        galaxy=fractions.galaxy,
        summary=summary_of_fractions,
        table=fractions.table,
    ),
    CLASSES: Contents(
        title="Evaluation of predicted classes",
        summarise=classes.summarise,
        difference=classes.differences,
        sections={},
        errors=classes.galaxy_errors,
        uncertainties=classes.galaxy_entropies,
        galaxy=classes.galaxy,
        summary=summary_of_classes,
        table=classes.table,
    ),
    QUANTITIES: Contents(
        title="Evaluation of predicted quantities",
        summarise=quantities.summarise,
        difference=quantities.rmse_differences,
        sections={"intervals": quantities.prediction_intervals},
        errors=quantities.galaxy_errors,
        uncertainties=quantities.interval_widths,
        galaxy=quantities.galaxy,
        summary=summary_of_quantities,
        table=quantities.table,
    ),
}


def document_of(comparison: Comparison, settings: ReportSettings) -> dict[str, Any]:
    """The document of a comparison."""
    contents, shown = CONTENTS[comparison.kind], rows_shown(comparison)
    baselines = {name: comparison.of_baseline(name) for name in comparison.baselines}
    document: dict[str, Any] = {
        "format": FORMAT,
        "title": f"{contents.title}: {comparison.tree.name}",
        "tree": comparison.tree.name,
        "galaxies": len(comparison.predicted),
        "few_galaxies": len(comparison.predicted) < FEW_GALAXIES,
        "decimals": decimals_for(len(comparison.predicted)),
        "seen": comparison.seen._asdict() | {"influential": comparison.seen.influential},
        "bootstrap": {
            "seed": settings.seed,
            "resamples": settings.resamples,
            "auc_resamples": settings.auc_resamples,
        },
        "network": contents.summarise(comparison, settings),
        "baselines": {
            name: contents.summarise(baseline, settings) for name, baseline in baselines.items()
        },
        "no_baselines": comparison.no_baselines,
        "differences": {
            name: contents.difference(comparison, baseline, settings)
            for name, baseline in baselines.items()
        },
        **{key: section(comparison, settings) for key, section in contents.sections.items()},
        "chance": at_chance(comparison, settings),
        "familiarity": _familiarity(comparison),
        "cannot_calibrate": comparison.cannot_calibrate,
        "history": [dict(row) for row in comparison.history],
        "provenance": dict(comparison.provenance),
    }
    document["paper_table"] = beside_paper(document, comparison.tree.columns)
    document["summary"] = contents.summary(document)
    document["shown"] = {
        group: [_galaxy(row, comparison) for row in rows.tolist()] for group, rows in shown.items()
    }
    return document


def rows_shown(comparison: Comparison) -> dict[str, Int[np.ndarray, " shown"]]:
    """The galaxies that a report shows, each in one group: `worst` and `best` have the largest and
    smallest errors; of the others, `least_familiar` have the lowest familiarity scores, of the
    others again `most_uncertain` the largest uncertainties, and `random` are drawn from the rest,
    so that they show what is usual.
    """
    labels, predicted = comparison.labels, comparison.predicted
    order = np.argsort(CONTENTS[comparison.kind].errors(labels, predicted.values), kind="stable")
    order = order[~np.isnan(labels[order]).all(axis=1)]
    shown = min(SHOWN, len(order) // 2)
    others = order[shown : len(order) - shown]
    least_familiar = most_uncertain = order[:0]
    if comparison.shift is not None and predicted.familiarity is not None:
        rising = np.argsort(predicted.familiarity[others], kind="stable")
        least_familiar, others = others[rising[:SHOWN]], others[rising[SHOWN:]]
    uncertainties = CONTENTS[comparison.kind].uncertainties(comparison)
    if uncertainties is not None:
        falling = np.argsort(-uncertainties[others], kind="stable")
        most_uncertain, others = others[falling[:SHOWN]], others[falling[SHOWN:]]
    return {
        "worst": order[::-1][:shown],
        "best": order[:shown],
        "least_familiar": least_familiar,
        "most_uncertain": most_uncertain,
        "random": np.random.default_rng(0).permutation(np.sort(others))[:SHOWN],
    }


def _galaxy(row: int, comparison: Comparison) -> dict[str, Any]:
    scores = comparison.predicted.familiarity
    familiarity = None if scores is None else float(scores[row])
    galaxy = CONTENTS[comparison.kind].galaxy(row, comparison)
    return galaxy | {"familiarity": familiarity}


def _familiarity(comparison: Comparison) -> dict[str, Any] | None:
    """The distribution of familiarity scores beside the expected one; None if the network is not
    calibrated.
    """
    scores, shift = comparison.predicted.familiarity, comparison.shift
    if scores is None or shift is None:
        return None
    return {
        "references": shift.references,
        "unfamiliar": {"galaxies": shift.unfamiliar, "share": shift.share, "expected": shift.level},
        "shifted": shift.detected,
        "sentence": str(shift),
        "up_to": [
            {
                "familiarity": level,
                "galaxies": galaxies,
                "share": galaxies / len(scores),
                "expected": expected,
            }
            for level, galaxies, expected in cumulative_counts(scores, shift.references)
        ],
    }
