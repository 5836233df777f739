import csv
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from astropy.io import fits

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    PackSettings,
    Predictions,
    TableSettings,
    pack,
    predict,
    predict_store,
)
from galaxyvotes.images.read import read_square
from galaxyvotes.inference import galaxies, opened, parts
from galaxyvotes.inference import predict as module
from galaxyvotes.inference.engine import predict_batch
from galaxyvotes.networks.batch import Batch
from galaxyvotes.sources.listed_images import open_source
from galaxyvotes.table_formats import parquet_writer


def test_files_and_a_store_have_the_same_predictions(blob_run, blob_store, blobs, tmp_path):
    done = predict(blobs, tmp_path / "out.parquet", run=blob_run, workers=3, progress=False)
    from_files = Predictions.read(done.path)
    from_store = predict_store(blob_run.network(), blob_store)
    place = {name: row for row, name in enumerate(from_files.ids)}
    order = [place[name] for name in from_store.ids]
    assert np.array_equal(from_files.values[order], from_store.values)


def test_predictions_for_a_store_are_written_as_they_come(
    blob_run, blob_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(parquet_writer, "_ROW_GROUP", 16)
    monkeypatch.setattr(parts, "BLOCK", 16)
    whole = predict_store(blob_run.network(), blob_store)
    done = predict(blob_store.path, tmp_path / "out.parquet", run=blob_run, progress=False)
    assert pq.ParquetFile(done.path).num_row_groups > 1
    written = Predictions.read(done.path)
    assert (done.galaxies, written.ids, written.id_name) == (
        len(blob_store),
        whole.ids,
        "id",
    )
    assert np.array_equal(written.values, whole.values)


def test_the_number_of_threads_changes_nothing(blob_run, blobs, tmp_path):
    for workers in (1, 4):
        predict(blobs, tmp_path / f"{workers}.csv", run=blob_run, workers=workers, progress=False)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "4.csv").read_bytes()


@pytest.mark.parametrize("sides", [1, 8])
def test_a_file_is_read_once_for_all_views_and_members(
    blob_run, blobs, tmp_path, monkeypatch, sides
):
    read = []
    monkeypatch.setattr(
        galaxies,
        "read_square",
        lambda image, pack: (read.append(image.id), read_square(image, pack))[1],
    )
    network = replace(blob_run.network(), recipe=blob_run.recipe.changed(f"model.views={sides}"))
    monkeypatch.setattr(
        module,
        "open_network",
        lambda run, device: (replace(network, other_members=(network.module,)), blob_run.path),
    )
    done = predict(blobs, tmp_path / "out.csv", run=blob_run, progress=False)
    assert len(read) == len(set(read)) == done.galaxies


def test_csv_and_parquet_hold_the_same_table(blob_run, blobs, tmp_path):
    for name in ("a.csv", "a.parquet"):
        predict(blobs, tmp_path / name, run=blob_run, progress=False)
    csv, parquet = Predictions.read(tmp_path / "a.csv"), Predictions.read(tmp_path / "a.parquet")
    assert csv.ids == parquet.ids
    assert csv.columns == parquet.columns == ("long", "round")
    assert np.array_equal(csv.values, parquet.values)
    assert pq.read_schema(tmp_path / "a.parquet").names == ["id", "long", "round"]


def test_one_bad_image_is_listed_with_its_reason_and_stops_nothing(
    blob_run, blobs, tmp_path, make_jpeg
):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(5):
        (folder / f"good{number}.jpg").write_bytes(make_jpeg(number, 40))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "small.jpg").write_bytes(make_jpeg(1, 20))
    done = predict(folder, tmp_path / "out.csv", run=blob_run, progress=False)
    assert done.galaxies == 5
    assert {name for name, _ in done.rejected} == {"empty.jpg", "small.jpg"}
    listed = done.rejected_path.read_text()
    assert "0 bytes" in listed
    assert "20" in listed


def test_nothing_but_bad_images_is_an_error_and_leaves_no_table(blob_run, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"not one of 1 image could be used; the first: a\.jpg: "):
        predict(tmp_path / "images", tmp_path / "out.csv", run=blob_run, progress=False)
    assert not (tmp_path / "out.csv").exists()


def test_an_unknown_format_is_an_error_before_any_work(blob_run, blobs, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown table format '\.txt'"):
        predict(blobs, tmp_path / "out.txt", run=blob_run, progress=False)


def test_images_that_share_a_name_keep_their_whole_path(blob_run, tmp_path, make_jpeg):
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "1.jpg").write_bytes(make_jpeg(1, 40))
    predict(tmp_path / "in", tmp_path / "out.csv", run=blob_run, progress=False)
    assert Predictions.read(tmp_path / "out.csv").ids == ("a/1.jpg", "b/1.jpg")


