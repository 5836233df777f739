"""The application: routes, and errors as JSON, `{"error": sentence}`."""

import time
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galaxyvotes.errors import GalaxyVotesError
from galaxyvotes.web import (
    finetuning_api,
    gallery_api,
    judge_api,
    labelling_api,
    map_api,
    page_api,
    predict_api,
    stars_api,
)
from galaxyvotes.web.batcher import Busy
from galaxyvotes.web.guard import Guard
from galaxyvotes.web.site import Site

__all__ = ["MAX_BYTES", "create_app"]

MAX_BYTES = 64 * 2**20  # of a request
_ROUTES = (
    predict_api,
    gallery_api,
    map_api,
    labelling_api,
    stars_api,
    finetuning_api,
    judge_api,
    page_api,
)


def create_app(site: Site, *, token: str = "", max_bytes: int = MAX_BYTES) -> Guard:
    """The application behind its guard; with a token, every request needs it."""
    app = FastAPI(
        title="galaxyvotes",
        version=version("galaxyvotes"),
        summary="Predict how volunteers would classify galaxies, and look at catalogues of them.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.site = site
    for module in _ROUTES:
        app.include_router(module.router)
    _add_errors(app)

    return Guard(_Counted(app, site), token, max_bytes)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(GalaxyVotesError)
    async def refused(_: Request, error: Exception) -> Response:  # pyright: ignore
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:  # pyright: ignore
        assert isinstance(error, RequestValidationError)
        problems = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"error": "; ".join(problems)}, 422)

    @app.exception_handler(Busy)
    async def busy(_: Request, __: Exception) -> Response:  # pyright: ignore
        error = "too many images wait: try again in a second"
        return JSONResponse({"error": error}, 503, {"retry-after": "1"})

    @app.exception_handler(TimeoutError)
    async def late(_: Request, __: Exception) -> Response:  # pyright: ignore
        error = "the images could not be predicted in time: send fewer at a time"
        return JSONResponse({"error": error}, 503, {"retry-after": "5"})

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> Response:  # pyright: ignore
        return JSONResponse({"error": "the server failed; its log has the reason"}, 500)

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: Exception) -> Response:  # pyright: ignore
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


@dataclass(frozen=True)
class _Counted:
    """An application whose requests are counted."""

    app: ASGIApp
    site: Site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, status = time.perf_counter(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - start
            self.site.statistics.count_request(route, status, seconds)
