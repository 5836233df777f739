from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galaxyvotes import ConfigError, DataError, FitsLayout, Mosaic, cutout
from galaxyvotes.config import PackSettings
from galaxyvotes.images import cutout as module
from mosaics import pixels, wcs_of, write_mosaic, write_table

SKY = wcs_of(300, 400)
X, Y = np.array([50.0, 210, 5000, 397, 100]), np.array([60.0, 150, 0, 100, 200])


@pytest.fixture
def mosaic(tmp_path):
    paths = [write_mosaic(tmp_path / f"m-{b}.fits", pixels(seed=n)) for n, b in enumerate("grz")]
    return Mosaic(tuple(paths), "10arcsec")


def test_the_table_has_the_file_of_each_galaxy_or_the_reason(tmp_path, mosaic):
    mag = np.ma.array([1, 2, 3, 4, 5], mask=[0, 1, 0, 0, 0])
    table = write_table(tmp_path / "t.fits", SKY, X, Y, mag=mag)
    made = cutout(table, tmp_path / "out", mosaic=mosaic, progress=False)
    assert (made.galaxies, made.at_edge) == (4, 1)
    assert made.problems == {"lies outside the mosaic": 1}
    rows, before = Table.read(made.table), Table.read(table)
    assert rows.colnames[:4] == before.colnames
    for name in before.colnames:
        assert rows[name].dtype == before[name].dtype
        assert list(rows[name]) == list(before[name]) or name == "mag"
    assert rows["mag"].mask.tolist() == [False, True, False, False, False]
    assert rows["cutout"][0] == "images/1001.fits"
    assert rows["cutout_problem"][2].startswith("lies outside the mosaic (ra ")
    assert rows["cutout_off_edge"][3] > 0
    with fits.open(made.path / rows["cutout"][1]) as units:
        assert units[0].data.shape == (3, 40, 40)
        assert [units[0].header[f"BAND{n}"] for n in range(3)] == ["g", "r", "z"]
        assert np.array_equal(units[0].data[1], pixels(seed=1)[130:170, 190:230])
        x, y = WCS(units[0].header).celestial.all_world2pix(
            before["ra"][1:2], before["dec"][1:2], 0
        )
    assert (x[0], y[0]) == pytest.approx((20, 20), abs=0.001)


def test_pixels_and_pictures_are_made_on_demand(tmp_path, mosaic):
    table = write_table(tmp_path / "t.ecsv", SKY, X[:2], Y[:2])
    made = cutout(
        table, tmp_path / "a", mosaic=mosaic, side_px=64, stretch="legacy", progress=False
    )
    rows = Table.read(made.table)
    assert made.table.name == "cutouts.ecsv"
    data = (made.path / rows["cutout"][0]).read_bytes()
    assert simplejpeg.decode_jpeg(data).shape == (64, 64, 3)
    like = PackSettings(208, 96, arcsec_px=0.5)
    made = cutout(table, tmp_path / "b", mosaic=mosaic, like=like, progress=False)
    with fits.open(made.path / Table.read(made.table)["cutout"][0]) as units:
        assert units[0].data.shape == (3, 20, 20)


def test_the_folder_is_called_as_it_was_named(tmp_path, mosaic, monkeypatch):
    table = write_table(tmp_path / "t.csv", SKY, X[:2], Y[:2])
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for name in ("..//out", "."):
        made = cutout(table, name, mosaic=mosaic, progress=False)
        assert (made.path, made.table) == (Path(name), Path(name) / "cutouts.csv")
        assert (tmp_path / "empty" / made.table).is_file()
        monkeypatch.chdir(tmp_path / "empty")


def test_ids_that_come_twice_make_two_files_and_cells_of_text_stay_as_written(tmp_path, mosaic):
    ra, dec = SKY.all_pix2world(X[:3], Y[:3], 0)
    lines = [f"007,{a:.7f},{d:.7f}" for a, d in zip(ra, dec, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["n,ra,dec", *lines]) + "\n")
    made = cutout(tmp_path / "t.csv", tmp_path / "out", mosaic=mosaic, progress=False)
    text = made.table.read_text().splitlines()
    assert text[0].replace('"', "").startswith("n,ra,dec,cutout,cutout_off_edge")
    assert text[1].replace('"', "").startswith(lines[0] + ",images/row-1.fits,0")
    assert "lies outside" in text[3]


def test_the_same_files_are_made_whatever_the_slices_and_threads(tmp_path, mosaic, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 400, 23), rng.uniform(0, 300, 23)
    table = write_table(tmp_path / "t.fits", SKY, x, y)
    one = cutout(table, tmp_path / "a", mosaic=mosaic, workers=1, progress=False)
    monkeypatch.setattr(module, "_SLICE", 7)
    monkeypatch.setattr(module, "_TOGETHER", 2)
    two = cutout(table, tmp_path / "b", mosaic=mosaic, workers=3, progress=False)
    assert one.table.read_bytes() == two.table.read_bytes()
    names = sorted(path.name for path in (one.path / "images").iterdir())
    assert len(names) == 23
    for name in names:
        assert (one.path / "images" / name).read_bytes() == (
            two.path / "images" / name
        ).read_bytes()


def test_many_files_lie_in_several_folders(tmp_path, mosaic, monkeypatch):
    monkeypatch.setattr(module, "_A_FOLDER", 2)
    table = write_table(tmp_path / "t.fits", SKY, X, Y)
    made = cutout(table, tmp_path / "out", mosaic=mosaic, progress=False)
    assert Table.read(made.table)["cutout"][4] == "images/0002/1005.fits"


def test_what_cannot_be_is_refused_and_leaves_no_folder(tmp_path, mosaic):
    table = write_table(tmp_path / "t.fits", SKY, X, Y)
    far = write_table(tmp_path / "far.fits", SKY, [9000.0], [0.0])
    radians = tmp_path / "radians.csv"
    ra, dec = np.radians(SKY.all_pix2world(X, Y, 0))
    radians.write_text("\n".join(["ra,dec", *(f"{a},{d}" for a, d in zip(ra, dec, strict=True))]))
    clash = write_table(tmp_path / "clash.fits", SKY, X, Y, cutout=np.arange(5))
    out = tmp_path / "out"
    for given, words, error in (
        (far, "no galaxy can be cut out: not one of 1 position lies in the mosaic", DataError),
        (radians, "radians.csv: ra and dec are in radians", DataError),
        (clash, "clash.fits has a column cutout already", ConfigError),
    ):
        with pytest.raises(error, match=words):
            cutout(given, out, mosaic=mosaic, progress=False)
        assert not out.exists()
    with pytest.raises(ConfigError, match="side_px is 0"):
        cutout(table, out, mosaic=mosaic, side_px=0)
    with pytest.raises(ConfigError, match="no stretch 'lagacy'; did you mean legacy"):
        cutout(table, out, mosaic=mosaic, stretch="lagacy")
    with pytest.raises(DataError, match="the mosaic has no file of the band i"):
        cutout(table, out, mosaic=mosaic, layout=FitsLayout(bands=("g", "i")), progress=False)
