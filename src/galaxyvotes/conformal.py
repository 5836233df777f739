"""How far off a predicted vote fraction may be: intervals that hold at a stated rate, whatever made the prediction.

Split conformal prediction. On galaxies that taught nothing, each answer's errors are divided by a scale that says where
errors are expected to be large, and a high quantile of these ratios is kept. A new galaxy's interval is its prediction
± quantile × its scale. If it is exchangeable with the calibration galaxies, the interval of an answer holds the
volunteers' fraction with a chance of at least the coverage, and at most that + 1 / (n + 1) unless errors tie, whatever
the predictor, the scale and the distribution. The chance is over calibration sets and galaxies together: that of one
calibration set varies, as Beta(k, n + 1 − k), by ± 0.03 for n = 100; and it is an average over galaxies, so a kind that
is rare and hard may be covered less.

What was chosen, and why:

- **The scale and the quantile never see the same galaxy.** A third of the galaxies, drawn from the seed, gives the
  scale, the rest the quantiles, so that the scale is a fixed function when the quantiles are taken and the guarantee is
  exact. Cross-fitting (CV+) would use every galaxy twice, but promises only 1 − 2α and must keep every score.
- **The scale is shared, the quantile is each answer's own** (Mondrian). A quantile absorbs how large an answer's errors
  are; the scale (see `scale`) only has to say how they vary, and three weights over all answers are what two dozen
  galaxies can tell.
- **An answer with too few galaxies gets 0–1**: its quantile is infinite, as the definition has it, and the guarantee
  stands. A quantile pooled over answers would look sharper and promise nothing for that answer.

- **Quantities have no range and no panel.** Their scale is what is typical of them and how difficult the galaxy is, in
  the unit of their own deviation; bounds are not clipped, and with too few galaxies there are none.

An interval is for what a *panel* says: the sampling noise of the calibration panels is in the errors, so it is in the
interval. For panels of another size, or the fraction behind them, see `volunteers` in `Calibration.bounds`.

Sources: Papadopoulos et al. 2002, ECML, 345 (split conformal); Lei et al. 2018, JASA 113, 1094, theorem 2.2 and section
5.2 (errors over their scale); Vovk et al. 2005, Algorithmic Learning in a Random World, section 4.5 (Mondrian); Barber
et al. 2021, Annals of Statistics 49, 486 (CV+); Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning
16, 494, section 3.2 (the Beta law).
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import tomlkit
from jaxtyping import Float, Int

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.scale import Cells, Of, Terms, cells_of, fit_weights, scale_of, terms_of, typical_variance
from galaxyvotes.tree import DecisionTree

__all__ = ["Bounds", "Calibration", "calibrate", "galaxies_needed"]

COVERAGE = 0.9
MIN_ASKED = 0.25
SCALE_SHARE = 1 / 3

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits

Fractions = Float[np.ndarray, "galaxy answer"]


class Bounds(NamedTuple):
    """The ends of each cell's interval around the prediction, of fractions in 0–1; NaN where a cell has none."""

    lower: Fractions
    upper: Fractions


