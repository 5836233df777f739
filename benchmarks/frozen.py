"""Features of galaxies that a network has never seen, for scripts that refit only its last layer.

The network is trained on the challenge's 37 fractions of 5,500 galaxies (recipe `compact`, 24
epochs): six minutes on two cores, and as long again for the features of what is published beside
them."""

from functools import partial
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, IN_PART, Catalogue, trained
from galaxyvotes.inference.engine import compute_rows, forward
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.batch import Batch

SOURCES = {"fractions": FRACTIONS, "in_part": IN_PART, "classes": CLASSES}


def knows_fractions(data: Path, work: Path) -> gv.Run:
    work.mkdir(parents=True, exist_ok=True)
    fractions = Catalogue(data, work, "fractions", FRACTIONS).whole
    return trained(fractions, work / "knows-fractions", "train.epochs=24")


def unseen(run: gv.Run, store: gv.Store) -> np.ndarray:
    """The rows of galaxies that no network behind a run was trained or stopped by."""
    seen = set(run.seen.column("pixels").to_pylist())
    return np.array([row for row, pixels in enumerate(store.pixels) if pixels not in seen])


def _by_view(network: gv.Network, batch: Batch, _: tuple[str, ...]) -> np.ndarray:
    parts = [forward(network, Batch(seen)).features for seen in views(batch.images, 8)]
    return np.stack(parts).astype(np.float16)


def frozen_features(
    run: gv.Run, data: Path, work: Path, name: str
) -> tuple[gv.Store, np.ndarray, np.ndarray]:
    """A catalogue's store, its rows that the run has never seen, and their features of each of
    eight views."""
    store = Catalogue(data, work, name, SOURCES[name]).whole
    rows, file = unseen(run, store), work / f"{name}-features.npy"
    if not file.exists():
        network = run.network().folded
        network.module.eval()
        parts = compute_rows(partial(_by_view, network), store, rows, progress=True)
        np.save(file, np.concatenate([*parts], axis=1))
    features = np.load(file)
    assert features.shape[1] == len(rows)
    return store, rows, features.astype(np.float32)
