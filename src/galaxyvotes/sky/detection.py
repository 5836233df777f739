"""Sources in mosaics: where they are, how large and how bright.

photutils finds them (segmentation above a background that varies, deblending by watersheds, Kron
fluxes). A mosaic is searched in blocks that overlap, so memory holds one of them; a source belongs
to the block, and of tiles that overlap to the tile, in whose inner part its centre lies, and those
that two blocks would both count or both leave out at their border are compared.

Source: Bertin and Arnouts 1996 (A&AS 117, 393) for the steps and the Kron aperture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from galaxyvotes.errors import ConfigError, MissingExtraError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.sky.places import find_places
from galaxyvotes.sky.tiles import Tile

__all__ = ["DetectionSettings", "Sources", "find_sources", "load_photutils"]

_MESH_PX = 64  # of the background
_BLOCK_PX, _OVERLAP_PX = 2048, 256  # multiples of the mesh, so that all blocks have the same ones
_BORDER_PX = 8.0  # within which two blocks may place one source on either side
_SAME_PX = 3.0  # that the places of one source in two blocks differ by at most
_KERNEL_FWHM_PX = 3.0
_LEVELS = 32
_EDGE_PX = 2
_MEASURED = (
    "label",
    "x_centroid",
    "y_centroid",
    "semimajor_axis",
    "semiminor_axis",
    "ellipticity",
    "orientation",
    "kron_flux",
    "bbox_xmin",
    "bbox_xmax",
    "bbox_ymin",
    "bbox_ymax",
)


@dataclass(frozen=True)
class DetectionSettings:
    """What counts as a source: pixels above `sigma` times the noise of the background, so many of
    them together, and a part of it as another one if it has the `contrast` share of its light.
    With a smaller share, spirals fall into pieces; with a larger one, neighbours become one.
    """

    sigma: float = 1.5
    area_px: int = 12
    contrast: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what finds nothing, or everything."""
        if not (0 < self.sigma < 1e6 and self.area_px >= 1 and 0 <= self.contrast <= 1):
            raise ConfigError(
                f"sigma {self.sigma}, area_px {self.area_px}, contrast {self.contrast}: the first"
                " is above 0, the second 1 or more, the third from 0 to 1"
            )


class Sources(NamedTuple):
    """Sources of a tile. `x` and `y` are pixels from 1 on, as FITS counts; lengths are in arcsec,
    angles in degrees from north to east, `flux` is in the unit of the mosaic.
    """

    x: Float[np.ndarray, " source"]
    y: Float[np.ndarray, " source"]
    ra: Float[np.ndarray, " source"]
    dec: Float[np.ndarray, " source"]
    radius: Float[np.ndarray, " source"]
    semimajor: Float[np.ndarray, " source"]
    semiminor: Float[np.ndarray, " source"]
    ellipticity: Float[np.ndarray, " source"]
    angle: Float[np.ndarray, " source"]
    flux: Float[np.ndarray, " source"]
    deblended: Bool[np.ndarray, " source"]
    at_edge: Bool[np.ndarray, " source"]
    masked: Bool[np.ndarray, " source"]

    def take(self, rows: Any) -> "Sources":
        """Some of them."""
        return Sources(*(column[rows] for column in self))


def load_photutils() -> Any:
    """The module photutils.segmentation; MissingExtraError if it is not installed."""
    try:
        return import_module("photutils.segmentation")
    except ImportError:
        raise MissingExtraError("photutils", "detect") from None


def find_sources(
    tiles: Sequence[Tile], settings: DetectionSettings
) -> Iterator[tuple[Tile, Sources]]:
    """The sources of each tile, a block at a time, each of them once.

    Raises DataError if pixels cannot be read, MissingExtraError without photutils.
    """
    load_photutils()
    for number, tile in enumerate(tiles):
        borders = np.empty((0, 2))  # the places, near borders of blocks, of sources before
        for rows, columns in _blocks(tile.shape):
            found = _in_block(tile, rows, columns, settings)
            borders, new = _once(found, rows, columns, tile.shape, borders)
            found = found.take(new)
            if len(tiles) > 1 and len(found.x):
                places = find_places(tiles, found.ra, found.dec, (tile.band,) if tile.band else ())
                found = found.take((places.tile[0] == number) | (places.tile[0] < 0))
            yield tile, found
        tile.close()


def _blocks(shape: tuple[int, int]) -> Iterator[tuple[range, range]]:
    """The inner parts of the blocks, row by row."""
    height, width = shape
    for row in range(0, height, _BLOCK_PX):
        for column in range(0, width, _BLOCK_PX):
            yield (
                range(row, min(row + _BLOCK_PX, height)),
                range(column, min(column + _BLOCK_PX, width)),
            )


def _once(
    found: Sources,
    rows: range,
    columns: range,
    shape: tuple[int, int],
    borders: Float[np.ndarray, "source 2"],
) -> tuple[Float[np.ndarray, "any 2"], Bool[np.ndarray, " found"]]:
    """Which sources are this block's and not yet counted; and the places of all near borders."""
    x, y = found.x - 1, found.y - 1
    depth = np.minimum(_depth(x, columns, shape[1]), _depth(y, rows, shape[0]))
    new = depth >= -_BORDER_PX
    near = new & (depth < _BORDER_PX)
    for source in np.flatnonzero(near).tolist():
        place = np.array([x[source], y[source]])
        if len(borders) and np.hypot(*(borders - place).T).min() < _SAME_PX:
            new[source] = False
        else:
            borders = np.concatenate([borders, place[None]])
    return borders, new


