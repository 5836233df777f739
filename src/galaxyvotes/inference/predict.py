"""Predictions for images in folders and archives or for a store, as a table.

Each thread decodes images of its own and predicts them on one core, from file to table. Several
cores that share a group of images wait for each other after every layer, and for the threads that
decode beside them.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from galaxyvotes.answer_columns import answer_names, table_schema
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.images.read import with_stretch
from galaxyvotes.inference.catalogue import CatalogueColumns
from galaxyvotes.inference.engine import predict_batch
from galaxyvotes.inference.left_out import path_of_left_out, write_left_out
from galaxyvotes.inference.onnx_model import OnnxModule, is_onnx, read_onnx
from galaxyvotes.inference.outcome import Outcome
from galaxyvotes.inference.pictures import pictures_of, pictures_of_rows
from galaxyvotes.inference.predicted import Pictures, Predicted
from galaxyvotes.inference.provenance import in_words, not_calibrated, provenance_of
from galaxyvotes.inference.stream import Stream, of_table, open_stream, pack_for
from galaxyvotes.inference.table_images import named_table, open_table_images
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.counted import duration
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_source, new_file
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.threads import check_workers
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.table_formats.write import check_format, open_table
from galaxyvotes.table_settings import Naming, TableSettings

__all__ = ["folder_of", "open_network", "predict"]


@enough_memory("lower `workers=…`, each of which holds images, or use `device='cpu'`")
def predict(
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    run: Run | str | Path | None = None,
    tree: str | None = None,
    fractions: FractionKind | None = None,
    intervals: bool | None = None,
    device: str = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
    layout: FitsLayout = ANYWHERE,
    image: str | None = None,
    table: TableSettings | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Predicted:
    """The predictions of a run for images in folders or archives, or for a store, in memory or, if
    `out` names one, in a table: one row a galaxy, in the format that its extension says (.csv,
    .ecsv, .fits, .parquet, .vot or .xml).

    Without a run, the bundled one predicts; an ONNX file that `export` wrote predicts as its run
    would, on the CPU, without intervals and familiarity. `tree` names the tree to predict, if the
    run has several (by default `Run.default_tree`). `fractions` are of everybody ("joint", the
    default) or of those who were asked ("conditional": NaN where nobody would be, without bounds
    where fewer than a quarter would be). `intervals` adds the bounds of the prediction interval of
    each answer, or leaves them out; by default they are there if the run is calibrated for such
    fractions. Classes have none: their probabilities are calibrated.

    The first column is `id` (the file's stem, or the id in the store), whatever tables of labels
    call it; then one column an answer, then the bounds; of a calibrated run the last is the
    familiarity of the galaxy, and the result has a `warning` if the galaxies are unlike the
    calibration galaxies. `table` says what the answers are called. All formats but CSV have
    descriptions of the columns, and what predicted them.

    Where `images` is a table, of any format, its own columns come first, as they are and in the
    order of its rows, and the predictions behind them; the last column says of rows that have none
    why their image could not be used. The images are those whose paths stand in a column of the
    table, or `image` is a template of the paths, as "cutouts/{iauname}.fits"; they are relative to
    the table. Where folders or archives are given beside the table, a column, or the template,
    names one of their images. With a mosaic in `layout` they are cut from it.

    Images are cropped as the run's own were. Where a galaxy covers `scale` times as many pixels as
    in those, the crop is as many times as wide; `fit` takes whole images instead, whatever their
    size. The bands of FITS images become pictures by `stretch`, by default that of the run's own
    FITS images, or `single` if they have one band; `layout` says where in the files they are.

    An image that cannot be used never stops the others: it is left out and listed with its
    reason in `rejected` and, beside a table, in `<out>.rejected.csv`. Neither file may be there,
    unless `overwrite`. With `out`, memory holds the names and places of all images of folders and
    archives (a tenth of a kilobyte each), and neither their pixels nor their predictions, nor the
    rows of a FITS or Parquet table.

    Raises ConfigError for an unknown extension, device, tree or number of workers, for a table that
    is there already or has columns called as those of the predictions, for conditional fractions
    that the run cannot have, for a store beside images, for a template that does not fit the table,
    and for FITS images of several bands without a stretch; CheckpointError if the run is not
    finished, damaged or not calibrated for the intervals that were asked for, or if the store is
    packed otherwise; DataError if there is no image that can be used, if the table cannot be
    written, or if memory is short.
    """
    began = time.monotonic()
    out = None if out is None else _new_table(out, overwrite=overwrite)
    table = table or TableSettings()
    fractions = table.kind(fractions)
    check_workers(workers)
    paths = [*map(given_source, [images] if isinstance(images, str | Path) else images)]
    network, origin = open_network(run, device)
    network = network.folded.for_tree(tree)
    if fractions == "conditional":
        network = network.as_conditional
    pack = pack_for(network.pack, paths, scale=scale, fit=fit, stretch=stretch)
    lacking = not_calibrated(network, origin)
    if intervals:
        _check_intervals(network, origin)
    elif intervals is False:
        network = network.without_intervals
    compute = partial(predict_batch, network)
    with nullcontext() if out is None else locked(out), ExitStack() as stack:
        source, others = named_table(paths)
        if source is None:
            _check_without_table(image, table)
            stream = stack.enter_context(
                open_stream(pack, paths, compute, layout, workers, progress=progress)
            )
            pictures = partial(pictures_of, paths, stream.pack, layout)
            named = None
        else:
            as_text = out is not None and out.suffix.lower() == ".csv"
            named = stack.enter_context(
                open_table_images(source, others, image, layout, as_text=as_text)
            )
            pack = with_stretch(pack, named.first_images())
            parts = of_table(compute, pack, named, workers, progress=progress)
            stream = Stream(parts, len(named), pack)
            pictures = (
                partial(pictures_of_rows, source.parent, others, pack, layout)
                if layout.mosaic is None
                else partial(pictures_of, [source], pack, layout)
            )
        network = replace(network, pack=stream.pack)
        facts = provenance_of(network, origin)
        columns = _columns(network, table.naming(out), facts)
        if named is not None:
            own = named.rows
            columns = CatalogueColumns.behind(own.schema, columns, own.name, table.prefix)
        predicted = _collect(out, columns, network, stream, pictures, scale)
    return replace(
        predicted,
        id_column="id" if named is None else named.id_column,
        facts=facts,
        lacking=lacking,
        made_by=f"{in_words(network, origin)}, in {duration(time.monotonic() - began)}",
    )


def _new_table(out: str | Path, *, overwrite: bool) -> Path:
    """The path of a table to write; nothing that `predict` writes is there, or may be replaced."""
    out = new_file(out, overwrite=overwrite)
    check_format(out)
    new_file(path_of_left_out(out), overwrite=overwrite)
    return out


# ---- the network


def open_network(run: Run | str | Path | None, device: str = "cpu") -> tuple[Network, Path]:
    """The network of a run or an ONNX file, and where that is.

    Raises ConfigError for an ONNX file on another device than the CPU and for an unknown device,
    and what `Run.network` and `read_onnx` raise.
    """
    if isinstance(run, str | Path) and is_onnx(run):
        if device not in ("auto", "cpu"):
            raise ConfigError(
                f"device {device!r}: an ONNX file is computed on the CPU here; leave out `device=…`"
            )
        return read_onnx(run), Path(run)
    run = open_run(run)
    return run.network(choose_device(device)), run.path


def folder_of(network: Network, origin: Path) -> Path:
    """The run folder of an opened network: of an ONNX file the one that it was exported from, or
    the file itself if that is nowhere near.
    """
    module = network.module
    return (module.exported_from if isinstance(module, OnnxModule) else None) or origin


def _check_intervals(network: Network, origin: Path) -> None:
    if isinstance(network.module, OnnxModule):
        raise CheckpointError(
            f"{origin} is an ONNX file, which holds no prediction intervals: predict with the"
            " folder of its run, or leave out `intervals=True`"
        )
    if not network.head.kind.intervals:
        raise ConfigError(
            f"the tree {network.tree.name!r} is a classification: its probabilities are calibrated,"
            " and it has no prediction intervals; leave out `intervals=True`"
        )
    if network.intervals is None:
        of = "" if network.fraction_kind == "joint" else "conditional fractions of "
        raise CheckpointError(
            f"{origin} was never calibrated for {of}the tree {network.tree.name!r}, so it has no"
            " prediction intervals: run `galaxyvotes.calibrate(…)` (again, if it was for joint"
            " fractions only), or leave out `intervals=True`"
        )


def _check_without_table(image: str | None, table: TableSettings) -> None:
    given = {'`image="…"`': image, '`table=TableSettings(prefix="…")`': table.prefix}
    if option := next((name for name, value in given.items() if value), None):
        raise ConfigError(
            f"{option} is for images that a table names, and no table is given: name one"
            " (.fits, .vot, .ecsv, .parquet, .csv …), or leave it out"
        )


# ---- the table


def _columns(network: Network, naming: Naming, meta: Mapping[str, str]) -> CatalogueColumns:
    """The columns of a table of a network's predictions."""
    bounds, familiarity = network.intervals is not None, network.familiarity is not None
    schema = table_schema(
        network.columns,
        names=answer_names(network.columns, naming, network.tree),
        tree=network.tree,
        bounds=bounds,
        familiarity=familiarity,
        meta=meta,
    )
    return CatalogueColumns(schema, network.columns, bounds=bounds, familiarity=familiarity)


def _collect(
    out: Path | None,
    columns: CatalogueColumns,
    network: Network,
    stream: Stream[Predictions],
    pictures: Pictures,
    scale: float | None,
) -> Predicted:
    """Write predictions as they come, or keep them; DataError, and no table, if no image can be
    used. `scale` is the one that was given, if any was.
    """
    outcome = Outcome(stream.images, network, keeps_all=columns.keeps_all)
    kept: list[pa.Table] = []
    with nullcontext(kept.append) if out is None else open_table(out, columns.schema) as write:
        for part in stream.parts:
            outcome.add(part)
            write(columns.written(columns.rows(part)))
        outcome.check(network.pack)
    if out is not None and not columns.keeps_all:
        write_left_out(out, [*outcome.rejected, *stream.passed_over])
    stream = replace(stream, rejected=outcome.rejected, sizes=outcome.sizes)
    stale = network.module.stale if isinstance(network.module, OnnxModule) else ""
    return Predicted(
        out,
        outcome.predicted,
        tuple(outcome.rejected),
        outcome.shift,
        stream.passed_over,
        tree=network.tree,
        fractions=network.fraction_kind,
        sample=outcome.sample.predictions,
        chosen=outcome.sample.chosen,
        pictures=pictures,
        rows=pa.concat_tables(kept) if out is None else None,
        notes=(*filter(None, [stale]), *stream.notes),
        too_large=stream.sizes.too_large(network.pack),
        other_scale=stream.sizes.other_scale(network.pack, scale),
        stretch=stream.pack.stretch,
        columns_of=columns.meanings,
        of_table=columns.keeps_all,
        unpredicted=outcome.galaxies - outcome.predicted if columns.keeps_all else 0,
    )
