"""A run as one ONNX file, which predicts without galaxyvotes, torch or Python: see `onnx_model` for
what is in it.

The file is written beside its place, opened as `predict` opens it, and compared with the run on
random images, and on real ones where they are given. It takes its place only if it predicts what
the run does.

It computes in float32, as runs do on most processors; where one multiplies bfloat16 (see
`inference.engine`), the run itself may differ by up to 0.01, and is compared without that.
"""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyvotes.errors import CheckpointError, ConfigError, DataError
from galaxyvotes.images.read import read_square
from galaxyvotes.inference.engine import estimate
from galaxyvotes.inference.onnx_model import (
    LARGEST,
    import_library,
    metadata_of,
    name_of_head,
    read_onnx,
    sealed,
)
from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.networks.batch import Batch
from galaxyvotes.networks.build import encoder, to_input
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.files import new_file, replacing
from galaxyvotes.runtime.locks import locked
from galaxyvotes.sources.archives import Source
from galaxyvotes.store.store import Store

__all__ = ["Exported", "export"]

TOLERANCE = 1e-4  # of a fraction, of a quantity's deviation, and of the largest feature
RANDOM, REAL = 32, 64  # images; two groups, and what takes a network of ours a second or two


@dataclass(frozen=True)
class Exported:
    """A file that was written, and its largest difference from the run, on so many random and real
    images.

    The difference is of fractions, of quantities in units of their standard deviation (or of their
    distance from the mean, if that is more), or of features in units of the largest, whichever is
    largest.
    """

    path: Path
    difference: float
    random: int
    real: int


class _Graph(nn.Module):
    """From bytes of images to every head's joint fractions, the mean over members, and the first
    member's features.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoder(member.module) for member in network.members)
        self.last_layers = nn.ModuleList(member.module[-1] for member in network.members)
        self.heads = network.all_heads

    def forward(
        self, images: UInt8[Tensor, "galaxy height width 3"]
    ) -> tuple[Float[Tensor, "galaxy _"], ...]:
        inputs = to_input(images)
        features = [encode(inputs) for encode in self.encoders]
        outputs = [last(each) for last, each in zip(self.last_layers, features, strict=True)]
        values = (
            torch.stack([head.objective.values(each[:, head.outputs]) for each in outputs]).mean(0)
            for head in self.heads
        )
        return *values, features[0]


def export(
    out: str | Path,
    *,
    run: Run | str | Path | None = None,
    check: str | Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a run, or the bundled one, as an ONNX file that has been compared with it.

    `check` is a folder, archive, image or store with real galaxies to compare the two on, besides
    random images.

    Raises CheckpointError if they differ by more than 1e-4, and as `Run.network` does; ConfigError
    if `out` does not end in .onnx, if it is there, unless `overwrite`, if a store is packed
    otherwise, or if torch cannot export the network; DataError if no image can be used;
    MissingExtraError without onnx, onnxruntime and onnxscript. There is no file then, or the one
    that was there before.
    """
    onnx = new_file(out, overwrite=overwrite)
    if onnx.suffix.lower() != ".onnx":
        raise ConfigError(f"{onnx}: name a file that ends in .onnx")
    run = open_run(run)
    network = run.network().for_tree(run.heads[0].tree.name)
    random = _random_images(network.pack.size_px)
    real = random[:0] if check is None else _real_images(Path(check), network)
    model = _model_of(network, run)
    for key, value in metadata_of(network, run.path.name, run.digest).items():
        model.metadata_props.add(key=key, value=value)
    with locked(onnx), replacing(onnx) as partial:
        partial.write_bytes(sealed(model.SerializeToString()))
        difference = _difference(read_onnx(partial), network, np.concatenate([random, real]))
        if not difference <= TOLERANCE:  # so written, NaN is refused, too
            raise CheckpointError(
                f"{run.path} predicts otherwise as ONNX, by up to {difference:.2g} (at most"
                f" {TOLERANCE} is allowed), so {onnx} was not written: its network"
                f" {network.recipe.model.name} cannot be exported by this version of torch"
            )
    return Exported(onnx, difference, len(random), len(real))


