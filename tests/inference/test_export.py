"""Runs as ONNX files: they answer as the run does, say what they are, and are checked before they
are believed."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    DecisionTree,
    MissingExtraError,
    PackSettings,
    Predictions,
    Recipe,
    Run,
    calibrate,
    ensemble,
    export,
    predict,
    predict_store,
    train,
)
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.inference.onnx_model import read_onnx
from galaxyvotes.runs.network import Network


def exact(network: Network) -> Network:
    return replace(network, recipe=network.recipe.changed("train.precision=float32"))


def test_the_file_predicts_the_table_that_the_run_predicts(
    file, blob_run, blob_store, blobs, tmp_path
):
    said = Predictions.read(predict(blobs, tmp_path / "out.csv", run=file, progress=False).path)
    run = predict_store(exact(blob_run.network()), blob_store)
    place = {name: row for row, name in enumerate(said.ids)}
    assert said.columns == run.columns
    assert set(said.ids) == set(run.ids)
    assert np.abs(said.values[[place[name] for name in run.ids]] - run.values).max() < 1e-4
    assert np.ptp(said.values) > 0.5


def test_every_tree_is_predicted_as_the_run_predicts_it(two_heads, two_heads_file, blob_store):
    for ours, theirs in zip(
        read_onnx(two_heads_file).all_heads, two_heads.network().all_heads, strict=True
    ):
        all_of_them = PackSettings(
            32, 32
        )  # as the store's are, and the largest squares of images of 32 px
        said, run = (
            predict_store(replace(each, pack=all_of_them), blob_store)
            for each in (ours, exact(theirs))
        )
        assert (ours.tree, said.columns) == (theirs.tree, run.columns)
        assert np.abs(said.values - run.values).max() < 1e-4
        assert np.abs(said.spread - run.spread).max() < 1e-4


def test_an_ensemble_is_exported_as_the_mean_that_it_predicts(blob_run, blob_store, tmp_path):
    settings = ("train.seed=7", "train.epochs=1", "train.batch_size=8")
    other = train(
        blob_store, tmp_path / "other", recipe=blob_run.recipe, settings=settings, progress=False
    )
    joined = ensemble([blob_run, other], tmp_path / "joined")
    done = export(tmp_path / "joined.onnx", run=joined)
    assert done.difference <= 1e-4
    rows = np.arange(len(blob_store))
    ours = predict_store(read_onnx(done.path), blob_store, rows).values
    network = joined.network()
    network = replace(
        network, recipe=network.recipe.changed("train.precision=float32")
    )  # as ONNX computes
    assert np.allclose(ours, predict_store(network, blob_store, rows).values, atol=1e-4)


def test_the_metadata_describe_inputs_and_outputs(two_heads, two_heads_file):
    model = onnx.load_model(two_heads_file)
    notes = {each.key: each.value for each in model.metadata_props}
    assert notes["preprocessing"].startswith(
        "Decode the image to 8-bit RGB, upright, keep the largest central square, "
    )
    assert "bring it to 32 × 32 pixels" in notes["preprocessing"]
    assert (notes["crop_px"], notes["size_px"], notes["views"], notes["run"]) == (
        "0",
        "32",
        "8",
        "run",
    )
    assert DecisionTree.from_toml(notes["tree"]) == two_heads.heads[0].tree
    assert json.loads(notes["columns_2"]) == list(two_heads.heads[1].columns)
    assert Recipe.from_toml(notes["recipe"]) == two_heads.recipe
    assert len(notes["run_digest"]) == 32
    assert (
        b"objectives.py" not in two_heads_file.read_bytes()
    )  # the exporter's notes on where it found each operator
    onnx.checker.check_model(model, full_check=True)


class ExportedOtherwise(nn.Module):
    """Darkens images, but not while it is exported."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image if torch.compiler.is_exporting() else image * 0.5


def test_a_file_that_would_predict_otherwise_is_not_written(blob_run, tmp_path, monkeypatch):
    network = blob_run.network()
    network = replace(network, module=nn.Sequential(ExportedOtherwise(), *network.module))
    monkeypatch.setattr(Run, "network", lambda self, **_: network)
    (tmp_path / "model.onnx").write_bytes(b"what was there before")
    with pytest.raises(
        CheckpointError, match=r"predicts otherwise as ONNX, by up to [\d.]+ .*was not written"
    ):
        export(tmp_path / "model.onnx", run=blob_run, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"what was there before"


def test_images_to_check_with_that_cannot_be_used_are_an_error(blob_run, tiny_store, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"no")
    for images, error, words in (
        (tmp_path / "images", DataError, "no image in .* can be used"),
        (tiny_store.path, ConfigError, "is packed otherwise"),
    ):
        with pytest.raises(error, match=words):
            export(tmp_path / "model.onnx", run=blob_run, check=images)
    with pytest.raises(ConfigError, match=r"name a file that ends in \.onnx"):
        export(tmp_path / "model.pt", run=blob_run)


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_libraries_the_error_names_the_extra(blob_run, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtraError,
        match=rf"{name}, which is not installed: pip install 'galaxyvotes\[export\]'",
    ):
        export(tmp_path / "model.onnx", run=blob_run)


def test_onnx_is_not_imported_where_it_is_not_needed():
    code = (
        "import sys, galaxyvotes.inference.export, galaxyvotes.inference.predict; print([n for n in"
        " sys.modules if n.startswith('onnx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_that_is_older_than_the_calibration_of_its_run_says_so(
    blob_run, blob_store, blobs, tmp_path
):
    run = Run(shutil.copytree(blob_run.path, tmp_path / "run"))
    before = export(tmp_path / "model.onnx", run=run).path
    assert predict(blobs, run=before, progress=False).notes == ()
    calibration = calibrate(blob_store, run, split="test", progress=False)
    run.save_calibration(replace(calibration, temperature=(TemperatureScaling(0.5, (0.0, 0.1)),)))
    (note,) = predict(blobs, run=before, progress=False).notes
    assert note.startswith(f"{before} was exported before {run.path} was calibrated or trained")
    after = export(run.path / "model.onnx", run=run).path
    assert predict(blobs, run=after, progress=False).notes == ()
    shutil.rmtree(run.path)
    assert predict(blobs, run=before, progress=False).notes == ()


def test_a_network_of_raw_pixels_predicts_alike_in_memory_from_files_and_as_onnx(
    blobs, blob_store, tmp_path
):
    settings = ("train.epochs=2", "train.batch_size=8", "model.batch_norm_momentum=0.1")
    run = train(
        blob_store, tmp_path / "run", recipe="paper-notebook", settings=settings, progress=False
    )
    assert Run.open(run.path).recipe.model.pixels == "raw_bgr"
    assert export(tmp_path / "raw.onnx", run=run, check=blobs).difference < 1e-4
    expected = predict_store(exact(run.network()), blob_store)
    said = predict(blobs, run=tmp_path / "raw.onnx", progress=False)
    row_of = {name: row for row, name in enumerate(said.ids)}
    rows = [row_of[name] for name in expected.ids]
    assert np.abs(said.values[rows] - expected.values).max() < 1e-4
