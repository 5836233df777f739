"""The galaxies of a table, cut from mosaics, as the images of a source.

Images among the paths are left alone: what is cut out is what the table names.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from galaxyvotes.errors import DataError
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sky.mosaic import Mosaic
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.places import explain_none
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.cut_outs import cut_outs_of, id_column
from galaxyvotes.sources.members import Member, Members, PassedOver
from galaxyvotes.sources.positions import find_position
from galaxyvotes.tables.table import Table

__all__ = ["open_mosaic_source"]


def open_mosaic_source(paths: Sequence[str | Path], layout: FitsLayout, mosaic: Mosaic) -> Source:
    """The tables under some paths, and as its images the galaxies of the one with positions, in the
    order in which they are read fastest.

    DataError as of `Source.open` and `open_tiles`, if no table has positions or two have, or if not
    one of them lies in the mosaic.
    """
    tiles = open_tiles(mosaic.files, layout.hdus, layout.bands)
    with ExitStack() as stack:
        source = stack.enter_context(Source.open(*paths))
        for tile in tiles:
            stack.callback(tile.close)
        table = _with_positions(source.tables, paths, mosaic)
        rows = table.read()
        cut_outs = cut_outs_of(
            rows, table.name, mosaic, tiles, layout.bands, table.at, id_name=id_column(rows)
        )
        places = cut_outs.cutouts.places
        if not places.inside.any():
            raise DataError(f"{table.name}: {explain_none(tiles, places)}")
        cut_outs = cut_outs.take(cut_outs.cutouts.reading_order())
        numbers = np.arange(len(cut_outs.ids), dtype=np.uint32)
        where = np.stack([np.zeros_like(numbers), numbers], axis=1)[:, None]
        images = Members([cut_outs], where, layout)
        return Source(images, source.tables, PassedOver(images[:0], ()), stack.pop_all())


def _with_positions(files: Sequence[Member], paths: Sequence[str | Path], mosaic: Mosaic) -> Table:
    """The table that has positions."""
    tables = [Table(file.name, file.read()) for file in files]
    found = [table for table in tables if find_position(table.read().schema, mosaic.position)]
    if len(found) > 1:
        raise DataError(
            f"{found[0].name} and {found[1].name} have positions: leave one of them out"
        )
    if not found:
        where = ", ".join(map(str, paths))
        what = " and ".join(mosaic.position) or "right ascension and declination (ra and dec)"
        raise DataError(
            f"no table in {where} has columns {what}, at which images are cut from the mosaic: give"
            ' one, or name its columns, `position=("RA", "DEC")`'
        )
    return found[0]
