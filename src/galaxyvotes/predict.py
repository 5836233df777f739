"""One network over one slice of images. Validation, reports and whole catalogues all come through here.

Images go through in groups of one fixed size, the last one filled up, so that what a galaxy gets does not depend on
who stands beside it: not on batch size, slice or order, to the last bit. Between machines that multiply in bfloat16 and
machines that do not, fractions of a trained network differ by less than 0.01.

Each thread decodes, computes and averages images of its own on one core, from file to answers. Several cores that share
a group wait for each other after every layer, and for the threads that decode beside them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import nn

from galaxyvotes.archives import Source
from galaxyvotes.augment import views
from galaxyvotes.catalog import ids_of
from galaxyvotes.checkpoint import Network, Run, shipped_run
from galaxyvotes.conformal import conditional
from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.exported import OnnxModule, is_onnx, read_onnx
from galaxyvotes.files import write_text
from galaxyvotes.memory import keep_freed_memory
from galaxyvotes.models import encoder, to_input
from galaxyvotes.novelty import Shift, shift
from galaxyvotes.pack import read_square
from galaxyvotes.parallel import in_order
from galaxyvotes.predictions import Predictions, known_format, writing
from galaxyvotes.progress import bar, progress_bar
from galaxyvotes.scale import Of
from galaxyvotes.store import Store

__all__ = ["Predicted", "choose_device", "predict", "predict_store"]

GROUP = 16  # on a CPU the activations of this many stay in its cache; a GPU takes a CHUNK
CHUNK = 8 * GROUP  # images that one thread takes at a time, at most

Item = TypeVar("Item")
Result = TypeVar("Result")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's MPS, else the CPU."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present.get(name.partition(":")[0], False):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise ConfigError(f"--device {name!r}: this machine has {here}; auto takes the first of them")
    if name == "cpu":
        keep_freed_memory()
    return torch.device(name)


def low_precision(setting: str, device: torch.device) -> bool:
    """Whether convolutions and products run in bfloat16: "auto" means where the device multiplies it faster."""
    if setting != "auto":
        return setting == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Without these instructions a CPU only imitates bfloat16, slowly. Before 2.12 torch did not tell.
    can: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def on_a_core_each(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """`in_order`, where torch computes each item in its own thread only; as many at once as torch has threads."""
    threads = torch.get_num_threads()

    def alone(item: Item) -> Result:
        torch.set_num_threads(1)  # of this thread, and of those that begin later
        return work(item)

    try:
        yield from in_order(alone, items, workers or threads)
    finally:
        torch.set_num_threads(threads)


def _chunks(count: int, workers: int) -> list[slice]:
    """Which of so many images are looked at together: whole groups, small enough that every thread gets some."""
    step = GROUP * max(1, min(CHUNK // GROUP, count // (2 * GROUP * workers)))
    return [slice(start, start + step) for start in range(0, max(count, 1), step)]


class Seen(NamedTuple):
    """What a network makes of images: its raw output, and the features that its last layer made that from."""

    logits: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


@torch.inference_mode()
def look(network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]) -> Seen:
    """What the network makes of images that are packed as it wants them."""
    device = next(network.module.parameters()).device
    half = low_precision(network.recipe.train.precision, device)
    encode, answer = encoder(network.module), network.module[-1]
    assert isinstance(answer, nn.Linear)
    logits = np.empty((len(images), len(network.columns)), np.float32)
    features = np.empty((len(images), answer.in_features), np.float32)
    for place, filled in _groups(images, GROUP if device.type == "cpu" else CHUNK):
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            encoded = encode(to_input(torch.from_numpy(filled).to(device)))
            answered = answer(encoded)[:, network.outputs]
        for result, found in ((logits, answered), (features, encoded)):
            result[place] = found[: place.stop - place.start].float().cpu().numpy()
    return Seen(logits, features)


def _groups(
    images: UInt8[np.ndarray, "galaxy side side 3"], size: int = GROUP
) -> Iterator[tuple[slice, UInt8[np.ndarray, "group side side 3"]]]:
    """Where each group stands among the images, and its images, filled up to a size that is always the same."""
    for start in range(0, max(len(images), 1), size):
        group = images[start : start + size]
        filled = np.zeros((size, *group.shape[1:]), np.uint8)
        filled[: len(group)] = group
        yield slice(start, start + len(group)), filled


class Said(NamedTuple):
    """What a network says of images, each seen once: joint fractions, and the features that it made them from."""

    fractions: Float32[np.ndarray, "galaxy answer"]
    features: Float32[np.ndarray, "galaxy feature"]


def say(network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]) -> Said:
    """What a network, of a run or of an ONNX file, says of images that are packed as it wants them."""
    if isinstance(network.module, OnnxModule):
        said = [
            [each[: place.stop - place.start] for each in network.module.say(filled, network.place)]
            for place, filled in _groups(images)
        ]
        return Said(*(np.concatenate(each) for each in zip(*said, strict=True)))
    seen = look(network, images)
    return Said(fractions_of(network, seen.logits), seen.features)


def logits_of(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """The network's raw output for images that are packed as it wants them."""
    return look(network, images).logits


