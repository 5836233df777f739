"""Which galaxies of a store have labels, and which of them a run was trained on.

A galaxy counts as seen if its pixels, or its id in a catalogue of the same kind of ids, are in the
training or validation set of the run, so it is found however the store was packed or divided.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from galaxyvotes.errors import CheckpointError, DataError
from galaxyvotes.runs.network import Head
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.store.held_out import remedy_for_few
from galaxyvotes.store.seen_before import BUNDLED
from galaxyvotes.store.store import Store

__all__ = [
    "calibrated_on",
    "examples",
    "has_start",
    "head_for",
    "labelled_rows",
    "labels_of",
    "of_them",
    "other_galaxies",
    "refuse_calibrated",
    "refuse_seen",
    "run_and_start",
    "seen_by",
    "volunteers_of",
    "with_labels",
]

_EXAMPLES = 3  # ids that an error names


# ---- labels


def head_for(run: Run, store: Store) -> Head:
    """The head of a run that predicts the answers of a store.

    Raises:
        CheckpointError: The run has no head for the tree of the store or has it in other units, or
            it takes other images.
    """
    head = next((head for head in run.heads if head.tree.questions == store.tree.questions), None)
    if head is None:
        trees = " and ".join(repr(head.tree.name) for head in run.heads)
        namesakes = [head.tree for head in run.heads if head.tree.name == store.tree.name]
        unlike = f": {namesakes[0].difference_from(store.tree)}" if namesakes else ""
        raise CheckpointError(
            f"{run.title} predicts the tree {trees}, and {store.path} holds labels of"
            f" {store.tree.name!r}{unlike}"
        )
    if unlike := head.tree.unlike_unit(store.tree.units):
        raise CheckpointError(
            f"{run.title} and {store.path} have different units: {unlike}; pack the table again"
            " with the column in the unit of the run"
        )
    store.must_fit(run.pack, run.title)
    return head


def labelled_rows(store: Store, split: str, head: Head) -> Int[np.ndarray, " galaxy"]:
    """The galaxies of a split with at least one known answer of the head.

    Raises:
        DataError: There is none.
    """
    rows = with_labels(store, store.rows(split), head)
    if not len(rows):
        only = "" if store.largest is None else " (which fraction is the largest is no fraction)"
        remedy = "" if split == "train" else f": {remedy_for_few(store.manifest)}"
        raise DataError(
            f"{store.path} has no galaxy with {head.tree.kind.label} in its {split} split{only}"
            f"{remedy}"
        )
    return rows


def with_labels(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Int[np.ndarray, " labelled"]:
    """Those of these galaxies with at least one known answer of the head."""
    return rows[~np.isnan(labels_of(store, rows, head)).all(axis=1)]


def labels_of(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Float32[np.ndarray, "galaxy answer"]:
    """The labels of these galaxies for the answers of the head: joint fractions or quantities, NaN
    where not known.
    """
    return store.values[rows][:, _places(store, head)]


def volunteers_of(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Float[np.ndarray, "galaxy answer"] | None:
    """The number of volunteers behind each joint fraction, NaN where not known; None if the store
    holds no votes.
    """
    if store.votes is None:
        return None
    return store.tree.volunteers(store.votes[rows])[:, _places(store, head)]


def _places(store: Store, head: Head) -> list[int]:
    return [store.tree.columns.index(column) for column in head.columns]


# ---- galaxies that a run has seen


def seen_by(run: Run, store: Store, *splits: str) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store are in the training or validation set of a run, by their pixels or
    their ids.

    With `splits`, only those that the run has seen as such: `train` for its training set,
    `validation` for the set that chose its epoch.
    """
    return store.seen_in(run.seen, *splits)


def calibrated_on(run: Run, store: Store, head: Head) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store are in the calibration set of a run's head, by their pixels."""
    pixels = run.calibration(run.heads.index(head) + 1).pixels
    return np.array([digest in pixels for digest in store.pixels], bool)


def refuse_seen(
    run: Run,
    store: Store,
    rows: Int[np.ndarray, " galaxy"],
    remedy: str | None = None,
) -> None:
    """Refuse test galaxies that are in the training or validation set of the run.

    Raises:
        DataError: There are some.
    """
    if (seen := seen_by(run, store)[rows]).any():
        raise DataError(
            f"{of_them(seen, 'test galaxy', store)} in the training or validation set of"
            f" {run_and_start(run)} ({examples(store, rows[seen])}), so errors on"
            f" {agreeing(int(seen.sum()), 'it')} are too small:"
            f" {remedy or other_galaxies(run) + ', or pass `allow_seen=True`'}"
        )


def run_and_start(run: Run) -> str:
    """What a message calls a run, and the one that it started from, whose galaxies it has seen."""
    start = f", or of {run.facts['start']}, from which it started" if has_start(run) else ""
    return f"{run.title}{start}"


def has_start(run: Run) -> bool:
    """Whether a run began with the weights of another, whose galaxies it has seen."""
    return "known_before" in run.facts


def other_galaxies(run: Run) -> str:
    """How to come to galaxies that a run has not seen."""
    if run.title == BUNDLED:
        return "give galaxies that it has not seen"
    if has_start(run):
        return (
            f"pack other galaxies, or these again for {run.facts['start']}, which puts those it"
            " has seen into the training set, and fine-tune again"
        )
    return "use the store it was trained on"


def refuse_calibrated(run: Run, store: Store, rows: Int[np.ndarray, " galaxy"], head: Head) -> None:
    """Refuse test galaxies that are in the calibration set of the run's head.

    Raises:
        DataError: There are some.
    """
    if (used := calibrated_on(run, store, head)[rows]).any():
        raise DataError(
            f"{of_them(used, 'test galaxy', store)} in the calibration set of {run.title}"
            f" ({examples(store, rows[used])}), so the coverage of its prediction intervals on"
            f" {agreeing(int(used.sum()), 'it')} is too good: calibrate it on validation galaxies,"
            " or pass `allow_seen=True`"
        )


def of_them(some: Bool[np.ndarray, " galaxy"], each: str, store: Store) -> str:
    """How many some of the galaxies of a store are, and what each is called: "1 of the 27 test
    galaxies of store is".
    """
    number = int(some.sum())
    every = counted(len(some), each)
    return f"{number:,} of the {every} of {store.path} {agreeing(number, 'is')}"


def examples(store: Store, rows: Int[np.ndarray, " galaxy"]) -> str:
    """The ids of the first few of these galaxies."""
    more = " …" if len(rows) > _EXAMPLES else ""
    return ", ".join(store.ids[int(row)] for row in rows[:_EXAMPLES]) + more
