"""Runs as ONNX files: they answer as the run does, say what they are, and are checked before they
are believed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
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
    ensemble,
    export,
    predict,
    predict_store,
    train,
)
from galaxyvotes.inference.engine import say
from galaxyvotes.inference.onnx_model import OnnxModule, read_onnx, sealed
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.tensors import write_tensors
from galaxyvotes.tree import Answer, Question

PAIR = DecisionTree(
    "pair",
    "Two questions",
    (
        Question("smooth", "Is it smooth?", (Answer("yes", "yes", "round"), Answer("no", "no"))),
        Question(
            "round", "Is it round?", (Answer("round", "yes"), Answer("long", "no")), asked_of="yes"
        ),
    ),
)


@pytest.fixture(scope="module")
def file(blob_run, blobs, tmp_path_factory) -> Path:
    """The network that has learned the blobs, exported."""
    path = tmp_path_factory.mktemp("onnx") / "blobs.onnx"
    done = export(path, run=blob_run, check=blobs)
    assert (done.path, done.random, done.real) == (path, 32, 64)
    assert 0 <= done.difference < 1e-5
    return path


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory) -> Run:
    """An untrained run that answers two trees from eight views, fractions by softmax down the
    tree."""
    settings = ("model.width=8", "model.views=8", "train.objective=dirichlet_multinomial")
    recipe = Recipe.load("compact", settings)
    heads = [Head(tree, tree.columns) for tree in (PAIR, DecisionTree.load("classes5"))]
    pack = PackSettings(0, 32)
    seen = pa.table(
        {name: pa.array([], pa.string()) for name in ("id", "id_name", "pixels", "split")}
    )
    facts = {"pack": {"crop_px": 0, "size_px": 32}}
    run = Run.create(tmp_path_factory.mktemp("two") / "run", recipe, heads, seen, facts)
    network = Network.build(recipe, heads, pack)
    write_tensors(run.path / "weights.safetensors", dict(network.module.state_dict()), {})
    return run


@pytest.fixture(scope="module")
def two_heads_file(two_heads, tmp_path_factory) -> Path:
    return export(tmp_path_factory.mktemp("onnx") / "two.onnx", run=two_heads).path


def exact(network: Network) -> Network:
    return replace(network, recipe=network.recipe.changed("train.precision=float32"))


def changed(file: Path, path: Path, change, *, digest: bool = True) -> Path:
    """A copy of a file that somebody has changed; with the digest that fits."""
    model = onnx.load_model(file)
    seal = model.metadata_props.pop()
    change(model)
    if not digest:
        model.metadata_props.append(seal)
    path.write_bytes(sealed(model.SerializeToString()) if digest else model.SerializeToString())
    return path


def note(model, key: str):
    return next(each for each in model.metadata_props if each.key == key)


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


def test_every_tree_is_answered_as_the_run_answers_it(two_heads, two_heads_file, blob_store):
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


def test_a_joined_run_is_exported_as_the_mean_that_it_answers(blob_run, blob_store, tmp_path):
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


@pytest.mark.parametrize("galaxies", [1, 3, 33])
def test_onnxruntime_alone_gives_fractions_that_obey_the_tree(two_heads_file, galaxies):
    session = onnxruntime.InferenceSession(two_heads_file, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(galaxies).integers(0, 256, (galaxies, 32, 32, 3), dtype=np.uint8)
    first, second, features = session.run(
        ["fractions", "fractions_2", "features"], {"images": images}
    )
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    yes, no, is_round, is_long = (
        first[:, columns.index(name)] for name in ("yes", "no", "round", "long")
    )
    assert np.allclose(yes + no, 1, atol=1e-6)
    assert np.allclose(is_round + is_long, yes, atol=1e-6)
    assert np.allclose(second.sum(axis=1), 1, atol=1e-6)
    assert features.shape == (galaxies, 64)


def test_the_metadata_says_what_goes_in_and_what_comes_out(two_heads, two_heads_file):
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


def test_what_a_galaxy_gets_from_a_file_does_not_depend_on_its_neighbours(file, blob_store):
    network, images = read_onnx(file), blob_store.images(np.arange(40))
    whole = say(network, images).values
    assert np.array_equal(whole[17:21], say(network, images[17:21]).values)
    assert np.array_equal(whole[::-1], say(network, images[::-1]).values)
    assert say(network, images[:0]).values.shape == (0, 2)


class ExportedOtherwise(nn.Module):
    """Darkens images, but not while it is exported."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image if torch.compiler.is_exporting() else image * 0.5


def test_a_file_that_would_answer_otherwise_is_not_written(blob_run, tmp_path, monkeypatch):
    network = blob_run.network()
    network = replace(network, module=nn.Sequential(ExportedOtherwise(), *network.module))
    monkeypatch.setattr(Run, "network", lambda self: network)
    (tmp_path / "model.onnx").write_bytes(b"what was there before")
    with pytest.raises(
        CheckpointError, match=r"answers otherwise as ONNX, by up to [\d.]+ .*was not written"
    ):
        export(tmp_path / "model.onnx", run=blob_run)
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