def store_logits(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False
) -> Float32[np.ndarray, "galaxy answer"]:
    """The network's raw output for these rows of a store, in their order; the network ends in evaluation mode."""
    return store_look(network, store, rows, progress=progress).logits


def store_look(network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False) -> Seen:
    """What the network makes of these rows of a store, in their order; it ends in evaluation mode."""
    network.module.eval()
    parts = _of_store(lambda part: look(network, store.images(part)), rows, progress=progress)
    return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _of_store(
    work: Callable[[Int[np.ndarray, " galaxy"]], Result],
    rows: Int[np.ndarray, " galaxy"],
    workers: int | None = None,
    *,
    progress: bool,
) -> Iterator[Result]:
    """What some work makes of these rows, a part for each thread at a time."""
    parts = [rows[chunk] for chunk in _chunks(len(rows), workers or torch.get_num_threads())]
    done = on_a_core_each(work, parts, workers)
    for _ in progress_bar(parts, "predicting", show=progress):
        yield next(done)[1]


@torch.inference_mode()
def answers_of(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"], names: tuple[str, ...]
) -> Predictions:
    """What a network says of images that are packed as it wants them, with bounds and familiarity if it was calibrated.

    Fractions are the mean over its members and the views (`augment.views`) that its recipe asks for, `spread` is their
    standard deviation; how familiar an image is, is what the first member sees in the image itself. A network that
    tells conditional fractions has them from the joint ones, so averaged.
    """
    said, features = _looks(network, images)
    joint = np.mean(said, axis=0)
    fractions = _told(network, joint)
    spread = None
    if len(said) > 1:  # a view that sees nobody asked is of the mean's opinion
        each_told = [_told(network, each) for each in said]
        spread = np.std([np.where(np.isnan(each), fractions, each) for each in each_told], axis=0)
    bounds = None if network.calibration is None else network.calibration.bounds(joint, spread)
    familiarity = None if network.familiar is None else network.familiar.ranks(features)
    return Predictions(names, network.columns, fractions, bounds=bounds, spread=spread, familiarity=familiarity)


def _looks(
    network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]
) -> tuple[list[Float32[np.ndarray, "galaxy answer"]], Float32[np.ndarray, "galaxy feature"]]:
    """The joint fractions that each member gives each view of the images, and the first one's features of the first."""
    model = network.recipe.model
    seen = [view.numpy() for view in views(torch.from_numpy(images), model.views, model.zooms)]
    looks = [say(member, np.concatenate(seen)) for member in network.members]  # so that few images fill a group, too
    said = [each for look in looks for each in np.split(look.fractions, len(seen))]
    return said, looks[0].features[: len(images)]


