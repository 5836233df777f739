"""What the library says in Python, in the words of the command line.

Messages of the library name an argument in backticks, as one writes it in Python: `fit=True`,
`scale=0.42`, `run=…`. The command line, and nothing else, translates them: --fit, --scale 0.42,
--run. So the library needs to know of no command line, and neither says what the other has not.
"""

import re

__all__ = ["as_options"]

_ARGUMENT = re.compile(r"`(\w+)=([^`]*)`")
_SQUARE = re.compile(r"PackSettings\((\d+), (\d+)\)$")
_OPTIONS = {"crop_px": "crop", "size_px": "size"}  # that have other names than the arguments


def as_options(message: str) -> str:
    """The message with the options of the command line instead of Python's arguments."""
    return _ARGUMENT.sub(_option, message)


def _option(argument: re.Match[str]) -> str:
    name, value = argument.groups()
    if square := _SQUARE.match(value):
        return "--crop {} --size {}".format(*square.groups())
    option = "--" + _OPTIONS.get(name, name).replace("_", "-")
    return option if value in ("", "…", "True") else f"{option} {value.strip(chr(34))}"
