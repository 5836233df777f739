"""The 2014 challenge: predictions in the form of a submission, and where an error would stand on
the leaderboard.
"""

import tomllib
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.predictions import Predictions
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import new_file, replacing
from galaxyvotes.runtime.locks import locked
from galaxyvotes.sources.archives import Source
from galaxyvotes.tables.table import Table
from galaxyvotes.tree import DecisionTree

__all__ = ["lacking", "leaderboard", "leaderboard_place", "submit"]


def submit(
    predictions: Predictions,
    sample: str | Path,
    out: str | Path,
    *,
    means: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write predictions as a submission, in the form of a sample (a CSV, or a zip that holds one);
    the columns that were filled with `means`.

    The predictions may lack answers that have a mean, such as the mean votes of the training
    galaxies of their run (`runs.mean_labels`): all galaxies have that then.

    Rows are in the order of the sample, lines end as in the challenge's own files, and numbers are
    plain decimals with up to nine places. If `out` ends in .zip, it holds the CSV.

    Raises:
        ConfigError: `out` does not end in .csv or .zip, or is there, unless `overwrite`.
        DataError: The sample is no sample submission; an id is missing, or a column that has no
            mean; an id is not in it or there twice; a number is not in 0–1, or fractions are
            conditional.
    """
    out = new_file(out, overwrite=overwrite)
    if out.suffix.lower() not in (".csv", ".zip"):
        raise ConfigError(f"{out}: a submission ends in .csv or .zip")
    header, ids, name = _header_and_ids(sample)
    filled = tuple(column for column in header[1:] if column not in predictions.columns)
    predictions = _filled(predictions, filled, means or {})
    _check(predictions, header, ids, name)
    row_of = {name: row for row, name in enumerate(predictions.ids)}
    columns = [predictions.columns.index(column) for column in header[1:]]
    values = predictions.values[[row_of[name] for name in ids]][:, columns]
    _refuse_conditional(header[1:], values, filled)
    outside = ~((values >= 0) & (values <= 1))  # so written, NaN is outside, too
    if outside.any():
        row, column = np.argwhere(outside)[0].tolist()
        raise DataError(
            f"galaxy {ids[row]}: {header[1:][column]} is {values[row, column]:g}; a submission's"
            " numbers lie in 0–1"
        )
    lines = [",".join(header)]
    lines += [_line(name, row) for name, row in zip(ids, values.tolist(), strict=True)]
    text = "\r\n".join(lines) + "\r\n"
    with locked(out), replacing(out) as partial:
        if out.suffix.lower() == ".zip":
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(out.stem.removesuffix(".csv") + ".csv", text)
        else:
            partial.write_bytes(text.encode())
    return filled


def lacking(predictions: Predictions, sample: str | Path) -> tuple[str, ...]:
    """The columns of a sample submission that the predictions do not have.

    Raises DataError if it is no sample submission.
    """
    return tuple(each for each in _header_and_ids(sample)[0][1:] if each not in predictions.columns)


def _header_and_ids(sample: str | Path) -> tuple[list[str], list[str], str]:
    """The header of a sample submission, its ids, and the name of its table."""
    with Source.open(sample) as source:
        if len(source.tables) != 1:
            raise DataError(
                f"{sample} holds {counted(len(source.tables), 'table')}; a sample submission is"
                " one CSV"
            )
        table = Table(source.tables[0].name, source.tables[0].read())
    header = table.header()
    return header, table.texts(header[0]), table.name


def _filled(
    predictions: Predictions, columns: Sequence[str], means: Mapping[str, float]
) -> Predictions:
    """The predictions with further columns, as far as these have a mean."""
    more = [column for column in columns if column in means]
    values = np.array([means[column] for column in more], np.float32)
    values = np.repeat(values[None], len(predictions), axis=0)
    return Predictions(
        predictions.ids,
        (*predictions.columns, *more),
        np.concatenate([predictions.values, values], axis=1),
        predictions.id_name,
    )


def _check(predictions: Predictions, header: list[str], ids: list[str], sample: str) -> None:
    missing_columns = [column for column in header[1:] if column not in predictions.columns]
    if missing_columns:
        raise DataError(
            f"the predictions have no {_examples(missing_columns, 'column')}, which {sample}"
            " asks for: name their run, `run=…`, whose mean votes fill what it does not predict"
        )
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise DataError(
            f"{sample} asks twice for {_examples(twice, 'galaxy', 'galaxies')}; it is no sample"
            " submission"
        )
    known, given = set(ids), set(predictions.ids)
    problems: list[str] = []
    if duplicated := [name for name, count in Counter(predictions.ids).items() if count > 1]:
        problems.append(f"given twice: {_examples(duplicated, 'galaxy', 'galaxies')}")
    if missing := sorted(known - given):
        problems.append(f"missing: {_examples(missing, 'galaxy', 'galaxies')}")
    if extra := sorted(given - known):
        problems.append(f"not asked for: {_examples(extra, 'galaxy', 'galaxies')}")
    if problems:
        way_out = ". Keep only the rows of galaxies that it asks for" if extra else ""
        raise DataError(
            f"the predictions are not what {sample} asks for: {'; '.join(problems)}{way_out}"
        )


def _refuse_conditional(
    columns: list[str], values: Float[np.ndarray, "galaxy answer"], filled: Sequence[str]
) -> None:
    """Refuse conditional fractions: they add up to 1 even where few volunteers were asked.
    Questions with a filled answer say nothing of that.
    """
    challenge = DecisionTree.load("kaggle")
    if sorted(columns) != sorted(challenge.columns):
        return
    place = {column: number for number, column in enumerate(columns)}
    asked = [
        question
        for question in challenge.questions
        if question.asked_of is not None
        and not {str(question.asked_of), *(answer.column for answer in question.answers)}
        & {*filled}
    ]
    if not asked:
        return
    parents = values[:, [place[str(question.asked_of)] for question in asked]]
    sums = np.stack(
        [values[:, [place[a.column] for a in question.answers]].sum(axis=1) for question in asked],
        axis=1,
    )
    few = parents < 0.9
    if few.any() and (np.isnan(sums[few]) | (np.abs(sums[few] - 1) < 0.01)).mean() > 0.9:
        raise DataError(
            "the predictions are fractions of those who were asked, and a submission wants those of"
            " everybody: predict again with `fractions='joint'`"
        )


def _line(name: str, values: list[float]) -> str:
    numbers = [f"{abs(value):.9f}".rstrip("0").rstrip(".") for value in values]  # -0 becomes 0
    return ",".join([name, *numbers])


def _examples(names: list[str], one: str, many: str | None = None) -> str:
    what = one if len(names) == 1 else many or one + "s"
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return f"{len(names):,} {what} ({shown})"


@cache
def leaderboard() -> dict[str, Any]:
    """The contents of `leaderboard.toml`."""
    return tomllib.loads(
        (resources.files("galaxyvotes.reports") / "leaderboard.toml").read_text("utf-8")
    )


def leaderboard_place(rmse: float) -> dict[str, Any]:
    """Between which known places of the 2014 leaderboard an RMSE would stand, in numbers and as a
    sentence.

    `better` is the nearest known place at or above it, `worse` the nearest below; None beyond the
    ends.
    """
    board = leaderboard()
    places, teams, benchmark = board["place"], board["teams"], board["benchmark"]
    better = next((place for place in reversed(places) if place["rmse"] <= rmse), None)
    worse = next((place for place in places if place["rmse"] > rmse), None)

    def named(place: Mapping[str, Any]) -> str:
        return f"place {place['rank']} ({place['rmse']:.5f})"

    if better is None:
        where = f"ahead of {named(places[0])}"
    elif worse is not None:
        where = f"between {named(better)} and {named(worse)}"
    else:
        side = "ahead of" if rmse < benchmark["rmse"] else "level with or behind"
        where = (
            f"after {named(better)}, the last one known, and {side} the {benchmark['name']}"
            f" ({benchmark['rmse']:.5f})"
        )
    keep = ("rank", "rmse")
    return {
        "rmse": rmse,
        "better": better and {key: better[key] for key in keep},
        "worse": worse and {key: worse[key] for key in keep},
        "teams": teams,
        "sentence": f"An RMSE of {rmse:.4f} would stand {where} among {teams} teams.",
        "caveat": (
            "Only a rough comparison: the leaderboard was computed on the challenge's own"
            f" {board['galaxies']:,} test galaxies, whose votes are not public, and those teams had"
            " 61,578 galaxies to learn from."
        ),
        "title": board["title"],
    }
