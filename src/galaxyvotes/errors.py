"""Everything that can go wrong through no fault of the code.

    GalaxyVotesError
    ├── ConfigError          a setting, a recipe or a command that cannot be carried out
    ├── DataError            an archive, an image, a table or a store that is not what it should be
    ├── CheckpointError      a run folder that is damaged, newer than this program, or of another
    │                        tree; weights of others that cannot be had or do not fit
    └── MissingExtraError    an optional library that is not installed

A message says what is wrong, where, what was expected and what to do. The command line prints it as
one line and exits with 2; any other exception is a bug and keeps its traceback.
"""

__all__ = ["CheckpointError", "ConfigError", "DataError", "GalaxyVotesError", "MissingExtraError"]


class GalaxyVotesError(Exception):
    """The root of every error that a user can mend."""


class ConfigError(GalaxyVotesError):
    """A setting, a recipe or a command that cannot be carried out."""


class DataError(GalaxyVotesError):
    """An archive, an image, a table or a store that is not what it should be."""


class CheckpointError(GalaxyVotesError):
    """A run folder that is damaged, newer than this program, or of another tree; weights that do
    not fit.
    """


class MissingExtraError(GalaxyVotesError):
    """An optional library that is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        """Say which extra brings the library."""
        super().__init__(
            f"this needs {library}, which is not installed: pip install 'galaxyvotes[{extra}]'"
        )
