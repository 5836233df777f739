"""`/votes`: people answer the questions of the tree, and `/queue`: which galaxy is next."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import xxhash
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from galaxyvotes.web.catalogue import UNCERTAINTY, Catalogue
from galaxyvotes.web.gallery_api import Chosen
from galaxyvotes.web.informative import INFORMATION
from galaxyvotes.web.selection import Selection
from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["votes"])

_TOGETHER = 500  # rows whose ids are looked up at a time
Labeller = Annotated[str, Query(min_length=1, max_length=200, description="Who answers")]


class Given(BaseModel):
    """What a labeller answers for some galaxies; no answers skip them."""

    labeller: Annotated[str, Field(min_length=1, max_length=200)]
    galaxies: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    answers: Annotated[list[str], Field(max_length=200)] = []


class Who(BaseModel):
    """A labeller."""

    labeller: Annotated[str, Field(min_length=1, max_length=200)]


@router.post("/votes", summary="Answer for some galaxies", response_model=None)
def vote(site: InSite, given: Given) -> dict[str, Any]:
    """Keep the answers, which are columns of the tree, one a question; they are on the disk when
    this is answered.
    """
    for name in given.galaxies:
        site.table.row_of(name)
    step = site.labels.add(given.labeller, given.galaxies, given.answers)
    return {"step": step, "galaxies": len(given.galaxies)}


@router.post("/votes/undo", summary="Take back the last answer", response_model=None)
def undo(site: InSite, who: Who) -> dict[str, Any]:
    """The galaxies of the labeller's last step, which does not count any more."""
    return {"galaxies": site.labels.take_back(who.labeller)}


@router.get("/votes", summary="Who has answered how much", response_model=None)
def votes(
    site: InSite,
    galaxy: Annotated[str | None, Query(description="Only what is answered for this one")] = None,
) -> dict[str, Any]:
    """Each labeller's progress, and how often two of them agree."""
    labels = site.labels
    if galaxy is not None:
        given = labels.of_galaxy(galaxy)
        return {"votes": [{"labeller": who, "answers": answers} for who, answers in given]}
    return {
        "labellers": [progress._asdict() for progress in labels.progress()],
        "agreement": labels.agreement(),
        "file": labels.path.name,
    }


@router.get("/votes/export", summary="The votes as a table for pack", response_model=None)
def export(site: InSite) -> StreamingResponse:
    """A row a galaxy with the number of votes for each answer, as `galaxyvotes pack` reads it."""
    header = {"content-disposition": 'attachment; filename="votes.csv"'}
    lines = (line.encode() for line in site.labels.table())
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=header)


@router.get("/queue", summary="Which galaxies to label next", response_model=None)
def queue(
    site: InSite,
    chosen: Chosen,
    labeller: Labeller,
    order: Literal["uncertain", "unfamiliar", "informative", "random", "catalogue"] = "uncertain",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, Any]:
    """Galaxies of the selection that this labeller has neither answered nor skipped: those first
    that volunteers are predicted to differ about most, that look least familiar, from whose answers
    the network would learn most (see `/queue/informative`), or in an order that is random but stays
    the same for each labeller.
    """
    if order == "informative":
        site.informative.load()
    table, seen = site.table, site.labels.seen_by(labeller)
    found = list[str]()
    for name in _ids(table, chosen, order, labeller):
        if name not in seen:
            found.append(name)
            if len(found) == limit:
                break
    return {"galaxies": found}


@router.post("/queue/informative", summary="Find the most informative ones", response_model=None)
def find_informative(site: InSite) -> dict[str, Any]:
    """Begin to compare what views of each image are predicted to be, by the network that was
    fine-tuned last, in the background: galaxies about which they disagree teach it most.
    """
    return site.informative.begin()._asdict()


@router.get("/queue/informative", summary="How far that is", response_model=None)
def informative(site: InSite) -> dict[str, Any]:
    """`state` is `never`, `running`, `finished`, `failed` (for that `reason`) or `stopped`; `done`
    of `total` images are compared.
    """
    return site.informative.progress()._asdict()


def _ids(table: Catalogue, chosen: Selection, order: str, labeller: str) -> Iterator[str]:
    sort = {
        "uncertain": f"-{UNCERTAINTY}",
        "unfamiliar": table.familiarity or "",
        "informative": f"-{INFORMATION}",
    }.get(order, "")
    if order == "uncertain" and table.answers is None:
        sort = ""
    rows = table.rows(replace(chosen, sort=sort))
    if order == "random":
        seed = xxhash.xxh3_64_intdigest(labeller.encode("utf-8", "surrogatepass"))
        rows = np.random.default_rng(seed).permutation(rows)
    for start in range(0, len(rows), _TOGETHER):
        for row in table.read(rows[start : start + _TOGETHER].tolist(), ()):
            yield row["id"]
