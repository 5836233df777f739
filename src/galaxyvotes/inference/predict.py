"""Predictions for images in folders and archives or for a store, as a table.

Each thread decodes images of its own and predicts them on one core, from file to table. Several
cores that share a group of images wait for each other after every layer, and for the threads that
decode beside them.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.inference.cluster import connected, on_cluster
from galaxyvotes.inference.job import begun, count_outcome, new_table, predict_blocks, write_whole
from galaxyvotes.inference.onnx_model import OnnxModule, is_onnx, read_onnx
from galaxyvotes.inference.opened import ImageSettings, Opened, open_job
from galaxyvotes.inference.outcome import Outcome
from galaxyvotes.inference.parts import WHOLE, Parts, Shard
from galaxyvotes.inference.predicted import Predicted
from galaxyvotes.inference.provenance import in_words, not_calibrated
from galaxyvotes.inference.stored import made_here
from galaxyvotes.inference.stream import pack_for
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.counted import duration
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_sources
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.object_store import url_of
from galaxyvotes.runtime.threads import check_workers
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.table_settings import TableSettings

__all__ = ["folder_of", "network_for", "open_network", "predict"]


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
    id_column: str | None = None,
    table: TableSettings | None = None,
    shard: str | None = None,
    ray: str | None = None,
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
    names one of their images. With a mosaic in `layout` they are cut from it. The galaxies are
    known by the ids in `id_column`, by default one that is called as ids are, or the first of
    texts.

    The table of galaxies may be an object in a store, `s3://BUCKET/KEY`, or on the web, and name
    its images by URLs, or by paths from there on; `out` may be an object, too, which is made in
    the current folder.

    Images are cropped as the run's own were. Where a galaxy covers `scale` times as many pixels as
    in those, the crop is as many times as wide; `fit` takes whole images instead, whatever their
    size. The bands of FITS images become pictures by `stretch`, by default that of the run's own
    FITS images, or `single` if they have one band; `layout` says where in the files they are.

    An image that cannot be used never stops the others: it is left out and listed with its
    reason in `rejected` and, beside a table, in `<out>.rejected.csv`. Neither file may be there,
    unless `overwrite`. While the job runs, its rows are in parts in the folder `<out>.parts`: if it
    is stopped, however that happens, the same call goes on with it. `shard`, as "2/8", predicts one
    of so many parts of the job only; any number of processes and machines that share the folder, or
    copy their files into one, do the others, and `merge` makes the one table. With `out`, memory
    holds the names and places of all images of folders and
    archives (a tenth of a kilobyte each), and neither their pixels nor their predictions, nor the
    rows of a FITS or Parquet table.

    `ray` is the address of a Ray cluster, or `local` for one on this machine, whose actors
    (`workers` of them, by default as many as it has GPUs, or else cores) compute the rows. They
    must reach the images and the run by the same paths, and write nothing: the table is that of a
    job without Ray, and either goes on with the parts of the other.

    Raises ConfigError for an unknown extension, device, tree or number of workers, for a table that
    is there already or has columns called as those of the predictions, for conditional fractions
    that the run cannot have, for a store beside images, for a template or an `id_column` that does
    not fit the table,
    for a shard that cannot be, for parts of a job with other images, model or settings, for FITS
    images of several bands without a stretch, and for a scale of images from a mosaic;
    CheckpointError if the run is not finished, damaged or not calibrated for the intervals that
    were asked for, or if the store is packed otherwise; DataError if there is no image that can be
    used, if the table cannot be written, or if memory is short; and with `ray` as
    `cluster.connected`.
    """
    began = time.monotonic()
    part = _shard(shard, out)
    url = "" if out is None else url_of(out)
    table = table or TableSettings()
    fractions = table.kind(fractions)
    paths = given_sources(images)
    layout.check_scale(scale)
    opened = partial(_open, run, tree, fractions, intervals)
    with ExitStack() as stack:
        if out is not None:
            here = made_here(Path(out), overwrite=overwrite) if url else nullcontext(out)
            out = new_table(stack.enter_context(here), overwrite=overwrite and not url)
        cluster = None
        if ray is None:
            check_workers(workers)
        else:
            cluster = stack.enter_context(connected(ray, device, workers))
        network, origin = opened(device if cluster is None else "cpu")
        pack = pack_for(network.pack, paths, scale=scale, fit=fit, stretch=stretch)
        threads = workers if cluster is None else None
        settings = ImageSettings(paths, pack, layout, image, id_column, threads, progress=progress)
        if out is not None and part is None:
            stack.enter_context(locked(out))
        job = stack.enter_context(open_job(settings, network, origin, table, out))
        if cluster is not None:
            job = stack.enter_context(on_cluster(job, cluster, opened, table, out))
        done = (
            _in_memory(job, scale)
            if out is None
            else _to_table(job, out, part, scale, overwrite=overwrite)
        )
    done = replace(done, path=Path(url)) if url else done
    made_by = in_words(network, origin, "" if cluster is None else str(cluster))
    made_by += f", in {duration(time.monotonic() - began)}"
    asked_for_none = intervals is False and network.familiarity is not None
    lacking = "" if asked_for_none else not_calibrated(network, origin)
    return replace(done, lacking=lacking, made_by=made_by)


