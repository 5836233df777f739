"""A run calibrated on galaxies that it was not trained on: prediction intervals or, for classes,
calibrated probabilities, and familiarity.

The galaxies of one split are predicted, and their errors give the prediction intervals (see
`conformal`) of joint and of conditional fractions, or of quantities. With whole votes in the store,
the intervals are for the number of volunteers of each galaxy. Galaxies of the training set are
refused; so are those that chose the epoch, because their errors are too small, too.

The same galaxies, or those of another store, give the familiarity score (see `familiarity`): up to
4,000 training galaxies are the known ones, and those of the split, none of them among these, the
references. If there are too few training galaxies, half of the references are known instead.

Each question gets temperature scaling (see `temperature`), so that 50 to 200 labels of another
survey mend what is wrong with all of its galaxies. Classes have no intervals, so that all galaxies
fit it. With intervals, it is fitted on the third of the galaxies that gives the scale of the
errors, so that for the rest, which gives the quantiles, these are the predictions of any network.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from galaxyvotes.confidence.conformal import (
    COVERAGE,
    PredictionIntervals,
    check_coverage,
    fit_intervals,
    galaxies_needed,
    largest_coverage,
    split_galaxies,
)
from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.temperature import TemperatureScaling, fit_scalings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.evaluation.seen import (
    examples,
    has_start,
    head_for,
    labelled_rows,
    labels_of,
    of_them,
    other_galaxies,
    run_and_start,
    seen_by,
    volunteers_of,
    with_labels,
)
from galaxyvotes.inference.engine import appearance_rows, forward_rows, predict_store, predict_views
from galaxyvotes.kinds import QUANTITIES, ValueKind
from galaxyvotes.runs.calibration import Calibration
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_path, new_folder
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.store.store import Store

__all__ = ["calibrate", "why_not"]

KNOWN = 4000  # training galaxies that familiarity is measured from: plenty for 256 features

Rows = Int[np.ndarray, " galaxy"]
Values = Float[np.ndarray, "galaxy answer"]


class References(NamedTuple):
    """Galaxies of a store that familiarity is measured from, and those that give its ranks."""

    store: Store
    known: Rows
    references: Rows


@enough_memory("set OMP_NUM_THREADS=1 in the environment, or use `device='cpu'`")
def calibrate(
    store: Store | str | Path,
    run: Run | str | Path | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    split: str = "validation",
    coverage: float = COVERAGE,
    familiar: Store | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Calibration:
    """The calibration of a run, or the bundled one, on one split of a store.

    It is also written into the run folder, or into a copy of the run in the new folder `out`: its
    predictions have bounds and familiarity scores from now on. Of several trees, a copy predicts
    the one that it was calibrated for, unless another is named. The bundled run needs `out`, and a
    run that is calibrated for this tree already needs `out` or `overwrite`.

    For a galaxy like these, the label lies within the bounds of an answer with a probability of
    `coverage`. Classes have no bounds: their probabilities are calibrated, and so change, as do
    predictions for any tree of one question. Conditional fractions are calibrated,
    too, unless the run lacks answers that lead to others.

    Calibrate on another split than `test`, or `evaluate` refuses these galaxies. Where few galaxies
    are labelled, `familiar` is another store of galaxies like them, labelled or not, whose training
    galaxies and the same split give the familiarity score. `seed` draws the third of the galaxies
    that gives the scale of errors, and the galaxies of the familiarity score.

    Raises:
        CheckpointError: Run and store do not belong together, or the run is damaged.
        ConfigError: The seed is negative, the coverage is not between 0 and 1, the run is bundled
            or calibrated already and `out` is missing, or `out` holds anything.
        DataError: Galaxies of the split are in the training set of the run or chose its epoch, or
            there are too few galaxies, or memory is short.
    """
    if run is None and out is None:
        raise ConfigError(
            "the bundled run is part of the package and stays as it is: name a folder for its"
            " calibrated copy with `out=…`, or a run of your own with `run=…`"
        )
    run = open_run(run)
    store = store if isinstance(store, Store) else Store.open(store)
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected 0 or more")
    head = head_for(run, store)
    if out is None and not overwrite:
        _refuse_calibrated_run(run, head)
    rows = labelled_rows(store, split, head)
    if head.kind.intervals:
        check_coverage(coverage, len(rows))
    _refuse_training_galaxies(run, store, rows, split)
    with _destination(run, out, head) as place:
        network = run.network(choose_device(device), tree=head.tree.name, as_trained=True)
        references = _references(run, network, store, rows, split, familiar)
        labels = labels_of(store, rows, head)
        scaling = _scale_logits(network, store, rows, labels, seed, progress=progress)
        joint = conditional = None
        if head.kind.intervals:
            joint, conditional = _intervals(
                network, store, rows, labels, coverage, seed, progress=progress
            )
        calibration = Calibration(
            joint,
            conditional,
            familiarity_of(network, references, seed),
            scaling,
            frozenset(store.pixels[int(row)] for row in rows),
        )
        place.save_calibration(calibration, network.head_index + 1)
    return calibration


# ---- where it is written


@contextmanager
def _destination(run: Run, out: str | Path | None, head: Head) -> Generator[Run]:
    """The run to write the calibration into, held for writing: the run itself, or a copy that
    appears whole and predicts the tree of the head.
    """
    if out is None:
        with locked(run.path / "calibration"):
            yield run
    else:
        with new_folder(given_path(out)) as folder:
            yield run.copy_to(folder, head.tree.name)


def _refuse_calibrated_run(run: Run, head: Head) -> None:
    there = run.calibration(run.heads.index(head) + 1)
    if there.joint or there.familiarity or there.temperature:
        raise ConfigError(
            f"{run.title} is calibrated already for the tree {head.tree.name!r}, on"
            f" {counted(len(there.pixels), 'galaxy')}: pass `overwrite=True` to replace that, or"
            " `out=…` for a calibrated copy"
        )


# ---- which galaxies


def why_not(run: Run, store: Store, head: Head) -> str:
    """Why the validation galaxies of a store cannot calibrate a run, and what can; empty if they
    can.
    """
    rows = with_labels(store, store.rows("validation"), head)
    needed = galaxies_needed() if head.kind.intervals else 1
    if len(rows) < needed:
        lower = largest_coverage(len(rows)) if head.kind.intervals else 0
        return (
            f"The store {store.path.name} has {counted(len(rows), 'labelled validation galaxy')}"
            f" and calibration needs {needed:,}: pack more galaxies, or larger shares for"
            " validation and test (--splits 0.4,0.3,0.3), train or fine-tune on that store, and"
            " calibrate the new run"
            + (f"; or calibrate with --coverage {lower:g}." if lower else ".")
        )
    if not (used := _used_in_training(run, store)[rows]).any():
        return ""
    if seen_by(run, store, "train")[rows].any():
        how, remedy = "trained on", "calibrate it on a store of galaxies that it has not seen"
    else:
        how = "chosen by"
        remedy = "train with --set train.keep=last --set train.patience=0, or use other galaxies"
    return (
        f"It was {how} {int(used.sum()):,} of the {counted(len(rows), 'validation galaxy')} of"
        f" {store.path.name}: {remedy}."
    )


def _used_in_training(run: Run, store: Store) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store are in the training set of a run, or chose its epoch."""
    return seen_by(
        run, store, "train", *(("validation",) if run.recipe.train.selects_epoch else ())
    )


