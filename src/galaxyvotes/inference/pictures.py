"""Pictures of galaxies by their ids, cropped as a network takes them, for people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import GalaxyVotesError
from galaxyvotes.images.read import read_square
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.matching import Images
from galaxyvotes.sources.members import Member, files_at
from galaxyvotes.store.store import Store
from galaxyvotes.tables.names import name_column

__all__ = ["pictures_of", "pictures_of_rows"]

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


def pictures_of_rows(
    root: Path,
    others: Sequence[Path],
    pack: PackSettings,
    layout: FitsLayout,
    ids: tuple[str, ...],
) -> dict[str, Picture]:
    """The same of images that the rows of a table name: in folders and archives, or by their paths
    from the table's folder on.
    """
    pack = replace(pack, size_px=_SIDE_PX)
    try:
        if not others:
            return _squares(dict(zip(ids, files_at(root, [ids], layout), strict=True)), pack)
        with Source.open(*others, layout=layout) as source:
            images = Images(source.images)
            places = images.place_of_each(name_column(ids)).tolist()
            members: dict[str, Member] = {
                name: images.members[int(place)]
                for name, place in zip(ids, places, strict=True)
                if place >= 0
            }
            return _squares(members, pack)
    except GalaxyVotesError:
        return {}


def _squares(images: Mapping[str, Member], pack: PackSettings) -> dict[str, Picture]:
    squares = {name: read_square(image, pack).pixels for name, image in images.items()}
    return {name: pixels for name, pixels in squares.items() if pixels is not None}


def _from_store(store: Store, ids: tuple[str, ...]) -> dict[str, Picture]:
    rows = {name: row for row, name in enumerate(store.ids)}
    known = [name for name in ids if name in rows]
    return dict(zip(known, store.images(np.array([rows[name] for name in known])), strict=True))


def _from_images(
    paths: Sequence[Path], pack: PackSettings, layout: FitsLayout, ids: set[str]
) -> dict[str, Picture]:
    with open_source(paths, layout) as source:
        names = enumerate(source.images.unique_ids().to_pylist())
        members = {name: source.images[row] for row, name in names if name in ids}
        return _squares(members, pack)
