"""`/galaxies`: the galaxies of the catalogue, filtered, sorted, counted, shown and exported."""

import math
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web.answers import galaxy_json, number
from galaxyvotes.web.catalogue import STARS, Catalogue
from galaxyvotes.web.selection import Selection
from galaxyvotes.web.site import InSite, Site

__all__ = ["router"]

router = APIRouter(tags=["galaxies"])

_MOST = 500  # galaxies of a page
_KEEP = "private, max-age=3600"
Id = Annotated[str, Path(description="The id of a galaxy", max_length=4096)]


def _selection(
    filter: Annotated[  # noqa: A002
        list[str] | None,
        Query(description="COLUMN:LOW..HIGH, as Class1.1:0.5..<1, or COLUMN:=WORD, :!=WORD"),
    ] = None,
    q: Annotated[str, Query(description="A part of the id")] = "",
    cone: Annotated[str, Query(description="RA,DEC,RADIUS in degrees and arcseconds")] = "",
    sort: Annotated[str, Query(description="A column, or -COLUMN for the largest first")] = "",
    lasso: Annotated[str, Query(description="X,Y;X,Y;… a polygon on the map")] = "",
) -> Selection:
    return Selection.parse(filter or (), q, cone, sort, lasso)


Chosen = Annotated[Selection, Depends(_selection)]


@router.get("/galaxies", summary="A page of galaxies", response_model=None)
def galaxies(
    site: InSite,
    chosen: Chosen,
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
    limit: Annotated[int, Query(ge=0, le=_MOST)] = 60,
    column: Annotated[list[str] | None, Query(description="Numbers to give with each")] = None,
) -> dict[str, Any]:
    """The galaxies of the selection from `offset` on, in its order, and how many it has."""
    table = site.table
    rows = table.rows(chosen)
    found = table.read(rows[offset : offset + limit].tolist(), (column or [])[:50])
    return {
        "total": table.galaxies,
        "matching": len(rows),
        "offset": offset,
        "galaxies": [_plain(row) for row in found],
    }


@router.get("/histograms", summary="How the values of columns are distributed", response_model=None)
def histograms(
    site: InSite, chosen: Chosen, column: Annotated[list[str], Query(max_length=50)]
) -> dict[str, Any]:
    """Of each column the counts of the selection in equal bins from `low` to `high`. What the
    selection demands of the column itself does not count in its own histogram.
    """
    return site.table.histograms(column, chosen)


@router.get("/export", summary="The selection as a table", response_model=None)
def export(
    site: InSite,
    chosen: Chosen,
    format: Literal["csv", "parquet", "ids"] = "csv",  # noqa: A002
) -> Response:
    """All columns of the selected galaxies, in the order of the catalogue, or their ids."""
    table = site.table
    rows = table.rows(chosen)
    writer = {"csv": _csv, "parquet": _parquet, "ids": _ids}[format]
    suffix, kind = {
        "csv": ("csv", "text/csv; charset=utf-8"),
        "parquet": ("parquet", "application/vnd.apache.parquet"),
        "ids": ("txt", "text/plain; charset=utf-8"),
    }[format]
    header = {"content-disposition": f'attachment; filename="galaxies.{suffix}"'}
    return StreamingResponse(writer(table, table.parts(rows)), media_type=kind, headers=header)


@router.get("/galaxies/{id:path}/thumbnail", summary="A small picture", response_model=None)
def thumbnail(site: InSite, id: Id) -> Response:  # noqa: A002
    """What the network sees of the galaxy, as a JPEG of 192 pixels."""
    return _picture(site, id, large=False)


@router.get("/galaxies/{id:path}/image", summary="A large picture", response_model=None)
def image(site: InSite, id: Id) -> Response:  # noqa: A002
    """The whole image, as a JPEG of at most 1024 pixels."""
    return _picture(site, id, large=True)


@router.get("/galaxies/{id:path}", summary="One galaxy", response_model=None)
def galaxy(site: InSite, id: Id) -> Any:  # noqa: A002
    """Its answers and all columns of its row."""
    table = site.table
    try:
        row = table.row_of(id)
    except DataError as error:
        return _missing(error)
    values = table.whole_row(row)
    predictions = table.predictions_in(values)
    answered: dict[str, Any] = {"id": id}
    if predictions is not None and table.answers is not None:
        answered = galaxy_json(predictions, 0, table.answers.tree)
        for name, label in _plain(table.answers.labels_in(values)).items():
            answered["answers"][name]["label"] = label
    place = None
    if table.sky is not None:
        ra, dec = (values[name] for name in table.sky)
        place = None if ra is None or dec is None else {"ra": ra, "dec": dec}
    stars = table.read([row], [STARS])[0][STARS]
    return {**answered, "row": row, "sky": place, "stars": stars, "columns": _plain(values)}


def _picture(site: Site, name: str, *, large: bool) -> Response:
    if site.pictures is None:
        return _missing(ConfigError("this server has no images: start it with --images FOLDER"))
    try:
        jpeg = site.pictures.jpeg(name, large=large)
    except DataError as error:
        return _missing(error)
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": _KEEP})


def _missing(error: Exception) -> Response:
    from fastapi.responses import JSONResponse

    return JSONResponse({"error": str(error)}, 404)


# ---- exports


def _csv(table: Catalogue, parts: Iterator[pa.Table]) -> Iterator[bytes]:
    names = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    schema = pa.schema([table.schema.field(name) for name in names])
    sink = _Growing()
    with pyarrow.csv.CSVWriter(sink, schema) as writer:
        for part in parts:
            writer.write_table(part.select(names).cast(schema))
            yield sink.taken()
    yield sink.taken()


def _parquet(table: Catalogue, parts: Iterator[pa.Table]) -> Iterator[bytes]:
    sink = _Growing()
    with pq.ParquetWriter(sink, table.schema) as writer:
        for part in parts:
            writer.write_table(part)
            yield sink.taken()
    yield sink.taken()


def _ids(table: Catalogue, parts: Iterator[pa.Table]) -> Iterator[bytes]:
    for part in parts:
        yield "".join(f"{name}\n" for name in part.column(table.id_column).to_pylist()).encode()


class _Growing:
    """A file for writers, whose bytes are taken out while they come."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        """What has come since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON has them: what is not finite is null, and dates are text."""
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Decimal):
        return number(float(value)) if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return None
    return value if isinstance(value, str | int | bool | None) else str(value)