def _refuse_training_galaxies(run: Run, store: Store, rows: Rows, split: str) -> None:
    used = _used_in_training(run, store)[rows]
    if not used.any():
        return
    in_training = seen_by(run, store, "train")[rows].any()
    how = "in the training set of" if in_training else "among those that chose the epoch of"
    remedy = (
        "" if in_training else " train with `settings=('train.keep=last', 'train.patience=0')`, or"
    )
    others = (
        other_galaxies(run)
        if in_training and has_start(run)
        else "give another store, packed with the `splits=SplitSettings(key=…)` that it was trained"
        " with or without its galaxies"
    )
    raise DataError(
        f"{of_them(used, f'{split} galaxy', store)} {how} {run_and_start(run)}"
        f" ({examples(store, rows[used])}), so {agreeing(int(used.sum()), 'its')} errors are too"
        f" small to calibrate with:{remedy} {others}"
    )


def _references(
    run: Run,
    network: Network,
    store: Store,
    rows: Rows,
    split: str,
    familiar: Store | str | Path | None,
) -> References:
    """The galaxies of the familiarity score: those of `familiar`, or else of the store itself."""
    if familiar is None:
        return References(store, store.rows("train"), rows)
    other = familiar if isinstance(familiar, Store) else Store.open(familiar)
    other.must_fit(network.pack, run.title)
    references = other.rows(split)
    references = references[~_used_in_training(run, other)[references]]
    if not len(references):
        raise DataError(
            f"{other.path} has no {split} galaxy that is not in the training set of {run.title}"
        )
    return References(other, other.rows("train"), references)


