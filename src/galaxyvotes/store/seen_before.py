"""Which galaxies a run has used in training, found in any store by their pixels or their ids.

Every run keeps them in its table `seen.parquet`; its ONNX file does not. A store is packed for a
network that training starts from, by default the bundled model: of the galaxies that this network
has seen, none is drawn into the validation or test set, because errors on it would be too small.
"""

from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool

from galaxyvotes.tables.names import codes_of

__all__ = ["BUNDLED", "bundled_folder", "galaxies_in", "names_seen", "seen_with_duplicates"]

BUNDLED = "the bundled model"
_TABLE = "seen.parquet"


def bundled_folder() -> Path:
    """The folder of the run that comes with the package."""
    return Path(str(resources.files("galaxyvotes"))) / "weights"


def galaxies_in(
    seen: pa.Table, id_name: str, ids: pa.Array, pixels: pa.Array, *splits: str
) -> Bool[np.ndarray, " galaxy"]:
    """Which of these galaxies stand in a run's table of seen ones (id, id_name, pixels, split), by
    the digest of their pixels, or by their id in a catalogue that calls its ids the same.

    With `splits`, only those that the run has seen as such.
    """
    if splits:
        seen = seen.filter(pc.is_in(seen["split"], pa.array(splits)))
    namesakes = seen.filter(pc.equal(seen["id_name"], id_name))
    by_id = _is_in(ids.cast(pa.string()), namesakes["id"])
    return by_id | _is_in(pixels.cast(pa.binary()), seen["pixels"])


def names_seen(run: Path) -> bool:
    """Whether a run folder has a table of seen galaxies; an ONNX file has none."""
    return (run / _TABLE).is_file()


def seen_with_duplicates(
    run: Path, id_name: str, ids: pa.Array, pixels: pa.Array
) -> Bool[np.ndarray, " galaxy"]:
    """Which of these galaxies a run folder has seen, and all that have the same pixels as one of
    them; none if the folder has no table of seen galaxies (see `names_seen`).
    """
    if not names_seen(run):
        return np.zeros(len(ids), bool)
    known = galaxies_in(pq.read_table(run / _TABLE), id_name, ids, pixels)
    images = codes_of(pixels)
    return np.isin(images, images[known])


def _is_in(values: pa.Array, known: pa.ChunkedArray) -> Bool[np.ndarray, " value"]:
    return pc.is_in(values, known.combine_chunks()).to_numpy(zero_copy_only=False)
