"""A catalogue of what is in a mosaic, where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.files import new_file
from galaxyvotes.runtime.locks import locked
from galaxyvotes.sky.detection import DetectionSettings, Sources, find_sources, load_photutils
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sky.mosaic_files import open_tiles
from galaxyvotes.sky.tiles import Tile
from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.write import check_format, open_table

__all__ = ["Detected", "detect"]

_FACTS: dict[str, tuple[str, str, str]] = {  # unit, UCD, description
    "ra": ("deg", "pos.eq.ra;meta.main", "Right ascension of the centroid"),
    "dec": ("deg", "pos.eq.dec;meta.main", "Declination of the centroid"),
    "x": ("pix", "pos.cartesian.x", "Column of the centroid, the first pixel is 1"),
    "y": ("pix", "pos.cartesian.y", "Row of the centroid, the first pixel is 1"),
    "radius": ("arcsec", "phys.angSize", "Radius of the circle with half the Kron flux"),
    "semimajor": ("arcsec", "phys.angSize.smajAxis", "Major axis, one standard deviation"),
    "semiminor": ("arcsec", "phys.angSize.sminAxis", "Minor axis, one standard deviation"),
    "ellipticity": ("", "src.ellipticity", "1 - semiminor / semimajor"),
    "angle": ("deg", "pos.posAng", "Position angle of the major axis, from north to east"),
    "flux": ("", "phot.flux", "Kron flux, in the unit of the mosaic"),
    "deblended": ("", "meta.code", "Was separated from another source"),
    "at_edge": ("", "meta.code", "Reaches the edge of the mosaic"),
    "masked": ("", "meta.code", "Pixels without value are around it"),
}
_SCHEMA = pa.schema(
    [
        column("id", pa.int64(), ucd="meta.id;meta.main", description="Number of the source"),
        *(
            column(
                name,
                pa.bool_() if name in ("deblended", "at_edge", "masked") else pa.float64(),
                unit=unit,
                ucd=ucd,
                description=text,
            )
            for name, (unit, ucd, text) in _FACTS.items()
        ),
        column("tile", pa.string(), ucd="meta.file", description="File of the mosaic"),
    ]
)


@dataclass(frozen=True)
class Detected:
    """A catalogue of sources that was written, and how many it has."""

    path: Path
    sources: int


def detect(
    mosaic: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: DetectionSettings | None = None,
    layout: FitsLayout = ANYWHERE,
    overwrite: bool = False,
) -> Detected:
    """A catalogue of the sources in a mosaic of one band, in one file or several tiles, in the
    format that the extension of `out` says.

    Each has its position, half-light radius, axes, flux, and whether it was deblended, reaches the
    edge or lies beside masked pixels. Mosaics may be larger than memory, and of tiles that overlap
    each source is counted once. `layout` names the HDU, or the band (`bands`) of several.

    Raises ConfigError for an unknown extension, a table that is there already unless `overwrite`,
    and several bands of which none is named; DataError for a mosaic that cannot be read, or in
    which there is no source; MissingExtraError without photutils.
    """
    out = new_file(out, overwrite=overwrite)
    check_format(out)
    load_photutils()
    files = [mosaic] if isinstance(mosaic, str | Path) else mosaic
    tiles = _of_one_band(open_tiles(files, layout.hdus, layout.bands), layout)
    count = 0
    with locked(out), open_table(out, _SCHEMA) as write:
        for tile, found in find_sources(tiles, settings or DetectionSettings()):
            write(_rows(tile, found, count))
            count += len(found.x)
        if not count:
            raise DataError(
                f"no source in {', '.join(map(str, files))}: lower"
                " `settings=DetectionSettings(sigma=…)`, or is the mosaic empty?"
            )
    return Detected(out, count)


def _of_one_band(tiles: Sequence[Tile], layout: FitsLayout) -> Sequence[Tile]:
    bands = [*dict.fromkeys(tile.band for tile in tiles)]
    if len(bands) == 1:
        return tiles
    raise ConfigError(
        f"the mosaic has the bands {', '.join(bands)}, and sources are found in one: name it,"
        f" `layout=FitsLayout(bands={(bands[-1],)!r})`" + (", and no other" if layout.bands else "")
    )


def _rows(tile: Tile, found: Sources, before: int) -> pa.Table:
    ids: Any = np.arange(before + 1, before + 1 + len(found.x))
    columns = [getattr(found, name) for name in _FACTS]
    files = pa.array([tile.name] * len(found.x), pa.string())
    return pa.table([ids, *map(pa.array, columns), files], schema=_SCHEMA)
