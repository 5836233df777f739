import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from galaxyvotes import DataError, MissingExtraError, Predictions, predict
from galaxyvotes.inference.predicted import EVENLY, UNFAMILIAR, Sample


@pytest.fixture(scope="module")
def in_memory(blob_run, blobs):
    return predict(blobs, run=blob_run, progress=False)


def test_without_a_table_predictions_are_in_memory_and_the_same(
    in_memory, blob_run, blobs, tmp_path
):
    done = predict(blobs, tmp_path / "out.parquet", run=blob_run, progress=False)
    assert (in_memory.path, in_memory.rejected_path) == (None, None)
    assert in_memory.ids == done.ids
    assert np.array_equal(in_memory.values, done.values)
    assert len(in_memory) == len(done) == in_memory.galaxies == 80
    assert (in_memory.columns, in_memory.bounds, in_memory.familiarity) == (
        ("long", "round"),
        None,
        None,
    )


def test_a_table_is_read_when_its_predictions_are_asked_for(blob_run, blobs, tmp_path):
    done = predict(blobs, tmp_path / "out.csv", run=blob_run, progress=False)
    (tmp_path / "out.csv").write_text("id,long\nother,0.5\n")
    assert done.ids == ("other",)


def test_a_result_is_one_short_line(in_memory, blob_run, blobs, tmp_path):
    assert repr(in_memory) == "<Predicted: 80 galaxies × 2 answers of class>"
    done = predict(blobs, tmp_path / "out.csv", run=blob_run, progress=False)
    assert repr(done) == f"<Predicted: 80 galaxies × 2 answers of class, in {tmp_path / 'out.csv'}>"
    assert repr(done.predictions) == "<Predictions: 80 galaxies × 2 answers>"


def test_a_notebook_shows_a_dozen_galaxies_with_their_pictures(in_memory):
    html = in_memory._repr_html_()
    assert html.count('src="data:image/jpeg;base64,') == 12
    assert "12 of 80 galaxies (taken evenly through them)" in html


def test_a_store_has_pictures_too(blob_store, blob_run, tmp_path):
    done = predict(blob_store.path, run=blob_run, progress=False)
    page = done.contact_sheet(tmp_path / "sheet.html").read_text("utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 80


def test_images_that_are_gone_are_left_out_of_the_sheet(blob_run, tmp_path, make_jpeg):
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(make_jpeg(number, 40))
    done = predict(tmp_path / "images", run=blob_run, progress=False)
    (tmp_path / "images" / "1.jpg").unlink()
    assert done._repr_html_().count("<img") == 2
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    assert done._repr_html_().count("<figcaption>") == 3


def test_a_data_frame_has_the_columns_of_a_written_table(in_memory, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = in_memory.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["id", "long", "round"]
    assert list(frame["id"]) == list(in_memory.ids)


def test_without_pandas_the_extra_is_named(in_memory, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'galaxyvotes\[pandas\]'"):
        in_memory.to_pandas()


def test_an_astropy_table_says_what_its_columns_mean(in_memory):
    table = in_memory.to_astropy()
    assert table.colnames == ["id", "long", "round"]
    assert list(table["id"]) == list(in_memory.ids)
    assert np.array_equal(table["long"], in_memory.values[:, 0])
    assert table["long"].unit.is_equivalent("")
    assert table["long"].description.endswith(" long")
    assert (table.meta["tree"], table.meta["model"]) == ("class", "run")
    assert set(table.meta) >= {"creator", "date", "weights", "recipe", "views", "holds"}


def test_a_sample_is_spread_over_the_job_and_has_the_least_familiar():
    galaxies = 1000
    scores = np.random.default_rng(0).permutation(np.linspace(0, 1, galaxies))
    everything = Predictions(
        tuple(map(str, range(galaxies))), ("a",), np.zeros((galaxies, 1)), familiarity=scores
    )
    sample = Sample(galaxies)
    for start in range(0, galaxies, 64):
        sample.add(everything.take(np.arange(start, min(start + 64, galaxies))))
    rows = [int(name) for name in sample.predictions.ids]
    assert rows == sorted(set(rows))
    assert len(rows) == EVENLY + UNFAMILIAR
    assert {str(row) for row in np.argsort(scores)[:UNFAMILIAR]} <= set(sample.predictions.ids)
    assert max(np.diff(rows)) <= galaxies / EVENLY + 1
    assert sample.chosen == (
        "180 taken evenly through them, and the 20 least familiar of the others"
    )


def test_a_small_job_is_its_own_sample(in_memory):
    assert in_memory.sample.ids == in_memory.ids


def test_a_result_says_what_made_it_and_what_it_lacks(in_memory, blob_run):
    made_by = in_memory.made_by
    assert re.fullmatch(
        rf"{blob_run.path} \(trained on \d+ galaxies\), tree class, on the CPU, in \d+ (s|min)",
        in_memory.made_by,
    ), made_by
    assert in_memory.lacking.startswith("no calibrated probabilities and no familiarity: ")


def test_an_image_that_cannot_be_used_is_listed_by_its_file(blob_run, make_jpeg, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "good.jpg").write_bytes(make_jpeg(1, 40))
    (tmp_path / "deep" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = predict(tmp_path, tmp_path / "out.csv", run=blob_run, progress=False)
    assert [name for name, _ in done.rejected] == ["deep/bad.png"]
    lines = (tmp_path / "out.csv.rejected.csv").read_text("utf-8").splitlines()
    assert lines[0] == '"image","reason"'
    assert lines[1].startswith('"deep/bad.png","')


def test_no_image_at_all_is_refused_in_words(blob_run):
    with pytest.raises(DataError, match=r"^no image is named: give folders, zips"):
        predict([], run=blob_run)


def test_one_image_of_noise_is_warned_of_by_its_name_and_a_galaxy_is_not(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (424, 424, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    done = predict(tmp_path / "noise.png", progress=False)
    assert done.shift is not None
    assert not done.shift.detected
    assert re.fullmatch(
        r"noise is unlike the calibration galaxies \(familiarity 0\.000\d\), so the answers for it"
        r" may mean nothing",
        done.warning or "",
    )
    usual = replace(done.sample, familiarity=np.array([0.02], np.float32))
    assert replace(done, sample=usual).warning is None