@torch.inference_mode()
def store_looks(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], *, progress: bool = False
) -> Float32[np.ndarray, "look galaxy answer"]:
    """The joint fractions that each member gives each view of these rows of a store, in their order."""
    network = network.folded
    said = _of_store(lambda part: np.stack(_looks(network, store.images(part))[0]), rows, progress=progress)
    return np.concatenate(list(said), axis=1)


def _told(network: Network, joint: Float32[np.ndarray, "galaxy answer"]) -> Float32[np.ndarray, "galaxy answer"]:
    """Joint fractions as the kind of fractions that the network tells."""
    return joint if network.tells == "joint" else conditional(joint, network.tree, network.columns)


def predict_store(
    network: Network,
    store: Store,
    rows: Int[np.ndarray, " galaxy"] | None = None,
    *,
    bounds: bool = True,
    progress: bool = False,
) -> Predictions:
    """A network's answers for these rows of a store (all of them), in their order; with bounds if it was calibrated."""
    store.must_fit(network.pack, "the network")
    network = network.folded if bounds else replace(network.folded, calibrations=())
    chosen = np.arange(len(store)) if rows is None else rows
    return Predictions.together(list(_store_parts(network, store, chosen, progress=progress)))


def _store_parts(
    network: Network, store: Store, rows: Int[np.ndarray, " galaxy"], workers: int | None = None, *, progress: bool
) -> Iterator[Predictions]:
    """A network's answers for these rows of a store, some at a time."""
    names = np.array(store.ids, object)

    def answer(part: Int[np.ndarray, " galaxy"]) -> Predictions:
        return replace(answers_of(network, store.images(part), tuple(names[part])), id_name=store.id_name)

    yield from _of_store(answer, rows, workers, progress=progress)


def fractions_of(
    network: Network, logits: Float32[np.ndarray, "galaxy answer"]
) -> Float32[np.ndarray, "galaxy answer"]:
    """What the raw output means: joint fractions."""
    return network.objective.fractions(torch.from_numpy(logits)).numpy()


@dataclass(frozen=True)
class Predicted:
    """What became of a prediction job: how many galaxies are in `path`, and which images could not be used.

    `shift` says whether the galaxies are like those the run was calibrated on; None if it was not.
    """

    path: Path
    galaxies: int
    rejected: tuple[tuple[str, str], ...]
    shift: Shift | None = None

    @property
    def warning(self) -> str | None:
        """What to know before trusting the answers, if there is anything."""
        return str(self.shift) if self.shift is not None and self.shift.found else None

    @property
    def rejected_path(self) -> Path:
        """Where the images that could not be used are listed with their reasons, if there are any."""
        return self.path.with_name(self.path.name + ".rejected.csv")


