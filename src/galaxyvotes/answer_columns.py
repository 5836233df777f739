"""What the columns of a table of predictions are called, and what they mean.

The id comes first, then an answer a column, then the lower ends of all prediction intervals, the
upper ones, and the familiarity. UCDs are words of the IVOA's list (UCD1+ 1.6).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from galaxyvotes.questions import BOUNDS, FAMILIARITY, Answer, Question
from galaxyvotes.table_formats.columns import column, with_meta
from galaxyvotes.table_settings import Naming
from galaxyvotes.tree import DecisionTree

__all__ = ["ANSWERS", "answer_names", "identifiers", "table_schema"]

ANSWERS = "answers"  # the fact about a table that names its answers as the tree does

_NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9_]+")


def answer_names(
    answers: Sequence[str], naming: Naming, tree: DecisionTree | None = None
) -> tuple[str, ...]:
    """What a table calls these answers: as the tree does, as variables of programs may be called
    (letters, digits and underlines), or as Galaxy Zoo's catalogues call conditional fractions.

    The last are what the tree says of tables of such fractions (`{answer}_fraction` for GZ DECaLS
    and GZ2), or the name of the question, the words of the answer and `fraction`.
    """
    if naming == "galaxyzoo" and tree is not None:
        return tuple(map(_published_names(tree).__getitem__, answers))
    return identifiers(answers) if naming == "identifier" else tuple(answers)


def identifiers(names: Sequence[str]) -> tuple[str, ...]:
    """The names with letters, digits and underlines only, all different whatever their case."""
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        plain = _NO_IDENTIFIER.sub("_", name).strip("_") or "column"
        plain = f"c_{plain}" if plain[0].isdigit() else plain
        number, unique = 1, plain
        while unique.lower() in taken:
            number += 1
            unique = f"{plain}_{number}"
        taken.add(unique.lower())
        result.append(unique)
    return tuple(result)


def table_schema(
    answers: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    id_name: str = "id",
    tree: DecisionTree | None = None,
    bounds: bool = False,
    familiarity: bool = False,
    meta: Mapping[str, Any] | None = None,
) -> pa.Schema:
    """The columns of a table of predictions for these answers, called `names`, with what they
    mean in the tree; `meta` are facts about the whole table, to which the answers are added if they
    are called otherwise there.
    """
    names, meta = answers if names is None else names, dict(meta or {})
    if [*names] != [*answers]:
        meta[ANSWERS] = json.dumps([*answers])
    meanings = {} if tree is None else _meanings(tree)
    units: Mapping[str, str] = {} if tree is None else tree.units
    ucd = (
        "src.morph" if tree is not None and not tree.kind.bounded else "stat.probability;src.morph"
    )
    fields = [
        column(id_name, pa.string(), description="name of the image", ucd="meta.id;meta.main")
    ]
    for answer, name in zip(answers, names, strict=True):
        fields.append(_number(name, meanings.get(answer, ""), ucd, units.get(answer, "")))
    for end, side, which in zip(BOUNDS, ("lower", "upper"), ("min", "max"), strict=True):
        for answer, name in zip(answers, names, strict=True) if bounds else ():
            meaning = f"{side} end of the prediction interval: {meanings.get(answer, answer)}"
            ends = _number(name + end, meaning, f"{ucd};stat.{which}", units.get(answer, ""))
            fields.append(ends)
    if familiarity:
        meaning = "fraction of the calibration galaxies that are less typical"
        fields.append(_number(FAMILIARITY, meaning, "stat.probability"))
    return with_meta(pa.schema(fields), meta)


def _number(name: str, description: str, ucd: str, unit: str = "") -> pa.Field:
    return column(name, pa.float32(), description=description, ucd=ucd, unit=unit)


def _meanings(tree: DecisionTree) -> dict[str, str]:
    """What each answer's number is, in the words of its question and the answer's own."""
    return {answer.column: _meaning(question, answer) for question, answer in _pairs(tree)}


def _meaning(question: Question, answer: Answer) -> str:
    return answer.text if question.quantity else f"{question.text} {answer.text}"


def _published_names(tree: DecisionTree) -> dict[str, str]:
    """What catalogues call the conditional fraction of each answer."""
    patterns = [table for table in tree.tables if table.holds == "conditional"]
    pattern = next((table for table in patterns if table.name == "fraction"), None)
    if pattern is not None:
        return {answer: pattern.of(answer) for answer in tree.columns}
    return {
        answer.column: f"{question.name}_{_hyphened(answer.text)}_fraction"
        for question, answer in _pairs(tree)
    }


def _pairs(tree: DecisionTree) -> list[tuple[Question, Answer]]:
    return [(question, answer) for question in tree.questions for answer in question.answers]


def _hyphened(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))
