"""Runs and the ONNX files that they are exported to."""

from pathlib import Path

import pyarrow as pa
import pytest

from galaxyvotes import DecisionTree, PackSettings, Recipe, Run, export
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


@pytest.fixture(scope="session")
def file(blob_run, blobs, tmp_path_factory) -> Path:
    """The network that has learned the blobs, exported."""
    path = tmp_path_factory.mktemp("onnx") / "blobs.onnx"
    done = export(path, run=blob_run, check=blobs)
    assert (done.path, done.random, done.real) == (path, 32, 64)
    assert 0 <= done.difference < 1e-5
    return path


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def two_heads_file(two_heads, tmp_path_factory) -> Path:
    return export(tmp_path_factory.mktemp("onnx") / "two.onnx", run=two_heads).path
