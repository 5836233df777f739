"""Prediction intervals: how far a prediction may be from the volunteers' fraction, or a quantity.

An interval is prediction ± quantile × scale. The scale says where errors are expected to be large
(`error_scale`), the quantile of an answer is that of the calibration galaxies (`conformal`, which
has the guarantee and its conditions).
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from galaxyvotes.confidence.error_scale import (
    Cells,
    cells_of,
    error_scale,
    error_unit,
    sampling_variance,
    variance_terms,
)
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import ValueKind
from galaxyvotes.predictions import Bounds, Values

__all__ = [
    "PredictionIntervals",
    "check_difficulty",
    "check_volunteers",
    "checked_cells",
    "panel_sizes",
    "parent_indices",
]

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits


class PredictionIntervals(msgspec.Struct, frozen=True, kw_only=True):
    """Turns predicted joint fractions or quantities into intervals; `conformal.fit_intervals` makes
    it, the run folder keeps it as TOML.

    Per answer (`columns`): the answer whose givers are asked (`asked_of`; empty: everybody), how
    many galaxies gave its quantile, its `typical` variance (see `error_scale`), its quantile,
    infinite if the galaxies were too few, and the typical number of `volunteers` of its calibration
    panels (of all, asked or not), infinite if nobody counted them: the scale then has no sampling
    variance of its own. The weights `by_…` are those of `error_scale`; the last is None if the
    calibration had no difficulty.
    """

    kind: ValueKind = msgspec.field(name="of")
    coverage: float
    min_asked: float
    by_fraction: float
    by_answer: float
    by_difficulty: float | None = None
    columns: tuple[str, ...]
    asked_of: tuple[str, ...]
    galaxies: tuple[int, ...]
    typical: tuple[float, ...]
    quantiles: tuple[float, ...]
    volunteers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be a calibration; files without volunteers, as older ones are, come
        from panels that nobody counted.
        """
        if not self.volunteers:
            msgspec.structs.force_setattr(self, "volunteers", (math.inf,) * len(self.columns))
        per_answer = (self.asked_of, self.galaxies, self.typical, self.quantiles, self.volunteers)
        weights = (self.by_fraction, self.by_answer, self.by_difficulty or 0.0)
        if not 0 < self.coverage < 1:
            raise DataError(f"coverage is {self.coverage}; expected it between 0 and 1")
        if not 0 < self.min_asked <= 1:
            raise DataError(f"min_asked is {self.min_asked}; expected it above 0, up to 1")
        if too_few := [number for number in self.volunteers if not number >= 1]:
            raise DataError(f"volunteers has {too_few[0]}; expected 1 or more")
        if any(len(values) != len(self.columns) for values in per_answer):
            raise DataError(
                f"its lists differ in length; expected {len(self.columns)} values, one a column"
            )
        if unknown := [name for name in self.asked_of if name and name not in self.columns]:
            raise DataError(f"asked_of names {unknown[0]!r}, which is not among its columns")
        if not all(size >= 0 for size in (*weights, *self.typical, *self.quantiles)):  # nor NaN
            raise DataError("a weight, a typical variance or a quantile is not 0 or more")

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Answers with too few calibration galaxies: the intervals of fractions are 0–1, quantities
        have none.
        """
        return tuple(
            name for name, q in zip(self.columns, self.quantiles, strict=True) if math.isinf(q)
        )

    def bounds(
        self,
        predicted: Values,
        difficulty: Values | None = None,
        *,
        volunteers: Values | None = None,
    ) -> Bounds:
        """The interval of each cell, from predicted joint fractions (0–1) or quantities in the
        order of `columns`.

        `difficulty` is given if and only if it was for the fit, and measured the same way. Of
        conditional fractions, cells with fewer than `min_asked` predicted to be asked are NaN.

        `volunteers` is how many each galaxy has (see `DecisionTree.volunteers`); where it is not
        given or NaN, the interval is for a panel of the typical size. It changes nothing for
        answers whose calibration panels nobody counted.

        Raises ValueError for arrays of another shape, predictions that are no fractions or no
        numbers, and difficulty given or left out against the fit; ConfigError for volunteers of
        quantities.
        """
        if (difficulty is None) != (self.by_difficulty is None):
            fitted = "without" if self.by_difficulty is None else "with"
            raise ValueError(f"this was fitted {fitted} difficulty: it must be used {fitted} it")
        check_volunteers(self.kind, volunteers)
        cells = checked_cells(predicted, self.columns, self.asked_of, self.kind, self.min_asked)
        check_difficulty(difficulty, cells)
        weights = np.array([self.by_fraction, self.by_answer, self.by_difficulty or 0.0])
        noise = sampling_variance(cells, panel_sizes(volunteers, np.array(self.volunteers)))
        typical, quantiles = np.array(self.typical), np.array(self.quantiles)
        half = quantiles * error_scale(variance_terms(cells, typical, difficulty), weights, noise)
        if self.kind == "quantity":
            half = np.where(np.isinf(half), np.nan, half) * error_unit(self.kind, typical)
            return Bounds(cells.values - half, cells.values + half)
        return Bounds((cells.values - half).clip(0, 1), (cells.values + half).clip(0, 1))

    def to_table(self) -> dict[str, Any]:
        """All of it as a table of a TOML file; read back it is equal, to the last bit."""
        table: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in table.items() if value is not None}


def checked_cells(
    predicted: Values,
    columns: Sequence[str],
    asked_of: Sequence[str],
    kind: ValueKind,
    min_asked: float,
) -> Cells:
    """The cells in what was predicted for these columns.

    Raises ValueError for another number of columns, for fractions outside 0–1 and for quantities
    that are NaN or infinite.
    """
    if predicted.shape[1] != len(columns):
        raise ValueError(f"{predicted.shape[1]} columns of fractions for {len(columns)} answers")
    if kind == "quantity":
        if not np.isfinite(predicted).all():
            raise ValueError("a prediction is NaN or infinite")
    elif not ((predicted >= -_ROUNDING) & (predicted <= 1 + _ROUNDING)).all():
        raise ValueError("a prediction is not in 0–1")
    return cells_of(predicted, parent_indices(columns, asked_of), kind, min_asked)


def parent_indices(columns: Sequence[str], asked_of: Sequence[str]) -> list[int]:
    """Per answer, the index of the column whose givers are asked; -1 for everybody."""
    return [columns.index(name) if name else -1 for name in asked_of]


def check_volunteers(kind: ValueKind, volunteers: Values | None) -> None:
    """Refuse volunteers of a quantity: a ConfigError."""
    if kind == "quantity" and volunteers is not None:
        raise ConfigError(
            "a quantity is nobody's vote, so its intervals are for no panel: leave out volunteers"
        )


def check_difficulty(difficulty: Values | None, cells: Cells) -> None:
    """Refuse a difficulty of another shape, or one that is negative, NaN or infinite where there is
    a cell: a ValueError.
    """
    if difficulty is None:
        return
    if difficulty.shape != cells.values.shape:
        raise ValueError(
            f"the difficulty has shape {difficulty.shape}, the predictions have"
            f" {cells.values.shape}"
        )
    if not (np.isnan(cells.values) | (np.isfinite(difficulty) & (difficulty >= 0))).all():
        raise ValueError("a difficulty is negative, NaN or infinite")


def panel_sizes(
    volunteers: Values | None, typical: Float[np.ndarray, " answer"]
) -> Float[np.ndarray, "*galaxy answer"]:
    """The size of each cell's panel: typical where it is not known, infinite for answers of which
    none was known.
    """
    if volunteers is None:
        return typical
    counted = (volunteers >= 1) & np.isfinite(typical)
    return np.where(counted, volunteers, typical).astype(np.float64)