def predict(
    images: str | Path | Sequence[str | Path],
    run: Run | str | Path | None,
    out: str | Path,
    *,
    tree: str | None = None,
    fractions: Of = "joint",
    intervals: bool | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = True,
) -> Predicted:
    """Write a run's answers for images in folders, archives or a store: a table, one row a galaxy.

    Without a run, the one that comes with the package answers; one that was exported to an ONNX file answers as its
    folder would, on the CPU, without bounds and familiarity. `tree` names the tree to answer, if the run answers
    several. `fractions` are of everybody ("joint") or of those who were asked ("conditional": NaN where nobody would
    be, without bounds where fewer than a quarter would be). `intervals` asks for the bounds of each answer
    (CheckpointError if the run was never calibrated for such fractions) or leaves them out; by default they are there
    if the run was calibrated for them.

    The first column is the id (the file's stem), then one column an answer; of a calibrated run the last is the
    galaxy's familiarity, and the result has a `warning` if the galaxies are unlike those it was calibrated on. The
    extension of `out` says CSV or Parquet. Images are cropped as the run's own were. One that cannot be used
    never stops the others: it is left out and listed with its reason in `<out>.rejected.csv`. Of the number of images,
    memory holds a list of their names and places (a tenth of a kilobyte each), and neither pixels nor answers.
    """
    out = Path(out)
    known_format(out)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}; expected 1 or more")
    network, origin = _opened(run, device)
    network = network.folded.answering(tree)
    network = network.telling_conditional if fractions == "conditional" else network
    if intervals and isinstance(network.module, OnnxModule):
        raise CheckpointError(
            f"{origin} is an ONNX file, which has answers but not how far off they may be: predict with the folder of"
            " its run, or leave out --intervals"
        )
    if intervals and network.calibration is None:
        whose = "" if fractions == "joint" else "conditional fractions of "
        raise CheckpointError(
            f"{origin} was never calibrated for {whose}the tree {network.tree.name!r}, so nobody knows how far off it"
            " may be: run galaxyvotes calibrate (again, if it was for joint fractions only), or leave out --intervals"
        )
    if intervals is False:
        network = replace(network, calibrations=())
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    if packed := [path for path in paths if (path / "store.toml").is_file()]:
        if len(paths) > 1:
            raise ConfigError(f"{packed[0]} is a packed store, which is predicted alone: name one store, or images")
        return _predict_store(network, Store.open(packed[0]), out, workers, progress=progress)
    galaxies = 0
    shifted: Shift | None = None
    rejected: list[tuple[str, str]] = []
    with Source.open(*paths) as source, bar(show=progress) as shown:
        if not source.images:
            raise DataError(f"no image (JPEG, PNG …) in {', '.join(str(path) for path in paths)}")
        members = source.images
        names, workers = ids_of(members), workers or os.cpu_count() or 1
        task = shown.add_task("predicting", total=len(members))

        def answer(chunk: slice) -> tuple[Predictions | None, list[tuple[str, str]]]:
            squares = [
                (name, read_square(member, network.pack))
                for name, member in zip(names[chunk], members[chunk], strict=True)
            ]
            good = [(name, square) for name, square in squares if not isinstance(square, str)]
            bad = [(name, reason) for name, reason in squares if isinstance(reason, str)]
            if not good:
                return None, bad
            return answers_of(network, np.stack([square for _, square in good]), tuple(name for name, _ in good)), bad

        bounds, familiarity = network.calibration is not None, network.familiar is not None
        with writing(out, network.columns, bounds=bounds, familiarity=familiarity) as write:
            for chunk, (answers, bad) in on_a_core_each(answer, _chunks(len(members), workers), workers):
                rejected += bad
                shown.advance(task, chunk.stop - chunk.start)
                if answers is not None:
                    write(answers)
                    part = shift_of(network, answers)
                    shifted = part if part is None or shifted is None else shifted + part
                    galaxies += len(answers)
            if not galaxies:
                raise DataError(
                    f"not one of {len(members):,} images could be used; the first: {': '.join(rejected[0])}"
                )
    done = Predicted(out, galaxies, tuple(rejected), shifted)
    done.rejected_path.unlink(missing_ok=True)
    if rejected:
        rows = [("id", "reason"), *rejected]
        write_text(done.rejected_path, "".join(f"{_quoted(name)},{_quoted(reason)}\n" for name, reason in rows))
    return done


def _predict_store(network: Network, store: Store, out: Path, workers: int | None, *, progress: bool) -> Predicted:
    """Write a network's answers for all galaxies of a store, as they come."""
    store.must_fit(network.pack, "the network")
    shifted: Shift | None = None
    bounds, familiarity = network.calibration is not None, network.familiar is not None
    with writing(out, network.columns, id_name=store.id_name, bounds=bounds, familiarity=familiarity) as write:
        for answers in _store_parts(network, store, np.arange(len(store)), workers, progress=progress):
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
            raise ConfigError(f"--device {device!r}: an ONNX file is computed on the CPU here; leave out --device")
        return read_onnx(run), Path(run)
    run = shipped_run() if run is None else run if isinstance(run, Run) else Run.open(run)
    return run.network(choose_device(device)), run.path


def shift_of(network: Network, predictions: Predictions) -> Shift | None:
    """Whether these galaxies are like those the network was calibrated on; None if it was not."""
    if network.familiar is None or predictions.familiarity is None:
        return None
    return shift(predictions.familiarity, network.familiar.references)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
