"""Pictures of galaxies by their ids, as JPEG files: small ones as the network sees them, and large
ones of the whole image.

They come from folders and archives, from a store, or from the thumbnails of a map. Every file goes
through the checked readers, and what a browser gets was encoded here.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from jaxtyping import Int64, UInt8, UInt64

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.read import Square, decode, read_square, with_stretch
from galaxyvotes.reports.html import jpeg_bytes
from galaxyvotes.runtime.files import given_source
from galaxyvotes.sky.fits import is_fits
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.sources.members import Members
from galaxyvotes.sources.no_images import refuse_without_images
from galaxyvotes.sources.suffixes import called
from galaxyvotes.store.store import Store
from galaxyvotes.tables.names import iterate, name_column
from galaxyvotes.web.catalogue import Catalogue

__all__ = ["LARGE_PX", "SMALL_PX", "OfMap", "Pictures", "open_images"]

SMALL_PX, LARGE_PX = 192, 1024
_FITS_PX = 512
_KEPT_BYTES = 96 * 2**20

Pixels = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class OfMap:
    """The thumbnails of a map, by its own ids; it may come from a stranger."""

    catalogue: Catalogue

    def pixels(self, name: str, *, large: bool) -> Pixels:
        """The thumbnail, whichever is asked for; DataError if it cannot be used."""
        del large
        return decode(self.catalogue.thumbnail(name))


@dataclass(frozen=True, eq=False)
class Index:
    """Where an id stands among ids, in 16 bytes each beside their letters."""

    ids: pa.LargeStringArray
    digests: UInt64[np.ndarray, " image"]
    order: Int64[np.ndarray, " image"]

    @staticmethod
    def of(ids: pa.LargeStringArray) -> "Index":
        """The index of these ids."""
        digests = np.fromiter(map(_digest, iterate(ids)), np.uint64, len(ids))
        order = np.argsort(digests, kind="stable")
        return Index(ids, digests[order], order)

    def row(self, name: str) -> int:
        """The first row of an id, or of the file that a table names by its path; DataError if there
        is none.
        """
        if (row := self._find(name)) is None:
            raise DataError(f"there is no image of {name!r}")
        return row

    def __contains__(self, name: str) -> bool:
        """Whether there is one."""
        return self._find(name) is not None

    def _find(self, name: str) -> int | None:
        for tried in called(name):
            digest = np.uint64(_digest(tried))
            first = int(np.searchsorted(self.digests, digest, "left"))
            last = int(np.searchsorted(self.digests, digest, "right"))
            for row in self.order[first:last].tolist():
                if self.ids[row].as_py() == tried:
                    return row
        return None


def _digest(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, eq=False)
class OfStore:
    """The images of a store."""

    store: Store
    index: Index

    def pixels(self, name: str, *, large: bool) -> Pixels:
        """The image as it is packed, whichever is asked for; DataError if there is none."""
        del large
        return self.store.images(np.array([self.index.row(name)]))[0]


@dataclass(frozen=True, eq=False)
class OfFiles:
    """Image files, in folders and archives."""

    images: Members
    index: Index
    pack: PackSettings

    def pixels(self, name: str, *, large: bool) -> Pixels:
        """What the network sees of an image, or the whole image; DataError if it cannot be used."""
        image = self.images[self.index.row(name)]
        if large and not is_fits(data := image.read()) and ".fit" not in image.suffix:
            return decode(data)
        whole = replace(self.pack, crop_px=0, scale=1.0, size_px=_FITS_PX if large else SMALL_PX)
        tried = [whole] if large else [replace(self.pack, size_px=SMALL_PX), whole]
        square = Square(None)
        for pack in tried:  # an image that is smaller than the crop is shown whole
            square = read_square(image, pack, scaled=not large)
            if square.pixels is not None:
                return square.pixels
        raise DataError(f"{image.name} {square.reason}")


Images = OfMap | OfStore | OfFiles


@contextmanager
def open_images(
    paths: str | Path | Sequence[str | Path], pack: PackSettings
) -> Generator[OfStore | OfFiles]:
    """The images in folders and archives, or of a store, cropped as `pack` has it.

    Raises DataError if there is none, CheckpointError for a damaged store.
    """
    sources = [*map(given_source, [paths] if isinstance(paths, str | Path) else paths)]
    if (sources[0] / "store.toml").is_file():
        store = Store.open(sources[0])
        yield OfStore(store, Index.of(name_column(store.ids)))
        return
    with open_source(sources) as source:
        refuse_without_images(source, sources)
        with suppress(ConfigError):  # pictures of FITS files then say what is missing
            pack = with_stretch(pack, source.images)
        yield OfFiles(source.images, Index.of(source.images.unique_ids()), pack)


@dataclass
class Pictures:
    """Pictures as JPEG files, the last ones kept in memory; `name_of` gives what the images call a
    galaxy.
    """

    images: Images
    name_of: Callable[[str], str] = str
    _kept: OrderedDict[tuple[str, bool], bytes] = field(
        default_factory=OrderedDict[tuple[str, bool], bytes]
    )
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def of(catalogue: Catalogue, images: "OfStore | OfFiles") -> "Pictures":
        """The pictures of a catalogue, called as one of its columns does."""
        column = catalogue.naming_column(images.index.__contains__)
        if column == catalogue.id_column:
            return Pictures(images)
        return Pictures(images, partial(catalogue.word_of, column))

    def jpeg(self, name: str, *, large: bool = False) -> bytes:
        """The picture of a galaxy; DataError if there is none that can be used."""
        key = (name, large)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pixels = self.images.pixels(self.name_of(name), large=large)
        jpeg = jpeg_bytes(pixels, LARGE_PX if large else SMALL_PX)
        with self._lock:
            self._bytes += len(jpeg) - len(self._kept.pop(key, b""))
            self._kept[key] = jpeg
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return jpeg