def test_a_device_that_does_not_exist_is_an_error_that_says_which_do(blob_run, blobs, tmp_path):
    with pytest.raises(ConfigError, match="device 'toaster'"):
        predict(blobs, tmp_path / "out.csv", run=blob_run, device="toaster", progress=False)


def test_a_store_that_the_network_does_not_fit_is_refused(blob_run, blobs, tmp_path):
    other = pack(blobs, tmp_path / "other", settings=PackSettings(32, 24), progress=False)
    with pytest.raises(
        CheckpointError, match=r"pack it again with `settings=PackSettings\(32, 32\)`"
    ):
        predict(other.path, tmp_path / "out.csv", run=blob_run, progress=False)
    with pytest.raises(
        CheckpointError, match=r"pack it again with `settings=PackSettings\(32, 32\)`"
    ):
        predict_store(blob_run.network(), other)
    assert not (tmp_path / "out.csv").exists()


def test_fewer_than_one_thread_is_refused(blob_run, blobs, tmp_path):
    with pytest.raises(ConfigError, match="workers is 0; expected 1 to "):
        predict(blobs, tmp_path / "out.csv", run=blob_run, workers=0, progress=False)


def test_a_store_among_images_is_refused_rather_than_left_out(
    blob_run, blob_store, blobs, tmp_path
):
    with pytest.raises(ConfigError, match="is a packed store, which is predicted alone"):
        predict([blobs, blob_store.path], tmp_path / "out.csv", run=blob_run, progress=False)


def test_rejected_images_of_any_name_are_listed_as_csv(blob_run, blobs, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / 'a, "b".jpg').write_bytes(b"no image")
    shutil.copyfile(next(blobs.rglob("*.jpg")), tmp_path / "images" / "good.jpg")
    done = predict(tmp_path / "images", tmp_path / "out.csv", run=blob_run, progress=False)
    with done.rejected_path.open(newline="", encoding="utf-8") as file:
        header, (name, reason) = csv.reader(file)
    assert (header, name) == (["image", "reason"], 'a, "b".jpg')
    assert "is not an image" in reason
    predict_again = predict(
        blobs, tmp_path / "out.csv", run=blob_run, overwrite=True, progress=False
    )
    assert predict_again.rejected_path is None
    assert not (tmp_path / "out.csv.rejected.csv").exists()


