"""The images of a packing that has begun, so that any later attempt can go on with it.

    plan.json        what is being packed, and how
    images.npy       the pixels of the images packed so far, behind room for the header
    journal.jsonl    a line for every few dozen images: those kept, their digests, those rejected

After a crash, a kill or a full disk, what the journal says is compared with the pixels that are
there. The first line that does not fit, and all behind it, is packed again.
"""

import json
import os
from array import array
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8

from galaxyvotes.errors import ConfigError
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.runtime.digests import IMAGE_DIGEST_BYTES, image_digest
from galaxyvotes.runtime.files import write_text
from galaxyvotes.store.format import HEADER_BYTES, images_header

__all__ = ["Chunk", "Journal"]


@dataclass(frozen=True)
class Chunk:
    """What became of a few images: those kept with their rows of the catalog and their digests,
    the rows of those rejected with the reasons, and the sizes of all that were read, counted.
    """

    images: UInt8[np.ndarray, "galaxy side side 3"]
    kept: list[int]
    digests: list[bytes]
    rejected: list[tuple[int, str]]
    sizes: ImageSizes = field(default_factory=ImageSizes)


class Journal:
    """The images packed so far in a folder: rows of the catalog, in rising order."""

    def __init__(self, folder: Path, size_px: int) -> None:
        """Nothing is packed yet, and nothing is written before `begin`."""
        self.folder = folder
        self.size_px = size_px
        self.image_bytes = size_px**2 * 3
        self.kept = array("Q")
        self.rejected: list[tuple[int, str]] = []
        self.sizes = ImageSizes()
        self._digests = bytearray()
        self._plan, self._lines, self._images = (
            folder / name for name in ("plan.json", "journal.jsonl", "images.npy")
        )

    @property
    def done(self) -> int:
        """The number of images packed or rejected."""
        return len(self.kept) + len(self.rejected)

    @property
    def pixel_digests(self) -> pa.FixedSizeBinaryArray:
        """The digest of each image that was kept."""
        kind, buffer = pa.binary(IMAGE_DIGEST_BYTES), pa.py_buffer(bytes(self._digests))
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(self.kept), [None, buffer])

    def begin(self, plan: str) -> None:
        """Make the folder, or resume what an earlier attempt with the same plan left in it.

        ConfigError if its plan is another one.
        """
        if not self._plan.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._images.write_bytes(bytes(HEADER_BYTES))
            self._lines.write_bytes(b"")
            write_text(self._plan, plan)
        elif self._plan.read_text("utf-8", "replace") == plan:
            self._resume()
        else:
            raise ConfigError(
                f"{self.folder} holds the beginning of another packing (other images, table or"
                " size): remove it, or name another folder"
            )

    def _resume(self) -> None:
        whole = 0
        with self._images.open("rb") as images, self._lines.open("rb") as lines:
            images.seek(HEADER_BYTES)
            for line in lines:
                chunk = self._parse(line)
                if chunk is None or not self._has_pixels(images, chunk):
                    break
                self._add(chunk)
                whole += len(line)
        os.truncate(self._lines, whole)
        os.truncate(self._images, HEADER_BYTES + len(self.kept) * self.image_bytes)

    def _parse(self, line: bytes) -> Chunk | None:
        """The chunk of a line, without its images; None if it is damaged, or not the next one."""
        try:
            entry = json.loads(line)
            kept, digests = entry["kept"], [bytes.fromhex(digest) for digest in entry["digests"]]
            rejected = [(row, reason) for row, reason in entry["rejected"]]
            counts = {(width, height): n for width, height, n in entry.get("sizes", [])}
            sizes = ImageSizes(counts, dict(entry.get("arcsec", [])))
            rows = sorted([*kept, *(row for row, _ in rejected)])
        except (ValueError, KeyError, TypeError):
            return None
        if not line.endswith(b"\n") or rows != list(range(self.done, self.done + len(rows))):
            return None
        nothing = np.empty((0, self.size_px, self.size_px, 3), np.uint8)
        return Chunk(nothing, kept, digests, rejected, sizes)

    def _has_pixels(self, images: BufferedReader, chunk: Chunk) -> bool:
        """Whether the next images are those that were kept."""
        read = (np.frombuffer(images.read(self.image_bytes), np.uint8) for _ in chunk.kept)
        return [image_digest(image) for image in read] == chunk.digests

    def _add(self, chunk: Chunk) -> None:
        self.kept.extend(chunk.kept)
        self._digests += b"".join(chunk.digests)
        self.rejected += chunk.rejected
        self.sizes.add(chunk.sizes)

    @contextmanager
    def writing(self) -> Generator[Callable[[Chunk], None]]:
        """A function that writes the next chunk; all that it wrote is on the disk at the end.

        OSError if the disk is full or cannot be written.
        """
        with (
            self._images.open("ab", buffering=0) as images,
            self._lines.open("a", encoding="utf-8") as lines,
            ThreadPoolExecutor(1) as flusher,
        ):
            flushed = flusher.submit(lambda: None)

            def write(chunk: Chunk) -> None:
                nonlocal flushed
                images.write(chunk.images.data)
                if flushed.done():  # the disk works while images are decoded
                    flushed.result()
                    flushed = flusher.submit(os.fsync, images.fileno())
                digests = [digest.hex() for digest in chunk.digests]
                entry: dict[str, Any] = {
                    "kept": chunk.kept,
                    "digests": digests,
                    "rejected": chunk.rejected,
                }
                entry["sizes"] = [(*size, count) for size, count in chunk.sizes.counts.items()]
                if chunk.sizes.arcsec:
                    entry["arcsec"] = list(chunk.sizes.arcsec.items())
                lines.write(json.dumps(entry) + "\n")
                lines.flush()
                self._add(chunk)

            yield write
            flushed.result()
            os.fsync(images.fileno())

    def write_header(self) -> None:
        """Make `images.npy` a file of NumPy's, with the number of images kept."""
        with self._images.open("r+b") as file:
            file.write(images_header(len(self.kept), self.size_px))
            os.fsync(file.fileno())
