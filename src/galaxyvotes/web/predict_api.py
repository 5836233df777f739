"""`POST /predict`: predictions for images that are sent."""

import asyncio
import json
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, File, Header, Query, Response, UploadFile
from fastapi.responses import JSONResponse

from galaxyvotes.kinds import FractionKind
from galaxyvotes.reports.html import jpeg_uri
from galaxyvotes.web.answers import galaxy_json
from galaxyvotes.web.model import Ask, Image, Replies
from galaxyvotes.web.site import InSite

__all__ = ["ARROW", "router"]

ARROW = "application/vnd.apache.arrow.stream"
_SECONDS = 120  # after which a request is given up

router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    summary="Predict the answers for images",
    response_model=None,
    responses={
        200: {"content": {"application/json": {}, ARROW: {}}, "description": "Predictions"},
        413: {"description": "The request has too many bytes"},
        422: {"description": "Not one image can be used, or a setting is wrong"},
        503: {"description": "Too many images wait; try again"},
    },
)
async def predict(
    site: InSite,
    file: Annotated[list[UploadFile], File(description="Images: JPEG, PNG, TIFF, FITS …")],
    tree: Annotated[str | None, Query(description="The tree; by default the model's first")] = None,
    fractions: Annotated[
        FractionKind, Query(description="Of all volunteers, or of those asked")
    ] = "joint",
    scale: Annotated[
        float | None, Query(description="How many times as many pixels a galaxy covers")
    ] = None,
    fit: Annotated[bool, Query(description="Take whole images, whatever their size")] = False,
    stretch: Annotated[
        str | None, Query(description="How FITS bands become pictures", pattern=r"^[a-z]+$")
    ] = None,
    pictures: Annotated[bool, Query(description="Also what the network takes of each")] = False,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """The same numbers as `galaxyvotes predict`, as JSON, or as an Arrow stream if `Accept` asks
    for it. Images that cannot be used are listed with their reasons in `rejected`.
    """
    images = [Image(one.filename or "image", await one.read()) for one in file]
    ask = Ask(tree, fractions, scale, fit, stretch)
    async with asyncio.timeout(_SECONDS):
        replies = await site.model.predict(images, ask)
    site.statistics.count_images(len(replies.predictions), len(replies.rejected))
    if ARROW in accept:
        return Response(_arrow(replies), media_type=ARROW)
    return JSONResponse(_json(replies, fractions, pictures=pictures))


def _json(replies: Replies, fractions: FractionKind, *, pictures: bool) -> dict[str, Any]:
    predictions, tree = replies.predictions, replies.tree
    galaxies = [galaxy_json(predictions, row, tree) for row in range(len(predictions))]
    if pictures:
        for galaxy, pixels in zip(galaxies, replies.pixels, strict=True):
            galaxy["picture"] = jpeg_uri(pixels)
    return {
        "tree": tree.name,
        "fractions": fractions,
        "galaxies": galaxies,
        "rejected": [{"id": name, "reason": reason} for name, reason in replies.rejected],
    }


def _arrow(replies: Replies) -> bytes:
    table = replies.predictions.to_table()
    schema = table.schema.with_metadata({"rejected": json.dumps(replies.rejected)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table.cast(schema))
    return sink.getvalue().to_pybytes()
