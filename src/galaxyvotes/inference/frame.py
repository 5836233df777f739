"""Predictions for a table in memory: one function that LSDB, Dask, Ray and pandas call on each part
of a large catalogue.
"""

import sys
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pyarrow as pa

from galaxyvotes.images.read import with_stretch
from galaxyvotes.inference.catalogue import CatalogueColumns
from galaxyvotes.inference.engine import predict_batch
from galaxyvotes.inference.image_names import ImageNames
from galaxyvotes.inference.onnx_model import is_onnx
from galaxyvotes.inference.opened import columns_of
from galaxyvotes.inference.predict import network_for, open_network
from galaxyvotes.inference.provenance import calibration_digest, provenance_of
from galaxyvotes.inference.stream import Stream
from galaxyvotes.inference.table_images import TableImages
from galaxyvotes.kinds import FractionKind
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.digests import file_digest
from galaxyvotes.runtime.threads import check_workers
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.table_formats.from_astropy import from_astropy
from galaxyvotes.table_formats.to_astropy import to_astropy
from galaxyvotes.table_settings import TableSettings

__all__ = ["predict_frame"]

Frame = TypeVar("Frame")


def predict_frame(
    frame: Frame,
    image: str,
    *,
    folder: str | Path = ".",
    run: Run | str | Path | None = None,
    tree: str | None = None,
    fractions: FractionKind | None = None,
    intervals: bool | None = None,
    device: str = "auto",
    workers: int = 1,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
    layout: FitsLayout = ANYWHERE,
    table: TableSettings | None = None,
) -> Frame:
    """The table with predictions behind its columns, as `predict` has them: a new pandas, Arrow or
    astropy table, of the kind that was given.

    `image` is a template over columns for the path of each image, from `folder` on, such as
    "{file}" or "cutouts/{iauname}.fits"; `table` says what the answers are called, and the others
    are arguments of `predict`. Nothing but the row decides what is predicted for it: images that
    are not there, and tables without rows, are no errors. A process opens a network once, and
    computes in one thread unless `workers` says otherwise: tools that call this run several
    processes::

        catalog.map_partitions(galaxyvotes.predict_frame, image="cutouts/{iauname}.fits")   # LSDB
        dataset.map_batches(galaxyvotes.predict_frame, batch_format="pyarrow",
                            fn_kwargs={"image": "{path}"})                                  # Ray

    Raises ConfigError for a template that does not fit the columns, for columns that are called as
    those of the predictions, and as `predict` otherwise; TypeError for another kind of table.
    """
    check_workers(workers)
    settings = table or TableSettings()
    network, origin = _network(run, device, tree, settings.kind(fractions), intervals)
    names, own = _columns(frame, image)
    named = TableImages.in_memory(own, names, image, Path(folder), layout)
    pack = network.pack.for_images(scale=scale, fit=fit, stretch=stretch)
    network = replace(network, pack=with_stretch(pack, named.first_images()))
    columns = columns_of(network, provenance_of(network, origin), settings, None)
    everything = pa.schema([(name, pa.null()) for name in names])
    CatalogueColumns.behind(everything, columns, "the table", settings.prefix)  # names may clash
    columns = CatalogueColumns.behind(own.schema, columns, "the table", settings.prefix)
    stream = Stream(named, partial(predict_batch, network), network.pack, workers)
    rows = [columns.written(columns.rows(part)) for part in stream.parts()]
    return _joined(frame, pa.concat_tables([columns.schema.empty_table(), *rows]), columns.own)


def _network(
    run: Run | str | Path | None,
    device: str,
    tree: str | None,
    fractions: FractionKind,
    intervals: bool | None,
) -> tuple[Network, Path]:
    if isinstance(run, str | Path) and is_onnx(run):
        path, digest = Path(run), file_digest(Path(run))
    else:
        run = open_run(run)
        path, digest = run.path, f"{run.digest} {calibration_digest(run.path)}"
    return _opened(path, digest, device, tree, fractions, intervals)


@lru_cache(maxsize=2)
def _opened(
    path: Path,
    digest: str,  # noqa: ARG001  (another network may come to lie there)
    device: str,
    tree: str | None,
    fractions: FractionKind,
    intervals: bool | None,
) -> tuple[Network, Path]:
    network, origin = open_network(path, device)
    network = network_for(network, origin, tree, fractions, intervals=bool(intervals))
    return (network.without_intervals if intervals is False else network), origin


# ---- kinds of tables


def _columns(frame: object, image: str) -> tuple[list[str], pa.Table]:
    """The names of the columns, and as Arrow has them all of an Arrow table, and of others those
    that the template names.
    """
    table = cast("Any", frame)
    if isinstance(frame, pa.Table):
        return table.column_names, table
    if _is_of(frame, "pandas", "DataFrame"):
        names = [str(name) for name in table.columns]
        wanted = ImageNames.of(image, names, "the table").columns
        arrays = [pa.array(table[name], from_pandas=True) for name in wanted]
        return names, pa.table(arrays, names=list(wanted))
    if _is_of(frame, "astropy.table", "Table"):
        wanted = ImageNames.of(image, table.colnames, "the table").columns
        return table.colnames, from_astropy(table[list(wanted)])
    raise TypeError(
        f"a {type(frame).__name__} is no table of pandas, Arrow or astropy; in Ray, pass"
        ' batch_format="pyarrow"'
    )


def _is_of(frame: object, module: str, kind: str) -> bool:
    """Whether an object is of a class of a module, which is imported if it is."""
    return module in sys.modules and isinstance(frame, getattr(sys.modules[module], kind))


def _joined(frame: Frame, rows: pa.Table, own: int) -> Frame:
    """The table with the columns of these rows behind the first `own`."""
    if isinstance(frame, pa.Table):
        return cast("Frame", rows)
    added = rows.select(range(own, rows.num_columns))
    table = cast("Any", frame)
    if _is_of(frame, "pandas", "DataFrame"):
        arrays = {name: added.column(name).to_numpy() for name in added.column_names}
        return table.assign(**arrays)
    joined = table.copy(copy_data=False)
    joined.add_columns([*cast("Any", to_astropy(added)).columns.values()])
    return joined