@pytest.mark.parametrize("end", [0, 1, 100, 5000, -200, -1])
def test_a_file_that_is_cut_short_is_refused(file, tmp_path, end):
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:end])
    with pytest.raises(
        CheckpointError,
        match=r"cut\.onnx (is no ONNX file, or is cut short|was not written|is damaged)",
    ):
        read_onnx(tmp_path / "cut.onnx")


@pytest.mark.parametrize("place", [0.001, 0.2, 0.5, 0.9, 0.9999])
def test_a_flipped_byte_is_found(file, tmp_path, place):
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    (tmp_path / "flipped.onnx").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"flipped\.onnx is"):
        read_onnx(tmp_path / "flipped.onnx")


def test_a_model_of_something_else_is_refused(tmp_path):
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Abs", ["x"], ["y"])], "g", value[:1], value[1:]
    )
    onnx.save_model(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(CheckpointError, match=r"other\.onnx was not written by galaxyvotes export"):
        predict(tmp_path, tmp_path / "out.csv", run=tmp_path / "other.onnx", progress=False)


def test_a_file_that_another_program_has_changed_is_refused(file, tmp_path):
    def rename(model):
        note(model, "columns").value = '["round", "long"]'

    with pytest.raises(CheckpointError, match="another program has changed it"):
        read_onnx(changed(file, tmp_path / "a.onnx", rename, digest=False))


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_in_a_node(model):
    tensor = onnx.TensorProto(
        name="t", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["t"], value=tensor))


def inner_graph(model):
    model.graph.node.append(
        onnx.helper.make_node("If", ["c"], [], then_branch=onnx.GraphProto(name="g"))
    )


def foreign_operator(model):
    model.graph.node.append(onnx.helper.make_node("EPContext", [], ["t"], domain="com.microsoft"))


def function(model):
    model.functions.add(name="f")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "keeps numbers in other files"),
        (external_in_a_node, "keeps numbers in other files"),
        (inner_graph, "holds operators, loops or functions"),
        (foreign_operator, "holds operators, loops or functions"),
        (function, "holds operators, loops or functions"),
        (lambda model: model.graph.ClearField("node"), "holds no graph that can be computed"),
    ],
)
def test_a_file_that_could_do_more_than_arithmetic_is_refused_though_its_digest_fits(
    file, tmp_path, change, words
):
    with pytest.raises(CheckpointError, match=words):
        read_onnx(changed(file, tmp_path / "hostile.onnx", change))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", "2", "by another galaxyvotes.*upgrade"),
        ("columns", '["long"]', "does not give the 1 fractions"),
        ("columns", '["long", "long"]', "metadata that cannot be understood"),
        ("columns", '["long", ["round"]]', "metadata that cannot be understood"),
        ("columns", "7", "metadata that cannot be understood"),
        ("tree", "name = 3", "metadata that cannot be understood"),
        ("recipe", "[model]\nviews = 99", "metadata that cannot be understood"),
        ("size_px", "1000000", "metadata that cannot be understood"),
        ("size_px", "40", "cannot be computed"),
    ],
)
def test_metadata_that_do_not_fit_are_refused_though_the_digest_fits(
    file, tmp_path, key, value, words
):
    def change(model):
        note(model, key).value = value

    with pytest.raises(CheckpointError, match=words):
        read_onnx(changed(file, tmp_path / "odd.onnx", change))


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path, file, monkeypatch):
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_onnx(tmp_path / "none.onnx")
    monkeypatch.setattr("galaxyvotes.inference.onnx_model.LARGEST", 1000)
    with pytest.raises(CheckpointError, match="larger than 2 GiB"):
        read_onnx(file)


def test_bounds_another_device_and_another_tree_are_errors_that_say_what_to_do(
    file, blobs, tmp_path
):
    for asked, error, words in (
        ({"intervals": True}, CheckpointError, "predict with the folder of its run"),
        ({"device": "cuda"}, ConfigError, "computed on the CPU"),
        ({"tree": "kaggle"}, ConfigError, "not 'kaggle'"),
    ):
        with pytest.raises(error, match=words):
            predict(blobs, tmp_path / "out.csv", run=file, progress=False, **asked)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_libraries_the_error_names_the_extra(blob_run, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtraError,
        match=rf"{name}, which is not installed: pip install 'galaxyvotes\[export\]'",
    ):
        export(tmp_path / "model.onnx", run=blob_run)


def test_nobody_who_does_not_ask_for_onnx_waits_for_it():
    code = (
        "import sys, galaxyvotes.inference.export, galaxyvotes.inference.predict; print([n for n in"
        " sys.modules if n.startswith('onnx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_network_in_a_file_has_no_weights_of_its_own(file):
    module = read_onnx(file).module
    assert isinstance(module, OnnxModule)
    assert not list(module.parameters())
