"""How a store is laid out: the version of its format, the columns of its table, the head of
`images.npy`.
"""

import io

import numpy as np

from galaxyvotes.tree import DecisionTree

__all__ = [
    "FORMAT",
    "HEADER_BYTES",
    "LARGEST",
    "OWN_COLUMNS",
    "images_header",
    "value_column",
    "votes_column",
]

FORMAT = 1
OWN_COLUMNS = ("split", "source", "pixels")
LARGEST = "largest"  # column of the answer with the largest fraction; the manifest's count of them
HEADER_BYTES = 128  # before the pixels of images.npy, whatever their number


def value_column(tree: DecisionTree, answer: str) -> str:
    """The column of `galaxies.parquet` with an answer's joint fractions, or a quantity's values."""
    return f"{tree.kind.column}:{answer}"


def votes_column(answer: str) -> str:
    """The column of `galaxies.parquet` with the votes for an answer."""
    return f"votes:{answer}"


def images_header(galaxies: int, size_px: int) -> bytes:
    """The first bytes of `images.npy`, NumPy's format 1.0, for so many images of one size."""
    header = io.BytesIO()
    shape = (galaxies, size_px, size_px, 3)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    assert header.tell() == HEADER_BYTES
    return header.getvalue()
