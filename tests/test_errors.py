import inspect
import re

from galaxyvotes import errors


def test_every_error_of_the_package_has_one_root():
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, errors.GalaxyVotesError) for kind in kinds)
    assert not any(issubclass(kind, ValueError | OSError) for kind in kinds)


def test_the_module_shows_every_error_in_its_tree():
    shown = set(re.findall(r"[├└]── (\w+)", inspect.getdoc(errors) or ""))
    assert shown | {"GalaxyVotesError"} == set(errors.__all__)


def test_a_missing_library_says_how_to_install_it():
    assert str(errors.MissingExtraError("onnx", "export")) == (
        "this needs onnx, which is not installed: pip install 'galaxyvotes[export]'"
    )
