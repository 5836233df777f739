"""A run judged on galaxies of a store that it has never seen, beside the baselines, in one report.

Judging on seen galaxies (see `judging`) is refused unless they are asked for by the name of their
split, or with `allow_seen`; the report then says how many there are.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.evaluation.baselines import BASELINES, OF_QUANTITIES
from galaxyvotes.evaluation.seen import (
    calibrated_on,
    head_for,
    known_rows,
    labels_of,
    seen_by,
    volunteers_for,
)
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.inference.predict import shift_of
from galaxyvotes.metrics.coverage import noise_floor
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.architecture import architecture
from galaxyvotes.reports.drawing import save
from galaxyvotes.reports.figures import quantity_plots, roc_plot, roc_plots
from galaxyvotes.reports.flowchart import flowchart
from galaxyvotes.reports.quantities import write_quantities
from galaxyvotes.reports.write import Asked, Report, summarise, write_report
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.store.store import Store

__all__ = ["Evaluation", "draw_figures", "evaluate"]

PUBLISHED_TEST_SHARE = 0.2
CHALLENGE_ID = "GalaxyID"  # the 2014 leaderboard says nothing about galaxies of other catalogues


@dataclass(frozen=True)
class Evaluation:
    """The numbers of a report (`document`, what `report.json` holds) and where its files are."""

    report: Report

    @property
    def document(self) -> dict[str, Any]:
        """Every number, as in `report.json`."""
        return self.report.document

    @property
    def path(self) -> Path:
        """The page."""
        return self.report.html

    def table(self) -> str:
        """The headline numbers as text: the network first, then the baselines."""
        predictors: dict[str, Any] = {
            "network": self.document["network"],
            **self.document["baselines"],
        }
        if isinstance(predictors["network"], list):
            head = ("", "", "RMSE", "95 % interval", "MAE", "R²", "95 % interval")
            return "\n".join([*_columns([head, *_rows(predictors)]), self.document["summary"]])
        rows = [("", "RMSE", "95 % interval", "MAE", "accuracy", "mean AUC")]
        for name, numbers in predictors.items():
            low, high = numbers["rmse"]["low"], numbers["rmse"]["high"]
            rows.append(
                (
                    name,
                    _told(numbers["rmse"]["value"]),
                    f"{_told(low)}–{_told(high)}",
                    _told(numbers["mae"]["value"]),
                    _told(numbers["argmax_accuracy"]["value"], 3),
                    _told(numbers["mean_auc"]["value"], 3),
                )
            )
        return "\n".join([*_columns(rows), self.document["summary"]])


def evaluate(
    store: Store | str | Path,
    run: Run | str | Path | None = None,
    *,
    out: str | Path | None = None,
    split: str = "test",
    allow_seen: bool = False,
    as_published: bool = False,
    baselines: bool = True,
    seed: int = 0,
    resamples: int = 1000,
    device: str = "auto",
    progress: bool = True,
) -> Evaluation:
    """Judge a run on one split of a store; `report.html`, `.json` and `.csv` go to `out`, or to the
    run's folder.

    `as_published` adds the protocol of the 2023 paper, marked as contaminated: errors and accuracy
    of the training galaxies, and AUCs of a fifth of all galaxies drawn without regard to what was
    trained on. Raises CheckpointError if run and store do not belong together, DataError if seen
    galaxies would be judged.
    """
    run = open_run(run)
    store = store if isinstance(store, Store) else Store.open(store)
    head = head_for(run, store)
    if seed < 0 or resamples < 1:
        raise ConfigError(
            f"seed is {seed} and resamples {resamples}; expected 0 or more, and 1 or more"
        )
    if as_published and head.tree.of_quantities:
        raise ConfigError(
            f"the 2023 paper judged vote fractions; {head.tree.name} is a quantity: leave out"
            " --as-published"
        )
    rows = known_rows(store, store.rows(split), head)
    if not len(rows):
        what = "a known value" if head.tree.of_quantities else "votes"
        raise DataError(f"{store.path} has no galaxy with {what} in its {split} split")
    seen = seen_by(run, store)
    if seen[rows].any() and split == "test" and not allow_seen:
        examples = ", ".join(store.ids[int(row)] for row in rows[seen[rows]][:3])
        raise DataError(
            f"{int(seen[rows].sum()):,} of the {len(rows):,} test galaxies of {store.path} taught"
            f" or tuned {run.path} ({examples} …): numbers on them would flatter. Use the store it"
            " was trained on, or pass --allow-seen"
        )
    network = run.network(choose_device(device), tree=head.tree.name)
    calibrated = calibrated_on(run, store, network.head_index + 1)[rows]
    if calibrated.any() and split == "test" and not allow_seen:
        examples = ", ".join(store.ids[int(row)] for row in rows[calibrated][:3])
        raise DataError(
            f"{int(calibrated.sum()):,} of the {len(rows):,} test galaxies of {store.path}"
            f" calibrated {run.path} ({examples} …): intervals on them would seem to keep their"
            " word. Calibrate it on validation galaxies, or pass --allow-seen"
        )
    predicted = predict_store(network, store, rows, progress=progress)
    labels, volunteers = labels_of(store, rows, head), volunteers_for(store, rows, head)
    if network.intervals is not None and volunteers is not None:
        bounds = network.intervals.bounds(predicted.values, predicted.spread, volunteers=volunteers)
        predicted = replace(predicted, bounds=bounds)
    floor = np.nan if volunteers is None else noise_floor(labels, volunteers)
    fitting = OF_QUANTITIES if head.tree.of_quantities else BASELINES
    # To pyright a cached_property is no property, and so a Store no Galaxies.
    others = {
        name: fit(store, rows, columns=head.columns, seed=seed)  # pyright: ignore[reportArgumentType]
        for name, fit in (fitting if baselines else {}).items()
    }

    def pictures(places: Int[np.ndarray, " galaxy"]) -> UInt8[np.ndarray, "galaxy side side 3"]:
        return store.images(rows[places])

    told: dict[str, Any] = {
        "network": predicted,
        "baselines": others,
        "labels": labels,
        "provenance": _provenance(run, store, split, rows, network),
        "seen_in_training": int(seen[rows].sum()),
        "images": pictures,
        "history": run.history,
        "nominal_coverage": network.intervals.coverage if network.intervals else None,
        "shift": shift_of(network, predicted),
        "seed": seed,
        "resamples": resamples,
    }
    folder = Path(out) if out is not None else run.path
    if head.tree.of_quantities:
        return Evaluation(write_quantities(folder, **told))
    return Evaluation(
        write_report(
            folder,
            **told,
            tree=store.tree,
            asked=_asked(network, store, rows, predicted, labels, volunteers, progress=progress),
            leaderboard=store.id_name == CHALLENGE_ID and not seen[rows].any(),
            noise_floor=None if np.isnan(floor) else floor,
            contaminated=(
                _as_published(store, network, seen, seed, resamples) if as_published else None
            ),
        )
    )


def draw_figures(
    run: Run | str | Path | None,
    store: Store | str | Path | None,
    out: str | Path,
    *,
    kind: str = "svg",
    device: str = "auto",
) -> list[Path]:
    """The paper's figures of a run as files in `out`: flowchart (1), architecture with legend (2,
    3) and, given a store, the ROC plots of its test galaxies: all of them, and one of each answer
    (4–7).

    Quantities have no flowchart; of them, predicted is drawn against measured instead of ROC plots.
    """
    run = open_run(run)
    out = Path(out)
    side = run.facts["pack"]["size_px"]
    drawn = {} if run.heads[0].tree.of_quantities else {"flowchart": flowchart(run.heads[0].tree)}
    drawn["architecture"] = architecture(run.untrained().module, (3, side, side))
    if store is not None:
        store = store if isinstance(store, Store) else Store.open(store)
        head = head_for(run, store)
        rows = known_rows(store, store.rows("test"), head)
        if seen_by(run, store)[rows].any():
            raise DataError(
                f"{run.path} has seen test galaxies of {store.path}: use the store it was"
                " trained on"
            )
        labels = labels_of(store, rows, head)
        predicted = predict_store(
            run.network(choose_device(device), tree=head.tree.name), store, rows
        ).values
        if head.tree.of_quantities:
            drawn["predicted"] = quantity_plots(labels, predicted, head.columns)
        else:
            drawn["roc"] = roc_plots(labels, predicted, head.tree, columns=head.columns)
        for place, column in enumerate(() if head.tree.of_quantities else head.columns):
            known = ~np.isnan(labels[:, place])
            text = next(answer.text for answer in head.tree.answers if answer.column == column)
            drawn[f"roc-{column}"] = roc_plot(
                labels[known, place], predicted[known, place], title=f"{column}: {text}"
            )
    paths: list[Path] = []
    for name, figure in drawn.items():
        paths.append(out / f"{name}.{kind}")
        save(figure, paths[-1])
    return paths


def _asked(
    network: Network,
    store: Store,
    rows: Int[np.ndarray, " galaxy"],
    predicted: Predictions,
    labels: Float[np.ndarray, "galaxy answer"],
    volunteers: Float[np.ndarray, "galaxy answer"] | None,
    *,
    progress: bool,
) -> Asked | None:
    """Fractions of those who were asked, if they are others than those of everybody and intervals
    were calibrated.
    """
    calibration = network.calibration.conditional
    if len(network.tree.questions) == 1 or calibration is None:
        return None
    telling = network.as_conditional
    told = predict_store(telling, store, rows, progress=progress)
    if volunteers is not None:
        told = replace(
            told, bounds=calibration.bounds(predicted.values, told.spread, volunteers=volunteers)
        )
    return Asked(
        network.tree.conditional(labels, network.columns, min_asked=calibration.min_asked), told
    )


def _as_published(
    store: Store, network: Network, seen: Bool[np.ndarray, " galaxy"], seed: int, resamples: int
) -> dict[str, Any]:
    """The paper's protocol: AUCs of a second, independent draw from all galaxies; errors of the
    training galaxies.
    """
    everyone = known_rows(store, np.arange(len(store)), network.head)
    random = np.random.default_rng(seed)
    drawn = np.sort(
        random.permutation(everyone)[: max(1, round(PUBLISHED_TEST_SHARE * len(everyone)))]
    )
    summary = summarise(
        labels_of(store, drawn, network.head),
        predict_store(network, store, drawn),
        store.tree,
        seed=seed,
        resamples=resamples,
    )
    taught = known_rows(store, store.rows("train"), network.head)
    of_training = summarise(
        labels_of(store, taught, network.head),
        predict_store(network, store, taught),
        store.tree,
        seed=seed,
        resamples=resamples,
    )
    for name in ("mse", "rmse", "mae", "argmax_accuracy"):
        summary[name] = of_training[name]
    note = (
        "As in the paper, MSE, RMSE, MAE and the accuracy of the highest answer are of the"
        f" {len(taught):,} training galaxies themselves; every other measure is of the fifth of all"
        " galaxies."
    )
    return {**summary, "seen": int(seen[drawn].sum()), "note": note}


def _provenance(
    run: Run, store: Store, split: str, rows: Int[np.ndarray, " galaxy"], network: Network
) -> dict[str, Any]:
    recipe, device = run.recipe, next(network.module.parameters()).device
    return {
        "store": store.path.name,
        "votes": f"{store.manifest['votes']} (tree {store.tree.name})",
        "galaxies": ", ".join(
            f"{count:,} {name}" for name, count in store.manifest["splits"].items()
        ),
        "judged on": f"{len(rows):,} {split} galaxies",
        "image": (
            f"central {store.pack.crop_px or 'square of all'} px, brought to {store.size_px} px"
        ),
        "run": (
            run.path.name + (f" (mean of {', '.join(run.members)})" if len(run.members) > 1 else "")
        ),
        "recipe": (
            f"{recipe.name}: {recipe.model.name}, {network.objective.name}, {recipe.train.epochs}"
            f" epochs, batch {recipe.train.batch_size}, seed {recipe.train.seed}"
        ),
        "galaxyvotes": f"{run.facts['galaxyvotes']} (torch {torch.__version__}, {device})",
    }


def _rows(predictors: dict[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    """The headline numbers of quantities: of each the network's, then the baselines'."""
    rows: list[tuple[str, ...]] = []
    for place, quantity in enumerate(row["quantity"] for row in predictors["network"]):
        for name, summary in predictors.items():
            rmse, mae, r2 = (summary[place][measure] for measure in ("rmse", "mae", "r2"))
            rows.append(
                (
                    quantity,
                    name,
                    _short(rmse["value"]),
                    _ends(rmse),
                    _short(mae["value"]),
                    _short(r2["value"]),
                    _ends(r2),
                )
            )
    return rows


def _ends(measure: dict[str, float | None]) -> str:
    return f"{_short(measure['low'])} to {_short(measure['high'])}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose cells stand below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _told(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
