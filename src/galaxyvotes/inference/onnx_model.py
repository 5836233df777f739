"""An ONNX file that `export` wrote: what it holds, and how one is checked before it is used as a
run's network is.

    images       in: uint8 (galaxy, size_px, size_px, 3), RGB as a store packs it, any number of galaxies
    fractions    out: float32 (galaxy, answer), joint fractions of the first tree, or its quantities; fractions_2 …
                 of the others
    features     out: float32 (galaxy, feature), what the last layer made them from

Its metadata says in plain text which answers these are (`columns`, a JSON list; columns_2 …), their
`tree` (TOML), of quantities the mean and deviation that they were learned with (`standards`, a JSON
list of pairs; standards_2 …), what image the network wants (`preprocessing`, `crop_px`, `size_px`),
over how many `views` of it `predict` takes the mean, the `recipe`, and which run this was. Bounds
and familiarity are not in it; they stay with the run.

A file may come from a stranger. It is used if its digest fits, so it is whole and no other program
has changed it; and, because a digest can be forged, if all it can do is arithmetic on the numbers
in it: an ONNX model may also point to other files, which onnxruntime would read wherever they are,
and hold loops and operators from elsewhere.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from torch import nn

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import CheckpointError, GalaxyVotesError, MissingExtraError
from galaxyvotes.networks.objectives import Standard
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runtime.digests import digest_of
from galaxyvotes.tree import DecisionTree

__all__ = ["OnnxModule", "is_onnx", "library", "notes_of", "numbered", "read_onnx", "sealed"]

FORMAT = 1
LARGEST = 2**31 - 1  # bytes: no ONNX file is larger, because protocol buffers are not

_SEAL = "galaxyvotes_digest"


class OnnxModule(nn.Sequential):
    """A network without layers of its own: onnxruntime computes, in float32, on the CPU."""

    def __init__(self, session: Any, answers: tuple[int, ...], path: Path) -> None:
        """`answers` is how many each head gives, `path` names the file in errors."""
        super().__init__()
        self.session, self.answers, self.path = session, answers, path

    def say(
        self, images: UInt8[np.ndarray, "galaxy side side 3"], place: int
    ) -> tuple[Float32[np.ndarray, "galaxy answer"], Float32[np.ndarray, "galaxy feature"]]:
        """The joint fractions of the head at that place, and the features."""
        try:
            found = self.session.run(
                [numbered("fractions", place + 1), "features"], {"images": images}
            )
        except Exception as error:  # onnxruntime's have no root of their own
            raise CheckpointError(f"{self.path} cannot be computed: {_first_line(error)}") from None
        kinds = [
            (getattr(each, "dtype", None), getattr(each, "shape", ())[:1], np.ndim(each))
            for each in found
        ]
        if (
            kinds != [(np.float32, (len(images),), 2)] * 2
            or found[0].shape[1] != self.answers[place]
        ):
            raise CheckpointError(
                f"{self.path} does not give the {self.answers[place]} fractions of each image that"
                " it names"
            )
        return found[0], found[1]


def library(name: str) -> Any:
    """One of the libraries that ONNX files need."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name, "export") from None


def is_onnx(path: str | Path) -> bool:
    """Whether this names an ONNX file, not a run folder."""
    return Path(path).suffix.lower() == ".onnx" and not Path(path).is_dir()


def numbered(name: str, number: int) -> str:
    """How that of the first head is called, or of another: name, name_2, name_3 …"""
    return name if number == 1 else f"{name}_{number}"


def notes_of(network: Network, run: str, digest: str) -> dict[str, str]:
    """The metadata of a network's file; `run` and `digest` say whose weights it has."""
    crop, size = network.pack.crop_px, network.pack.size_px
    square = (
        f"keep the central square of {crop} pixels" if crop else "keep the largest central square"
    )
    resize = (
        ""
        if crop == size
        else f", bring it to {size} × {size} pixels with a bilinear filter that does not alias"
    )
    notes = {
        "galaxyvotes": version("galaxyvotes"),
        "format": str(FORMAT),
        "run": run,
        "run_digest": digest,
        "preprocessing": (
            f"Decode the image to 8-bit RGB, upright, {square}{resize}, and pass the bytes 0-255 as"
            " they are: uint8, (galaxy, height, width, 3). The graph divides by 255 itself."
        ),
        "crop_px": str(crop),
        "size_px": str(size),
        "views": str(network.recipe.model.views),
        "recipe": network.recipe.to_toml(),
    }
    for number, head in enumerate(network.heads, 1):
        notes |= {
            numbered("tree", number): head.tree.to_toml(),
            numbered("columns", number): json.dumps(head.columns),
        }
        if head.standards:
            notes[numbered("standards", number)] = json.dumps(head.standards)
    return notes


