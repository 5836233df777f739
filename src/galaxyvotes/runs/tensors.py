"""Tensors in a file, with a note and a digest of both: written whole or not at all, and read only
if nothing has changed.

Files are safetensors: nothing is pickled, so reading one runs no code.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from galaxyvotes.errors import CheckpointError
from galaxyvotes.runtime.digests import digest_of
from galaxyvotes.runtime.files import replacing

__all__ = ["FORMAT", "load_state", "read_tensors", "tensor_digest", "write_tensors"]

FORMAT = 1  # of these files, and of run folders


def write_tensors(path: Path, tensors: dict[str, Tensor], note: dict[str, Any]) -> None:
    """Write tensors and a note, which JSON can hold, in one step, with the digest of both.

    Raises DataError if the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(note)
    header = {"format": FORMAT, "note": text, "digest": tensor_digest(tensors, text)}
    with replacing(path) as partial:
        # One key: safetensors writes several in any order, and equal runs shall be equal files.
        save_file(tensors, partial, metadata={"galaxyvotes": json.dumps(header)})


def read_tensors(
    path: Path, *, mend: str = "restore it or train again"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and their note.

    Raises CheckpointError if the file is missing or damaged, or if a newer galaxyvotes wrote it; it
    ends with how to `mend` that.
    """
    try:
        opened: Any = safe_open(path, framework="pt")
        with opened as file:
            notes: dict[str, str] = file.metadata() or {}
            header = json.loads(notes.get("galaxyvotes", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        written_as, note, digest = int(header["format"]), str(header["note"]), header["digest"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error!r}; {mend}") from None
    if written_as > FORMAT:
        raise CheckpointError(
            f"{path} was written by a newer galaxyvotes (format {written_as}; this one reads"
            f" {FORMAT}): upgrade galaxyvotes"
        )
    if tensor_digest(tensors, note) != digest:
        raise CheckpointError(f"{path} is damaged: its digest does not fit; {mend}")
    return tensors, json.loads(note)


def load_state(module: nn.Module, tensors: dict[str, Tensor], origin: Path) -> None:
    """Put tensors into a module.

    Raises CheckpointError, naming their `origin`, if they do not fit it.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{origin} does not fit the network of its run: {error}") from None


def tensor_digest(tensors: dict[str, Tensor], note: str) -> str:
    """One digest of a note and of the names, types, shapes and values of tensors, in any order."""

    def parts() -> Iterator[bytes]:
        yield note.encode()
        for name in sorted(tensors):
            tensor = tensors[name]
            yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
            yield tensor.flatten().view(torch.uint8).numpy().tobytes()

    return digest_of(parts())
