"""FITS images are predicted as the pictures that are made of them."""

import csv
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fits_bytes import LEGACY, bands_of, fits_of
from galaxyvotes import (
    ConfigError,
    DataError,
    FitsLayout,
    LabelSettings,
    PackSettings,
    pack,
    predict,
)
from galaxyvotes.images import read as read_module
from galaxyvotes.inference import predict as predict_module
from galaxyvotes.sky.stretch import Stretch


@pytest.fixture
def folder(tmp_path):
    """Four cut-outs in three bands, whose names the files give."""
    path = tmp_path / "cutouts"
    path.mkdir()
    for number in range(4):
        names = {"BAND0": "g", "BAND1": "r", "BAND2": "z"}
        data = fits_of(bands_of(3, 40, number), **names, **LEGACY)
        (path / f"{number}.fits").write_bytes(data)
    return path


def as_pictures(folder, to, stretch: str):
    """The same images as PNGs."""
    to.mkdir()
    for number in range(4):
        bands = np.ascontiguousarray(bands_of(3, 40, number)[:, ::-1])
        picture = Stretch.load(stretch).picture(bands)
        Image.fromarray(picture).save(to / f"{number}.png")
    return to


@pytest.mark.parametrize("stretch", ["legacy", "euclid"])
@pytest.mark.parametrize("crop", [{}, {"fit": True}, {"scale": 0.5}])
def test_fits_images_have_the_predictions_of_their_pictures(
    blob_run, folder, tmp_path, stretch, crop
):
    layout = FitsLayout(bands=Stretch.load(stretch).bands)
    pictures = as_pictures(folder, tmp_path / "pictures", stretch)
    ours = predict(folder, run=blob_run, stretch=stretch, layout=layout, progress=False, **crop)
    theirs = predict(pictures, run=blob_run, progress=False, **crop)
    assert ours.ids == theirs.ids == ("0", "1", "2", "3")
    if "fit" in crop or stretch == "legacy":
        assert np.array_equal(ours.values, theirs.values)
    assert np.allclose(ours.values, theirs.values, atol=0.02)


def test_several_bands_without_a_stretch_are_refused_before_anything_is_predicted(blob_run, folder):
    with pytest.raises(
        ConfigError, match=r"`stretch=…` is missing: 0.fits has 3 bands \(g, r, z\)"
    ):
        predict(folder, run=blob_run, progress=False)
    with pytest.raises(ConfigError, match="no stretch 'lupton'"):
        predict(folder, run=blob_run, stretch="lupton", progress=False)


def test_one_bad_fits_image_stops_nothing(blob_run, folder, tmp_path):
    whole = (folder / "0.fits").read_bytes()
    (folder / "bad.fits").write_bytes(whole[:-4000])
    (folder / "grey.fits").write_bytes(fits_of(bands_of(1)[0]))
    (folder / "photo.jpg").write_bytes(b"nothing")
    done = predict(folder, tmp_path / "out.csv", run=blob_run, stretch="legacy", progress=False)
    assert done.galaxies == 4
    reasons = dict(csv.reader((tmp_path / "out.csv.rejected.csv").read_text().splitlines()))
    assert "cut short" in reasons["bad.fits"]
    assert "one band; the stretch legacy is for g, r, z" in reasons["grey.fits"]
    assert "not an image" in reasons["photo.jpg"]


def test_one_band_needs_no_stretch_in_a_zip_and_as_a_file(blob_run, tmp_path):
    data = {f"{seed}.fits.gz": fits_of(None, bands_of(1, 40, seed)[0]) for seed in range(3)}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name, content in data.items():
            packed.writestr(name, content)
            (tmp_path / name).write_bytes(content)
    whole = predict(tmp_path / "all.zip", run=blob_run, progress=False)
    alone = predict(tmp_path / "1.fits.gz", run=blob_run, progress=False)
    assert np.array_equal(whole.values[1:2], alone.values)
    assert (whole.ids, alone.ids) == (("0", "1", "2"), ("1",))


