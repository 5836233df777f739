"""What `calibrate` measured of a run, as files of its folder.

    calibration.toml                prediction intervals and temperature scaling of the first head;
                                    calibration-2.toml … of the others
    familiar-1-DIGEST.safetensors   what its familiarity scores are measured by, and the digests of
                                    the calibration galaxies

A calibration counts whole or not at all: calibration.toml is written last and names the digest of
the other file, and a file that it does not name does not count. Files that name none, as older runs
have them, go with familiar.safetensors. It also names the weights that it was measured with.

Keys and tensors keep the names of the first version: `familiar`, `certainty` (the temperature
scaling) and `calibrated` (the digests of the galaxies).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
import torch
from torch import Tensor, nn

from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.prediction_intervals import PredictionIntervals
from galaxyvotes.confidence.temperature import TemperatureScaling, check_scalings
from galaxyvotes.errors import CheckpointError, DataError
from galaxyvotes.runs.tensors import read_tensors, tensor_digest, write_tensors
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import digest_of, file_digest
from galaxyvotes.runtime.files import write_text
from galaxyvotes.runtime.toml import from_table, parsed
from galaxyvotes.tree import DecisionTree

__all__ = ["Calibration", "numbered_file", "read_calibration", "write_calibration"]

_REMEDY = "run `galaxyvotes.calibrate(…, overwrite=True)` again"
_PIXELS = "calibrated"


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` measured of one head; all of it is None or empty for one never calibrated.

    `joint` and `conditional` are the prediction intervals of the two kinds of fractions; those of
    quantities are `joint`; classes have none. There are no conditional ones if an older galaxyvotes
    measured it, or if the head lacks answers that lead to others. `familiarity` gives the
    familiarity scores. `temperature` scales each question, if the objective allows it: the head
    predicts with it, and the intervals are those of such predictions. `pixels` are the digests of
    the calibration galaxies.
    """

    joint: PredictionIntervals | None = None
    conditional: PredictionIntervals | None = None
    familiarity: Familiarity | None = None
    temperature: tuple[TemperatureScaling, ...] = ()
    pixels: frozenset[bytes] = frozenset()

    def __repr__(self) -> str:
        """One line: what was measured, and from how many galaxies."""
        parts = {
            "prediction intervals": self.joint,
            "familiarity": self.familiarity,
            "temperature scaling": self.temperature or None,
        }
        measured = [name for name, part in parts.items() if part is not None]
        galaxies = counted(len(self.pixels), "galaxy")
        what = f"{', '.join(measured)} from {galaxies}" if measured else "none"
        return f"<Calibration: {what}>"

    def scale_logits(self, module: nn.Sequential, outputs: slice, tree: DecisionTree) -> None:
        """Scale the outputs of a network that are the head's, in its last layer."""
        for scaling, where in zip(self.temperature, tree.slices, strict=False):
            scaling.apply_to(module, slice(outputs.start + where.start, outputs.start + where.stop))

    @property
    def without_intervals(self) -> "Calibration":
        """The same without prediction intervals."""
        return replace(self, joint=None, conditional=None)


@dataclass(frozen=True)
class _Rest:
    """What calibration.toml holds beside the joint prediction intervals."""

    familiar: str | None = None
    weights: tuple[str, ...] | None = None
    conditional: PredictionIntervals | None = None
    certainty: tuple[TemperatureScaling, ...] = ()


def read_calibration(
    folder: Path, weights: Sequence[Path], number: int, tree: DecisionTree
) -> Calibration:
    """The calibration of the head of that number, which is for that tree, of the run in a folder,
    whose weights are in these files; an empty one if there is none.

    Raises CheckpointError if its files are damaged or missing, or if it was measured with other
    weights.
    """
    path = folder / numbered_file("calibration.toml", number)
    if not path.is_file():
        return Calibration()
    digest, _, text = path.read_text("utf-8", "replace").partition("\n")
    if digest != f"# {digest_of([text.encode()])}":
        raise CheckpointError(f"{path} is damaged: its digest does not fit; {_REMEDY}")
    try:
        joint, rest = _parts(text, path, tree)
    except DataError as error:
        raise CheckpointError(f"{error}; {_REMEDY}") from None
    if rest.weights is not None and list(rest.weights) != [file_digest(file) for file in weights]:
        raise CheckpointError(
            f"{path} was measured with other weights than those of {folder}; {_REMEDY}"
        )
    familiarity, pixels = _read_familiarity(folder, number, rest.familiar)
    return Calibration(joint, rest.conditional, familiarity, rest.certainty, pixels)


