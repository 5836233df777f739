import sys

import numpy as np
import pytest

from galaxyvotes import ConfigError, MissingExtraError
from galaxyvotes.sky import detection
from galaxyvotes.sky.detection import DetectionSettings, find_sources
from galaxyvotes.sky.mosaic_files import open_tiles
from mosaics import wcs_of, write_mosaic

pytest.importorskip("photutils", reason="photutils finds the sources: install the extra detect")

SIDE = 400


def scene(x, y, *, sigma=(4.0, 2.0), angle=30.0, flux=30.0, side=SIDE) -> np.ndarray:
    """Elliptical galaxies at these pixels, counted from 0 on, above noise of 0.05."""
    rows, columns = np.mgrid[:side, :side]
    light = np.random.default_rng(0).normal(1.0, 0.05, (side, side))
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    for a, b in zip(x, y, strict=True):
        along = (columns - a) * cos + (rows - b) * sin
        across = (rows - b) * cos - (columns - a) * sin
        bright = flux * np.exp(-0.5 * ((along / sigma[0]) ** 2 + (across / sigma[1]) ** 2))
        light += bright / (2 * np.pi * sigma[0] * sigma[1])
    return light.astype(np.float32)


def sources(paths, **settings):
    parts = [found for _, found in find_sources(open_tiles(paths), DetectionSettings(**settings))]
    return detection.Sources(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def test_places_shapes_and_fluxes_are_those_of_the_galaxies(tmp_path):
    x, y = np.array([80.3, 200.0, 321.7]), np.array([90.0, 210.4, 300.2])
    path = write_mosaic(tmp_path / "m.fits", scene(x, y, flux=300.0))
    found = sources([path], sigma=2.5)
    assert len(found.x) == 3
    order = np.argsort(found.x)
    assert np.allclose(found.x[order], x + 1, atol=0.2)
    assert np.allclose(found.y[order], y + 1, atol=0.2)
    ra, dec = wcs_of(SIDE, SIDE).all_pix2world(x, y, 0)
    assert np.allclose(found.ra[order], ra, atol=0.1 / 3600)
    assert np.allclose(found.dec[order], dec, atol=0.1 / 3600)
    assert np.allclose(found.flux, 300, rtol=0.05)
    assert np.allclose(found.ellipticity, 0.5, atol=0.12)
    # 30° from the x axis, which points west where north is up: 300° = 120° from north to east
    assert np.allclose(found.angle, 120, atol=8)
    assert np.allclose(found.radius, 2.8 * 1.18 * 0.25, rtol=0.3)
    assert not (found.deblended | found.at_edge | found.masked).any()


def test_a_mosaic_in_blocks_has_every_source_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(8, SIDE - 8, (2, 60))
    x[:6] = [127.5, 128, 128.4, 255.6, 256, 127.8]  # at the borders of the blocks
    path = write_mosaic(tmp_path / "m.fits", scene(x, y, sigma=(2.0, 2.0)))
    whole = sources([path])
    monkeypatch.setattr(detection, "_BLOCK_PX", 128)
    monkeypatch.setattr(detection, "_OVERLAP_PX", 64)
    parts = sources([path])
    places = np.stack([whole.x, whole.y], axis=1)
    apart = np.linalg.norm(places[:, None] - np.stack([parts.x, parts.y], axis=1), axis=2)
    bright = whole.flux > 10
    assert bright.sum() > 30
    assert (apart.min(1)[bright] < 1).all()
    assert ((apart < 2).sum(1)[bright] == 1).all()


def test_sources_in_two_tiles_that_overlap_are_counted_once(tmp_path):
    one = wcs_of(SIDE, SIDE)
    two = wcs_of(SIDE, SIDE, ra=150 - 200 * 0.25 / 3600)
    x, y = np.array([50.0, 250.0, 350.0, 290.0]), np.array([50.0, 100.0, 200.0, 330.0])
    paths = [write_mosaic(tmp_path / "one.fits", scene(x, y), one)]
    moved = two.all_world2pix(*one.all_pix2world(x, y, 0), 0)
    paths.append(write_mosaic(tmp_path / "two.fits", scene(*moved), two))
    found = sources(paths, sigma=2.5)
    assert len(found.x) == 4


def test_neighbours_are_told_apart_and_edges_and_masks_are_flagged(tmp_path):
    x, y = np.array([100.0, 109.0, 1.0, 300.0]), np.array([100.0, 104.0, 200.0, 300.0])
    data = scene(x, y, sigma=(3.0, 3.0), flux=60.0)
    data[300:303, 303:306] = np.nan
    found = sources([write_mosaic(tmp_path / "m.fits", data)], sigma=2.5)
    order = np.argsort(found.y + found.x / 1000)
    assert found.deblended[order].tolist() == [True, True, False, False]
    assert found.at_edge[order].tolist() == [False, False, True, False]
    assert found.masked[order].tolist() == [False, False, False, True]


def test_a_mosaic_without_sources_or_values_has_none(tmp_path):
    empty = write_mosaic(tmp_path / "nan.fits", np.full((100, 100), np.nan, np.float32))
    flat = write_mosaic(tmp_path / "flat.fits", np.ones((100, 100), np.float32))
    for path in (empty, flat):
        assert len(sources([path], sigma=5.0).x) == 0


def test_settings_that_find_nothing_and_a_missing_library_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"sigma 0\.0, area_px 12"):
        DetectionSettings(sigma=0.0)
    monkeypatch.setitem(sys.modules, "photutils.segmentation", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'galaxyvotes\[detect\]'"):
        detection.load_photutils()
