"""The calibration of a run's heads, as files of its folder; `evaluation.calibrate` measures it.

    calibration.toml                the prediction intervals of the first head, and the temperature
                                    of its probabilities; calibration-2.toml … of the others
    familiar-1-DIGEST.safetensors   what measures familiarity, and digests of the calibration
                                    galaxies; familiar-2-DIGEST … of the others

A calibration counts whole or not at all: calibration.toml is written last and names the digest of
the file of tensors, and a file that it does not name does not count. Files that name none, as older
runs have them, belong to familiar.safetensors. It also names the digests of the weights that it was
measured with.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tomlkit
import torch

from galaxyvotes.confidence.conformal import PredictionIntervals
from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.errors import CheckpointError
from galaxyvotes.runs.tensors import read_tensors, tensor_digest, write_tensors
from galaxyvotes.runtime.digests import digest_of, file_digest
from galaxyvotes.runtime.files import write_text

__all__ = ["Calibration", "numbered_file", "read_calibration", "write_calibration"]

_MEND = "run galaxyvotes calibrate again"
_PIXELS = "calibrated"  # the tensor of digests of the calibration galaxies


class Calibration(NamedTuple):
    """What calibration measured of one head: prediction intervals, familiarity, temperature.

    All is None if it was never calibrated. `joint` are the intervals of joint fractions, or of
    quantities, which have no other. `conditional` is None also if the head lacks answers that lead
    to others of it, or if an older galaxyvotes calibrated it. `pixels` are the digests of the
    calibration galaxies. `temperature` is there for a head of one question; the intervals are of
    fractions that it has scaled.
    """

    joint: PredictionIntervals | None = None
    conditional: PredictionIntervals | None = None
    familiarity: Familiarity | None = None
    pixels: frozenset[bytes] = frozenset()
    temperature: TemperatureScaling | None = None


def read_calibration(folder: Path, weights: Sequence[Path], number: int) -> Calibration:
    """The calibration of the head of that number of the run in a folder; an empty one if there is
    none.

    Raises CheckpointError if a file is damaged or missing, or if the calibration was measured with
    other weights than those in these files; DataError if its values cannot be.
    """
    path = folder / numbered_file("calibration.toml", number)
    if not path.is_file():
        return Calibration()
    digest, _, text = path.read_text("utf-8").partition("\n")
    if digest != f"# {digest_of([text.encode()])}":
        raise CheckpointError(f"{path} is damaged: its digest does not fit; {_MEND}")
    table = tomllib.loads(text)
    tensors_digest, conditional, measured_with, temperature = (
        table.pop(name, None) for name in ("familiar", "conditional", "weights", "certainty")
    )
    if measured_with is not None and measured_with != [file_digest(each) for each in weights]:
        raise CheckpointError(
            f"{path} was measured with other weights than those of {folder}; {_MEND}"
        )
    joint = PredictionIntervals.from_table(table, str(path))
    familiarity, pixels = _read_tensors(folder, number, tensors_digest)
    return Calibration(
        joint,
        (
            None
            if conditional is None
            else PredictionIntervals.from_table(conditional, f"{path}, [conditional],")
        ),
        familiarity,
        pixels,
        (
            None
            if temperature is None
            else TemperatureScaling.from_table(
                temperature, len(joint.columns), f"{path}, [certainty],"
            )
        ),
    )


def _read_tensors(
    folder: Path, number: int, digest: str | None
) -> tuple[Familiarity | None, frozenset[bytes]]:
    """What the file of tensors of that digest holds; of no digest, the one of older runs."""
    if digest is None:
        path = folder / numbered_file("familiar.safetensors", number)
        if not path.is_file():
            return None, frozenset()
    else:
        path = folder / _tensors_file(number, digest)
    tensors = read_tensors(path, mend=_MEND)[0]
    rows = tensors.get(_PIXELS, torch.empty(0)).numpy()
    return Familiarity.from_tensors(tensors, str(path)), frozenset(row.tobytes() for row in rows)


def write_calibration(
    calibration: Calibration, folder: Path, weights: Sequence[Path], number: int
) -> None:
    """Write it into the run folder, all of it or nothing; one that is there already is replaced.

    Raises DataError if it cannot be written.
    """
    assert calibration.joint is not None
    assert calibration.familiarity is not None
    rows = np.frombuffer(b"".join(sorted(calibration.pixels)), np.uint8)
    pixels = torch.from_numpy(rows.reshape(len(calibration.pixels), -1).copy())
    tensors = calibration.familiarity.to_tensors() | {_PIXELS: pixels}
    digest = tensor_digest(tensors, "{}")
    write_tensors(folder / _tensors_file(number, digest), tensors, {})
    table = {
        "familiar": digest,
        "weights": [file_digest(path) for path in weights],
        **calibration.joint.to_table(),
    }
    if calibration.conditional is not None:
        table["conditional"] = calibration.conditional.to_table()
    if calibration.temperature is not None:
        table["certainty"] = calibration.temperature.to_table()
    text = tomlkit.dumps(table)
    write_text(
        folder / numbered_file("calibration.toml", number),
        f"# {digest_of([text.encode()])}\n{text}",
    )
    _remove_older_tensors(folder, number, digest)


def _remove_older_tensors(folder: Path, number: int, digest: str) -> None:
    older = folder / numbered_file("familiar.safetensors", number)
    for path in (*folder.glob(_tensors_file(number, "*")), older):
        if path.name != _tensors_file(number, digest):
            path.unlink(missing_ok=True)


def numbered_file(name: str, number: int) -> str:
    """The name of the file of the first head or member; of the others, with their number before its
    extension.
    """
    return name if number == 1 else f"-{number}.".join(name.split("."))


def _tensors_file(number: int, digest: str) -> str:
    return f"familiar-{number}-{digest}.safetensors"