@dataclass(frozen=True)
class Calibration:
    """Turns predicted joint fractions or quantities into intervals; made by `calibrate`, kept as TOML.

    Per answer (`columns`): the answer whose givers are asked (`asked_of`; empty: everybody), how many galaxies gave its
    quantile, its `typical` variance (of a quantity, that of its values), and its `quantile`, infinite if they were too
    few. The weights `by_…` are those of `scale`; the last is None if there was no difficulty. `volunteers` is the size
    of the calibration panels, None if it is not known.
    """

    of: Of | Literal["quantity"]
    coverage: float
    min_asked: float
    volunteers: float | None
    by_fraction: float
    by_answer: float
    by_difficulty: float | None
    columns: tuple[str, ...]
    asked_of: tuple[str, ...]
    galaxies: tuple[int, ...]
    typical: tuple[float, ...]
    quantiles: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be a calibration."""
        per_answer = (self.asked_of, self.galaxies, self.typical, self.quantiles)
        sizes = (self.by_fraction, self.by_answer, self.by_difficulty or 0.0, *self.typical, *self.quantiles)
        if not 0 < self.coverage < 1:
            raise DataError(f"coverage is {self.coverage}; expected it between 0 and 1")
        if not 0 < self.min_asked <= 1:
            raise DataError(f"min_asked is {self.min_asked}; expected it above 0, up to 1")
        if self.volunteers is not None and not self.volunteers >= 1:
            raise DataError(f"volunteers is {self.volunteers}; expected 1 or more")
        if any(len(values) != len(self.columns) for values in per_answer):
            raise DataError(f"its lists differ in length; expected {len(self.columns)} values, one a column")
        if unknown := [name for name in self.asked_of if name and name not in self.columns]:
            raise DataError(f"asked_of names {unknown[0]!r}, which is not among its columns")
        if not all(size >= 0 for size in sizes):  # so written, NaN is refused, too
            raise DataError("a weight, a typical variance or a quantile is not 0 or more")

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Answers with too few calibration galaxies, whose intervals are 0–1; quantities of that kind have none."""
        return tuple(name for name, q in zip(self.columns, self.quantiles, strict=True) if math.isinf(q))

    def bounds(
        self, predicted: Fractions, difficulty: Fractions | None = None, *, volunteers: float | None = None
    ) -> Bounds:
        """The interval of each cell, from predicted joint fractions (0–1) in the order of `columns`.

        `difficulty` is given if and only if it was when calibrating, and measured the same way. Of conditional
        fractions, cells with fewer than `min_asked` predicted to be asked are NaN.

        Without `volunteers` an interval is for a panel like those of calibration. With it, it is for a panel of that
        many (infinite: for the fraction behind all panels): the half width h becomes √(h² + z² u(1 − u)(1/n − 1/N)),
        z the normal quantile of the coverage, N the calibration panels, u the fraction within the interval that gives
        the wider result; of conditional fractions n and N count those asked. That is the binomial variance, added or
        taken away as if errors were normal: an approximation, on the safe side, without the exact guarantee.
        """
        if self.of == "quantity" and volunteers is not None:
            raise ConfigError("a quantity is nobody's vote, so its intervals are for no panel: leave out volunteers")
        _check(predicted, len(self.columns), self.of)
        if (difficulty is None) != (self.by_difficulty is None):
            said = "without" if self.by_difficulty is None else "with"
            raise ValueError(f"this was calibrated {said} difficulty: it must be used {said} it")
        weights = np.array([self.by_fraction, self.by_answer, self.by_difficulty or 0.0])
        if self.of == "quantity":
            _check_difficulty(difficulty, predicted)
            unit, quantile = np.sqrt(self.typical), np.array(self.quantiles)
            half = np.where(np.isinf(quantile), np.nan, quantile) * unit
            half = half * scale_of(_quantity_terms(predicted, difficulty, unit), weights)
            return Bounds(predicted - half, predicted + half)
        cells = cells_of(predicted, _places(self.columns, self.asked_of), self.of, self.min_asked)
        _check_difficulty(difficulty, cells.fractions)
        half = np.array(self.quantiles) * scale_of(terms_of(cells, np.array(self.typical), difficulty), weights)
        return _around(cells, half if volunteers is None else self._for_panel(half, cells, volunteers))

    def _for_panel(self, half: Fractions, cells: Cells, volunteers: float) -> Fractions:
        """Half widths for panels of another size."""
        if self.volunteers is None:
            raise ConfigError(
                "intervals for a panel of another size need the size of the calibration panels, which is not known:"
                " calibrate with volunteers=… (how many people a galaxy's fractions come from)"
            )
        if not volunteers >= 1:
            raise ConfigError(f"a panel of {volunteers} volunteers; expected 1 or more")
        surplus = 1 / volunteers - 1 / self.volunteers
        lower, upper = _around(cells, half)
        least = np.minimum(lower * (1 - lower), upper * (1 - upper))
        middle = np.clip(0.5, lower, upper)
        variance = (middle * (1 - middle) if surplus > 0 else least) * surplus
        if self.of == "conditional":
            variance = variance / np.maximum(cells.asked, self.min_asked)
        return np.sqrt(np.maximum(half**2 + NormalDist().inv_cdf((1 + self.coverage) / 2) ** 2 * variance, 0))

    def to_toml(self) -> str:
        """All of it as TOML; `from_toml` reads it back equal, to the last bit."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return tomlkit.dumps({key: list(value) if key in _LISTS else value for key, value in known.items()})

    @staticmethod
    def from_toml(text: str, origin: str = "calibration") -> "Calibration":
        """The calibration in a TOML text; `origin` names it in errors."""
        try:
            return Calibration(**_typed(tomllib.loads(text)))
        except (DataError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"{origin} is no calibration: {error}. Calibrate again") from None


# ---- calibrating


def calibrate(
    truth: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    difficulty: Fractions | None = None,
    *,
    of: Of | Literal["quantity"] = "joint",
    coverage: float = COVERAGE,
    min_asked: float = MIN_ASKED,
    volunteers: float | None = None,
    columns: Sequence[str] | None = None,
    seed: int = 0,
) -> Calibration:
    """What gives intervals for joint or conditional fractions or quantities, from galaxies the predictor never saw.

    Galaxies that taught it, or chose its best epoch, do not do: their errors are too small.

    Both arrays are joint fractions (0–1); NaN in the truth is not known, and left out answer by answer. `difficulty` (0
    or more, in any unit) is a spread of the predictions over views or networks, of the kind of fraction that intervals
    are for. `columns` names the answers that the arrays hold, if not all of the tree's. `volunteers` is how many people
    a galaxy's fractions come from (harmonic mean), for `Calibration.bounds`.

    Of conditional fractions, a cell counts if at least `min_asked` of everybody were asked, by the volunteers and by
    the prediction; the guarantee is for galaxies of which both are true.

    DataError if no answer has enough galaxies for the coverage; it says how many are needed.
    """
    if not 0 < coverage < 1 or not 0 < min_asked <= 1 or not (volunteers is None or volunteers >= 1):
        raise ConfigError(
            f"coverage {coverage}, min_asked {min_asked}, volunteers {volunteers}:"
            " expected a coverage between 0 and 1, min_asked above 0 up to 1, and 1 volunteer or more"
        )
    names = tree.columns if columns is None else tuple(columns)
    if (of == "quantity") != tree.of_quantities:
        what = "quantities" if tree.of_quantities else "fractions"
        raise ConfigError(f"tree {tree.name!r} asks for {what}, and these intervals are of {of!r}")
    _check(predicted, len(names), of)
    if truth.shape != predicted.shape:
        raise ValueError(f"the truth has shape {truth.shape}, the predictions have {predicted.shape}")
    if of == "quantity":
        _check_difficulty(difficulty, predicted)
        errors = np.abs(truth.astype(np.float64) - predicted)
        for_scale, for_quantile = _parts(errors, seed)
        asked_of, typical = ("",) * len(names), _variances(truth[for_scale])
        errors, terms = errors / np.sqrt(typical), _quantity_terms(predicted, difficulty, np.sqrt(typical))
    else:
        asked_of = _asked_of(tree, names, of)
        cells, known = (cells_of(part, _places(names, asked_of), of, min_asked) for part in (predicted, truth))
        _check_difficulty(difficulty, cells.fractions)
        errors = np.abs(known.fractions - cells.fractions)
        for_scale, for_quantile = _parts(errors, seed)
        typical = typical_variance(cells, for_scale)
        terms = terms_of(cells, typical, difficulty)
    weights = fit_weights(terms[for_scale], errors[for_scale])
    scores = errors[for_quantile] / scale_of(terms[for_quantile], weights)
    quantiles = tuple(_quantile(column[~np.isnan(column)], coverage) for column in scores.T)
    if all(math.isinf(quantile) for quantile in quantiles):
        most = np.count_nonzero(~np.isnan(errors), axis=0).max(initial=0)
        raise DataError(
            f"intervals of {coverage:.4g} coverage need {galaxies_needed(coverage)} calibration galaxies or more whose"
            f" fractions are known; here are {most}. Give more galaxies, or ask for a lower coverage"
        )
    by_fraction, by_answer, by_difficulty = weights.tolist()
    return Calibration(
        of=of,
        coverage=coverage,
        min_asked=min_asked,
        volunteers=None if volunteers is None else float(volunteers),
        by_fraction=by_fraction,
        by_answer=by_answer,
        by_difficulty=None if difficulty is None else by_difficulty,
        columns=names,
        asked_of=asked_of,
        galaxies=tuple(np.count_nonzero(~np.isnan(scores), axis=0).tolist()),
        typical=tuple(typical.tolist()),
        quantiles=quantiles,
    )


def galaxies_needed(coverage: float = COVERAGE) -> int:
    """The smallest calibration set, of galaxies whose fractions are all known, that gives finite intervals."""
    number = 1
    while _rank(number - _for_scale(number), coverage) > number - _for_scale(number):
        number += 1
    return number


def _for_scale(galaxies: int) -> int:
    """How many galaxies of a calibration set give the scale."""
    return round(galaxies * SCALE_SHARE)


def _rank(galaxies: int, coverage: float) -> int:
    """Which of the scores in rising order is the quantile: ⌈(n + 1)(1 − α)⌉. Source: Lei et al. 2018, section 2.2."""
    return math.ceil((galaxies + 1) * coverage - 1e-9)


def _quantile(scores: Float[np.ndarray, " galaxy"], coverage: float) -> float:
    """The finite-sample quantile; infinite if there are too few scores for it."""
    rank = _rank(len(scores), coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def _parts(errors: Fractions, seed: int) -> tuple[Int[np.ndarray, " one"], Int[np.ndarray, " other"]]:
    """The galaxies that give the scale, and those that give the quantiles; those without a known error give nothing."""
    known = np.flatnonzero(~np.isnan(errors).all(axis=1))
    drawn = np.random.default_rng(seed).permutation(known)
    return drawn[: _for_scale(len(known))], drawn[_for_scale(len(known)) :]


# ---- cells


def _check(predicted: Fractions, answers: int, of: str) -> None:
    if predicted.shape[1] != answers:
        raise ValueError(f"{predicted.shape[1]} columns of fractions for {answers} answers")
    if of == "quantity":
        if not np.isfinite(predicted).all():
            raise ValueError("a prediction is NaN or infinite")
    elif not ((predicted >= -_ROUNDING) & (predicted <= 1 + _ROUNDING)).all():
        raise ValueError("a prediction is not in 0–1")


def _check_difficulty(difficulty: Fractions | None, cells: Fractions) -> None:
    if difficulty is None:
        return
    if difficulty.shape != cells.shape:
        raise ValueError(f"the difficulty has shape {difficulty.shape}, the predictions have {cells.shape}")
    if not (np.isnan(cells) | (np.isfinite(difficulty) & (difficulty >= 0))).all():
        raise ValueError("a difficulty is negative, NaN or infinite")


def _around(cells: Cells, half: Fractions) -> Bounds:
    return Bounds((cells.fractions - half).clip(0, 1), (cells.fractions + half).clip(0, 1))


def _quantity_terms(values: Fractions, difficulty: Fractions | None, unit: Float[np.ndarray, " answer"]) -> Terms:
    """The terms of a quantity's s² in its own unit: nothing for its size, one for what is typical, d²."""
    squared = np.zeros(values.shape) if difficulty is None else (difficulty / unit) ** 2
    return np.stack([np.zeros(values.shape), np.ones(values.shape), squared], axis=-1)


