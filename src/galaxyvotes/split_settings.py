"""How the galaxies of a catalogue are divided into training, validation and test sets."""

from dataclasses import dataclass
from pathlib import Path

from galaxyvotes.errors import ConfigError

__all__ = ["SplitSettings"]


@dataclass(frozen=True)
class SplitSettings:
    """How galaxies are divided; the fractions add up to 1, and another key draws another division.

    `turn` turns a division on: with a fifth for testing, the turns 0, 0.2, 0.4, 0.6 and 0.8 test
    each galaxy once, which is a five-fold cross-validation.

    The sets may be given instead: by a `column` of the table that says train, validation or test,
    or by `lists`, three text files with an id a line. A `limit` takes so many galaxies, as many of
    each class as its share, drawn by `key` (0: all).

    Galaxies that the network to be fine-tuned was trained on are never drawn for validation or
    testing: that of the run folder `start`, by default the bundled model if the images are packed
    as it needs them; None for a network with new weights. A run's ONNX file does not name them.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    key: str = "galaxyvotes"
    turn: float = 0.0
    limit: int = 0
    column: str | None = None
    lists: tuple[str, ...] = ()
    start: str | Path | None = "bundled"

    def __post_init__(self) -> None:
        """Refuse fractions that are no division."""
        parts = (self.train, self.validation, self.test)
        if not (min(parts) >= 0 and abs(sum(parts) - 1) <= 1e-9):  # so written, NaN is refused, too
            raise ConfigError(
                f"splits {parts} must be three fractions from 0 to 1 that add up to 1, e.g."
                " 0.8,0.1,0.1"
            )
        if not 0 <= self.turn < 1:
            raise ConfigError(f"the turn of a division is {self.turn}; it lies from 0 up to 1")
        if self.limit < 0:
            raise ConfigError(f"limit is {self.limit}; expected 1 or more galaxies, or 0 for all")
        if len(self.lists) not in (0, 3) or (self.lists and self.column):
            raise ConfigError(
                f"column {self.column}, lists {self.lists}: expected a column or three lists"
            )
