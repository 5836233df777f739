"""Where images and tables are, and their bytes: a folder, a zip, the challenge's zip of zips, or
single files.

`Source.open(*paths)` lists everything once; every `Member` then reads its own bytes, in any number
of threads and without waiting for the others. Nothing is unpacked to disk and memory stays flat,
because a file is a range of bytes of an archive that stays open. Reading in the order of the list
is fastest (see `zips`, where a zip in a zip is read).

An archive is hostile until checked: what could fool or exhaust the reader refuses the whole archive
when it is listed, what spoils one file is raised when that file is read. `zips` says what that is
for zips; here are the limits of a file's size, and a zip in a zip in a zip is refused.
"""

import os
import re
import zlib
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt32

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.files import given_source
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.band_files import group_bands
from galaxyvotes.sources.folders import Folder
from galaxyvotes.sources.members import Member, Members, Packed, PassedOver, naming
from galaxyvotes.sources.signatures import FIRST_BYTES, begins_as_image, holds_table
from galaxyvotes.sources.suffixes import (
    FITS_SUFFIXES,
    HIDDEN,
    IMAGE_SUFFIXES,
    MAX_BYTES,
    NAMED_TABLE_SUFFIXES,
    TABLE_SUFFIXES,
    UNSURE_SUFFIXES,
    explain_passed_over,
    split_suffix,
)
from galaxyvotes.sources.windows import Window
from galaxyvotes.sources.zips import Zip

__all__ = ["Source"]

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+:)/+")


@dataclass(frozen=True, eq=False)
class Source:
    """The images and tables under some paths, and what else is there; a context manager, because
    archives stay open for their members.
    """

    images: Members
    tables: tuple[Member, ...]
    passed_over: PassedOver
    _open_files: ExitStack

    @staticmethod
    def open(
        *paths: str | Path, listed: Sequence[Folder] = (), layout: FitsLayout = ANYWHERE
    ) -> "Source":
        """List folders (and the zips in them), zips, zips of zips, image files and tables.

        `listed` are files that only a table names (see `listed_images`); `layout` says where in
        FITS files the images are.

        Folders come in alphabetical order, zips in the order of their bytes. Links are followed.
        Hidden files and the rubbish of operating systems (`__MACOSX`, `Thumbs.db`) are left out;
        whatever else is no image, table or zip is listed as passed over, with its reason. A file
        without suffix is an image if it begins as one does, a FITS file a table if its first data
        are one. DataError if a path is empty, neither folder nor such a file, or if a zip is
        refused (see `zip_directory`).
        """
        with ExitStack() as stack:
            listing = _Listing(stack)
            for path in paths:
                listing.add(given_source(path))
            for folder in listed:
                listing.add_place(folder)
            where = listing.group_bands(layout.bands)
            images, passed = (
                Members(listing.places, where, layout) for where in (where, _pairs(listing.passed))
            )
            passed_over = PassedOver(passed, tuple(listing.reasons))
            return Source(images, tuple(listing.tables), passed_over, stack.pop_all())

    def close(self) -> None:
        """Close the archives. No member can be read any more, and no thread may be reading one
        now.
        """
        self._open_files.close()

    def __enter__(self) -> "Source":
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archives."""
        self.close()


class _Listing:
    """The files listed so far."""

    def __init__(self, stack: ExitStack) -> None:
        self.images = array("I")  # two numbers each: of the place, and of the row there
        self.passed = array("I")
        self.reasons: list[str] = []
        self.tables: list[Member] = []
        self.places: list[Folder | Packed] = []
        self._stack = stack

    def group_bands(self, bands: tuple[str, ...]) -> UInt32[np.ndarray, "galaxy band 2"]:
        """The images, those of the bands of one galaxy together; pass over those of none."""
        images = _pairs(self.images)
        if len(bands) < 2:
            return images
        files: list[tuple[int, int]] = [(place, row) for place, row in images[:, 0].tolist()]
        paths = (self.places[place].path(row) for place, row in files)
        grouped = group_bands(zip(files, paths, strict=True), bands)
        if grouped is None:
            return images
        images, left_out = grouped
        for where, reason in left_out:
            self.passed.extend(where)
            self.reasons.append(reason)
        return images

    def add(self, path: Path) -> None:
        with naming(_written(path)):
            if not path.exists():
                raise DataError(_explain_absent(path))
            folder = Folder.of(path)
        number, is_file = len(self.places), not path.is_dir()
        self.add_place(folder, named=is_file)
        if is_file and number in self.passed[-2:-1]:
            reason = self.reasons[-1]
            raise DataError(f"{path}: is no folder and no file that is read: it {reason}")

    def add_place(self, place: "Folder | Packed", *, zips: int = 0, named: bool = False) -> None:
        """What is in a place that is itself in so many zips, or was itself named."""
        number = len(self.places)
        self.places.append(place)
        for row, path in enumerate(place.paths()):
            if zips and (HIDDEN.search(path) or path.endswith("/")):
                continue
            suffix = split_suffix(path)[1]
            kind = place.problems.get(row) or _kind(place, row, suffix, named=named)
            if kind == "image":
                self.images.extend((number, row))
            elif kind == "table":
                self.tables.append(Member(place, row))
            elif kind == "zip":
                kind = self._add_zip(place, row, zips)
            if kind not in ("image", "table", "zip"):
                self.passed.extend((number, row))
                self.reasons.append(kind)

    def _add_zip(self, place: "Folder | Packed", row: int, zips: int) -> str:
        """Add a zip's files; the reason if it is in a zip and is none."""
        inner = Member(place, row).name
        with naming(inner):
            if zips and place.peek(row, 2) != b"PK":
                return "is not a zip"
            if zips == 2:
                raise DataError("is a zip in a zip in a zip; unpack the outermost one first")
            archive = self._open(place, row)
        self.add_place(Packed(inner, archive, {}), zips=zips + 1)
        return "zip"

    def _open(self, place: "Folder | Packed", row: int) -> Zip:
        if isinstance(place, Packed):
            return place.archive.open(row)
        file = self._stack.enter_context(FileIO(place.root / place.path(row)))
        return Zip(Window(file, 0, os.fstat(file.fileno()).st_size), _limit)