def _difference(
    exported: Network, network: Network, images: UInt8[np.ndarray, "galaxy side side 3"]
) -> float:
    """The largest difference between the two, in values of any head or in features; see
    `Exported`.
    """
    network = replace(network, recipe=network.recipe.changed("train.precision=float32"))
    batch = Batch(torch.from_numpy(images))
    largest = 0.0
    for of_file, of_run in zip(exported.all_heads, network.all_heads, strict=True):
        actual = estimate(of_file, batch)
        first, *rest = [estimate(member, batch) for member in of_run.members]
        expected = np.mean([first.values, *(each.values for each in rest)], axis=0)
        scale = max(1.0, float(np.abs(first.features).max()))
        parts = [
            _of_values(of_run, actual.values, expected).max(),
            np.abs(actual.features - first.features).max() / scale,
        ]
        largest = float(np.max([largest, *parts]))  # so written, NaN is kept
    return largest


def _of_values(
    network: Network,
    actual: Float[np.ndarray, "galaxy answer"],
    expected: Float[np.ndarray, "galaxy answer"],
) -> Float[np.ndarray, "galaxy answer"]:
    """The difference of each value in the units of `Exported`."""
    difference = np.abs(actual - expected)
    if network.tree.kind is not QUANTITIES:
        return difference
    mean, deviation = np.array(network.head.standards).T
    rounding = 2 * np.spacing(np.abs(expected))  # of float32: much for values far from zero
    return np.maximum(difference - rounding, 0) / np.maximum(np.abs(expected - mean), deviation)


def _model_of(network: Network, run: Run) -> Any:
    """Its graph as ONNX, without the exporter's notes, which name files of this computer."""
    for name in ("onnx", "onnxruntime", "onnxscript"):
        import_library(name)
    numbers = sum(
        each.numel() for member in network.members for each in member.module.state_dict().values()
    )
    if 4 * numbers > 0.99 * LARGEST:
        raise ConfigError(f"{run.path} has more than 2 GiB of weights, which no ONNX file holds")
    side = network.pack.size_px
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    outputs = [name_of_head("fractions", number) for number in range(1, len(network.heads) + 1)]
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                _Graph(network).eval(),
                (example,),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=["images"],
                output_names=[*outputs, "features"],
                dynamic_shapes=({0: torch.export.Dim("galaxy")},),
            )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            f"{run.path} cannot be exported: torch cannot write its network"
            f" {network.recipe.model.name} as ONNX ({str(error).splitlines()[0]})"
        ) from None
    model = program.model_proto
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
    return model


@contextmanager
def _quiet() -> Generator[None]:
    """Nothing logged or warned by the exporter; the comparison shows what matters."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _random_images(side: int) -> UInt8[np.ndarray, "galaxy side side 3"]:
    """Noise of any brightness, half of it with a blob of light."""
    random = np.random.default_rng(0)
    noise = random.uniform(0, 255, (RANDOM, side, side, 3)) * random.uniform(
        0, 1, (RANDOM, 1, 1, 1)
    )
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    widths = random.uniform(0.05, 0.5, (RANDOM // 2, 2, 1, 1))
    blobs = np.exp(-np.square(x / widths[:, 0]) - np.square(y / widths[:, 1]))
    noise[::2] = noise[::2] / 4 + 200 * blobs[..., None]
    return noise.clip(0, 255).astype(np.uint8)


def _real_images(path: Path, network: Network) -> UInt8[np.ndarray, "galaxy side side 3"]:
    """The first images of a folder, archive or store."""
    if (path / "store.toml").is_file():
        store = Store.open(path)
        if not network.pack.takes(store.pack):
            raise ConfigError(
                f"{path} is packed otherwise ({store.pack}) than the run takes images"
                f" ({network.pack})"
            )
        return store.images(np.arange(min(len(store), REAL)))
    with Source.open(path) as source:
        squares = (read_square(image, network.pack) for image in source.images)
        usable = (square.pixels for square in squares if square.pixels is not None)
        good = list(islice(usable, REAL))
    if not good:
        raise DataError(f"no image in {path} can be used to check with")
    return np.stack(good)
