"""What the library says in Python, in the words of the command line.

Messages of the library name arguments in backticks, as one writes them in Python: `fit=True`,
`run=…`, `labels=LabelSettings(tree="gz2")`, `galaxyvotes.train("store", out="run", resume=True)`.
The command line, and nothing else, translates them: --fit, --run, --tree gz2, galaxyvotes train
store --out run --resume. So the library needs to know of no command line, and neither says what the
other has not.
"""

import ast
import re
import shlex
import warnings
from typing import Any, cast

__all__ = ["as_options"]

_CODE = re.compile(r"`([^`\n]+)`")
_LEFT_OPEN = re.compile(r"(?<=[=(])…(?=[,)]|$)")  # a value that the reader knows
_OPTIONS = {  # that have other names than the arguments
    "crop_px": "crop",
    "size_px": "size",
    "settings": "set",
    "key": "split-key",
    "turn": "split-turn",
    "column": "splits",
    "lists": "splits",
    "side_px": "pixels",
    "like": "for",
    "files": "mosaic",
}
_TOGETHER = ("bands", "hdu", "position")  # several values are one word, a,b,c
_BY_PLACE = {"PackSettings": ("crop_px", "size_px")}
_ONE_OPTION = {"SplitSettings": "splits"}  # of all values that have no name
_SHORTER = {"--set train.mirror=false": "--no-mirror"}


def as_options(message: str) -> str:
    """The message with the options of the command line instead of Python's arguments."""
    return _CODE.sub(_translated, message)


def _translated(code: re.Match[str]) -> str:
    """One stretch of code in the words of the command line; as it is if it names no arguments."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of names of files in backticks
            text = _LEFT_OPEN.sub("...", code[1])
            arguments = ast.parse(f"_({text})", mode="eval").body
        match arguments:
            case ast.Call(args=[ast.Call(func=ast.Attribute(ast.Name("galaxyvotes"), command))]):
                return f"galaxyvotes {command} {_words(arguments.args[0])}".rstrip()
            case ast.Call(func=ast.Name("_"), args=[], keywords=[_, *_]):
                return _words(arguments)
            case _:
                return code[0]
    except (SyntaxError, ValueError):
        return code[0]


def _words(call: ast.expr) -> str:
    """What the arguments of a call are on the command line."""
    assert isinstance(call, ast.Call)
    what = ast.unparse(call.func)
    if not call.args:
        words = list[str]()
    elif names := _BY_PLACE.get(what):
        words = [_option(name, value) for name, value in zip(names, call.args, strict=False)]
    elif option := _ONE_OPTION.get(what):
        words = [f"--{option} {','.join(map(ast.unparse, call.args))}"]
    elif what.startswith("galaxyvotes."):
        words = [word for value in call.args for word in _values(ast.literal_eval(value))]
    else:
        raise ValueError("settings whose values have no names")
    return " ".join(words + [_option(word.arg or "", word.value) for word in call.keywords])


def _option(name: str, value: ast.expr) -> str:
    """An argument as options: those in it if it is an object of settings."""
    if isinstance(value, ast.Call):
        return _words(value)
    option, literal = _OPTIONS.get(name, name).replace("_", "-"), ast.literal_eval(value)
    if literal is False:
        return f"--no-{option}"
    if literal is True or literal == "":
        return f"--{option}"
    if name in _TOGETHER and isinstance(literal, tuple):
        literal = ",".join(map(str, cast("tuple[Any, ...]", literal)))
    options = [f"--{option} {word}".rstrip() for word in _values(literal) or [""]]
    return " ".join(_SHORTER.get(given, given) for given in options)


def _values(literal: Any) -> list[str]:
    """The words of a value: none if it is left open, several of a tuple or a list."""
    if literal is ...:
        return []
    if isinstance(literal, dict):
        pairs = cast("dict[Any, Any]", literal).items()
        return [shlex.quote(",".join(f"{word}={name}" for word, name in pairs))]
    several = cast("list[Any]", literal) if isinstance(literal, tuple | list) else [literal]
    return [shlex.quote(str(one)) for one in several]
