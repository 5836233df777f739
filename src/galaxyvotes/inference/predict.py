"""Predictions for images in folders and archives or for a store, as a table.

Each thread decodes images of its own and predicts them on one core, from file to table. Several
cores that share a group of images wait for each other after every layer, and for the threads that
decode beside them.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from rich.progress import Progress

from galaxyvotes.answer_columns import answer_names, table_schema
from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.config import PackSettings
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.images.read import read_square, with_stretch
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.engine import chunks_of, predict_batch, predict_rows
from galaxyvotes.inference.onnx_model import OnnxModule, is_onnx, read_onnx
from galaxyvotes.inference.pictures import pictures_of
from galaxyvotes.inference.predicted import Pictures, Predicted, Rejected, Sample
from galaxyvotes.inference.provenance import provenance_of
from galaxyvotes.kinds import FractionKind
from galaxyvotes.networks.batch import Batch
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_source, new_file, write_text
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import check_workers, on_a_core_each
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.members import Members
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.store.store import Store
from galaxyvotes.table_formats.write import check_format, open_table
from galaxyvotes.table_settings import TableSettings

__all__ = ["folder_of", "open_network", "predict", "shift_of"]


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
    table: TableSettings | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Predicted:
    """The predictions of a run for images in folders or archives, or for a store, in memory or, if
    `out` names one, in a table: one row a galaxy, in the format that its extension says (.csv,
    .ecsv, .fits, .parquet, .vot or .xml).

    Without a run, the bundled one predicts; an ONNX file that `export` wrote predicts as its run
    would, on the CPU, without intervals and familiarity. `tree` names the tree to predict, if the
    run has several. `fractions` are of everybody ("joint", the default) or of those who were asked
    ("conditional": NaN where nobody would be, without bounds where fewer than a quarter would be).
    `intervals` adds the bounds of the prediction interval of each answer, or leaves them out; by
    default they are there if the run is calibrated for such fractions. Classes have none: their
    probabilities are calibrated.

    The first column is `id` (the file's stem, or the id in the store), whatever tables of labels
    call it; then one column an answer, then the bounds; of a calibrated run the last is the
    familiarity of the galaxy, and the result has a `warning` if the galaxies are unlike the
    calibration galaxies. `table` says what the answers are called. All formats but CSV have
    descriptions of the columns, and what predicted them.

    Images are cropped as the run's own were. Where a galaxy covers `scale` times as many pixels as
    in those, the crop is as many times as wide; `fit` takes whole images instead, whatever their
    size. The bands of FITS images become pictures by `stretch`, by default that of the run's own
    FITS images, or `single` if they have one band; `layout` says where in the files they are.

    An image that cannot be used never stops the others: it is left out and listed with its
    reason in `rejected` and, beside a table, in `<out>.rejected.csv`. Neither file may be there,
    unless `overwrite`. With `out`, memory holds the names and places of all images (a tenth of a
    kilobyte each), and neither their pixels nor their predictions.

    Raises ConfigError for an unknown extension, device, tree or number of workers, for a table that
    is there already, for conditional fractions that the run cannot have, for a store beside images,
    and for FITS images of several bands without a stretch; CheckpointError if the run is not
    finished, damaged or not calibrated for the intervals that were asked for, or if the store is
    packed otherwise; DataError if there is no image that can be used, if the table cannot be
    written, or if memory is short.
    """
    out = None if out is None else _new_table(out, overwrite=overwrite)
    table = table or TableSettings()
    fractions = table.kind(fractions)
    check_workers(workers)
    paths = [*map(given_source, [images] if isinstance(images, str | Path) else images)]
    network, origin = open_network(run, device)
    network = network.folded.for_tree(tree)
    if fractions == "conditional":
        network = network.as_conditional
    network = _for_images(network, paths, scale=scale, fit=fit, stretch=stretch)
    if intervals:
        _check_intervals(network, origin)
    elif intervals is False:
        network = network.without_intervals
    with (
        nullcontext() if out is None else locked(out),
        _stream(network, paths, layout, workers, progress=progress) as stream,
    ):
        network = replace(network, pack=stream.pack)
        names = answer_names(network.columns, table.naming(out), network.tree)
        schema = None if out is None else _schema(network, names, provenance_of(network, origin))
        pictures = partial(pictures_of, paths, stream.pack, layout)
        predicted = _collect(out, schema, network, stream, pictures, scale)
        predicted = replace(predicted, names=names)
        if out is not None:
            _write_left_out(out, [*predicted.rejected, *predicted.passed_over])
    return predicted


def _new_table(out: str | Path, *, overwrite: bool) -> Path:
    """The path of a table to write; nothing that `predict` writes is there, or may be replaced."""
    out = new_file(out, overwrite=overwrite)
    check_format(out)
    new_file(_path_of_left_out(out), overwrite=overwrite)
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


def _for_images(
    network: Network,
    paths: Sequence[Path],
    *,
    scale: float | None,
    fit: bool,
    stretch: str | None,
) -> Network:
    """The network for images in which a galaxy covers `scale` times as many pixels, or for whole
    images, and for FITS images of that stretch.
    """
    if (fit or scale is not None or stretch) and any(
        (path / "store.toml").is_file() for path in paths
    ):
        raise ConfigError(
            "a store holds images that are cropped already, and stretched: leave out `scale=…`,"
            " `fit=True` and `stretch=…`, or pack it with them"
        )
    return replace(network, pack=network.pack.for_images(scale=scale, fit=fit, stretch=stretch))


# ---- the predictions, some galaxies at a time


class _Part(NamedTuple):
    """Predictions for some images, if any of them can be used, those that cannot, and the sizes of
    all.
    """

    predictions: Predictions | None
    rejected: list[Rejected]
    sizes: ImageSizes


class _Stream(NamedTuple):
    """The parts of a job as they are predicted, the number of images, and how these become
    pixels.
    """

    parts: Iterator[_Part]
    images: int
    pack: PackSettings
    passed_over: tuple[Rejected, ...] = ()


@contextmanager
def _stream(
    network: Network,
    paths: list[Path],
    layout: FitsLayout,
    workers: int | None,
    *,
    progress: bool,
) -> Generator[_Stream]:
    """The predictions for a store or for images, whose files are open meanwhile."""
    stores = [path for path in paths if (path / "store.toml").is_file()]
    if stores and len(paths) > 1:
        raise ConfigError(
            f"{stores[0]} is a packed store, which is predicted alone: name one store, or images"
        )
    if stores:
        store = Store.open(stores[0])
        store.must_fit(network.pack, "the network")
        rows = predict_rows(network, store, np.arange(len(store)), workers, progress=progress)
        parts = (_Part(replace(part, id_name="id"), [], ImageSizes()) for part in rows)
        yield _Stream(parts, len(store), store.pack)
        return
    with open_source(paths, layout) as source, bar(show=progress) as shown:
        refuse_without_images(source, paths)
        network = replace(network, pack=with_stretch(network.pack, source.images))
        parts = _predict_images(network, source.images, workers or os.cpu_count() or 1, shown)
        passed_over = tuple(source.passed_over)
        yield _Stream(parts, len(source.images), network.pack, passed_over)


def _predict_images(
    network: Network, images: Members, workers: int, shown: Progress
) -> Iterator[_Part]:
    ids = images.unique_ids()
    task = shown.add_task("predicting", total=len(images))

    def predict_chunk(chunk: slice) -> _Part:
        squares = [
            (name, read_square(image, network.pack))
            for name, image in zip(ids[chunk].to_pylist(), images[chunk], strict=True)
        ]
        usable = {name: square.pixels for name, square in squares if square.pixels is not None}
        rejected = [(name, square.reason) for name, square in squares if square.pixels is None]
        sizes = ImageSizes()
        for _, square in squares:
            sizes.count(square.size, square.arcsec_px)
        if not usable:
            return _Part(None, rejected, sizes)
        batch = Batch(torch.from_numpy(np.stack(list(usable.values()))))
        return _Part(predict_batch(network, batch, tuple(usable)), rejected, sizes)

    for chunk, part in on_a_core_each(predict_chunk, chunks_of(len(images), workers), workers):
        shown.advance(task, chunk.stop - chunk.start)
        yield part


def shift_of(network: Network, predictions: Predictions) -> Shift | None:
    """How the familiarity of these galaxies compares with that of the calibration galaxies; None if
    the network is not calibrated.
    """
    if network.familiarity is None or predictions.familiarity is None:
        return None
    return Shift.count(predictions.familiarity, network.familiarity.references)


# ---- the table


def _schema(network: Network, names: Sequence[str], meta: Mapping[str, str]) -> pa.Schema:
    """The columns of a table of a network's predictions."""
    return table_schema(
        network.columns,
        names=names,
        tree=network.tree,
        bounds=network.intervals is not None,
        familiarity=network.familiarity is not None,
        meta=meta,
    )


def _collect(
    out: Path | None,
    schema: pa.Schema | None,
    network: Network,
    stream: _Stream,
    pictures: Pictures,
    scale: float | None,
) -> Predicted:
    """Write predictions as they come, or keep them; DataError, and no table, if no image can be
    used. `scale` is the one that was given, if any was.
    """
    rejected: list[Rejected] = []
    kept: list[Predictions] = []
    sample, galaxies, sizes = Sample(stream.images), 0, ImageSizes()
    shifts: Shift | None = None
    with _table(out, schema, kept) as write:
        for predictions, unusable, part_sizes in stream.parts:
            rejected += unusable
            sizes.add(part_sizes)
            if predictions is not None:
                write(predictions)
                sample.add(predictions)
                part = shift_of(network, predictions)
                shifts = part if part is None or shifts is None else shifts + part
                galaxies += len(predictions)
        too_small = sizes.too_small(network.pack)
        if rejected and not galaxies:
            why = f": {too_small}" if too_small else f"; the first: {': '.join(rejected[0])}"
            raise DataError(f"not one of {counted(stream.images, 'image')} could be used{why}")
    stretch = stream.pack.stretch
    stale = network.module.stale if isinstance(network.module, OnnxModule) else ""
    stretched = f"FITS images: stretch {stretch}" if stretch else ""
    notes = (stale, stretched, sizes.sentence(), sizes.pixel_scales(), too_small)
    return Predicted(
        out,
        galaxies,
        tuple(rejected),
        shifts,
        stream.passed_over,
        tree=network.tree,
        fractions=network.fraction_kind,
        sample=sample.predictions,
        chosen=sample.chosen,
        pictures=pictures,
        in_memory=Predictions.concatenate(kept) if out is None else None,
        notes=tuple(filter(None, notes)),
        too_large=sizes.too_large(network.pack),
        other_scale=sizes.other_scale(network.pack, scale),
        stretch=stretch,
    )


@contextmanager
def _table(
    out: Path | None, schema: pa.Schema | None, kept: list[Predictions]
) -> Generator[Callable[[Predictions], None]]:
    """A function that appends predictions to the new table, or to those that are kept if there is
    none.
    """
    if out is None or schema is None:
        yield kept.append
        return
    with open_table(out, schema) as append:
        yield lambda predictions: append(predictions.to_table(schema))


def _write_left_out(out: Path, left_out: Sequence[Rejected]) -> None:
    """Write the table of rejected images and of files that were passed over; remove an older one
    if there are none.
    """
    path = _path_of_left_out(out)
    path.unlink(missing_ok=True)
    if left_out:
        rows = [("id", "reason"), *left_out]
        lines = [f"{_quoted(name)},{_quoted(reason)}\n" for name, reason in rows]
        write_text(path, "".join(lines))


def _path_of_left_out(out: Path) -> Path:
    return out.with_name(out.name + ".rejected.csv")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
