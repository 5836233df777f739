import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "galaxyvotes"
ERRORS = {"ConfigError", "DataError", "CheckpointError", "MissingExtraError"}
MODULES = sorted(path for path in SOURCES.rglob("*.py") if path.parent.name != "cli")

Functions = dict[str, ast.FunctionDef]


def functions(module: ast.Module) -> Functions:
    """The functions of a module, and the methods of its classes under `Class.method`."""
    found: Functions = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
            found |= {f"{node.name}.{method.name}": method for method in methods}
    return found


def raised(function: ast.FunctionDef) -> Iterator[str]:
    """The names of our errors in the `raise` statements of a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Raise):
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(error, ast.Name) and error.id in ERRORS:
                yield error.id


def private_names(function: ast.FunctionDef) -> set[str]:
    """The private names that a function uses."""
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def raised_within(name: str, found: Functions, seen: set[str]) -> set[str]:
    """The errors that a function raises itself or in private functions of its module."""
    seen.add(name)
    errors = set(raised(found[name]))
    for private in private_names(found[name]):
        for other in found:
            if other.split(".")[-1] == private and other not in seen:
                errors |= raised_within(other, found, seen)
    return errors


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_a_public_function_names_the_errors_that_it_raises(path: Path):
    found = functions(ast.parse(path.read_text("utf-8")))
    unnamed = {
        name: missing
        for name, function in found.items()
        if not any(part.startswith("_") for part in name.split("."))
        and (
            missing := raised_within(name, found, set())
            - {error for error in ERRORS if error in (ast.get_docstring(function) or "")}
        )
    }
    assert unnamed == {}
