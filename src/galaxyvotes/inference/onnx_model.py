"""An ONNX file that `export` wrote: what it holds, and how it is checked before it is used as the
network of a run.

    images       in: uint8 (galaxy, size_px, size_px, 3), RGB as a store packs it, any number
    fractions    out: float32 (galaxy, answer), joint fractions of the first tree, or its
                 quantities; fractions_2 … of the others
    features     out: float32 (galaxy, feature), from which the last layer computes them

Its metadata say in plain text which answers these are (`columns`, a JSON list; columns_2 …), their
`tree` (TOML), of quantities the mean and deviation that they were trained with (`standards`, a JSON
list of pairs; standards_2 …), which image the network takes (`preprocessing`, `crop_px`, `size_px`,
and the `scale` of the crop unless it is 1), over how many `views` of it `predict` takes the mean
and whether these `mirror` it, the `recipe`, and which run this was. Prediction intervals and
familiarity are not in it; they stay with the run.

A file may come from a stranger. It is used if its digest fits, so it is whole and no other program
has changed it; and, because a digest can be forged, if all it can do is arithmetic on the numbers
in it: an ONNX model may also refer to other files, which onnxruntime would read wherever they are,
and hold loops and operators from elsewhere.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import CheckpointError, GalaxyVotesError, MissingExtraError
from galaxyvotes.kinds import QUANTITIES, Standard
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.run import Run, bundled_run
from galaxyvotes.runtime.digests import digest_of
from galaxyvotes.runtime.files import given_path
from galaxyvotes.tree import DecisionTree

__all__ = [
    "LARGEST",
    "OnnxModule",
    "import_library",
    "is_onnx",
    "metadata_of",
    "name_of_head",
    "read_onnx",
    "sealed",
]

FORMAT = 1
LARGEST = 2**31 - 1  # bytes: no ONNX file is larger, because protocol buffers are not

_SEAL = "galaxyvotes_digest"


class OnnxModule(nn.Sequential):
    """A network without layers of its own: onnxruntime computes, in float32, on the CPU."""

    def __init__(
        self, session: Any, answers: tuple[int, ...], path: Path, run: str = "", digest: str = ""
    ) -> None:
        """`answers` is how many each head predicts, `path` names the file in errors; `run` and
        `digest` are the name of the run that was exported, and what it was then.
        """
        super().__init__()
        self.session, self.answers, self.path = session, answers, path
        self.run, self.digest = run, digest

    @property
    def stale(self) -> str:
        """That the run has been trained or calibrated since, if it is beside the file, or has the
        file in it; empty if it has not, or is elsewhere.
        """
        for run in self._namesakes():
            if run.digest != self.digest:
                return (
                    f"{self.path} was exported before {run.path} was calibrated or trained as it"
                    " is now, and predicts as it did then: export it again"
                )
        return ""

    @property
    def exported_from(self) -> Path | None:
        """The folder of the run that was exported, as it was then: beside the file, or with the
        file in it, or the bundled one; None if it is elsewhere.
        """
        runs = (run for runs in (self._namesakes(), (bundled_run(),)) for run in runs)
        return next((run.path for run in runs if run.digest == self.digest), None)

    def _namesakes(self) -> Iterator[Run]:
        """Whole runs that are called as the one that was exported."""
        for folder in (self.path.parent / self.run, self.path.resolve().parent):
            if folder.name == self.run and (folder / "run.json").is_file():
                with suppress(CheckpointError):  # who predicts with the file needs no folder
                    yield Run.open(folder)

    def head(
        self, index: int
    ) -> Callable[[UInt8[Tensor, "galaxy side side 3"]], tuple[Tensor, Tensor]]:
        """A function from images to the joint fractions or quantities of the head of that index and
        the features.

        It raises CheckpointError if onnxruntime fails, or gives other shapes than the metadata say.
        """

        def compute(images: UInt8[Tensor, "galaxy side side 3"]) -> tuple[Tensor, Tensor]:
            values, features = self._run(index, images.numpy())
            return torch.from_numpy(values), torch.from_numpy(features)

        return compute

    def _run(self, index: int, images: UInt8[np.ndarray, "galaxy side side 3"]) -> list[np.ndarray]:
        names = [name_of_head("fractions", index + 1), "features"]
        try:
            outputs = self.session.run(names, {"images": images})
        except Exception as error:  # onnxruntime's have no root of their own
            raise CheckpointError(f"{self.path} cannot be computed: {_first_line(error)}") from None
        shapes = [
            (getattr(each, "dtype", None), getattr(each, "shape", ())[:1], np.ndim(each))
            for each in outputs
        ]
        expected = [(np.float32, (len(images),), 2)] * 2
        if shapes != expected or outputs[0].shape[1] != self.answers[index]:
            raise CheckpointError(
                f"{self.path} does not give the {self.answers[index]} fractions of each image that"
                " it names"
            )
        return outputs


def import_library(name: str) -> Any:
    """One of the libraries that ONNX files need; MissingExtraError if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name, "export") from None