def _variances(values: Fractions) -> Float[np.ndarray, " answer"]:
    """The variance of each quantity's known values; 1 where they do not vary."""
    known = [column[~np.isnan(column)].astype(np.float64) for column in values.T]
    return np.array([column.var() if len(column) and np.ptp(column) > 0 else 1.0 for column in known])


def _asked_of(tree: DecisionTree, names: tuple[str, ...], of: Of) -> tuple[str, ...]:
    """Per answer, the answer whose givers are asked; empty if that is everybody, or is not held."""
    if wrong := [name for name in names if name not in tree.columns]:
        raise ConfigError(f"tree {tree.name!r} has no answer {wrong[0]!r}; its answers are {', '.join(tree.columns)}")
    parents = {answer.column: question.asked_of or "" for question, _ in tree for answer in question.answers}
    lost = [name for name in names if parents[name] and parents[name] not in names]
    if lost and of == "conditional":
        raise ConfigError(f"the conditional fraction of {lost[0]} needs that of {parents[lost[0]]}: add this column")
    return tuple("" if name in lost else parents[name] for name in names)


def _places(columns: tuple[str, ...], asked_of: tuple[str, ...]) -> list[int]:
    """Per answer, the column of those who are asked; -1 for everybody."""
    return [columns.index(name) if name else -1 for name in asked_of]


# ---- TOML


_LISTS = {"columns": str, "asked_of": str, "galaxies": int, "typical": float, "quantiles": float}
_OPTIONAL = ("volunteers", "by_difficulty")


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a calibration, each of its own type; what is missing, unknown or of another type is named."""
    names = [entry.name for entry in fields(Calibration)]
    if unknown := [key for key in data if key not in names]:
        raise DataError(f"it has the unknown key {unknown[0]!r}")
    if missing := [key for key in names if key not in data and key not in _OPTIONAL]:
        raise DataError(f"it has no {', '.join(missing)}")
    for key, value in data.items():
        kind, listed = _LISTS.get(key, str if key == "of" else float), key in _LISTS
        items = cast("list[Any]", value) if listed and isinstance(value, list) else [value]
        if isinstance(value, list) != listed or any(type(item) is not kind for item in items):
            raise DataError(f"{key} is not {'a list of ' if listed else ''}{kind.__name__}")
    if data["of"] not in (*get_args(Of), "quantity"):
        raise DataError(f"of is {data['of']!r}; expected one of {', '.join(get_args(Of))}, quantity")
    return dict.fromkeys(_OPTIONAL) | {k: tuple(value) if k in _LISTS else value for k, value in data.items()}