def _parts(text: str, path: Path, tree: DecisionTree) -> tuple[PredictionIntervals | None, _Rest]:
    """The joint prediction intervals in a calibration.toml, if it has any, and the rest of it."""
    table = parsed(text, str(path), error=DataError)
    others = {key: table.pop(key) for key in _Rest.__dataclass_fields__ if key in table}
    if isinstance(others.get("certainty"), dict):  # as older runs have it
        others["certainty"] = [others["certainty"]]
    rest = from_table(others, _Rest, str(path), error=DataError)
    joint = None
    if table or rest.familiar is None:
        joint = from_table(table, PredictionIntervals, str(path), error=DataError)
    if rest.certainty:
        check_scalings(rest.certainty, tree, f"{path}, [certainty]")
    return joint, rest


def _read_familiarity(
    folder: Path, number: int, digest: str | None
) -> tuple[Familiarity | None, frozenset[bytes]]:
    """The familiarity in the file of that digest, if an older run has one without, and the digests
    of the calibration galaxies.
    """
    path = folder / (
        numbered_file("familiar.safetensors", number)
        if digest is None
        else _familiar_file(number, digest)
    )
    if digest is None and not path.is_file():
        return None, frozenset()
    tensors = read_tensors(path, mend=_REMEDY)[0]
    pixels = tensors.get(_PIXELS, torch.empty(0)).numpy()
    familiarity = Familiarity.from_tensors(tensors, str(path))
    return familiarity, frozenset(each.tobytes() for each in pixels)


def write_calibration(
    calibration: Calibration, folder: Path, weights: Sequence[Path], number: int
) -> None:
    """Write a calibration into the run folder, all of it or nothing; what is there already is
    replaced.
    """
    tensors = _tensors(calibration)
    digest = tensor_digest(tensors, "{}")
    familiar = _familiar_file(number, digest)
    write_tensors(folder / familiar, tensors, {})
    table: dict[str, Any] = {
        "familiar": digest,
        "weights": [file_digest(path) for path in weights],
        **({} if calibration.joint is None else calibration.joint.to_table()),
    }
    if calibration.conditional is not None:
        table["conditional"] = calibration.conditional.to_table()
    if calibration.temperature:
        table["certainty"] = [scaling.to_table() for scaling in calibration.temperature]
    text = tomlkit.dumps(table)
    checked = f"# {digest_of([text.encode()])}\n{text}"
    write_text(folder / numbered_file("calibration.toml", number), checked)
    of_any_digest = folder.glob(_familiar_file(number, "*"))
    for path in (*of_any_digest, folder / numbered_file("familiar.safetensors", number)):
        if path.name != familiar:
            path.unlink(missing_ok=True)


def _tensors(calibration: Calibration) -> dict[str, Tensor]:
    """The familiarity and the digests of the calibration galaxies, a row each."""
    assert calibration.familiarity is not None
    pixels = sorted(calibration.pixels)
    rows = np.frombuffer(b"".join(pixels), np.uint8).reshape(len(pixels), -1)
    return calibration.familiarity.to_tensors() | {_PIXELS: torch.from_numpy(rows.copy())}


def numbered_file(name: str, number: int) -> str:
    """The name of the file of the first head or member; of the others, with their number before
    its extension.
    """
    return name if number == 1 else f"-{number}.".join(name.split("."))


def _familiar_file(number: int, digest: str) -> str:
    return f"familiar-{number}-{digest}.safetensors"
