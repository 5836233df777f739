"""Going on with a run that was stopped: the same arguments, and `resume=True`.

The run keeps the recipe that it began with. A command may name it again, and its settings, as it
did when the run began; whatever would change the recipe is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from galaxyvotes.config import Recipe
from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.runs.run import Run
from galaxyvotes.store.store import Store

__all__ = ["check_recipe", "run_to_resume"]


def run_to_resume(out: Path, stores: Sequence[Store]) -> Run:
    """The run in a folder, if it can go on with these stores.

    Raises CheckpointError if it is damaged, an ensemble, or was trained on other stores.
    """
    run = Run.open(out)
    run.check_trainable()
    if [facts["digest"] for facts in run.facts["stores"]] != [store.digest for store in stores]:
        before = ", ".join(facts["path"] for facts in run.facts["stores"])
        raise CheckpointError(
            f"{run.path} was trained on another store ({before}), not"
            f" {', '.join(str(store.path) for store in stores)}"
        )
    return run


def check_recipe(run: Run, asked: Recipe) -> None:
    """Raise ConfigError if a command asks for another recipe than the run began with: its content
    counts, not its name.
    """
    difference = asked.difference(run.recipe)
    if difference is not None:
        name, now, before = difference
        state = "is finished, with" if run.finished else "goes on with"
        raise ConfigError(
            f"{run.path} {state} the recipe it began with, in which {name} is"
            f" {_text(before)}, not {_text(now)}: leave out `recipe=…` and `settings=…`, or name"
            " another run"
        )


def _text(value: object) -> str:
    """A value as one writes it in `settings`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        items = cast("Sequence[object]", value)
        return ",".join(map(_text, items)) or "empty"
    return str(value) or "empty"
