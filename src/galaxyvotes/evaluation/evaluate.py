"""A run evaluated on galaxies that it was not trained on, beside baselines, in one report.

Galaxies that the run has seen (see `seen`) are refused unless they are asked for by the name of
their split, or with `allow_seen`; the report then gives their number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from markupsafe import Markup

from galaxyvotes.errors import ConfigError
from galaxyvotes.evaluation.baselines import BASELINES
from galaxyvotes.evaluation.calibrate import why_not
from galaxyvotes.evaluation.published import check_published, published_protocol
from galaxyvotes.evaluation.seen import (
    calibrated_on,
    head_for,
    labelled_rows,
    labels_of,
    refuse_calibrated,
    refuse_seen,
    seen_by,
    volunteers_of,
)
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.inference.outcome import shift_of
from galaxyvotes.kinds import Kind
from galaxyvotes.metrics.coverage import noise_floor
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import (
    BEFORE_FINE_TUNING,
    Comparison,
    Conditional,
    ReportSettings,
    Seen,
    Values,
)
from galaxyvotes.reports.headline import html_table, text_table
from galaxyvotes.reports.write import FILES, Report, write_report
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runs.start import network_at_start
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_path
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.rights import check_writable
from galaxyvotes.store.store import Store

__all__ = ["Evaluation", "evaluate"]

CHALLENGE_ID = "GalaxyID"  # the 2014 leaderboard is of galaxies with ids of this name only

Rows = Int[np.ndarray, " galaxy"]

_LEFT_OUT = "Evaluated without baselines, as was asked for."
_FILE_SUFFIXES = (".csv", ".fits", ".html", ".json", ".parquet", ".pdf", ".png", ".svg", ".txt")


@dataclass(frozen=True)
class Evaluation:
    """The numbers of a report (`document`, what `report.json` holds) and where its files are."""

    report: Report
    kind: Kind

    @property
    def document(self) -> dict[str, Any]:
        """Every number, as in `report.json`."""
        return self.report.document

    @property
    def path(self) -> Path:
        """The page."""
        return self.report.html

    def __repr__(self) -> str:
        """One line: what was evaluated, and the page."""
        return f"<Evaluation of {counted(self.document['galaxies'], 'galaxy')}: {self.path}>"

    def _repr_html_(self) -> str:
        """For a notebook: the summary, the headline numbers, and the page."""
        summary, page = (Markup.escape(text) for text in (self.document["summary"], self.path))
        table = html_table(self.document, self.kind)
        return Markup("<p>{}</p>{}<p>{}</p>").format(summary, table, page)

    def table(self) -> str:
        """The headline numbers as text, the network first, then the baselines; below, a summary."""
        return f"{text_table(self.document, self.kind)}\n{self.document['summary']}"


@enough_memory("set OMP_NUM_THREADS=1 in the environment, or use `device='cpu'`")
def evaluate(
    store: Store | str | Path,
    run: Run | str | Path | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    split: str = "test",
    allow_seen: bool = False,
    as_published: bool = False,
    baselines: bool = True,
    seed: int = 0,
    resamples: int = 1000,
    device: str = "auto",
    progress: bool = True,
) -> Evaluation:
    """Evaluate a run, or the bundled one, on one split of a store: `report.html`, `.json` and
    `.csv`, and `predictions.csv` with every galaxy, in the folder `out`, or in the run's.

    A report that is there already is replaced only if `overwrite`. Without training galaxies in the
    store there are no baselines, and the report says so.

    A run that was fine-tuned to answers of the run it started from stands beside the network as it
    was before.

    `as_published` adds the protocol of the 2023 paper, marked as contaminated (see `published`).
    `seed` is of the bootstrap and of the boosted trees.

    Raises:
        CheckpointError: Run and store do not belong together, or the run is damaged.
        ConfigError: `out` is missing for the bundled run, is called as a file is or holds a
            report, the seed is negative, there are no resamples, or `as_published` is asked of
            quantities or classes.
        DataError: Test galaxies are in the training, validation or calibration set of the run, the
            split has no labelled galaxy, the folder cannot be written or another process is
            evaluating into it, or memory is short.
    """
    settings = ReportSettings(seed, resamples)
    if run is None and out is None:
        raise ConfigError(
            "the bundled run is no folder to write a report into: give the folder out"
        )
    run = open_run(run)
    folder = run.path if out is None else given_path(out)
    _refuse_report(folder, overwrite=overwrite)
    check_writable(folder)
    with locked(folder):
        _refuse_report(folder, overwrite=overwrite)
        store = store if isinstance(store, Store) else Store.open(store)
        head = head_for(run, store)
        if as_published:
            check_published(head.tree)
        rows = labelled_rows(store, split, head)
        if split == "test" and not allow_seen:
            refuse_seen(run, store, rows)
            refuse_calibrated(run, store, rows, head)
        network = run.network(choose_device(device), tree=head.tree.name)
        seen = seen_by(run, store)
        fitted, without = (
            _baselines(network, store, rows, seed, progress=progress)
            if baselines
            else ({}, _LEFT_OUT)
        )
        if baselines:
            fitted |= _before_fine_tuning(run, network, store, rows, progress=progress)
        comparison = replace(
            compare(network, store, rows, progress=progress),
            baselines=fitted,
            no_baselines=without,
            seen=_seen(run, store, rows, head),
            mirrored=run.recipe.mirrors,
            cannot_calibrate=why_not(run, store, head),
            contaminated=published_protocol(store, network, seen, settings)
            if as_published
            else None,
            on_leaderboard=store.id_name == CHALLENGE_ID and not seen[rows].any(),
            history=run.history,
            provenance=_provenance(run, store, split, rows, network),
        )
        return Evaluation(write_report(comparison, folder, settings), comparison.kind)


def _refuse_report(folder: Path, *, overwrite: bool) -> None:
    if folder.suffix.lower() in _FILE_SUFFIXES and not folder.is_dir():
        raise ConfigError(
            f"{folder} is the name of a file, and a report is a folder: name one; in it,"
            " predictions.csv has every galaxy"
        )
    there = next((name for name in FILES if (folder / name).exists()), None)
    if there is not None and not overwrite:
        raise ConfigError(
            f"{folder} holds a report already: pass `overwrite=True` to replace its {there}, or"
            " `out=…` for another one"
        )


def compare(network: Network, store: Store, rows: Rows, *, progress: bool) -> Comparison:
    """Predictions of these galaxies beside their labels, with bounds for the number of volunteers
    that each galaxy has.
    """
    labels = labels_of(store, rows, network.head)
    volunteers = volunteers_of(store, rows, network.head)
    predicted = predict_store(network, store, rows, progress=progress)
    conditional = _conditional(network, store, rows, predicted, labels, volunteers, progress)
    calibration, floor = network.intervals, np.nan
    if volunteers is not None:
        floor = noise_floor(labels, volunteers)
        if calibration is not None:
            bounds = calibration.bounds(predicted.values, predicted.spread, volunteers=volunteers)
            predicted = replace(predicted, bounds=bounds)

    def images(shown: Rows) -> UInt8[np.ndarray, "galaxy side side 3"]:
        return store.images(rows[shown])

    return Comparison(
        store.tree,
        labels,
        predicted,
        conditional=conditional,
        nominal_coverage=None if calibration is None else calibration.coverage,
        noise_floor=None if np.isnan(floor) else floor,
        shift=shift_of(network, predicted),
        images=images,
    )


def _conditional(
    network: Network,
    store: Store,
    rows: Rows,
    joint: Predictions,
    labels: Values,
    volunteers: Float[np.ndarray, "galaxy answer"] | None,
    progress: bool,
) -> Conditional | None:
    """Fractions of those who were asked, if the tree has several questions and their intervals are
    calibrated.
    """
    calibration = network.calibration.conditional
    if len(network.tree.questions) == 1 or calibration is None:
        return None
    predicted = predict_store(network.as_conditional, store, rows, progress=progress)
    if volunteers is not None:
        bounds = calibration.bounds(joint.values, predicted.spread, volunteers=volunteers)
        predicted = replace(predicted, bounds=bounds)
    asked = network.tree.conditional(labels, network.columns, min_asked=calibration.min_asked)
    return Conditional(asked, predicted)


def _seen(run: Run, store: Store, rows: Rows, head: Head) -> Seen:
    """How many of these galaxies the run has used, and for what."""
    training, validation = (
        int(seen_by(run, store, split)[rows].sum()) for split in ("train", "validation")
    )
    calibration = int(calibrated_on(run, store, head)[rows].sum())
    return Seen(training, validation, calibration, run.recipe.train.selects_epoch)


def _baselines(
    network: Network, store: Store, rows: Rows, seed: int, *, progress: bool
) -> tuple[dict[str, Predictions], str]:
    """The baselines, fitted to the training galaxies; without any of these, none, and why.

    They predict the answers that are known of training galaxies, and 0 for others, which are not
    known of evaluated galaxies either, so that nothing is measured of them.
    """
    trained, evaluated = (
        np.array([not np.isnan(labels).all() for labels in labels_of(store, part, network.head).T])
        for part in (store.rows("train"), rows)
    )
    if (evaluated & ~trained).any():
        return {}, (
            f"No baselines: {store.path.name} has no training galaxies with"
            f" {network.tree.kind.label} of every answer to fit them to."
        )
    known = tuple(name for name, is_known in zip(network.columns, trained, strict=True) if is_known)
    fitted: dict[str, Predictions] = {}
    for name, fit in BASELINES[network.head.kind].items():
        # To pyright a cached_property is no property, and so a Store no Galaxies.
        galaxies: Any = store
        part = fit(galaxies, rows, columns=known, seed=seed, progress=progress)
        values = np.zeros((len(rows), len(network.columns)), np.float32)
        values[:, trained] = part.values
        fitted[name] = replace(part, columns=network.columns, values=values)
    return fitted, ""


def _before_fine_tuning(
    run: Run, network: Network, store: Store, rows: Rows, *, progress: bool
) -> dict[str, Predictions]:
    """The predictions of the network that the run started from, if it predicted these answers."""
    device = next(network.module.parameters()).device
    start = network_at_start(run, network.tree.name, device)
    if start is None:
        return {}
    return {BEFORE_FINE_TUNING: predict_store(start, store, rows, progress=progress)}


def _provenance(
    run: Run, store: Store, split: str, rows: Rows, network: Network
) -> Mapping[str, str]:
    recipe, device = run.recipe, next(network.module.parameters()).device
    splits = store.manifest["splits"].items()
    members = f" (mean of {', '.join(run.members)})" if len(run.members) > 1 else ""
    return {
        "store": store.path.name,
        "labels": f"{store.manifest['votes']} (tree {store.tree.name})",
        "galaxies": ", ".join(f"{count:,} {name}" for name, count in splits),
        "evaluated on": counted(len(rows), f"{split} galaxy"),
        "image": str(store.pack),
        "run": f"{run.path.name}{members}",
        "recipe": (
            f"{recipe.name}: {recipe.model.name}, {network.objective.name},"
            f" {counted(recipe.train.epochs, 'epoch')}, batch {recipe.train.batch_size},"
            f" seed {recipe.train.seed}"
        ),
        "galaxyvotes": f"{run.facts['galaxyvotes']} (torch {torch.__version__}, {device})",
    }