def _depth(
    at: Float[np.ndarray, " source"], span: range, side: int
) -> Float[np.ndarray, " source"]:
    """How far inside a block's borders; those of the mosaic itself are none."""
    low = np.full(len(at), np.inf) if span.start == 0 else at - (span.start - 0.5)
    high = np.full(len(at), np.inf) if span.stop == side else span.stop - 0.5 - at
    return np.minimum(low, high)


def _in_block(tile: Tile, rows: range, columns: range, settings: DetectionSettings) -> Sources:
    """All sources of a block with its overlap."""
    height, width = tile.shape
    rows = range(max(rows.start - _OVERLAP_PX, 0), min(rows.stop + _OVERLAP_PX, height))
    columns = range(max(columns.start - _OVERLAP_PX, 0), min(columns.stop + _OVERLAP_PX, width))
    pixels = tile.read(rows, columns)
    with quiet(), np.errstate(all="ignore"):
        found = _segment(pixels, settings)
        shapes = None if found is None else _shapes(found)
    if found is None or shapes is None:
        return _nothing()
    return _measured(tile, rows, columns, found, shapes)


class _Segments(NamedTuple):
    light: Float32[np.ndarray, "rows columns"]  # above the background
    smooth: Float32[np.ndarray, "rows columns"]
    labels: Any  # photutils' SegmentationImage
    unknown: Bool[np.ndarray, "rows columns"]


def _segment(
    pixels: Float32[np.ndarray, "rows columns"], settings: DetectionSettings
) -> _Segments | None:
    """The pixels of each source; None if there is none."""
    segmentation, background = load_photutils(), import_module("photutils.background")
    convolution = import_module("astropy.convolution")
    unknown = ~np.isfinite(pixels)
    if unknown.all():
        return None
    filled = np.where(unknown, np.float32(0), pixels)
    sky = background.Background2D(
        filled,
        _MESH_PX,
        coverage_mask=unknown if unknown.any() else None,
        exclude_percentile=90,
        bkg_estimator=background.MedianBackground(),
    )
    light = np.where(unknown, np.float32(0), filled - sky.background).astype(np.float32)
    kernel = segmentation.make_2dgaussian_kernel(_KERNEL_FWHM_PX, size=5)
    smooth = convolution.convolve(light, kernel, boundary="extend").astype(np.float32)
    threshold = settings.sigma * sky.background_rms
    mask = unknown if unknown.any() else None
    labels = segmentation.detect_sources(smooth, threshold, n_pixels=settings.area_px, mask=mask)
    if labels is None:
        return None
    labels = segmentation.deblend_sources(
        smooth,
        labels,
        n_pixels=settings.area_px,
        n_levels=_LEVELS,
        contrast=settings.contrast,
        progress_bar=False,
    )
    return _Segments(light, smooth, labels, unknown)


def _shapes(found: _Segments) -> dict[str, Any]:
    """What photutils measures of each source, in pixels of the block."""
    catalogue = load_photutils().SourceCatalog(
        found.light, found.labels, convolved_data=found.smooth, mask=found.unknown
    )
    shapes = {name: _values(getattr(catalogue, name)) for name in _MEASURED}
    shapes["radius"] = _values(catalogue.flux_radius(0.5))
    boxes: list[Any] = catalogue.slices if found.unknown.any() else []
    touched = [bool(found.unknown[box].any()) for box in boxes]
    shapes["masked"] = np.array(touched or [False] * len(shapes["label"]))
    return shapes


def _measured(
    tile: Tile, rows: range, columns: range, found: _Segments, shapes: dict[str, Any]
) -> Sources:
    """The sources of a block in the units of a catalogue."""
    x, y = shapes["x_centroid"], shapes["y_centroid"]
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0.0) + columns.start, np.where(known, y, 0.0) + rows.start
    ra, dec = tile.wcs.all_pix2world(x, y, 0, ra_dec_order=True)
    places = find_places([tile], np.asarray(ra, float), np.asarray(dec, float))
    turn, scale = places.turn[0].astype(float), places.scales[0].astype(float)
    slant = np.radians(shapes["orientation"])
    axis = np.stack([np.cos(slant), np.sin(slant)], axis=-1)
    inside = np.isfinite(turn).all((1, 2))
    sky = np.full((len(x), 2), np.nan)
    sky[inside] = np.linalg.solve(turn[inside], axis[inside, :, None])[..., 0]
    high, wide = found.light.shape
    at_edge = (
        ((shapes["bbox_xmin"] < _EDGE_PX) & (columns.start == 0))
        | ((shapes["bbox_xmax"] >= wide - _EDGE_PX) & (columns.stop == tile.shape[1]))
        | ((shapes["bbox_ymin"] < _EDGE_PX) & (rows.start == 0))
        | ((shapes["bbox_ymax"] >= high - _EDGE_PX) & (rows.stop == tile.shape[0]))
    )
    sources = Sources(
        x=x + 1,
        y=y + 1,
        ra=np.asarray(ra, float),
        dec=np.asarray(dec, float),
        radius=shapes["radius"] * scale,
        semimajor=shapes["semimajor_axis"] * scale,
        semiminor=shapes["semiminor_axis"] * scale,
        ellipticity=shapes["ellipticity"],
        angle=np.degrees(np.arctan2(sky[:, 0], sky[:, 1])) % 180,
        flux=shapes["kron_flux"],
        deblended=np.isin(shapes["label"], found.labels.deblended_labels),
        at_edge=at_edge,
        masked=shapes["masked"],
    )
    return sources.take(known)


def _values(column: Any) -> Any:
    """A column of photutils without its unit."""
    return np.atleast_1d(np.asarray(getattr(column, "value", column)))


def _nothing() -> Sources:
    flags = ("deblended", "at_edge", "masked")
    kinds = (bool if name in flags else float for name in Sources._fields)
    return Sources._make(np.empty(0, kind) for kind in kinds)
