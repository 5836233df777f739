"""Predictions for images in folders and archives or for a store, as a table.

Each thread decodes images of its own and predicts them on one core, from file to table. Several
cores that share a group of images wait for each other after every layer, and for the threads that
decode beside them.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import Progress

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.inference.engine import chunks_of, predict_batch, predict_rows
from galaxyvotes.inference.onnx_model import OnnxModule, is_onnx, read_onnx
from galaxyvotes.kinds import FractionKind
from galaxyvotes.networks.batch import Batch
from galaxyvotes.predictions import Predictions, check_format, open_table
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import given_path, write_text
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.sources.archives import Members
from galaxyvotes.sources.images import read_square
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.store.store import Store

__all__ = ["Predicted", "open_network", "predict", "shift_of"]

Rejected = tuple[str, str]  # the id of an image, and why it cannot be used


@dataclass(frozen=True)
class Predicted:
    """The result of a prediction job: the number of galaxies in the table at `path`, and the images
    that could not be used, each with its reason.

    `passed_over` has the files that are no images, each with its reason. `shift` compares the
    galaxies with the calibration galaxies; None if the run is not calibrated.
    """

    path: Path
    galaxies: int
    rejected: tuple[Rejected, ...]
    shift: Shift | None = None
    passed_over: tuple[Rejected, ...] = ()

    @property
    def warning(self) -> str | None:
        """A warning if the galaxies are unlike the calibration galaxies."""
        return str(self.shift) if self.shift is not None and self.shift.detected else None

    @property
    def rejected_path(self) -> Path:
        """The table of images that could not be used and of files that were passed over, with
        their reasons; there only if there are any.
        """
        return self.path.with_name(self.path.name + ".rejected.csv")


def predict(
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    run: Run | str | Path | None = None,
    tree: str | None = None,
    fractions: FractionKind = "joint",
    intervals: bool | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = True,
) -> Predicted:
    """Write the predictions of a run for images in folders or archives, or for a store: a table,
    one row a galaxy, CSV or Parquet as its extension says.

    Without a run, the bundled one predicts; an ONNX file that `export` wrote predicts as its run
    would, on the CPU, without intervals and familiarity. `tree` names the tree to predict, if the
    run has several. `fractions` are of everybody ("joint") or of those who were asked
    ("conditional": NaN where nobody would be, without bounds where fewer than a quarter would be).
    `intervals` adds the bounds of the prediction interval of each answer, or leaves them out; by
    default they are there if the run is calibrated for such fractions. Classes have none: their
    probabilities are calibrated.

    The first column is the id (the file's stem), then one column an answer, then the bounds; of a
    calibrated run the last is the familiarity of the galaxy, and the result has a `warning` if the
    galaxies are unlike the calibration galaxies. Images are cropped as the run's own were. One that
    cannot be used never stops the others: it is left out and listed with its reason in
    `<out>.rejected.csv`. Memory holds the names and places of all images (a tenth of a kilobyte
    each), and neither their pixels nor their predictions.

    Raises ConfigError for an unknown extension, device, tree or number of workers, for conditional
    fractions that the run cannot have, and for a store beside images; CheckpointError if the run is
    not finished, damaged or not calibrated for the intervals that were asked for, or if the store
    is packed otherwise; DataError if there is no image that can be used, or if the table cannot be
    written.
    """
    out = given_path(out)
    check_format(out)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}; expected 1 or more")
    network, origin = open_network(run, device)
    network = network.folded.for_tree(tree)
    if fractions == "conditional":
        network = network.as_conditional
    if intervals:
        _check_intervals(network, origin)
    elif intervals is False:
        network = network.without_intervals
    paths = [*map(given_path, [images] if isinstance(images, str | Path) else images)]
    with locked(out), _stream(network, paths, workers, progress=progress) as stream:
        predicted = _write(out, network, stream)
    _write_rejected(predicted)
    return predicted


# ---- the network


def open_network(run: Run | str | Path | None, device: str = "cpu") -> tuple[Network, Path]:
    """The network of a run or an ONNX file, and where that is.

    Raises ConfigError for an ONNX file on another device than the CPU and for an unknown device,
    and what `Run.network` and `read_onnx` raise.
    """
    if isinstance(run, str | Path) and is_onnx(run):
        if device not in ("auto", "cpu"):
            raise ConfigError(
                f"--device {device!r}: an ONNX file is computed on the CPU here; leave out --device"
            )
        return read_onnx(run), Path(run)
    run = open_run(run)
    return run.network(choose_device(device)), run.path


def _check_intervals(network: Network, origin: Path) -> None:
    if isinstance(network.module, OnnxModule):
        raise CheckpointError(
            f"{origin} is an ONNX file, which holds no prediction intervals: predict with the"
            " folder of its run, or leave out --intervals"
        )
    if not network.head.kind.intervals:
        raise ConfigError(
            f"the tree {network.tree.name!r} is a classification: its probabilities are calibrated,"
            " and it has no prediction intervals; leave out --intervals"
        )
    if network.intervals is None:
        of = "" if network.fraction_kind == "joint" else "conditional fractions of "
        raise CheckpointError(
            f"{origin} was never calibrated for {of}the tree {network.tree.name!r}, so it has no"
            " prediction intervals: run galaxyvotes calibrate (again, if it was for joint"
            " fractions only), or leave out --intervals"
        )


# ---- the predictions, some galaxies at a time


class _Part(NamedTuple):
    """Predictions for some images, if any of them can be used, and those that cannot."""

    predictions: Predictions | None
    rejected: list[Rejected]


class _Stream(NamedTuple):
    """The parts of a job as they are predicted, the name of their ids, and the number of
    images.
    """

    parts: Iterator[_Part]
    id_name: str
    images: int
    passed_over: tuple[Rejected, ...] = ()


@contextmanager
def _stream(
    network: Network, paths: list[Path], workers: int | None, *, progress: bool
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
        yield _Stream((_Part(part, []) for part in rows), store.id_name, len(store))
        return
    with open_source(paths) as source, bar(show=progress) as shown:
        refuse_without_images(source, paths)
        parts = _predict_images(network, source.images, workers or os.cpu_count() or 1, shown)
        yield _Stream(parts, "id", len(source.images), tuple(source.passed_over))


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
        usable = [(name, square) for name, square in squares if not isinstance(square, str)]
        rejected = [(name, reason) for name, reason in squares if isinstance(reason, str)]
        if not usable:
            return _Part(None, rejected)
        batch = Batch(torch.from_numpy(np.stack([square for _, square in usable])))
        return _Part(predict_batch(network, batch, tuple(name for name, _ in usable)), rejected)

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


def _write(out: Path, network: Network, stream: _Stream) -> Predicted:
    """Write predictions as they come; DataError, and no table, if no image can be used."""
    galaxies = 0
    rejected: list[Rejected] = []
    shifts: Shift | None = None
    bounds, familiarity = network.intervals is not None, network.familiarity is not None
    with open_table(
        out, network.columns, id_name=stream.id_name, bounds=bounds, familiarity=familiarity
    ) as write:
        for predictions, unusable in stream.parts:
            rejected += unusable
            if predictions is not None:
                write(predictions)
                part = shift_of(network, predictions)
                shifts = part if part is None or shifts is None else shifts + part
                galaxies += len(predictions)
        if rejected and not galaxies:
            raise DataError(
                f"not one of {stream.images:,} images could be used; the first:"
                f" {': '.join(rejected[0])}"
            )
    return Predicted(out, galaxies, tuple(rejected), shifts, stream.passed_over)


def _write_rejected(predicted: Predicted) -> None:
    """Write the table of rejected images; remove an older one if there are none."""
    predicted.rejected_path.unlink(missing_ok=True)
    left_out = [*predicted.rejected, *predicted.passed_over]
    if left_out:
        rows = [("id", "reason"), *left_out]
        lines = [f"{_quoted(name)},{_quoted(reason)}\n" for name, reason in rows]
        write_text(predicted.rejected_path, "".join(lines))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
