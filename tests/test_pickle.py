"""No pickle is read: whoever writes one can have any code run where it is opened."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "galaxyvotes"
LIBRARIES = {
    "_pickle",
    "cloudpickle",
    "dill",
    "jsonpickle",
    "joblib",
    "marshal",
    "pickle",
    "shelve",
}
READERS = {
    "torch.load",  # even with weights_only, which has been broken out of
    "read_pickle",
    "load_checkpoint",
    "load_state_dict_from_hf",
    "load_state_dict_from_url",
    "torch.hub",
}
PROCESSES = {"Parallel", "delayed"}  # of joblib: they start processes and read no file
OF_PROCESSES = "simulation/galaxies.py"  # the only module that needs joblib


def readers(code: str, name: str = "") -> list[str]:
    """What in the code of a module reads pickles, or could."""
    return [what for node in ast.walk(ast.parse(code)) for what in of_node(node, name)]


def of_node(node: ast.AST, name: str) -> Iterator[str]:
    imported: set[str] = set()
    if isinstance(node, ast.Import):
        imported = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        imported = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if node.value == "joblib" and name == OF_PROCESSES:
            return
        imported = {node.value}  # import_module("pickle")
    elif isinstance(node, ast.Attribute):
        dotted = ast.unparse(node)
        imported = {dotted, node.attr} & READERS
        if dotted.startswith("joblib.") and node.attr not in PROCESSES:
            yield dotted
    elif isinstance(node, ast.Call):
        yield from of_call(node)
    for what in imported:
        if what.split(".")[0] in LIBRARIES or what in READERS or what.split(".")[-1] in READERS:
            yield what


def of_call(node: ast.Call) -> Iterator[str]:
    """Whether numpy may read a pickle: allow_pickle, by name or as the third argument of load."""
    for keyword in node.keywords:
        if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
            yield ast.unparse(node)
        if keyword.arg == "pretrained" and ast.unparse(keyword.value) == "True":
            yield ast.unparse(node)  # timm fetches weights, of which some are pickles
    if ast.unparse(node.func) in ("np.load", "numpy.load") and len(node.args) > 2:
        yield ast.unparse(node)


@pytest.mark.parametrize(
    "path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES))
)
def test_no_module_reads_a_pickle(path: Path):
    assert not readers(path.read_text("utf-8"), path.relative_to(SOURCES).as_posix())


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import_module('dill')",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=may)",
        "np.load(path, None, True)",
        "np.lib.format.read_array(file, allow_pickle=True)",
        "pd.read_pickle(path)",
        "from pandas import read_pickle",
        "import joblib",
        "from joblib import load",
        "import_module('joblib')",
        "torch.hub.load_state_dict_from_url(url)",
        "timm.create_model(name, pretrained=True)",
    ],
)
def test_the_law_finds_each_way_to_read_one(code: str):
    assert readers(code)


def test_joblib_starts_processes_in_one_module_and_reads_nothing_there():
    importing = "joblib = import_module('joblib'); "
    assert not readers(importing + "joblib.Parallel(2)(joblib.delayed(f)(1))", OF_PROCESSES)
    assert readers(importing + "joblib.load(path)", OF_PROCESSES) == ["joblib.load"]
    assert readers("from joblib import load", OF_PROCESSES)
    assert readers("import joblib", OF_PROCESSES)
