"""Options that several commands share, and what they print."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from galaxyvotes.errors import ConfigError

__all__ = [
    "Device",
    "FinishedRun",
    "Flag",
    "NewRun",
    "PackedStore",
    "PackedStores",
    "Quantities",
    "Recipe",
    "Resume",
    "Settings",
    "named",
]

Flag = Parameter(negative=())
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
FinishedRun = Annotated[
    Path | None, Parameter(help="A run folder; the bundled model if it is left out.")
]
NewRun = Annotated[Path, Parameter(help="The run folder to make, or to resume.")]
PackedStore = Annotated[Path, Parameter(help="A store that pack made.")]
PackedStores = Annotated[Path, Parameter(help="One or several stores that pack made.")]
Quantities = Annotated[tuple[str, ...], Parameter(name="--quantity", negative=())]
Recipe = Annotated[str | None, Parameter(help="A recipe by name or a .toml file.")]
Resume = Annotated[bool, Flag, Parameter(help="Go on with a run that was stopped.")]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=())]


def named(paths: tuple[Path, ...], usage: str, *, least: int = 1) -> tuple[Path, ...]:
    """The paths; ConfigError with the usage of the command if there are fewer than `least`."""
    if len(paths) < least:
        raise ConfigError(f"nothing to read is named; usage: galaxyvotes {usage}")
    return paths
