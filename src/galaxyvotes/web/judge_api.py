"""`/judge`: how good the predictions of an evaluated table are, and which galaxies say so."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from galaxyvotes.web.judge import judged_answer
from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["judge"])


@router.get("/judge", summary="How good predictions are", response_model=None)
def judge(site: InSite) -> dict[str, Any]:
    """The worst, best, least familiar and most uncertain galaxies, the measures with their 95 %
    confidence intervals, those of each answer, and confusion matrices. What counts galaxies has the
    words of the `filter` that finds them.
    """
    return site.judged


@router.get("/judge/answer", summary="How good those of one answer are", response_model=None)
def answer(
    site: InSite, answer: Annotated[str, Query(description="An answer", max_length=1000)]
) -> dict[str, Any]:
    """Its ROC curve with the galaxies at some cuts, its reliability diagram, and how predictions
    and labels go together.
    """
    return judged_answer(site.table, answer)
