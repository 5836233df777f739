"""A catalog becomes a store: every image read, decoded, cropped and written once, in parallel.

Packing writes beside its goal, in `<out>.partial`, and renames the folder when everything is there.
A packing that was stopped is resumed by the same call (see `journal`). An image that cannot be used
is recorded with its reason and never stops the others.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.images.read import read_square, with_stretch
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.digests import image_digest
from galaxyvotes.runtime.files import given_path, given_sources
from galaxyvotes.runtime.locks import LOCK, locked_folder
from galaxyvotes.runtime.memory import keep_freed_memory
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.runtime.progress import bar
from galaxyvotes.runtime.threads import check_workers, in_order
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.catalog import Catalog, open_catalog
from galaxyvotes.store.chosen import choose_galaxies
from galaxyvotes.store.contents import write_contents
from galaxyvotes.store.format import FORMAT
from galaxyvotes.store.journal import Chunk, Journal
from galaxyvotes.store.seen_before import bundled_folder
from galaxyvotes.store.store import Store

__all__ = ["pack"]

CHUNK = 64  # images that one thread takes at a time, and that one line of the journal answers for


@enough_memory("lower `workers=…`; what is packed stays, and the same command goes on")
def pack(
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    labels: LabelSettings | None = None,
    settings: PackSettings | None = None,
    splits: SplitSettings | None = None,
    layout: FitsLayout = ANYWHERE,
    scaled: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Store:
    """A new store in the folder `out`; see `open_catalog` for the sources and `labels`.

    `settings` say which square of each image is kept and its size; they come from what the store is
    for: by default the bundled model, else `Run.open(…).pack` or `Recipe.load(…).pack`. `layout`
    says where in FITS files the images are.
    `scaled` has JPEGs that are made much smaller decoded at a smaller scale (see
    `images.read.to_square`), which the store's manifest then says.

    ConfigError if `out` exists, if the settings contradict each other or name a run that is not
    there, or if FITS images of several bands have no `settings.stretch`. DataError if a table or an
    archive is not what it should be, if there is no space or memory left (what is packed stays, and
    the same call goes on), or if not one image could be used.
    """
    settings, splits, out = settings or PackSettings(), splits or SplitSettings(), given_path(out)
    check_workers(workers)
    if out.exists():
        raise ConfigError(f"{out} exists already: name another folder, or remove it first")
    sources = given_sources(source)
    start = _start(splits, settings)
    with open_catalog(sources, labels, layout) as everything:
        catalog = choose_galaxies(everything, splits)
        settings = with_stretch(settings, catalog.images)
        how = settings.to_table() | ({"scaled": True} if scaled else {})
        how |= layout.to_table()
        journal = Journal(out.with_name(out.name + ".partial"), settings.size_px)
        with _explain_failure(out, catalog, journal), _alone(out, journal.folder):
            _begin(catalog, journal, how)
            read_chunk = partial(_read_chunk, catalog, settings, scaled)
            _pack_images(catalog, journal, read_chunk, workers, progress=progress)
            _refuse_empty(catalog, journal, settings)
            journal.write_header()
            how |= _sizes(journal, settings)
            write_contents(catalog, journal, splits, how, start)
            journal.folder.rename(out)
            for name in ("plan.json", "journal.jsonl", LOCK):
                (out / name).unlink()
    return Store.open(out)


@contextmanager
def _alone(out: Path, folder: Path) -> Generator[None]:
    """Hold the folder of a packing; DataError if another process packs it or has just done so."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder):
        if out.exists():
            shutil.rmtree(folder)
            raise DataError(f"{out} has been packed by another process meanwhile: use that store")
        yield


