import numpy as np
import pytest
from astropy.table import Table

from galaxyvotes import (
    ConfigError,
    DataError,
    DetectionSettings,
    FitsLayout,
    Mosaic,
    cutout,
    detect,
    simulate,
)
from mosaics import write_mosaic

pytest.importorskip("photutils", reason="photutils finds the sources: install the extra detect")


@pytest.fixture
def mosaic(tmp_path):
    rows, columns = np.mgrid[:300, :300]
    light = np.random.default_rng(0).normal(0, 0.05, (300, 300))
    for x, y in ((80, 90), (200, 210)):
        light += 2 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 30)
    return [write_mosaic(tmp_path / f"m-{b}.fits", light.astype(np.float32)) for b in "gr"]


def test_the_catalogue_is_one_that_images_are_cut_by(tmp_path, mosaic):
    done = detect(mosaic[1], tmp_path / "sources.fits")
    rows = Table.read(done.path)
    assert (done.sources, len(rows)) == (2, 2)
    assert rows["id"].tolist() == [1, 2]
    assert (rows["ra"].unit, rows["radius"].unit, rows["x"].unit) == ("deg", "arcsec", "pix")
    assert rows["tile"].tolist() == ["m-r.fits"] * 2
    cuts = cutout(
        done.path, tmp_path / "cuts", mosaic=Mosaic(tuple(mosaic), "8*radius"), progress=False
    )
    assert cuts.galaxies == 2


def test_simulated_galaxies_are_found_whole(tmp_path, monkeypatch):
    pytest.importorskip("galsim", reason="GalSim draws galaxies: install the extra simulate")
    monkeypatch.setattr("galaxyvotes.simulation.mosaic._STARS", 0.0)
    simulate(tmp_path / "sky", galaxies=9, seed=2, mosaic=True, processes=1)
    mosaic = tmp_path / "sky" / "mosaic" / "sky-r.fits"
    truth = Table.read(tmp_path / "sky" / "catalogue.fits")
    whole = Table.read(detect(mosaic, tmp_path / "sources.fits").path)
    away, first = apart(truth, whole)
    assert (away < 0.4 * truth["radius"]).all()
    assert 0.5 < np.median(whole["radius"][first] / truth["radius"]) < 0.8
    pieces = DetectionSettings(contrast=0.005)
    more = detect(mosaic, tmp_path / "pieces.fits", settings=pieces).sources
    assert len(whole) < 0.7 * more, "or they fall into pieces as with SExtractor's contrast"


def apart(truth, rows):
    """How far, in arcsec, the nearest source of each galaxy is, and which that is."""
    far = np.hypot(
        (truth["ra"][:, None] - rows["ra"]) * np.cos(np.radians(truth["dec"][:, None])),
        truth["dec"][:, None] - rows["dec"],
    )
    return 3600 * far.min(axis=1), far.argmin(axis=1)


def test_sources_are_found_in_one_band_that_is_named(tmp_path, mosaic):
    out = tmp_path / "sources.csv"
    with pytest.raises(ConfigError, match="the mosaic has the bands g, r, and sources are found"):
        detect(mosaic, out)
    assert detect(mosaic, out, layout=FitsLayout(bands=("g",))).sources == 2
    with pytest.raises(ConfigError, match=r"sources\.csv exists"):
        detect(mosaic[0], out)


def test_a_mosaic_without_sources_is_refused_and_leaves_no_table(tmp_path):
    path = write_mosaic(tmp_path / "flat.fits", np.ones((100, 100), np.float32))
    with pytest.raises(DataError, match=r"no source in .*flat.fits: lower"):
        detect(path, tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()
