"""Pictures of galaxies by their ids, cropped as a network takes them, for people to look at."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import GalaxyVotesError
from galaxyvotes.images.read import read_square
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.store.store import Store

__all__ = ["pictures_of"]

_SIDE_PX = 192

Picture = UInt8[np.ndarray, "side side 3"]


def pictures_of(
    paths: Sequence[Path], pack: PackSettings, layout: FitsLayout, ids: tuple[str, ...]
) -> dict[str, Picture]:
    """The pictures of these galaxies, by id, from a store or from folders and archives; one that
    cannot be read, or is not there any more, is left out.
    """
    try:
        if (paths[0] / "store.toml").is_file():
            return _from_store(Store.open(paths[0]), ids)
        return _from_images(paths, replace(pack, size_px=_SIDE_PX), layout, set(ids))
    except GalaxyVotesError:
        return {}


def _from_store(store: Store, ids: tuple[str, ...]) -> dict[str, Picture]:
    rows = {name: row for row, name in enumerate(store.ids)}
    known = [name for name in ids if name in rows]
    return dict(zip(known, store.images(np.array([rows[name] for name in known])), strict=True))


def _from_images(
    paths: Sequence[Path], pack: PackSettings, layout: FitsLayout, ids: set[str]
) -> dict[str, Picture]:
    with open_source(paths, layout) as source:
        names = enumerate(source.images.unique_ids().to_pylist())
        rows = [(name, row) for row, name in names if name in ids]
        squares = {name: read_square(source.images[row], pack) for name, row in rows}
    return {name: square.pixels for name, square in squares.items() if square.pixels is not None}