@contextmanager
def _explain_failure(out: Path, catalog: Catalog, journal: Journal) -> Generator[None]:
    """Say, where an OSError or Ctrl-C ends it, what is packed already and how to go on; the OSError
    becomes a DataError.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        packed = _packed(journal.done, catalog, journal)
        stop.args = (f"stopped: {packed}; run the same command again to go on",)
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        unwritable = f"{journal.folder} cannot be written ({error.strerror or error})"
        raise DataError(
            f"{'no space left' if full else unwritable} while packing {out}:"
            f" {_packed(len(journal.kept), catalog, journal)};"
            f" {'free some space' if full else 'mend that'} and run the same command again"
        ) from error


def _packed(number: int, catalog: Catalog, journal: Journal) -> str:
    images = counted(len(catalog), "image")
    return f"{number:,} of {images} {agreeing(number, 'is')} packed in {journal.folder}"


def _begin(catalog: Catalog, journal: Journal, how: dict[str, Any]) -> None:
    """Begin or resume the packing; DataError if the disk has too little space for the images."""
    journal.begin(json.dumps({"format": FORMAT, "catalog": catalog.digest(), **how}))
    needed = (len(catalog) - journal.done) * journal.image_bytes
    free = shutil.disk_usage(journal.folder).free
    if needed > free:
        if not journal.done:
            shutil.rmtree(journal.folder)  # so that another size can be tried
        raise DataError(
            f"packing {counted(len(catalog), 'image')} needs {needed / 1e6:,.1f} MB more and"
            f" {journal.folder.parent} has {free / 1e6:,.1f} MB free: free some space, or pack a"
            " smaller size, `settings=PackSettings(size_px=…)`"
        )


def _pack_images(
    catalog: Catalog,
    journal: Journal,
    read_chunk: Callable[[range], Chunk],
    workers: int | None,
    *,
    progress: bool,
) -> None:
    """Pack the images that are not yet packed, in the catalog's order."""
    keep_freed_memory()
    rows = range(journal.done, len(catalog))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with journal.writing() as write, bar(show=progress) as shown:
        task = shown.add_task("packing", total=len(catalog), completed=journal.done)
        for _, chunk in in_order(read_chunk, chunks, workers or os.cpu_count() or 1):
            write(chunk)
            shown.update(task, completed=journal.done)


def _read_chunk(catalog: Catalog, settings: PackSettings, scaled: bool, rows: range) -> Chunk:
    # All of an image's work is done here, so that the one thread that writes never holds up the
    # others.
    side = settings.size_px
    chunk = Chunk(np.empty((len(rows), side, side, 3), np.uint8), [], [], [])
    for row in rows:
        square = read_square(catalog.images[row], settings, scaled=scaled)
        chunk.sizes.count(square.size, square.arcsec_px)
        if square.pixels is None:
            chunk.rejected.append((row, square.reason))
            continue
        chunk.images[len(chunk.kept)] = square.pixels
        chunk.digests.append(image_digest(square.pixels))
        chunk.kept.append(row)
    return replace(chunk, images=chunk.images[: len(chunk.kept)])


def _sizes(journal: Journal, settings: PackSettings) -> dict[str, Any]:
    """What the manifest says of the images' sizes, if they differ, are too small or larger than
    usual.
    """
    sizes, side = journal.sizes, round(journal.sizes.median_px / settings.scale)
    facts = {
        "image_px": side if side > settings.image_px else 0,
        "arcsec_px": settings.arcsec_px or sizes.common_arcsec * settings.scale,
        "image_sizes": sizes.sentence(),
        "pixel_scales": sizes.pixel_scales(settings),
        "too_small": sizes.too_small(settings),
        "too_large": sizes.too_large(settings),
        "other_scale": sizes.other_scale(settings),
    }
    return {key: fact for key, fact in facts.items() if fact}


def _start(splits: SplitSettings, settings: PackSettings) -> Path | None:
    """The run that will be fine-tuned on the store, as far as one knows; ConfigError if it is not
    there.
    """
    if splits.start == SplitSettings.start:
        return bundled_folder() if PackSettings().takes(settings) else None
    start = None if splits.start is None else given_path(splits.start)
    if start is not None and not start.exists():
        raise ConfigError(f"there is no run {start}, for which the galaxies are to be divided")
    return start


def _refuse_empty(catalog: Catalog, journal: Journal, settings: PackSettings) -> None:
    if journal.kept:
        return
    shutil.rmtree(journal.folder)  # so that other options can be tried
    if too_small := journal.sizes.too_small(settings):
        raise DataError(f"not one of {counted(len(catalog), 'image')} could be packed: {too_small}")
    first = "".join(
        f"; the first: {catalog.images[row].name}: {reason}" for row, reason in journal.rejected[:1]
    )
    raise DataError(f"not one of {counted(len(catalog), 'image')} could be packed{first}")
