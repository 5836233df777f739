"""The command line as a whole: commands in groups, errors as one line.

What takes long to import is imported by the command that needs it; help is plain text, as reading
Markdown takes long.
"""

import gc
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from galaxyvotes.cli import data, learn, search, use, web
from galaxyvotes.cli.messages import as_options
from galaxyvotes.cli.options import USAGES, other_option
from galaxyvotes.cli.streams import (
    discard_output,
    is_of_path,
    is_unwritable,
    prepare_streams,
    print_error,
)
from galaxyvotes.errors import ConfigError, GalaxyVotesError
from galaxyvotes.runtime.notes import notes_in_words_of
from galaxyvotes.runtime.signals import interrupted_by_termination

__all__ = ["app", "main"]

_HELP = """Predict from the image of a galaxy how volunteers would vote on its shape.

A store is a folder of packed images and labels. A run is a folder with a trained
network; the bundled model is one. A tree holds the questions that volunteers were
asked, and a recipe the settings of a training.

Example: galaxyvotes predict my-galaxies --out answers.csv
"""
_GROUPS = {
    "Use a trained network": (
        use.predict,
        use.merge,
        use.evaluate,
        use.export,
        use.submit,
        use.figures,
    ),
    "Look at galaxies in the browser": (web.serve,),
    "Find galaxies": (search.embed, search.similar, search.odd, search.choose),
    "Prepare data": (data.pack, data.cutout, data.detect, data.tree, data.simulate),
    "Train": (learn.finetune, learn.calibrate, learn.train, learn.ensemble),
    "Try it": (use.demo,),
}

_DEVICES = ("--gpu", "--cuda", "--mps", "--cpu")  # that others write so
_CLOSED_PIPE = 128 + 13  # SIGPIPE
_STOPPED = "stopped; nothing is left half written: run the same command again"


def _plain(text: str) -> str:
    """A docstring whose paragraphs and options are a line each: the terminal wraps them once, to
    its own width.
    """
    prose, heading, options = cleandoc(text).partition("\n\nArgs:\n")
    options = re.sub(r"\n {8,}(?=\S)", " ", options)
    return re.sub(r"(?<=\S)\n(?=\S)", " ", prose) + heading + options


app = App(
    name="galaxyvotes",
    help=_plain(_HELP),
    version=lambda: import_module("importlib.metadata").version("galaxyvotes"),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # the message says what was saved and how to go on
)


def _add(command: Callable[..., None], group: Group, place: int) -> None:
    """Add a command; its usage shows what it reads."""
    name = command.__name__
    command.__doc__ = _plain(command.__doc__ or "")
    usage = f"Usage: galaxyvotes {name} {USAGES[name]} [OPTIONS]" if name in USAGES else None
    app.command(command, group=group, sort_key=place, usage=usage)


for _number, (_title, _commands) in enumerate(_GROUPS.items()):
    _group = Group(_title, sort_key=_number)
    for _place, _command in enumerate(_commands):
        _add(_command, _group, _place)
app["--help"].group = app["--version"].group = Group("More", sort_key=len(_GROUPS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error that the user can mend is one line and exit status 2.

    Where what reads the output has ended, as `head` does, it ends quietly, with the status that a
    shell gives a program that SIGPIPE has ended; where the output cannot be written, with a line
    and status 1. SIGTERM and SIGHUP end it as Ctrl-C does.
    """
    prepare_streams()
    try:
        try:
            with interrupted_by_termination():
                _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        sys.exit(_CLOSED_PIPE)
    except OSError as error:
        if not is_unwritable(error):
            raise
        discard_output()
        print_error(f"cannot write the output: {error.strerror}")
        sys.exit(1)


def _run(arguments: Sequence[str]) -> None:
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch: pages of 2 MB, see runtime.memory
    os.environ.pop(
        "MPLBACKEND", None
    )  # figures need no backend, and matplotlib refuses unknown ones
    gc.set_threshold(100_000, 10, 10)  # torch makes hundreds of thousands of objects, no garbage
    try:
        _refuse_empty(arguments)
        if "WORLD_SIZE" in os.environ:
            _check_processes(arguments)
        with notes_in_words_of(as_options):
            app(arguments, exit_on_error=False, print_error=False)
    except (GalaxyVotesError, CycloptsError) as error:
        print_error(_message(error, arguments))
        sys.exit(2)
    except OSError as error:
        if not is_of_path(error):
            raise
        print_error(f"{error.filename} cannot be read or written: {error.strerror}")
        sys.exit(2)
    except KeyboardInterrupt as stop:
        print_error(as_options(str(stop)) or _STOPPED)
        sys.exit(128 + getattr(stop, "signal", signal.SIGINT))


def _message(end: BaseException, arguments: Sequence[str]) -> str:
    """An error in the words of the command line."""
    if isinstance(end, MissingArgumentError):
        return _lacks(end, arguments)
    if isinstance(end, UnknownOptionError):
        option = (end.token.keyword or end.token.value).partition("=")[0].lower()
        has_device = any("--device" in argument.names for argument in end.argument_collection)
        if has_device and option in _DEVICES:
            device = option.removeprefix("--")
            return (
                f"there is no {option}: write --device {device}; by default a GPU is used if there"
                " is one"
            )
        options = [name for argument in end.argument_collection for name in argument.names]
        if other := other_option(option, options):
            command = next(iter(end.command_chain or ()), "galaxyvotes")
            return f"{command} has no {option}: write {other}"
    if isinstance(end, UnusedCliTokensError) and end.command_chain:
        command, more = end.command_chain[0], " ".join(end.unused_tokens or ())
        return (
            f"{command} takes no {more!r} here; usage: galaxyvotes {command}"
            f" {USAGES.get(command, '[OPTIONS]')}"
        )
    return as_options(str(end))


def _lacks(error: MissingArgumentError, arguments: Sequence[str]) -> str:
    """What a command lacks: an argument, or the value of an option."""
    option = error.argument.name if error.argument else ""
    for given, value in pairwise(arguments):
        if given == option and re.match(r"-[\d.]", value):
            return f"{option} {value}: write {option}={value}, as the value begins with a hyphen"
    command = next(iter(error.command_chain or ()), "")
    usage, place = USAGES.get(command, ""), option.lstrip("-").upper()
    lacking = place if usage.startswith(place) else f"{option}, or its value"
    return f"{command} lacks {lacking}; usage: galaxyvotes {command} {usage}"


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty argument, which as a path would be the current folder."""
    for number, argument in enumerate(arguments, 1):
        if not argument or re.fullmatch(r"--[a-z-]+=", argument):
            which = f"argument {number}" if not argument else argument.removesuffix("=")
            raise ConfigError(f"{which} is empty; is a variable of the shell not set?")


def _check_processes(arguments: Sequence[str]) -> None:
    """Refuse several processes for a command that runs in one; of the others, the first process
    alone prints.
    """
    distributed = import_module("galaxyvotes.runtime.distributed")
    command, processes = next(iter(arguments), ""), distributed.count()
    if processes > 1 and command not in ("train", "finetune"):
        raise ConfigError(
            f"galaxyvotes {command} runs in one process, and here are {processes}: start it without"
            " torchrun; train and finetune run in several"
        )
    if distributed.rank():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
