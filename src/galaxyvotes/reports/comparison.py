"""What a report is made of: predictions beside the labels of the same galaxies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import Kind
from galaxyvotes.predictions import Predictions
from galaxyvotes.tree import DecisionTree

__all__ = [
    "BEFORE_FINE_TUNING",
    "Comparison",
    "Conditional",
    "Images",
    "ReportSettings",
    "Seen",
    "Values",
]

Values = Float[np.ndarray, "galaxy answer"]
Images = Callable[[Int[np.ndarray, " row"]], UInt8[np.ndarray, "row height width 3"]]

BEFORE_FINE_TUNING = "network before fine-tuning"  # stands among the baselines, but is none


class Conditional(NamedTuple):
    """Fractions of those who were asked: labels, NaN where too few were, and predictions with
    bounds.
    """

    labels: Values
    predicted: Predictions


class Seen(NamedTuple):
    """How many of the galaxies evaluated the run has used, and for what.

    `chose_epoch`: whether the epoch that was kept is that of the smallest validation loss, so that
    validation galaxies have influenced the network.
    """

    training: int = 0
    validation: int = 0
    calibration: int = 0
    chose_epoch: bool = True

    @property
    def influential(self) -> bool:
        """Whether numbers on these galaxies are too good for galaxies that are new."""
        chose = self.validation > 0 and self.chose_epoch
        return self.training > 0 or chose or self.calibration > 0


@dataclass(frozen=True)
class Comparison:
    """Predictions of a network and of baselines beside the labels of the same galaxies.

    Labels have the rows and columns of the network's predictions, NaN where not known; a baseline
    may have more columns, in any order.

    - `baselines`: also the network `BEFORE_FINE_TUNING`, which the verdict leaves out.
    - `no_baselines`: why there are none, in a sentence.
    - `conditional`: the same of those who were asked, if the tree has questions that not everybody
      is asked.
    - `nominal_coverage`: that of the bounds of the predictions, if they have any.
    - `noise_floor`: the RMSE of the true fractions, from the number of volunteers, if it is known.
    - `shift`: whether these galaxies are like those of the calibration, if the network is
      calibrated.
    - `seen`: how many of these galaxies are in the training, validation and calibration set.
    - `mirrored`: whether images were mirrored in training, so that nothing can be learned that
      mirroring changes; None if that is not known.
    - `cannot_calibrate`: why the network cannot be calibrated with the same store, and what to do,
      in sentences.
    - `contaminated`: the numbers of the published protocol (see `fractions.summarise`), with
      `seen`, how many of its galaxies the network was trained on, and a `note`.
    - `on_leaderboard`: whether these are galaxies of the 2014 challenge.
    - `images`: a function that gives the images of rows; `history`: the rows of `metrics.jsonl`;
      `provenance`: shown as it is, in its order.

    Raises:
        DataError: There is no galaxy.
        ValueError: A baseline is of other galaxies or lacks a column.
    """

    tree: DecisionTree
    labels: Values
    predicted: Predictions
    baselines: Mapping[str, Predictions] = field(default_factory=dict[str, Predictions])
    no_baselines: str = ""
    conditional: Conditional | None = None
    nominal_coverage: float | None = None
    noise_floor: float | None = None
    shift: Shift | None = None
    seen: Seen = field(default_factory=Seen)
    mirrored: bool | None = None
    cannot_calibrate: str = ""
    contaminated: Mapping[str, Any] | None = None
    on_leaderboard: bool = False
    images: Images | None = None
    history: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not len(self.predicted):
            raise DataError(f"a report needs galaxies with known {self.kind.name}; here is none")
        for name, baseline in self.baselines.items():
            if missing := set(self.predicted.columns) - set(baseline.columns):
                raise ValueError(f"baseline {name!r} has no column {sorted(missing)[0]!r}")
            if baseline.ids != self.predicted.ids:
                raise ValueError(f"baseline {name!r} is of other galaxies than the network")

    @property
    def kind(self) -> Kind:
        """What the predictions are, which decides what a report holds."""
        return self.tree.kind_of(self.predicted.columns)

    def of_baseline(self, name: str) -> "Comparison":
        """The same labels beside a baseline, which is cut to their columns, in their order."""
        baseline, columns = self.baselines[name], self.predicted.columns
        values = baseline.values[:, [baseline.columns.index(column) for column in columns]]
        aligned = replace(baseline, columns=columns, values=values)
        return Comparison(self.tree, self.labels, aligned)


@dataclass(frozen=True)
class ReportSettings:
    """The seed and the number of resamples of the bootstrap; AUCs, which cost most, have at most
    200.

    Raises:
        ConfigError: The seed is negative, or there is no resample.
    """

    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        if self.seed < 0 or self.resamples < 1:
            raise ConfigError(
                f"seed is {self.seed} and resamples {self.resamples}; expected 0 or more, and 1 or"
                " more"
            )

    @property
    def auc_resamples(self) -> int:
        """The number of resamples of each AUC."""
        return min(self.resamples, 200)
