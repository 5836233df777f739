"""How far off a predicted vote fraction may be: intervals that hold at a stated rate, whatever made
the prediction.

Split conformal prediction. On galaxies that taught nothing, each answer's errors are divided by a
scale that says where errors are expected to be large, and a high quantile of these ratios is kept.
A new galaxy's interval is its prediction ± quantile × its scale. If it is exchangeable with the
calibration galaxies, the interval of an answer holds the volunteers' fraction with a chance of at
least the coverage, and at most that + 1 / (n + 1) unless errors tie, whatever the predictor, the
scale and the distribution. The chance is over calibration sets and galaxies together: that of one
calibration set varies, as Beta(k, n + 1 − k), by ± 0.03 for n = 100; and it is an average over
galaxies, so a kind that is rare and hard may be covered less.

What was chosen, and why:

- **The scale and the quantile never see the same galaxy.** A third of the galaxies, drawn from the
  seed, gives the scale, the rest the quantiles, so that the scale is a fixed function when the
  quantiles are taken and the guarantee is exact. Cross-fitting (CV+) would use every galaxy twice,
  but promises only 1 − 2α and must keep every score.
- **The scale is shared, the quantile is each answer's own** (Mondrian). A quantile absorbs how
  large an answer's errors are; the scale (see `scale`) only has to say how they vary, and three
  weights over all answers are what two dozen galaxies can tell.
- **An answer with too few galaxies gets 0–1**: its quantile is infinite, as the definition has it,
  and the guarantee stands. A quantile pooled over answers would look sharper and promise nothing
  for that answer.
- **Quantities have no range and no panel.** Their bounds are not clipped, and with too few galaxies
  there are none.

An interval is for what a *panel* of volunteers says, not for the fraction behind all panels: a
panel is what users can ask, and what the errors of calibration galaxies are measured against, so
its sampling noise is in the interval. The fraction behind has no noise and is held more often; a
narrower interval for it would rest on how much of the errors was noise, which is known on average
only. If it is known how many volunteers each calibration galaxy had, the scale holds the noise of
each, and galaxies with few volunteers get the wider intervals that they need: the guarantee is then
for a galaxy with its own number of volunteers. Where that is not known, as for one that nobody has
looked at, the interval is for a panel of the typical size (the harmonic mean, because noise goes as
1/n).

Sources: Papadopoulos et al. 2002, ECML, 345 (split conformal); Lei et al. 2018, JASA 113, 1094,
theorem 2.2 and section 5.2 (errors over their scale); Vovk et al. 2005, Algorithmic Learning in a
Random World, section 4.5 (Mondrian); Barber et al. 2021, Annals of Statistics 49, 486 (CV+);
Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning 16, 494, section 3.2 (the Beta
law).
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast, get_args

import numpy as np
import tomlkit
from jaxtyping import Bool, Float, Int

from galaxyvotes.confidence.error_scale import (
    Cells,
    cells_of,
    fit_weights,
    noise_of,
    scale_of,
    terms_of,
    typical_variance,
    unit_of,
)
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import ValueKind
from galaxyvotes.predictions import Bounds, Fractions
from galaxyvotes.tree import DecisionTree

__all__ = [
    "PredictionIntervals",
    "calibrate",
    "galaxies_needed",
    "parts",
]

COVERAGE = 0.9
MIN_ASKED = 0.25
SCALE_SHARE = 1 / 3

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits


@dataclass(frozen=True)
class PredictionIntervals:
    """Turns predicted joint fractions or quantities into intervals; made by `calibrate`, kept as
    TOML.

    Per answer (`columns`): the answer whose givers are asked (`asked_of`; empty: everybody), how
    many galaxies gave its quantile, its `typical` variance (see `scale`), its `quantile`, infinite
    if they were too few, and the typical number of `volunteers` of its calibration panels (of all,
    asked or not), infinite if nobody counted them: the scale then has no noise of its own. The
    weights `by_…` are those of `scale`; the last is None if there was no difficulty.
    """

    of: ValueKind
    coverage: float
    min_asked: float
    by_fraction: float
    by_answer: float
    by_difficulty: float | None
    columns: tuple[str, ...]
    asked_of: tuple[str, ...]
    galaxies: tuple[int, ...]
    typical: tuple[float, ...]
    quantiles: tuple[float, ...]
    volunteers: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be a calibration."""
        per_answer = (self.asked_of, self.galaxies, self.typical, self.quantiles, self.volunteers)
        sizes = (
            self.by_fraction,
            self.by_answer,
            self.by_difficulty or 0.0,
            *self.typical,
            *self.quantiles,
        )
        if not 0 < self.coverage < 1:
            raise DataError(f"coverage is {self.coverage}; expected it between 0 and 1")
        if not 0 < self.min_asked <= 1:
            raise DataError(f"min_asked is {self.min_asked}; expected it above 0, up to 1")
        if wrong := [number for number in self.volunteers if not number >= 1]:
            raise DataError(f"volunteers has {wrong[0]}; expected 1 or more")
        if any(len(values) != len(self.columns) for values in per_answer):
            raise DataError(
                f"its lists differ in length; expected {len(self.columns)} values, one a column"
            )
        if unknown := [name for name in self.asked_of if name and name not in self.columns]:
            raise DataError(f"asked_of names {unknown[0]!r}, which is not among its columns")
        if not all(size >= 0 for size in sizes):  # so written, NaN is refused, too
            raise DataError("a weight, a typical variance or a quantile is not 0 or more")

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Answers with too few calibration galaxies, whose intervals are 0–1; quantities of that
        kind have none.
        """
        return tuple(
            name for name, q in zip(self.columns, self.quantiles, strict=True) if math.isinf(q)
        )

    def bounds(
        self,
        predicted: Fractions,
        difficulty: Fractions | None = None,
        *,
        volunteers: Fractions | None = None,
    ) -> Bounds:
        """The interval of each cell, from predicted joint fractions (0–1) or quantities in the
        order of `columns`.

        `difficulty` is given if and only if it was when calibrating, and measured the same way. Of
        conditional fractions, cells with fewer than `min_asked` predicted to be asked are NaN.

        `volunteers` is how many each galaxy has (see `tree.volunteers`); where it is not
        given or NaN, the interval is for a panel of the typical size. It says nothing about answers
        whose calibration knew of none.
        """
        _check(predicted, len(self.columns), self.of, volunteers)
        if (difficulty is None) != (self.by_difficulty is None):
            said = "without" if self.by_difficulty is None else "with"
            raise ValueError(f"this was calibrated {said} difficulty: it must be used {said} it")
        cells = cells_of(predicted, _places(self.columns, self.asked_of), self.of, self.min_asked)
        _check_difficulty(difficulty, cells)
        weights = np.array([self.by_fraction, self.by_answer, self.by_difficulty or 0.0])
        noise = noise_of(cells, _panels(volunteers, np.array(self.volunteers)))
        typical, quantiles = np.array(self.typical), np.array(self.quantiles)
        half = quantiles * scale_of(terms_of(cells, typical, difficulty), weights, noise)
        if self.of == "quantity":
            half = np.where(np.isinf(half), np.nan, half) * unit_of(self.of, typical)
            return Bounds(cells.values - half, cells.values + half)
        return Bounds((cells.values - half).clip(0, 1), (cells.values + half).clip(0, 1))

    def to_toml(self) -> str:
        """All of it as TOML; `from_toml` reads it back equal, to the last bit."""
        return tomlkit.dumps(self.to_table())

    def to_table(self) -> dict[str, Any]:
        """All of it as a table of a TOML file."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(value) if key in _LISTS else value for key, value in known.items()}

    @staticmethod
    def from_toml(text: str, origin: str = "calibration") -> "PredictionIntervals":
        """The calibration in a TOML text; `origin` names it in errors."""
        try:
            return PredictionIntervals.from_table(tomllib.loads(text), origin)
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"{origin} is no calibration: {error}. Calibrate again") from None

    @staticmethod
    def from_table(table: dict[str, Any], origin: str = "calibration") -> "PredictionIntervals":
        """What `to_table` gave; one without `volunteers`, as older files are, knew of none."""
        try:
            return PredictionIntervals(**_typed(table))
        except DataError as error:
            raise DataError(f"{origin} is no calibration: {error}. Calibrate again") from None


