"""What calibrating found, as files of a run folder; `calibrate` finds it.

    calibration.toml                how far off the answers of a run's first head may be, and how sure they should be;
                                    calibration-2.toml … of others
    familiar-1-DIGEST.safetensors   what galaxies like those look like to it, and the digests of those measured

A calibration counts whole or not at all: calibration.toml is written last and names the digest of
what is familiar, and what it does not name does not count. Files that name none, as older runs have
them, go with familiar.safetensors. It names the weights, too, that it was measured with.
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

__all__ = ["Calibration", "numbered", "read_calibration", "write_calibration"]

_AGAIN = "run galaxyvotes calibrate again"
_MEASURED_ON = "calibrated"


class Calibration(NamedTuple):
    """What calibrating found of one head: how far off its answers may be, of both kinds, and what
    is familiar to it.

    Nothing is there if it was never calibrated, and no calibration of conditional fractions if an
    older galaxyvotes did it or the head lacks answers that lead to others. For quantities, `joint`
    is the calibration of their values, and there is no other. `pixels` are the digests of the
    galaxies that it was measured on. `certainty` is there for a head of one question, which answers
    with it, and the calibrations are of these answers.
    """

    joint: PredictionIntervals | None = None
    conditional: PredictionIntervals | None = None
    familiar: Familiarity | None = None
    pixels: frozenset[bytes] = frozenset()
    certainty: TemperatureScaling | None = None


def read_calibration(folder: Path, weights: Sequence[Path], number: int) -> Calibration:
    """What calibrating found of the head of that number of the run in a folder, whose weights are
    in these files.
    """
    path = folder / numbered("calibration.toml", number)
    if not path.is_file():
        return Calibration()
    digest, _, text = path.read_text("utf-8").partition("\n")
    if digest != f"# {digest_of([text.encode()])}":
        raise CheckpointError(f"{path} is damaged: its digest does not fit; {_AGAIN}")
    table = tomllib.loads(text)
    named, asked, measured, sure = (
        table.pop(name, None) for name in ("familiar", "conditional", "weights", "certainty")
    )
    if measured is not None and measured != [file_digest(each) for each in weights]:
        raise CheckpointError(
            f"{path} was measured with other weights than those of {folder}; {_AGAIN}"
        )
    file = folder / (
        numbered("familiar.safetensors", number) if named is None else _familiar_file(number, named)
    )
    familiar, pixels = None, frozenset[bytes]()
    if named is not None or file.is_file():
        tensors = read_tensors(file, mend=_AGAIN)[0]
        familiar = Familiarity.from_tensors(tensors, str(file))
        pixels = frozenset(
            each.tobytes() for each in tensors.get(_MEASURED_ON, torch.empty(0)).numpy()
        )
    joint = PredictionIntervals.from_table(table, str(path))
    return Calibration(
        joint,
        None if asked is None else PredictionIntervals.from_table(asked, f"{path}, [conditional],"),
        familiar,
        pixels,
        (
            None
            if sure is None
            else TemperatureScaling.from_table(sure, len(joint.columns), f"{path}, [certainty],")
        ),
    )


def write_calibration(
    found: Calibration, folder: Path, weights: Sequence[Path], number: int
) -> None:
    """Write it into the run folder, all of it or nothing; what is there already is replaced."""
    assert found.joint is not None
    assert found.familiar is not None
    digests = np.frombuffer(b"".join(sorted(found.pixels)), np.uint8).reshape(len(found.pixels), -1)
    tensors = found.familiar.to_tensors() | {_MEASURED_ON: torch.from_numpy(digests.copy())}
    digest = tensor_digest(tensors, "{}")
    write_tensors(folder / _familiar_file(number, digest), tensors, {})
    table = {
        "familiar": digest,
        "weights": [file_digest(each) for each in weights],
        **found.joint.to_table(),
    }
    table |= {} if found.conditional is None else {"conditional": found.conditional.to_table()}
    table |= {} if found.certainty is None else {"certainty": found.certainty.to_table()}
    text = tomlkit.dumps(table)
    checked = f"# {digest_of([text.encode()])}\n{text}"
    write_text(folder / numbered("calibration.toml", number), checked)
    for path in (
        *folder.glob(_familiar_file(number, "*")),
        folder / numbered("familiar.safetensors", number),
    ):
        if path.name != _familiar_file(number, digest):
            path.unlink(missing_ok=True)


def numbered(name: str, number: int) -> str:
    """The name of the file of the first head or network; of the others, with their number before
    its extension.
    """
    return name if number == 1 else f"-{number}.".join(name.split("."))


def _familiar_file(number: int, digest: str) -> str:
    return f"familiar-{number}-{digest}.safetensors"
