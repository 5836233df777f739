"""How far off a run's answers may be, measured on galaxies that it has never learned from.

The galaxies of one split are predicted, and their errors become intervals (see `conformal`) of
joint and of conditional fractions, which are kept in the run folder. If the store holds whole
votes, they know how many volunteers each galaxy had; quantities have one kind of interval. A galaxy
that taught the run is refused; so is one that chose its epoch, because its errors are too small,
too.

The same galaxies, or those of another store, also say what is familiar to the run (see `familiarity`):
training galaxies, up to 4,000, give the measure, and those of the split, none of them among those,
the ranks. If there are too few training galaxies for that, half of the others give the measure and
the other half the ranks.

Of a head of one question, the third of the galaxies that gives the scale of the errors says first
how sure the answers should be (see `temperature`); so for the rest, which gives their quantiles,
these are any network's answers. Trees of several questions keep their answers: in cross-validation
over 736 galaxies of the challenge there was nothing to win.
"""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from galaxyvotes.confidence.conformal import COVERAGE, fit_intervals, split_galaxies
from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.evaluation.seen import head_for, known_rows, labels_of, seen_by, volunteers_for
from galaxyvotes.inference.engine import forward_rows, predict_store, predict_views
from galaxyvotes.runs.calibration import Calibration
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.store.store import Store

__all__ = ["calibrate"]

KNOWN = 4000  # galaxies that give the measure: plenty for 256 features


def calibrate(
    store: Store | str | Path,
    run: Run | str | Path,
    *,
    split: str = "validation",
    coverage: float = COVERAGE,
    familiar: Store | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Calibration:
    """Measure a run on one split of a store and keep the result: from now on its predictions have
    bounds.

    They also say how familiar each galaxy is, and warn of a catalogue unlike these; answers to a
    tree of one question change, to be as sure as these galaxies bear out. What you get holds the
    calibration of joint fractions, or of quantities, and that of conditional fractions, unless the
    run lacks answers that lead to others.

    A new galaxy like these has its volunteers' fraction, or its quantity, within the bounds of an
    answer with a chance of `coverage`. The test split is for judging; calibrate on another, or
    `evaluate` will refuse it. Where few galaxies are labelled, `familiar` is another store of
    galaxies like them, in which what is familiar is measured: the same split, labels or none.
    `seed` draws which third of the galaxies gives the scale, and which say what is familiar.

    DataError if a galaxy of the split taught the run or chose its epoch, or if there are too few of
    them.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    store = store if isinstance(store, Store) else Store.open(store)
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected 0 or more")
    head = head_for(run, store)
    rows = known_rows(store, store.rows(split), head)
    if (seen := _learned_from(run, store)[rows]).any():
        examples = ", ".join(np.array(store.ids, object)[rows[seen][:3]])
        taught = seen_by(run, store, "train")[rows].any()
        mend = "" if taught else " train with --set train.keep=last --set train.patience=0, or"
        raise DataError(
            f"{int(seen.sum()):,} of the {len(rows):,} {split} galaxies of {store.path}"
            f" {'taught' if taught else 'chose the epoch of'} {run.path} ({examples} …), so their"
            f" errors are too small to calibrate with:{mend} give another store, packed with the"
            " --split-key that it was trained with or without its galaxies"
        )
    network = run.network(choose_device(device), tree=head.tree.name, as_trained=True)
    known, references = store.rows("train"), rows
    if familiar is not None:
        others = familiar if isinstance(familiar, Store) else Store.open(familiar)
        others.must_fit(network.pack, str(run.path))
        known, references = others.rows("train"), others.rows(split)
        references = references[~_learned_from(run, others)[references]]
        if not len(references):
            raise DataError(
                f"{others.path} has no {split} galaxy that {run.path} has not learned from"
            )
    else:
        others = store
    labels, volunteers = labels_of(store, rows, head), volunteers_for(store, rows, head)
    temperature = None
    if len(head.tree.questions) == 1 and network.objective.softmax_of_logits:
        for_scale = split_galaxies(np.any(~np.isnan(labels), axis=1), seed)[0]
        for_scale = for_scale[~np.isnan(labels[for_scale]).any(axis=1)]
        said = predict_views(network, store, rows[for_scale], progress=progress)
        temperature = TemperatureScaling.fit(said, labels[for_scale])
        temperature.apply_to(network.module, network.outputs)
        for other in network.other_members:
            temperature.apply_to(other, network.outputs)
    predicted = predict_store(network, store, rows, progress=progress, intervals=False)
    fitted = partial(
        fit_intervals,
        labels,
        predicted.values,
        head.tree,
        coverage=coverage,
        volunteers=volunteers,
        columns=head.columns,
        seed=seed,
    )
    kind = "quantity" if head.tree.of_quantities else "joint"
    joint, conditional, spread = fitted(predicted.spread, kind=kind), None, predicted.spread
    if not head.tree.of_quantities and not head.tree.orphans(head.columns):
        if spread is not None:
            told = predict_store(
                network.as_conditional, store, rows, progress=progress, intervals=False
            )
            spread = told.spread
        conditional = fitted(spread, kind="conditional")
    met = familiarity_of(network, others, known, references, seed)
    pixels = frozenset(store.pixels[int(row)] for row in rows)
    found = Calibration(joint, conditional, met, temperature, pixels)
    run.save_calibration(found, network.head_index + 1)
    return found


def _learned_from(run: Run, store: Store) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store taught a run, or chose its epoch."""
    return seen_by(run, store, "train", *(("validation",) if run.recipe.train.chooses else ()))


def familiarity_of(
    network: Network,
    store: Store,
    known: Int[np.ndarray, " known"],
    references: Int[np.ndarray, " reference"],
    seed: int,
) -> Familiarity:
    """What is familiar to a network after these known galaxies, up to `KNOWN` of them, with ranks
    among the references; among half of the references, after the others, if hardly any others are
    known.
    """
    random = np.random.default_rng(seed)
    known = random.permutation(np.setdiff1d(known, references))[:KNOWN]
    if len(known) < len(references) / 2:
        known, references = np.array_split(random.permutation(references), 2)
    known, references = (
        forward_rows(network.folded, store, np.sort(part)).features for part in (known, references)
    )
    return Familiarity.fit(known, references)