# ---- calibrating


def calibrate(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    difficulty: Fractions | None = None,
    *,
    of: ValueKind = "joint",
    coverage: float = COVERAGE,
    min_asked: float = MIN_ASKED,
    volunteers: Fractions | None = None,
    columns: Sequence[str] | None = None,
    seed: int = 0,
) -> PredictionIntervals:
    """What gives intervals for joint or conditional fractions or quantities, from galaxies the
    predictor never saw.

    Galaxies that taught it, or chose its best epoch, do not do: their errors are too small.

    Both arrays are joint fractions (0–1) or quantities; NaN in the truth is not known, and left out
    answer by answer. `difficulty` (0 or more, in any unit) is a spread of the predictions over
    views or networks, of the kind that intervals are for. `volunteers` is how many people each
    joint fraction comes from (see `tree.volunteers`); NaN where not known, which counts
    as typical. `columns` names the answers that the arrays hold, if not all of them.

    Of conditional fractions, a cell counts if at least `min_asked` of everybody were asked, by the
    volunteers and by the prediction; the guarantee is for galaxies of which both are true.

    DataError if no answer has enough galaxies for the coverage; it says how many are needed.
    """
    if not 0 < coverage < 1 or not 0 < min_asked <= 1:
        raise ConfigError(
            f"coverage {coverage}, min_asked {min_asked}: expected a coverage between 0 and 1,"
            " min_asked above 0 to 1"
        )
    names = tree.columns if columns is None else tuple(columns)
    tree.check_values(of, names)
    asked_of = tree.parents_of(names)
    _check(predicted, len(names), of, volunteers)
    if labels.shape != predicted.shape:
        raise ValueError(
            f"the truth has shape {labels.shape}, the predictions have {predicted.shape}"
        )
    cells, known = (
        cells_of(part, _places(names, asked_of), of, min_asked) for part in (predicted, labels)
    )
    _check_difficulty(difficulty, cells)
    errors = np.abs(known.values - cells.values)
    for_scale, for_quantile = parts(np.any(~np.isnan(errors), axis=1), seed)
    typical = typical_variance(known if of == "quantity" else cells, for_scale)
    errors = errors / unit_of(of, typical)
    terms = terms_of(cells, typical, difficulty)
    sizes = _typical_size(volunteers, errors, for_scale)
    noise = noise_of(cells, _panels(volunteers, sizes))
    weights = fit_weights(terms[for_scale], errors[for_scale], noise[for_scale])
    scores = errors[for_quantile] / scale_of(terms[for_quantile], weights, noise[for_quantile])
    quantiles = tuple(_quantile(column[~np.isnan(column)], coverage) for column in scores.T)
    if all(math.isinf(quantile) for quantile in quantiles):
        most = np.count_nonzero(~np.isnan(errors), axis=0).max(initial=0)
        raise DataError(
            f"intervals of {coverage:.4g} coverage need {galaxies_needed(coverage)} calibration"
            f" galaxies or more whose fractions are known; here are {most}. Give more galaxies, or"
            " ask for a lower coverage"
        )
    by_fraction, by_answer, by_difficulty = weights.tolist()
    return PredictionIntervals(
        of=of,
        coverage=coverage,
        min_asked=min_asked,
        by_fraction=by_fraction,
        by_answer=by_answer,
        by_difficulty=None if difficulty is None else by_difficulty,
        columns=names,
        asked_of=asked_of,
        galaxies=tuple(np.count_nonzero(~np.isnan(scores), axis=0).tolist()),
        typical=tuple(typical.tolist()),
        quantiles=quantiles,
        volunteers=tuple(sizes.tolist()),
    )


