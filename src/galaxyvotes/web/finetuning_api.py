"""`/finetune`: the network learns from the votes of the page."""

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["finetune"])

# The report has styles and pictures in itself; whatever else were in it could do nothing.
_ALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@router.get("/finetune", summary="How far fine-tuning is", response_model=None)
def progress(site: InSite) -> dict[str, Any]:
    """`state` is `never`, `running`, `finished`, `failed` or `stopped`; `commands` are the steps
    that began, `lines` what they print, `reports` which of `before` and `after` are there, and
    `galaxies` how many have answers now, of which `needed` suffice.
    """
    return site.finetuning.progress()._asdict()


@router.post("/finetune", summary="Fine-tune on the votes", response_model=None)
def begin(site: InSite) -> dict[str, Any]:
    """Pack the images with the votes that there are now, fine-tune, calibrate and evaluate the
    network in the background, one at a time.
    """
    return site.finetuning.begin()._asdict()


@router.post("/finetune/stop", summary="Stop fine-tuning", response_model=None)
def stop(site: InSite) -> dict[str, Any]:
    """What was made stays in its folder."""
    return site.finetuning.stop()._asdict()


@router.get("/finetune/{when}", summary="A report", response_class=HTMLResponse)
def report(site: InSite, when: Literal["before", "after"]) -> HTMLResponse:
    """The report on the galaxies that were kept apart, before or after fine-tuning."""
    page = site.finetuning.report(when).read_text("utf-8")
    return HTMLResponse(page, headers={"content-security-policy": _ALONE})
