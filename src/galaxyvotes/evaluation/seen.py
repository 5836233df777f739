"""Which galaxies of a store a run may be judged on, and what volunteers said of them.

A galaxy counts as seen if its pixels, or its id in a catalogue of the same kind of ids, taught or
tuned the run: it is found however the second store was packed or divided.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from galaxyvotes.errors import CheckpointError
from galaxyvotes.runs.network import Head
from galaxyvotes.runs.run import Run
from galaxyvotes.store.store import Store

__all__ = ["calibrated_on", "head_for", "known_rows", "labels_of", "seen_by", "volunteers_for"]


def head_for(run: Run, store: Store) -> Head:
    """The head of a run that answers what a store asks; strangers are refused."""
    head = next((head for head in run.heads if head.tree.questions == store.tree.questions), None)
    if head is None:
        answered = " and ".join(repr(head.tree.name) for head in run.heads)
        raise CheckpointError(
            f"{run.path} answers the tree {answered}, and {store.path} holds votes on"
            f" {store.tree.name!r}"
            + next(
                (
                    f": {each.tree.unlike(store.tree)}"
                    for each in run.heads
                    if each.tree.name == store.tree.name
                ),
                "",
            )
        )
    store.must_fit(run.pack, str(run.path))
    return head


def known_rows(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Int[np.ndarray, " known"]:
    """Those of these galaxies of which at least one answer of the head is known."""
    return rows[~np.isnan(labels_of(store, rows, head)).all(axis=1)]


def labels_of(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Float32[np.ndarray, "galaxy answer"]:
    """What volunteers said of these galaxies: joint fractions of the head's answers, NaN where not
    known.
    """
    places = [store.tree.columns.index(column) for column in head.columns]
    return store.values[rows][:, places]


def volunteers_for(
    store: Store, rows: Int[np.ndarray, " galaxy"], head: Head
) -> Float[np.ndarray, "galaxy answer"] | None:
    """Of how many volunteers each of these fractions is (NaN where not known); None if the store
    holds no votes.
    """
    if store.votes is None:
        return None
    places = [store.tree.columns.index(column) for column in head.columns]
    return store.tree.volunteers(store.votes[rows])[:, places]


def seen_by(run: Run, store: Store, *splits: str) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store taught or tuned a run, by their pixels or their ids.

    With `splits`, only those that the run has seen as such: the training galaxies taught it, the
    validation galaxies tuned it.
    """
    rows = [row for row in run.seen.to_pylist() if not splits or row["split"] in splits]
    pixels = {row["pixels"] for row in rows}
    ids = {row["id"] for row in rows if row["id_name"] == store.id_name}
    return np.array(
        [name in ids or each in pixels for name, each in zip(store.ids, store.pixels, strict=True)],
        bool,
    )


def calibrated_on(run: Run, store: Store, number: int) -> Bool[np.ndarray, " galaxy"]:
    """Which galaxies of a store the calibration of a run's head of that number was measured on, by
    their pixels.
    """
    pixels = run.calibration(number).pixels
    return np.array([each in pixels for each in store.pixels], bool)