def galaxies_needed(coverage: float = COVERAGE) -> int:
    """The smallest calibration set, of galaxies whose fractions are all known, that gives finite
    intervals.
    """
    number = 1
    while _rank(number - _for_scale(number), coverage) > number - _for_scale(number):
        number += 1
    return number


def _for_scale(galaxies: int) -> int:
    """How many galaxies of a calibration set give the scale."""
    return round(galaxies * SCALE_SHARE)


def _rank(galaxies: int, coverage: float) -> int:
    """Which of the scores in rising order is the quantile: ⌈(n + 1)(1 − α)⌉. Source: Lei et al.
    2018, section 2.2.
    """
    return math.ceil((galaxies + 1) * coverage - 1e-9)


def _quantile(scores: Float[np.ndarray, " galaxy"], coverage: float) -> float:
    """The finite-sample quantile; infinite if there are too few scores for it."""
    rank = _rank(len(scores), coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def parts(
    known: Bool[np.ndarray, " galaxy"], seed: int
) -> tuple[Int[np.ndarray, " one"], Int[np.ndarray, " other"]]:
    """The galaxies that give the scale, and those that give the quantiles; those without a known
    error give nothing.
    """
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    return drawn[: _for_scale(len(drawn))], drawn[_for_scale(len(drawn)) :]


# ---- cells


def _check(predicted: Fractions, answers: int, of: ValueKind, volunteers: Fractions | None) -> None:
    if of == "quantity" and volunteers is not None:
        raise ConfigError(
            "a quantity is nobody's vote, so its intervals are for no panel: leave out volunteers"
        )
    if predicted.shape[1] != answers:
        raise ValueError(f"{predicted.shape[1]} columns of fractions for {answers} answers")
    if of == "quantity":
        if not np.isfinite(predicted).all():
            raise ValueError("a prediction is NaN or infinite")
    elif not ((predicted >= -_ROUNDING) & (predicted <= 1 + _ROUNDING)).all():
        raise ValueError("a prediction is not in 0–1")


def _check_difficulty(difficulty: Fractions | None, cells: Cells) -> None:
    if difficulty is None:
        return
    if difficulty.shape != cells.values.shape:
        raise ValueError(
            f"the difficulty has shape {difficulty.shape}, the predictions have"
            f" {cells.values.shape}"
        )
    if not (np.isnan(cells.values) | (np.isfinite(difficulty) & (difficulty >= 0))).all():
        raise ValueError("a difficulty is negative, NaN or infinite")


def _typical_size(
    volunteers: Fractions | None, errors: Fractions, rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " answer"]:
    """Per answer, the harmonic mean of the numbers of volunteers of these rows; infinite if none is
    known.
    """
    sizes = np.full(errors.shape[1], np.inf)
    if volunteers is None:
        return sizes
    known = (volunteers[rows] >= 1) & ~np.isnan(errors[rows])
    shares = np.where(known, 1 / np.where(known, volunteers[rows], 1), 0).sum(axis=0)
    return np.divide(known.sum(axis=0), shares, out=sizes, where=shares > 0)


def _panels(
    volunteers: Fractions | None, typical: Float[np.ndarray, " answer"]
) -> Float[np.ndarray, "*galaxy answer"]:
    """The size of each cell's panel: typical where it is not known, infinite for answers of which
    none was known.
    """
    if volunteers is None:
        return typical
    return np.where((volunteers >= 1) & np.isfinite(typical), volunteers, typical).astype(
        np.float64
    )


def _places(columns: tuple[str, ...], asked_of: tuple[str, ...]) -> list[int]:
    """Per answer, the column of those who are asked; -1 for everybody."""
    return [columns.index(name) if name else -1 for name in asked_of]


# ---- TOML


_LISTS = {
    "columns": str,
    "asked_of": str,
    "galaxies": int,
    "typical": float,
    "quantiles": float,
    "volunteers": float,
}
_OPTIONAL = ("by_difficulty", "volunteers")


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a calibration, each of its own type; what is missing, unknown or of another
    type is named.
    """
    names = [entry.name for entry in fields(PredictionIntervals)]
    if unknown := [key for key in data if key not in names]:
        raise DataError(f"it has the unknown key {unknown[0]!r}")
    if missing := [key for key in names if key not in data and key not in _OPTIONAL]:
        raise DataError(f"it has no {', '.join(missing)}")
    for key, value in data.items():
        kind, listed = _LISTS.get(key, str if key == "of" else float), key in _LISTS
        items = cast("list[Any]", value) if listed and isinstance(value, list) else [value]
        if isinstance(value, list) != listed or any(type(item) is not kind for item in items):
            raise DataError(f"{key} is not {'a list of ' if listed else ''}{kind.__name__}")
    if data["of"] not in get_args(ValueKind):
        raise DataError(f"of is {data['of']!r}; expected one of {', '.join(get_args(ValueKind))}")
    known = {key: tuple(value) if key in _LISTS else value for key, value in data.items()}
    return {"by_difficulty": None, "volunteers": (math.inf,) * len(known["columns"])} | known
