"""Images that are cut from a mosaic are predicted as the same cut-outs in files."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from galaxyvotes import ConfigError, DataError, FitsLayout, Mosaic, cutout, merge, predict
from galaxyvotes.inference import parts, table_images
from galaxyvotes.runs.run import open_run
from mosaics import pixels, wcs_of, write_mosaic, write_table

SKY = wcs_of(300, 400)
X, Y = np.array([60.3, 210, 5000, 330, 100]), np.array([70.1, 150, 0, 100, 296])


@pytest.fixture
def mosaic(tmp_path):
    paths = [write_mosaic(tmp_path / f"m-{b}.fits", pixels(seed=n)) for n, b in enumerate("grz")]
    return Mosaic(tuple(paths), "24arcsec")


def test_a_mosaic_gives_the_predictions_of_its_cutouts_in_the_tables_order(
    blob_run, tmp_path, mosaic, monkeypatch
):
    table = write_table(tmp_path / "t.fits", SKY, X, Y)
    options = {"run": blob_run, "stretch": "legacy", "progress": False}
    like = open_run(blob_run).pack
    files = cutout(table, tmp_path / "cuts", mosaic=mosaic, like=like, progress=False)
    theirs = predict(files.table, **options).to_astropy()
    monkeypatch.setattr(table_images, "SLICE", 2)
    done = predict(table, tmp_path / "out.fits", layout=FitsLayout(mosaic=mosaic), **options)
    ours = Table.read(tmp_path / "out.fits")
    assert done.galaxies == 4
    assert ours["objid"].tolist() == [1001, 1002, 1003, 1004, 1005]
    assert ours["image_problem"][2].startswith("lies outside the mosaic")
    start = theirs.colnames.index("cutout_problem") + 1
    answers = theirs.colnames[start:-1]
    assert answers
    for name in answers:
        mine, other = (np.ma.filled(rows[name], np.nan) for rows in (ours, theirs))
        assert np.array_equal(mine, other, equal_nan=True)
    for ours_is, theirs_is in (
        ("image_off_edge", "cutout_off_edge"),
        ("image_masked", "cutout_masked"),
    ):
        mine, other = (np.ma.filled(one, np.nan) for one in (ours[ours_is], theirs[theirs_is]))
        assert np.array_equal(mine, other, equal_nan=True)
    assert (ours["image_off_edge"][4] > 0.3, ours["image_off_edge"][0]) == (True, 0)


def test_a_job_that_goes_on_predicts_the_rows_of_a_changed_tile_again(
    blob_run, tmp_path, mosaic, monkeypatch
):
    monkeypatch.setattr(parts, "BLOCK", 2)
    table, out = write_table(tmp_path / "t.fits", SKY, X, Y), tmp_path / "out.csv"
    options = {"run": blob_run, "stretch": "legacy", "progress": False, "workers": 1}
    options["layout"] = FitsLayout(mosaic=mosaic)
    for shard in ("1/2", "2/2"):
        predict(table, out, shard=shard, **options)
    again = predict(table, out, shard="1/2", **options)
    assert again.notes[0] == "2 of 2 rows were predicted by an earlier attempt"
    (tmp_path / "m-r.fits").unlink()
    write_mosaic(tmp_path / "m-r.fits", pixels(seed=7))
    first = predict(table, out, shard="1/2", **options)
    assert first.notes[0] == (
        "2 rows were predicted again, because 2 images have changed since an earlier attempt (the"
        " first: m-r.fits)"
    )
    second = predict(table, out, shard="2/2", **options)
    assert second.notes[0].startswith("3 rows were predicted again, because 2 images have changed")
    merge(out)
    whole = predict(table, tmp_path / "whole.csv", **options)
    assert out.read_bytes() == whole.path.read_bytes()


def test_what_cannot_be_cut_is_refused(blob_run, tmp_path, mosaic):
    far = write_table(tmp_path / "far.fits", SKY, [5000.0], [0.0])
    options = {"run": blob_run, "layout": FitsLayout(mosaic=mosaic), "progress": False}
    with pytest.raises(DataError, match=r"far.fits: not one of 1 position lies in the mosaic"):
        predict(far, **options)
    with pytest.raises(ConfigError, match="images are cut from the mosaic: leave out"):
        predict(far, image="{objid}.fits", **options)
    with pytest.raises(ConfigError, match="change that, and leave out `scale=…`"):
        predict(far, scale=2.0, **options)
    sizeless = FitsLayout(mosaic=replace(mosaic, size=""))
    with pytest.raises(ConfigError, match="nothing says how much of the sky an image shows"):
        predict(far, **{**options, "layout": sizeless})
