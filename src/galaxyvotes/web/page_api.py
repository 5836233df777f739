"""The page itself, what it shows, and whether the server is well."""

import hashlib
import mimetypes
import time
from importlib import resources
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.web.answers import tree_json
from galaxyvotes.web.catalogue import UNCERTAINTY
from galaxyvotes.web.site import InSite

__all__ = ["router"]

router = APIRouter(tags=["server"])

_STATIC = resources.files("galaxyvotes.web") / "static"
_FILES = {entry.name: entry.read_bytes() for entry in _STATIC.iterdir() if entry.is_file()}
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
}


@router.get("/", include_in_schema=False, response_model=None)
def page(request: Request) -> Response:
    """The page."""
    return _file("index.html", request)


@router.get("/static/{name}", include_in_schema=False, response_model=None)
def static(name: str, request: Request) -> Response:
    """A file of the page; there are no others."""
    return _file(name, request)


@router.get("/about", summary="What is served", response_model=None)
def about(site: InSite) -> dict[str, Any]:
    """The model, its trees, and the catalogue with its tree and columns."""
    table = site.catalogue
    return {
        "version": version("galaxyvotes"),
        "trees": [tree_json(tree) for tree in site.model.trees],
        "catalogue": None
        if table is None
        else {
            "name": table.path.name,
            "galaxies": table.galaxies,
            "tree": None if table.answers is None else tree_json(table.answers.tree),
            "answers": None if table.answers is None else dict(table.answers.columns),
            "numbers": list(table.numbers),
            "sorts": [UNCERTAINTY]
            if table.answers is not None and table.answers.tree.kind is not QUANTITIES
            else [],
            "familiarity": table.familiarity,
            "sky": table.sky is not None,
            "pictures": site.pictures is not None,
            "map": table.places is not None,
            "similar": site.look_alikes is not None,
            "interest": site.learned is not None,
            "judge": table.answers is not None and table.answers.is_evaluated,
            "votes": site.classifications is not None,
            "finetune": site.fine_tuner is not None,
            "informative": site.informed is not None,
        },
    }


@router.get("/healthz", summary="Whether the server answers", response_model=None)
def healthz(site: InSite) -> dict[str, Any]:
    """`status` is `ok` while it does."""
    return {"status": "ok", "seconds": round(time.time() - site.started, 3)}


@router.get("/metrics", summary="Counters for Prometheus", response_model=None)
def metrics(site: InSite) -> Response:
    """What was counted since the start, in Prometheus' text format."""
    text = site.statistics.text(site.model.batcher.waiting)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _file(name: str, request: Request) -> Response:
    data = _FILES.get(name)
    if data is None:
        return Response(status_code=404)
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    suffix = name[name.rfind(".") :]
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(data, media_type=kind, headers=headers)