def is_onnx(path: str | Path) -> bool:
    """Whether this names an ONNX file, not a run folder."""
    return Path(path).suffix.lower() == ".onnx" and not Path(path).is_dir()


def name_of_head(name: str, number: int) -> str:
    """The name of an output or a metadata entry for the head of that number: name, name_2 …"""
    return name if number == 1 else f"{name}_{number}"


def metadata_of(network: Network, run: str, digest: str) -> dict[str, str]:
    """The metadata of a network's file; `run` and `digest` identify its weights."""
    crop, size = network.pack.square_px, network.pack.size_px
    square = (
        f"keep the central square of {crop} pixels" if crop else "keep the largest central square"
    )
    resize = (
        ""
        if crop == size
        else f", bring it to {size} × {size} pixels with a bilinear filter that does not alias"
    )
    metadata = {
        "galaxyvotes": version("galaxyvotes"),
        "format": str(FORMAT),
        "run": run,
        "run_digest": digest,
        "preprocessing": (
            f"Decode the image to 8-bit RGB, upright, {square}{resize}, and pass the bytes 0-255 as"
            " they are: uint8, (galaxy, height, width, 3). The graph divides by 255 itself."
        ),
        "crop_px": str(network.pack.crop_px),
        "size_px": str(size),
        "views": str(network.recipe.model.views),
        "mirror": str(network.recipe.train.mirror).lower(),
        "recipe": network.recipe.to_toml(),
    }
    if network.pack.scale != 1:
        metadata["scale"] = str(network.pack.scale)
    for number, head in enumerate(network.heads, 1):
        metadata[name_of_head("tree", number)] = head.tree.to_toml()
        metadata[name_of_head("columns", number)] = json.dumps(head.columns)
        if head.standards:
            metadata[name_of_head("standards", number)] = json.dumps(head.standards)
    return metadata


def sealed(body: bytes) -> bytes:
    """A model with one more entry at the end of its metadata: the digest of everything before it.

    Protocol buffers may be joined end to end; so the digest is of the bytes, however another
    version would write them.
    """
    return body + _seal(body)


def _seal(body: bytes) -> bytes:
    tail = import_library("onnx").ModelProto()
    tail.metadata_props.add(key=_SEAL, value=digest_of([body]))
    return tail.SerializeToString()


def read_onnx(path: str | Path) -> Network:
    """The network in a file that `export` wrote, to be used on the CPU.

    Raises CheckpointError if it is anything else, if it is damaged or has been changed, or if it
    could do more than arithmetic; MissingExtraError without onnx and onnxruntime.
    """
    path = given_path(path)
    import_library("onnxruntime")
    data = _bytes_of(path)
    model = _parsed(data, path)
    _check_arithmetic_only(model, path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    heads, pack, recipe = _parsed_metadata(metadata, path)
    answers = tuple(len(head.columns) for head in heads)
    made_of = metadata.get("run", ""), metadata.get("run_digest", "")
    module = OnnxModule(_session(data, path), answers, path, *made_of)
    for index in range(len(heads)):
        module.head(index)(torch.zeros(2, pack.size_px, pack.size_px, 3, dtype=torch.uint8))
    return Network(module, heads, pack, recipe)


def _session(data: bytes, path: Path) -> Any:
    runtime = import_library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # several threads compute at once, a group each
    options.log_severity_level = 4  # errors are raised
    # No other format is looked for in the bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return runtime.InferenceSession(
            data,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # to the same processor, with lines on standard output
        )
    except Exception as error:  # onnxruntime's have no root of their own
        raise CheckpointError(
            f"{path} holds no graph that can be computed: {_first_line(error)}"
        ) from None


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise CheckpointError(f"{path} is larger than 2 GiB, which no ONNX file is")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None


