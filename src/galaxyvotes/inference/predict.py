"""A run's answers for images in folders, archives or a store, as a table.

Each thread decodes, computes and averages images of its own on one core, from file to answers.
Several cores that share a group of images wait for each other after every layer, and for the
threads that decode beside them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.inference.engine import chunks_of, predict_images, predict_parts
from galaxyvotes.inference.onnx_model import OnnxModule, is_onnx, read_onnx
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Predictions, known_format, writing
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import write_text
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import on_a_core_each
from galaxyvotes.sources.archives import Source
from galaxyvotes.store.pack import read_square
from galaxyvotes.store.store import Store

__all__ = ["Predicted", "predict", "shift_of"]


@dataclass(frozen=True)
class Predicted:
    """What became of a prediction job: how many galaxies are in `path`, and which images could not
    be used.

    `shift` says whether the galaxies are like those the run was calibrated on; None if it was not.
    """

    path: Path
    galaxies: int
    rejected: tuple[tuple[str, str], ...]
    shift: Shift | None = None

    @property
    def warning(self) -> str | None:
        """What to know before trusting the answers, if there is anything."""
        return str(self.shift) if self.shift is not None and self.shift.detected else None

    @property
    def rejected_path(self) -> Path:
        """Where the images that could not be used are listed with their reasons, if there are
        any.
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
    """Write a run's answers for images in folders, archives or a store: a table, one row a galaxy.

    Without a run, the one that comes with the package answers; one that was exported to an ONNX
    file answers as its folder would, on the CPU, without bounds and familiarity. `tree` names the
    tree to answer, if the run answers several. `fractions` are of everybody ("joint") or of those
    who were asked ("conditional": NaN where nobody would be, without bounds where fewer than a
    quarter would be). `intervals` asks for the bounds of each answer (CheckpointError if the run
    was never calibrated for such fractions) or leaves them out; by default they are there if the
    run was calibrated for them.

    The first column is the id (the file's stem), then one column an answer; of a calibrated run the
    last is the galaxy's familiarity, and the result has a `warning` if the galaxies are unlike
    those it was calibrated on. The extension of `out` says CSV or Parquet. Images are cropped as
    the run's own were. One that cannot be used never stops the others: it is left out and listed
    with its reason in `<out>.rejected.csv`. Of the number of images, memory holds a list of their
    names and places (a tenth of a kilobyte each), and neither pixels nor answers.
    """
    out = Path(out)
    known_format(out)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}; expected 1 or more")
    network, origin = _opened(run, device)
    network = network.folded.for_tree(tree)
    network = network.as_conditional if fractions == "conditional" else network
    if intervals and isinstance(network.module, OnnxModule):
        raise CheckpointError(
            f"{origin} is an ONNX file, which has answers but not how far off they may be: predict"
            " with the folder of its run, or leave out --intervals"
        )
    if intervals and network.intervals is None:
        whose = "" if fractions == "joint" else "conditional fractions of "
        raise CheckpointError(
            f"{origin} was never calibrated for {whose}the tree {network.tree.name!r}, so nobody"
            " knows how far off it may be: run galaxyvotes calibrate (again, if it was for joint"
            " fractions only), or leave out --intervals"
        )
    if intervals is False:
        network = network.without_intervals
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    if packed := [path for path in paths if (path / "store.toml").is_file()]:
        if len(paths) > 1:
            raise ConfigError(
                f"{packed[0]} is a packed store, which is predicted alone: name one store, or"
                " images"
            )
        return _predict_store(network, Store.open(packed[0]), out, workers, progress=progress)
    galaxies = 0
    shifted: Shift | None = None
    rejected: list[tuple[str, str]] = []
    with Source.open(*paths) as source, bar(show=progress) as shown:
        if not source.images:
            raise DataError(f"no image (JPEG, PNG …) in {', '.join(str(path) for path in paths)}")
        members = source.images
        ids, workers = members.unique_ids(), workers or os.cpu_count() or 1
        task = shown.add_task("predicting", total=len(members))

        def answer(chunk: slice) -> tuple[Predictions | None, list[tuple[str, str]]]:
            squares = [
                (name, read_square(member, network.pack))
                for name, member in zip(ids[chunk].to_pylist(), members[chunk], strict=True)
            ]
            good = [(name, square) for name, square in squares if not isinstance(square, str)]
            bad = [(name, reason) for name, reason in squares if isinstance(reason, str)]
            if not good:
                return None, bad
            return (
                predict_images(
                    network,
                    np.stack([square for _, square in good]),
                    tuple(name for name, _ in good),
                ),
                bad,
            )

        bounds, familiarity = network.intervals is not None, network.familiarity is not None
        with writing(out, network.columns, bounds=bounds, familiarity=familiarity) as write:
            for chunk, (answers, bad) in on_a_core_each(
                answer, chunks_of(len(members), workers), workers
            ):
                rejected += bad
                shown.advance(task, chunk.stop - chunk.start)
                if answers is not None:
                    write(answers)
                    part = shift_of(network, answers)
                    shifted = part if part is None or shifted is None else shifted + part
                    galaxies += len(answers)
            if not galaxies:
                raise DataError(
                    f"not one of {len(members):,} images could be used; the first:"
                    f" {': '.join(rejected[0])}"
                )
    done = Predicted(out, galaxies, tuple(rejected), shifted)
    done.rejected_path.unlink(missing_ok=True)
    if rejected:
        rows = [("id", "reason"), *rejected]
        write_text(
            done.rejected_path,
            "".join(f"{_quoted(name)},{_quoted(reason)}\n" for name, reason in rows),
        )
    return done


def _predict_store(
    network: Network, store: Store, out: Path, workers: int | None, *, progress: bool
) -> Predicted:
    """Write a network's answers for all galaxies of a store, as they come."""
    store.must_fit(network.pack, "the network")
    shifted: Shift | None = None
    bounds, familiarity = network.intervals is not None, network.familiarity is not None
    with writing(
        out, network.columns, id_name=store.id_name, bounds=bounds, familiarity=familiarity
    ) as write:
        for answers in predict_parts(
            network, store, np.arange(len(store)), workers, progress=progress
        ):
            write(answers)
            part = shift_of(network, answers)
            shifted = part if part is None or shifted is None else shifted + part
    done = Predicted(out, len(store), (), shifted)
    done.rejected_path.unlink(missing_ok=True)
    return done


def _opened(run: Run | str | Path | None, device: str) -> tuple[Network, Path]:
    """The network of a run or an ONNX file, and where that is."""
    if isinstance(run, str | Path) and is_onnx(run):
        if device not in ("auto", "cpu"):
            raise ConfigError(
                f"--device {device!r}: an ONNX file is computed on the CPU here; leave out --device"
            )
        return read_onnx(run), Path(run)
    run = open_run(run)
    return run.network(choose_device(device)), run.path


def shift_of(network: Network, predictions: Predictions) -> Shift | None:
    """Whether these galaxies are like those the network was calibrated on; None if it was not."""
    if network.familiarity is None or predictions.familiarity is None:
        return None
    return Shift.count(predictions.familiarity, network.familiarity.references)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
