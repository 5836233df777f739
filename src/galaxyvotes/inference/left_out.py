"""The table of images that a job could not use and of files that it passed over, beside its own."""

from collections.abc import Sequence
from pathlib import Path

from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.runtime.files import write_text

__all__ = ["path_of_left_out", "write_left_out"]


def path_of_left_out(out: Path) -> Path:
    """Where the images are listed that could not be used for the table at `out`."""
    return out.with_name(out.name + ".rejected.csv")


def write_left_out(out: Path, left_out: Sequence[Rejected]) -> None:
    """Write the list for the table at `out`; remove an older one if nothing was left out."""
    path = path_of_left_out(out)
    path.unlink(missing_ok=True)
    if left_out:
        rows = [("image", "reason"), *left_out]
        lines = [f"{_quoted(name)},{_quoted(reason)}\n" for name, reason in rows]
        write_text(path, "".join(lines))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