def test_a_run_predicts_fits_images_in_the_stretch_of_its_own(blob_run, folder, tmp_path):
    network = blob_run.network()
    taught = replace(network, pack=replace(network.pack, stretch="legacy"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict_module, "open_network", lambda *_: (taught, blob_run.path))
        own = predict(folder, run=blob_run, progress=False)
    named = predict(folder, run=blob_run, stretch="legacy", progress=False)
    assert np.array_equal(own.values, named.values)


def test_a_store_of_fits_images_says_how_they_were_stretched(folder, tmp_path):
    labels = LabelSettings(unlabelled=True)
    for settings in (PackSettings(32, 16, stretch="legacy"), PackSettings(0, 16, stretch="legacy")):
        store = pack(
            folder,
            tmp_path / f"store{settings.crop_px}",
            labels=labels,
            settings=settings,
            layout=FitsLayout(0),
            progress=False,
        )
        assert store.pack.stretch == "legacy"
        assert store.manifest["hdu"] == [0]
    with pytest.raises(ConfigError, match="leave out `scale=…`, `fit=True` and `stretch=…`"):
        predict(store.path, stretch="sdss", progress=False)
    (folder / "grey").mkdir()
    (folder / "grey" / "1.fits").write_bytes(fits_of(bands_of(1)[0]))
    store = pack(
        folder / "grey",
        tmp_path / "grey",
        labels=labels,
        settings=PackSettings(0, 16),
        progress=False,
    )
    assert (store.pack.stretch, "hdu" in store.manifest) == ("single", False)


@pytest.mark.parametrize("other", ["grey.fits", "galaxy.jpg"])
def test_one_colour_image_among_others_is_rejected_and_stops_nothing(
    blob_run, tmp_path, make_jpeg, other
):
    (tmp_path / "a.fits").write_bytes(
        fits_of(None, bands_of(3, 40), BAND0="g", BAND1="r", BAND2="z", **LEGACY)
    )
    pixels = fits_of(bands_of(1, 40)[0]) if other.endswith("fits") else make_jpeg(1, 40)
    (tmp_path / other).write_bytes(pixels)
    done = predict(tmp_path, run=blob_run, progress=False)
    assert len(done) == 1
    ((name, reason),) = done.rejected
    assert name == "a.fits"
    assert "has 3 bands (g, r, z), and nothing says how they become colours" in reason
    assert "`" not in reason


def test_pictures_of_a_contact_sheet_are_stretched_as_the_predictions_are(blob_run, folder):
    done = predict(folder, run=blob_run, stretch="legacy", progress=False)
    assert set(done.pictures(done.ids)) == set(done.ids)


def test_a_fits_image_with_too_many_bytes_is_refused_before_it_is_read(
    blob_run, folder, monkeypatch
):
    monkeypatch.setattr(read_module, "MAX_FITS_BYTES", 10_000)
    with pytest.raises(DataError, match="has 23,040 bytes; at most 10,000 are read of a FITS"):
        predict(folder, run=blob_run, stretch="legacy", progress=False)


def test_the_stretch_and_the_scale_of_the_pixels_are_said_and_compared(
    blob_run, folder, tmp_path, monkeypatch
):
    done = predict(folder, run=blob_run, stretch="legacy", progress=False)
    assert done.stretch == "legacy"
    assert done.notes[0] == "FITS images: stretch legacy"
    assert done.notes[1].startswith("0.262 arcsec a pixel; that of the network's images is not")
    assert done.other_scale == ""

    network = blob_run.network()
    taught = replace(network, pack=replace(network.pack, arcsec_px=0.3275))
    monkeypatch.setattr(predict_module, "open_network", lambda *_: (taught, blob_run.path))
    done = predict(folder, run=blob_run, stretch="legacy", progress=False)
    assert "a galaxy covers 1.25 times as many pixels, so use `scale=1.25`" in (done.warning or "")
    assert (
        predict(
            folder,
            run=blob_run,
            stretch="sdss",
            scale=1.25,
            progress=False,
            layout=FitsLayout(bands=("g", "r", "i")),
        ).other_scale
        == ""
    )


def test_a_store_and_its_run_know_the_scale_and_the_stretch(blob_run, folder, tmp_path):
    store = pack(
        folder,
        tmp_path / "store",
        labels=LabelSettings(unlabelled=True),
        settings=PackSettings(20, 16, scale=2.0, stretch="legacy"),
        progress=False,
    )
    assert store.pack.arcsec_px == pytest.approx(0.524)
    assert "FITS images: stretch legacy\n0.262 arcsec a pixel" in store.summary
    assert PackSettings(**store.pack.to_table()) == store.pack


def test_images_that_are_not_fits_have_no_stretch(blob_run, blobs):
    done = predict(blobs, run=blob_run, stretch="legacy", progress=False)
    assert (done.stretch, done.notes) == ("", ())


def test_a_file_for_each_band_is_the_same_as_a_cube(blob_run, folder, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(4):
        for name, band in zip("grz", bands_of(3, 40, number), strict=True):
            (parts / f"{number}-{name}.fits").write_bytes(fits_of(None, band, **LEGACY))
    (parts / "5-g.fits").write_bytes(fits_of(bands_of(1)[0]))
    (parts / "3-z.fits").write_bytes(b"SIMPLE  =")
    layout = FitsLayout(bands=("g", "r", "z"))
    done = predict(parts, run=blob_run, stretch="legacy", layout=layout, progress=False)
    cubes = predict(folder, run=blob_run, stretch="legacy", progress=False)
    assert done.ids == ("0", "1", "2")
    assert np.array_equal(done.values, cubes.values[:3])
    assert done.passed_over == (("5-g.fits", "lacks the files of the bands r, z"),)
    assert [name for name, _ in done.rejected] == ["3-g.fits"]
    assert "(band z) is cut short" in done.rejected[0][1]
    assert set(done.pictures(done.ids)) == {"0", "1", "2"}
    with pytest.raises(ConfigError, match=r"0-g\.fits has 3 bands"):
        predict(parts, run=blob_run, layout=layout, progress=False)


def test_a_table_names_galaxies_with_a_file_for_each_band_by_their_id(folder, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    lines = ["id,Class1.1,Class1.2,Class1.3"]
    for number in range(4):
        lines.append(f"{number},0.5,0.25,0.25")
        for name, band in zip("grz", bands_of(3, 40, number), strict=True):
            (parts / f"{number}_{name}.fits.gz").write_bytes(fits_of(band))
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
    store = pack(
        [parts, tmp_path / "votes.csv"],
        tmp_path / "store",
        labels=LabelSettings(tree="kaggle"),
        settings=PackSettings(0, 16, stretch="legacy"),
        layout=FitsLayout(bands=("g", "r", "z")),
        progress=False,
    )
    assert store.ids == ("0", "1", "2", "3")
    assert store.manifest["bands"] == ["g", "r", "z"]
