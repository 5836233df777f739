"""ONNX files that `export` wrote are checked before they are used."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import xxhash

from galaxyvotes import CheckpointError, ConfigError, PackSettings, predict
from galaxyvotes.inference.engine import estimate
from galaxyvotes.inference.onnx_model import OnnxModule, read_onnx, sealed
from galaxyvotes.inference.predict import folder_of
from galaxyvotes.networks.batch import Batch


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


def test_the_prediction_for_a_galaxy_does_not_depend_on_the_others(file, blob_store):
    network, images = read_onnx(file), torch.from_numpy(blob_store.images(np.arange(40)))
    whole = estimate(network, Batch(images)).values
    assert np.array_equal(whole[17:21], estimate(network, Batch(images[17:21])).values)
    assert np.array_equal(whole[::-1], estimate(network, Batch(images.flip(0))).values)
    assert estimate(network, Batch(images[:0])).values.shape == (0, 2)


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
    with pytest.raises(
        CheckpointError, match=r"other\.onnx was not written by `galaxyvotes.export"
    ):
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


def test_of_a_file_that_is_refused_nothing_is_printed(two_heads_file, tmp_path, capfd):
    path = changed(
        two_heads_file, tmp_path / "x.onnx", lambda model: model.graph.ClearField("node")
    )
    with pytest.raises(CheckpointError):
        read_onnx(path)
    assert capfd.readouterr() == ("", "")


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


def test_intervals_another_device_and_another_tree_are_errors_with_a_remedy(file, blobs, tmp_path):
    for asked, error, words in (
        ({"intervals": True}, CheckpointError, "predict with the folder of its run"),
        ({"device": "cuda"}, ConfigError, "computed on the CPU"),
        ({"tree": "kaggle"}, ConfigError, "no tree 'kaggle'"),
    ):
        with pytest.raises(error, match=words):
            predict(blobs, tmp_path / "out.csv", run=file, progress=False, **asked)
    assert not (tmp_path / "out.csv").exists()


def test_the_run_of_a_file_is_found_where_it_is_as_it_was_then(file, blob_run, tmp_path):
    assert read_onnx(file).module.exported_from is None
    beside, inside = tmp_path / file.name, tmp_path / blob_run.path.name / file.name
    shutil.copytree(blob_run.path, inside.parent)
    for place in (beside, inside):
        shutil.copy(file, place)
        network = read_onnx(place)
        assert network.module.exported_from == inside.parent
        assert folder_of(network, place) == inside.parent
    weights = inside.parent / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")  # other weights, or damaged ones
    assert read_onnx(beside).module.exported_from is None
    assert folder_of(read_onnx(beside), beside) == beside


def test_a_network_in_a_file_has_no_weights_of_its_own(file):
    module = read_onnx(file).module
    assert isinstance(module, OnnxModule)
    assert not list(module.parameters())


FORMAT_1 = {
    "galaxyvotes": "0.1.0",
    "format": "1",
    "run": "run",
    "run_digest": "0" * 32,
    "preprocessing": "Decode the image …",
    "crop_px": "0",
    "size_px": "20",
    "views": "1",
    "recipe": """name = "paper"

[model]
name = "vgg6"
batch_norm_momentum = 0.01
width = 32
depth = 1
dropout = 0.2
views = 1
zooms = []
pretrained = ""

[train]
objective = "bce"
epochs = 50
batch_size = 256
balance = 1.0
learning_rate = 0.001
adam_epsilon = 1e-07
weight_decay = 0.0
clip_norm = 0.0
encoder_rate = 1.0
schedule = "constant"
average = 0.0
augment = "none"
patience = 0
keep = "last"
precision = "auto"
seed = 0
answers = []
min_mean_fraction = 0.0
checkpoint_minutes = 5.0
""",
    "tree": """name = "smooth"
title = "Classes of the column 'smooth'"
source = ""

[[table]]
name = "class"
columns = "smooth"
holds = "class"

[[table]]
name = "fraction"
columns = "{answer}"
holds = "joint"

[[question]]
name = "smooth"
text = "smooth"

[[question.answer]]
column = "no"
text = "no"

[[question.answer]]
column = "yes"
text = "yes"
""",
    "columns": '["yes", "no"]',
}


def test_a_file_of_format_1_is_read_whatever_wrote_it(tmp_path):
    """The format, spelt out: a file that was exported once can be used as long as this is so."""
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["bytes"], to=kind.FLOAT),
            helper.make_node("ReduceMean", ["bytes", "axes"], ["sums"], keepdims=0),
            helper.make_node("Div", ["sums", "white"], ["features"]),
            helper.make_node("MatMul", ["features", "weights"], ["fractions"]),
        ],
        "g",
        [helper.make_tensor_value_info("images", kind.UINT8, ["galaxy", 20, 20, 3])],
        [
            helper.make_tensor_value_info("fractions", kind.FLOAT, ["galaxy", 2]),
            helper.make_tensor_value_info("features", kind.FLOAT, ["galaxy", 3]),
        ],
        [
            helper.make_tensor("axes", kind.INT64, [2], [1, 2]),
            helper.make_tensor("white", kind.FLOAT, [], [255.0]),
            helper.make_tensor("weights", kind.FLOAT, [3, 2], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    for key, value in FORMAT_1.items():
        model.metadata_props.add(key=key, value=value)
    body = model.SerializeToString()
    seal = onnx.ModelProto()
    seal.metadata_props.add(key="galaxyvotes_digest", value=xxhash.xxh3_128(body).hexdigest())
    (tmp_path / "old.onnx").write_bytes(body + seal.SerializeToString())
    network = read_onnx(tmp_path / "old.onnx")
    images = torch.zeros(1, 20, 20, 3, dtype=torch.uint8)
    images[..., 1] = 51
    values, features = estimate(network, Batch(images))
    assert (network.tree.name, network.columns) == ("smooth", ("yes", "no"))
    assert (network.pack, network.recipe.model.views) == (PackSettings(0, 20), 1)
    assert np.allclose(values, [[0.0, 0.2]])
    assert np.allclose(features, [[0.0, 0.2, 0.0]])