# ---- what is fitted


def _scale_logits(
    network: Network, store: Store, rows: Rows, labels: Values, seed: int, *, progress: bool
) -> tuple[TemperatureScaling, ...]:
    """The temperature scaling of each question, after which the network predicts with it; none for
    an objective that cannot be scaled.
    """
    if not network.objective.softmax_of_logits:
        return ()
    known = np.any(~np.isnan(labels), axis=1)
    for_scale = (
        split_galaxies(known, seed)[0] if network.head.kind.intervals else known.nonzero()[0]
    )
    views = predict_views(network, store, rows[for_scale], progress=progress)
    scaling = fit_scalings(views, labels[for_scale], network.tree)
    calibration = Calibration(temperature=scaling)
    for module in (network.module, *network.other_members):
        calibration.scale_logits(module, network.outputs, network.tree)
    return scaling


def _intervals(
    network: Network,
    store: Store,
    rows: Rows,
    labels: Values,
    coverage: float,
    seed: int,
    *,
    progress: bool,
) -> tuple[PredictionIntervals, PredictionIntervals | None]:
    """The prediction intervals of joint fractions or of quantities, and those of conditional
    fractions, if there are any.
    """
    tree, columns = network.tree, network.columns
    predicted = predict_store(network, store, rows, progress=progress, intervals=False)
    volunteers = volunteers_of(store, rows, network.head)

    def fit(kind: ValueKind, spread: Values | None) -> PredictionIntervals:
        return fit_intervals(
            labels,
            predicted.values,
            tree,
            spread,
            kind=kind,
            coverage=coverage,
            volunteers=volunteers,
            columns=columns,
            seed=seed,
        )

    if tree.kind is QUANTITIES:
        return fit("quantity", predicted.spread), None
    joint = fit("joint", predicted.spread)
    if tree.orphans(columns):
        return joint, None
    spread = predicted.spread
    if spread is not None:
        spread = predict_store(
            network.as_conditional, store, rows, progress=progress, intervals=False
        ).spread
    return joint, fit("conditional", spread)


def familiarity_of(network: Network, galaxies: References, seed: int) -> Familiarity:
    """The familiarity score of a network from up to `KNOWN` of the known galaxies, with ranks among
    the references; if fewer than half as many are known as there are references, half of the
    references are the known galaxies instead.
    """
    random = np.random.default_rng(seed)
    known = random.permutation(np.setdiff1d(galaxies.known, galaxies.references))[:KNOWN]
    references = galaxies.references
    if len(known) < len(references) / 2:
        known, references = np.array_split(random.permutation(references), 2)
    store, parts = galaxies.store, (np.sort(known), np.sort(references))
    features = [forward_rows(network.folded, store, rows).features for rows in parts]
    of_known, of_references = (appearance_rows(store, rows) for rows in parts)
    return Familiarity.fit(*features, appearance=(of_known, of_references))