def _parsed(data: bytes, path: Path) -> Any:
    """A file's model, whose digest fits."""
    try:
        model = import_library("onnx").load_model_from_string(data)
    except Exception as error:  # each implementation of protocol buffers has its own
        raise CheckpointError(
            f"{path} is no ONNX file, or is cut short: {_first_line(error)}"
        ) from None
    notes = {entry.key: entry.value for entry in model.metadata_props}
    if not {"galaxyvotes", "format"} <= notes.keys():
        raise CheckpointError(
            f"{path} was not written by `galaxyvotes.export(…)`, so the meaning of its inputs and"
            " outputs is unknown"
        )
    if notes["format"] != str(FORMAT):
        raise CheckpointError(
            f"{path} was written by another galaxyvotes, {notes['galaxyvotes']} (format"
            f" {notes['format']}; this one reads {FORMAT}): upgrade galaxyvotes or export the run"
            " again"
        )
    body = data[: -len(_seal(b""))]
    if data != sealed(body):
        raise CheckpointError(
            f"{path} is damaged, or another program has changed it: export the run again"
        )
    return model


def _check_arithmetic_only(model: Any, path: Path) -> None:
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    inner = any(
        a.HasField("g") or len(a.graphs) or a.HasField("sparse_tensor") or a.sparse_tensors
        for a in attributes
    )
    if foreign or inner or model.functions or model.training_info or model.graph.sparse_initializer:
        raise CheckpointError(
            f"{path} holds operators, loops or functions that `galaxyvotes.export(…)` never writes"
        )
    if any(tensor.data_location or tensor.external_data for tensor in _tensors(model, attributes)):
        raise CheckpointError(
            f"{path} keeps numbers in other files, which `galaxyvotes.export(…)` never does"
        )


def _tensors(model: Any, attributes: list[Any]) -> Iterator[Any]:
    yield from model.graph.initializer
    for attribute in attributes:
        yield attribute.t
        yield from attribute.tensors


def _parsed_metadata(
    metadata: dict[str, str], path: Path
) -> tuple[tuple[Head, ...], PackSettings, Recipe]:
    try:
        scale = float(metadata.get("scale", "1"))
        recipe = Recipe.from_toml(metadata["recipe"])
        sides = {name: int(metadata[name]) for name in ("crop_px", "size_px")}
        pack = replace(recipe.pack, scale=scale, **sides)
        count = next(n for n in itertools.count(1) if name_of_head("tree", n + 1) not in metadata)
        heads = tuple(_parsed_head(metadata, number) for number in range(1, count + 1))
    except (KeyError, ValueError, TypeError, GalaxyVotesError) as error:
        raise CheckpointError(
            f"{path} has metadata that cannot be understood: {_first_line(error)}"
        ) from None
    return heads, pack, recipe


def _parsed_head(metadata: dict[str, str], number: int) -> Head:
    """The head of that number; KeyError, ValueError or TypeError if its entries do not fit."""
    tree = DecisionTree.from_toml(metadata[name_of_head("tree", number)])
    columns = tuple(json.loads(metadata[name_of_head("columns", number)]))
    if not columns or len({*columns}) < len(columns) or not {*columns} <= {*tree.columns}:
        raise ValueError(f"{list(columns)} are not answers of tree {tree.name!r}")
    pairs = json.loads(metadata.get(name_of_head("standards", number), "[]"))
    standards = tuple(Standard(float(centre), float(scale)) for centre, scale in pairs)
    if len(standards) != (len(columns) if tree.kind is QUANTITIES else 0):
        raise ValueError(f"{len(standards)} standards of {len(columns)} answers")
    return Head(tree, columns, standards)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
