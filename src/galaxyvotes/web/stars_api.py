"""`/stars`: what people find interesting, and galaxies sorted by it."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from galaxyvotes.search.interest import MOST_STARS
from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["stars"])


class Given(BaseModel):
    """The stars of some galaxies: 0 for what was looked at and is of no interest."""

    galaxies: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    stars: Annotated[int, Field(ge=0, le=MOST_STARS)]


@router.post("/stars", summary="Give stars to some galaxies", response_model=None)
def give(site: InSite, given: Given) -> dict[str, Any]:
    """Keep the stars; they are on the disk when this is answered."""
    site.stars.give(given.galaxies, given.stars)
    return stars(site)


@router.get("/stars", summary="How many galaxies have stars", response_model=None)
def stars(site: InSite) -> dict[str, Any]:
    """How many are `starred`, and how many were `seen` and got none."""
    given = site.stars.given()
    starred = sum(number > 0 for number in given.values())
    return {"starred": starred, "seen": len(given) - starred}


@router.get("/stars/export", summary="The stars as a table for odd", response_model=None)
def export(site: InSite) -> StreamingResponse:
    """A row a galaxy with its id and stars, as `odd` reads it."""
    header = {"content-disposition": 'attachment; filename="stars.csv"'}
    lines = (line.encode() for line in site.stars.table())
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=header)


@router.post("/stars/learn", summary="Learn from the stars what is interesting")
def learn(site: InSite) -> None:
    """Score all galaxies of the map by the stars there are now; `/galaxies` is then sorted by
    `-learned_interest`.
    """
    site.interest.learn()