def test_files_that_are_no_images_are_counted_and_listed_with_the_reason(blob_run, blobs, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/good").write_bytes(next(blobs.rglob("*.jpg")).read_bytes())
    (tmp_path / "images/cube.h5").write_bytes(b"")
    (tmp_path / "images/gone.jpg").symlink_to("nowhere.jpg")
    done = predict(tmp_path / "images", tmp_path / "out.csv", run=blob_run, progress=False)
    assert (done.galaxies, done.rejected) == (1, ())
    assert dict(done.passed_over) == {
        "cube.h5": "is of a kind that is not read (.h5)",
        "gone.jpg": "is a link that leads nowhere (No such file or directory)",
    }
    with done.rejected_path.open(newline="", encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == list(done.passed_over)


def test_predicting_leaves_torchs_random_numbers_and_threads_as_they_were(blobs, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    torch.set_num_threads(3)
    try:
        with pytest.raises(DataError, match="not one of 80 images could be used"):  # too small
            predict(blobs, tmp_path / "out.csv", progress=False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)
    assert torch.equal(torch.rand(4), expected)


def test_the_number_of_threads_is_as_before_after_an_error(blob_run, blobs, tmp_path, monkeypatch):
    def out_of_memory(*_):
        raise MemoryError

    monkeypatch.setattr(opened, "predict_batch", out_of_memory)
    torch.set_num_threads(3)
    try:
        with pytest.raises(DataError, match="too little memory: lower `workers=…`"):
            predict(blobs, tmp_path / "out.csv", run=blob_run, progress=False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


# ---- images in which galaxies are larger or smaller


@pytest.fixture
def small_images(tmp_path, make_jpeg):
    """Eight images of 20 px and two of 24 px."""
    (tmp_path / "small").mkdir()
    for number in range(10):
        side = 20 if number < 8 else 24
        (tmp_path / "small" / f"{number}.jpg").write_bytes(make_jpeg(number, side))
    return tmp_path / "small"


def test_images_that_are_all_too_small_are_one_error_with_the_way_out(blob_run, small_images):
    with pytest.raises(DataError) as error:
        predict(small_images, run=blob_run, progress=False)
    assert str(error.value) == (
        "not one of 10 images could be used: 10 of 10 images are smaller than the crop of 32 px (8"
        " of 20 × 20 px, 2 of 24 × 24 px): `fit=True` takes whole images, `scale=0.62` a crop of 20"
        " px"
    )


@pytest.mark.parametrize(("how", "crop"), [({"scale": 0.62}, 20), ({"fit": True}, 0)])
def test_a_crop_of_another_scale_or_whole_images_are_what_the_network_takes(
    blob_run, small_images, tmp_path, how, crop
):
    done = predict(small_images, run=blob_run, progress=False, **how)
    assert done.notes == ("image sizes: 8 of 20 × 20 px, 2 of 24 × 24 px",)
    network = replace(blob_run.network(), pack=PackSettings(crop, 32))
    squares = [read_square(image, network.pack) for image in images_of(small_images)]
    batch = torch.from_numpy(np.stack([square.pixels for square in squares]))
    expected = predict_batch(network.folded, Batch(batch), done.ids)
    assert np.array_equal(done.values, expected.values)


def images_of(folder):
    with open_source([folder]) as source:
        yield from source.images


def test_some_images_that_are_too_small_are_said(blob_run, small_images, make_jpeg):
    (small_images / "large.jpg").write_bytes(make_jpeg(1, 40))
    done = predict(small_images, run=blob_run, progress=False)
    assert (done.galaxies, len(done.rejected)) == (1, 10)
    assert done.notes[1].startswith("10 of 11 images are smaller than the crop of 32 px")


def test_images_that_are_much_larger_than_usual_are_warned_of_with_the_way_out(
    blob_run, make_jpeg, tmp_path
):
    (tmp_path / "large.jpg").write_bytes(make_jpeg(1, 700))
    done = predict(tmp_path, run=blob_run, progress=False)
    assert done.warning is not None
    assert done.warning.startswith("1 of 1 image is much larger than the 424 px that the crop")
    assert "`fit=True` takes whole images, `scale=1.65` a crop of 53 px" in done.warning
    scaled = predict(tmp_path, run=blob_run, scale=1.65, progress=False)
    assert "much larger" not in (scaled.warning or "")


def test_a_store_is_cropped_already(blob_run, blob_store):
    with pytest.raises(ConfigError, match="a store holds images that are cropped already"):
        predict(blob_store.path, run=blob_run, fit=True, progress=False)


# ---- formats and names


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits", ".parquet", ".vot", ".xml"])
def test_every_format_holds_the_predictions_and_what_made_them(blob_run, blobs, tmp_path, suffix):
    expected = predict(blobs, run=blob_run, progress=False)
    done = predict(blobs, tmp_path / f"t{suffix}", run=blob_run, progress=False)
    assert (done.ids, done.columns) == (expected.ids, expected.columns)
    assert np.array_equal(done.values, expected.values)
    assert done.predictions.columns == done.columns
    if suffix != ".csv":
        assert blob_run.digest.encode() in done.path.read_bytes()


def test_names_are_those_that_were_asked_for(blob_run, blobs, tmp_path):
    names = {}
    for naming in ("tree", "identifier", "galaxyzoo"):
        done = predict(
            blobs,
            tmp_path / f"{naming}.csv",
            run=blob_run,
            table=TableSettings(naming),
            progress=False,
        )
        names[naming] = done.path.read_text().partition("\n")[0].replace('"', "")
        assert done.predictions.columns == ("long", "round")
    assert names == {
        "tree": "id,long,round",
        "identifier": "id,long,round",
        "galaxyzoo": "id,class_long_fraction,class_round_fraction",
    }
    assert done.fractions == "conditional"


def test_what_made_a_table_says_so_in_its_header(blob_run, blobs, tmp_path):
    done = predict(blobs, tmp_path / "t.fits", run=blob_run, progress=False)
    header = fits.getheader(done.path, 1)
    assert header["CREATOR"].startswith("galaxyvotes ")
    assert (header["TREE"], header["MODEL"]) == ("class", blob_run.name)
    assert (header["WEIGHTS"], header["HOLDS"]) == (blob_run.digest, "joint fractions")
    assert header["RECIPE"] == "small (vgg6, 32 px)"
