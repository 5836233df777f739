"""`/points` and `/similar`: the map of a catalogue, and the galaxies that look like one of them.

Numbers of all galaxies go to the page as they are: 32-bit floats, little-endian, in the order of
the catalogue, NaN where nothing is known.
"""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response

from galaxyvotes.web.gallery_api import Chosen
from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["map"])

_MOST = 500  # names, or neighbours
_NUMBERS = "application/octet-stream"


@router.get("/points", summary="Where galaxies are on the map", response_model=None)
def points(site: InSite) -> Response:
    """x of all galaxies, then y of all."""
    return _numbers(np.concatenate([site.table.values(name) for name in site.places]))


@router.get("/points/values", summary="A column of numbers", response_model=None)
def values(site: InSite, column: str) -> Response:
    """The number that each galaxy has in a column."""
    return _numbers(site.table.values(column))


@router.get("/points/selected", summary="Which galaxies are selected", response_model=None)
def selected(site: InSite, chosen: Chosen) -> Response:
    """A byte for each galaxy: 1 if the selection has it."""
    mask = np.zeros(site.table.galaxies, np.uint8)
    mask[site.table.rows(chosen)] = 1
    return Response(mask.tobytes(), media_type=_NUMBERS)


@router.get("/points/names", summary="The ids of some rows", response_model=None)
def names(site: InSite, row: Annotated[list[int], Query(max_length=_MOST)]) -> list[dict[str, Any]]:
    """The id of each row that the catalogue has."""
    rows = sorted({one for one in row if 0 <= one < site.table.galaxies})
    return site.table.read(rows, ())


@router.get("/similar", summary="Galaxies that look like one", response_model=None)
def similar(
    site: InSite,
    id: Annotated[str, Query(max_length=4096)],  # noqa: A002
    count: Annotated[int, Query(ge=1, le=_MOST)] = 12,
) -> dict[str, Any]:
    """The galaxies of the map that are nearest to one, and their distances, 1 - cos."""
    return {"id": id, "galaxies": site.map.like(id, count)}


def _numbers(numbers: np.ndarray) -> Response:
    return Response(numbers.astype("<f4").tobytes(), media_type=_NUMBERS)