def _open(
    run: Run | str | Path | None,
    tree: str | None,
    fractions: FractionKind,
    intervals: bool | None,
    device: str,
) -> tuple[Network, Path]:
    """The network that predicts what was asked for, and where it is."""
    network, origin = open_network(run, device)
    network = network_for(network, origin, tree, fractions, intervals=bool(intervals))
    return (network.without_intervals if intervals is False else network), origin


def _shard(text: str | None, out: str | Path | None) -> Shard | None:
    if text is not None and out is None:
        raise ConfigError("a shard is kept beside its table, and none is named: pass `out=…`")
    if text is not None and out is not None and url_of(out):
        raise ConfigError(
            f"shard {text} is kept beside its table, in a folder, and {out} is in none: name a file"
        )
    return None if text is None else Shard.parse(text)


def _in_memory(job: Opened, scale: float | None) -> Predicted:
    columns = job.columns
    outcome = Outcome(len(job.stream.galaxies), job.references, columns.keeps_all, job.id_column)
    rows: list[pa.Table] = []
    for part in job.stream.parts():
        outcome.add(part)
        rows.append(columns.written(columns.rows(part)))
    outcome.check(job.network.pack)
    return replace(_predicted(job, outcome, scale), rows=pa.concat_tables(rows))


def _to_table(
    job: Opened, out: Path, shard: Shard | None, scale: float | None, *, overwrite: bool
) -> Predicted:
    """Predict what earlier attempts have not, and write the table; of a shard the parts only."""
    which = shard or WHOLE
    plan = job.plan(which)
    with begun(out, plan, which, overwrite=overwrite) as parts:
        earlier = predict_blocks(job.stream, parts, which)
        outcome = count_outcome(parts, plan.blocks_of(which), job.id_column)
        if shard is None:
            _refuse_none(outcome, job, parts)
        done = _predicted(job, outcome, scale)
        done = replace(done, path=out, notes=(*earlier, *done.notes))
        if shard is not None:
            return replace(done, path=parts.folder, shard=str(shard))
        write_whole(parts, out, outcome)
    return done


def _refuse_none(outcome: Outcome, job: Opened, parts: Parts) -> None:
    """Raise a DataError if not one image could be used; nothing is kept of them then."""
    try:
        outcome.check(job.network.pack)
    except DataError:
        parts.discard()
        raise


def _predicted(job: Opened, outcome: Outcome, scale: float | None) -> Predicted:
    """The result of a job; `scale` is the one that was given, if any was."""
    network, columns = job.network, job.columns
    none = Predictions((), network.columns, np.empty((0, len(network.columns)), np.float32))
    stream = replace(job.stream, rejected=outcome.rejected, sizes=outcome.sizes)
    return Predicted(
        None,
        outcome.predicted,
        tuple(outcome.rejected),
        outcome.shift,
        stream.passed_over,
        tree=network.tree,
        fractions=network.fraction_kind,
        sample=outcome.sample.predictions if outcome.predicted else none,
        chosen=outcome.sample.chosen,
        called=outcome.called,
        pictures=job.pictures,
        notes=(*filter(None, [job.stale]), *stream.notes),
        too_large=stream.sizes.too_large(network.pack),
        other_scale=stream.sizes.other_scale(network.pack, scale),
        stretch=stream.pack.stretch,
        facts=job.facts,
        columns_of=columns.meanings,
        id_column=job.id_column,
        of_table=columns.keeps_all,
        unpredicted=outcome.unpredicted,
    )


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


def network_for(
    network: Network,
    origin: Path,
    tree: str | None,
    fractions: FractionKind,
    *,
    intervals: bool,
) -> Network:
    """The network as it predicts a tree, and such fractions; with `intervals`, if it can.

    Raises ConfigError for a tree or for fractions that it does not predict; CheckpointError if it
    is not calibrated for the intervals that are asked for.
    """
    network = network.folded.for_tree(tree)
    if fractions == "conditional":
        network = network.as_conditional
    if intervals:
        _check_intervals(network, origin)
    return network


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