def _pairs(where: "array[int]") -> UInt32[np.ndarray, "file 1 2"]:
    return np.array(where, np.uint32).reshape(-1, 1, 2)


def _kind(place: "Folder | Packed", row: int, suffix: str, *, named: bool) -> str:
    """image, table or zip; or else why a file is passed over."""
    if suffix in FITS_SUFFIXES or suffix in UNSURE_SUFFIXES:
        return _ask(place, row, suffix)
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in TABLE_SUFFIXES or (named and suffix in NAMED_TABLE_SUFFIXES):
        return "table"
    return "zip" if suffix == ".zip" else explain_passed_over(suffix)


def _ask(place: "Folder | Packed", row: int, suffix: str) -> str:
    """The same of a file whose name leaves it open, from its first bytes."""
    try:
        start = place.peek(row, FIRST_BYTES)
    except (DataError, OSError, zlib.error) as error:
        return "image" if suffix in FITS_SUFFIXES else f"cannot be read: {error}"
    if suffix and holds_table(start):
        return "table"
    is_image = suffix in FITS_SUFFIXES or (not suffix and begins_as_image(start))
    return "image" if is_image else explain_passed_over(suffix)


def _written(path: Path) -> str:
    """A path as it was written: of several slashes after a URL's scheme one is left."""
    return _URL.sub(lambda url: url[1] + ("///" if url[1] == "file:" else "//"), str(path))


def _explain_absent(path: Path) -> str:
    if _URL.match(str(path)):
        return "is a URL, and URLs are not read: download it first"
    return "there is no such file or folder"


def _limit(path: str) -> int:
    """How many bytes are read of a file in a zip; 0 if it is passed over, or not yet known."""
    if HIDDEN.search(path):
        return 0
    suffix = split_suffix(path)[1]
    return 0 if not suffix or suffix in NAMED_TABLE_SUFFIXES else MAX_BYTES.get(suffix, 0)