def sealed(body: bytes) -> bytes:
    """A model with one more entry at the end of its metadata: the digest of everything before it.

    Protocol buffers may be joined end to end; so the digest is of the bytes, however another
    version would write them.
    """
    return body + _seal(body)


def _seal(body: bytes) -> bytes:
    tail = library("onnx").ModelProto()
    tail.metadata_props.add(key=_SEAL, value=digest_of([body]))
    return tail.SerializeToString()


def read_onnx(path: str | Path) -> Network:
    """The network in a file that `export` wrote, to be used on the CPU; CheckpointError if it is
    anything else.
    """
    path = Path(path)
    runtime = library("onnxruntime")
    data = _bytes_of(path)
    model = _parsed(data, path)
    _refuse_more_than_arithmetic(model, path)
    heads, pack, recipe = _understood({each.key: each.value for each in model.metadata_props}, path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # several threads compute at once, a group each
    options.log_severity_level = 4  # what goes wrong is raised
    options.add_session_config_entry(
        "session.load_model_format", "ONNX"
    )  # no other format is looked for in the bytes
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no root of their own
        raise CheckpointError(
            f"{path} holds no graph that can be computed: {_first_line(error)}"
        ) from None
    module = OnnxModule(session, tuple(len(head.columns) for head in heads), path)
    for place in range(len(heads)):
        module.say(
            np.zeros((2, pack.size_px, pack.size_px, 3), np.uint8), place
        )  # refuses outputs of another shape
    return Network(module, heads, pack, recipe)


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
        model = library("onnx").load_model_from_string(data)
    except Exception as error:  # each implementation of protocol buffers has its own
        raise CheckpointError(
            f"{path} is no ONNX file, or is cut short: {_first_line(error)}"
        ) from None
    notes = {each.key: each.value for each in model.metadata_props}
    if not {"galaxyvotes", "format"} <= notes.keys():
        raise CheckpointError(
            f"{path} was not written by galaxyvotes export, so nobody knows what its inputs and"
            " outputs mean"
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


def _refuse_more_than_arithmetic(model: Any, path: Path) -> None:
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    inner = any(
        a.HasField("g") or len(a.graphs) or a.HasField("sparse_tensor") or a.sparse_tensors
        for a in attributes
    )
    if foreign or inner or model.functions or model.training_info or model.graph.sparse_initializer:
        raise CheckpointError(
            f"{path} holds operators, loops or functions that galaxyvotes export never writes"
        )
    if any(tensor.data_location or tensor.external_data for tensor in _tensors(model, attributes)):
        raise CheckpointError(
            f"{path} keeps numbers in other files, which galaxyvotes export never does"
        )


def _tensors(model: Any, attributes: list[Any]) -> Iterator[Any]:
    yield from model.graph.initializer
    for attribute in attributes:
        yield attribute.t
        yield from attribute.tensors


def _understood(notes: dict[str, str], path: Path) -> tuple[tuple[Head, ...], PackSettings, Recipe]:
    try:
        pack = PackSettings(int(notes["crop_px"]), int(notes["size_px"]))
        recipe = Recipe.from_toml(notes["recipe"])
        heads: list[Head] = []
        while (tree := numbered("tree", len(heads) + 1)) in notes or not heads:
            columns = json.loads(notes[numbered("columns", len(heads) + 1)])
            pairs = json.loads(notes.get(numbered("standards", len(heads) + 1), "[]"))
            standards = tuple(Standard(float(centre), float(scale)) for centre, scale in pairs)
            heads.append(Head(DecisionTree.from_toml(notes[tree]), tuple(columns), standards))
            if (
                not columns
                or sorted(set(columns)) != sorted(columns)
                or not {*columns} <= {*heads[-1].tree.columns}
            ):
                raise ValueError(f"{columns} are not answers of tree {heads[-1].tree.name!r}")  # noqa: TRY301
            if len(standards) != (len(columns) if heads[-1].tree.of_quantities else 0):
                raise ValueError(f"{len(standards)} standards of {len(columns)} answers")  # noqa: TRY301
    except (KeyError, ValueError, TypeError, GalaxyVotesError) as error:
        raise CheckpointError(
            f"{path} has metadata that cannot be understood: {_first_line(error)}"
        ) from None
    return tuple(heads), pack, recipe


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
