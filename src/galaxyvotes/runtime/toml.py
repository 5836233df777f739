"""TOML texts as typed, checked objects: recipes, trees, calibrations.

msgspec makes the dataclass or `msgspec.Struct`. It stops at the first value that does not fit, in
words for programmers, and a dataclass takes any key. So a table is first compared with the type,
to say what is wrong in words for whoever wrote the file: which key, what stands there, what was
expected, and which name is nearest to a misspelt one.
"""

import difflib
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from galaxyvotes.errors import ConfigError, GalaxyVotesError

__all__ = ["from_table", "parsed"]

Made = TypeVar("Made")

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
}
_ITEMS = {int: "whole numbers", float: "numbers", str: "names"}


def parsed(
    text: str, origin: str, *, error: type[GalaxyVotesError] = ConfigError
) -> dict[str, Any]:
    """The table in a TOML text; `origin` names it in errors.

    Raises `error` if the text is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{origin}: not TOML: {reason}") from None


def from_table(
    table: dict[str, Any],
    kind: type[Made],
    origin: str,
    *,
    strict: bool = True,
    noun: str = "key",
    error: type[GalaxyVotesError] = ConfigError,
) -> Made:
    """The object of that kind, a dataclass or Struct, in a TOML table.

    Lists of tables become tuples of objects. Unless `strict`, numbers may stand in quotes. `noun`
    is what errors call a key, `origin` the file.

    Raises `error` for a key that is unknown or missing, for a value of another type, and for what
    the object itself refuses with that error.
    """
    for problem in _problems(table, kind, _Place(kind, noun), strict):
        raise error(f"{origin}: {problem}")
    try:
        return msgspec.convert(table, kind, strict=strict)
    except error as refusal:
        raise error(f"{origin}: {refusal}") from None


class _Place:
    """Where in a file a table stands, in words: `train.`, or `question 2, answer 1: `."""

    def __init__(self, root: Any, noun: str, item: str = "", section: str = "") -> None:
        self.root, self.noun, self.item, self.section = root, noun, item, section

    def within(self, key: str, number: int | None = None) -> "_Place":
        """The place of the section of that name, or of its table of that number."""
        if number is None:
            return _Place(self.root, self.noun, self.item, f"{self.section}{key}.")
        item = f"{self.item}, " if self.item else ""
        return _Place(self.root, self.noun, f"{item}{self.section}{key} {number}")

    def says(self, problem: str) -> str:
        """The problem, after the item it is in."""
        return f"{self.item}: {problem}" if self.item else problem


def _problems(table: dict[str, Any], kind: Any, place: _Place, strict: bool) -> Iterator[str]:
    """What is wrong with a table, in its order."""
    known = _keys(kind)
    for key, value in table.items():
        name = f"{place.section}{key}"
        if key not in known:
            hint = _nearest(key, known, place)
            yield place.says(f"unknown {place.noun} {name}{hint}")
            continue
        expected = _without_none(known[key][0])
        if _is_record(expected):
            if isinstance(value, dict):
                yield from _problems(
                    cast("dict[str, Any]", value), expected, place.within(key), strict
                )
            else:
                yield place.says(f"{name} is {value!r}; expected a section, [{name}]")
        elif _is_record(item := _item_of(expected)):
            tables = cast("list[Any]", value)
            if not isinstance(value, list) or not all(isinstance(each, dict) for each in tables):
                yield place.says(f"{name} is {value!r}; expected one or more tables, [[{name}]]")
            else:
                for number, each in enumerate(tables, 1):
                    yield from _problems(each, item, place.within(key, number), strict)
        elif not _fits(value, known[key][0], strict):
            yield place.says(f"{name} is {value!r}; expected {_words_for(expected)}")
    if missing := [
        f"{place.section}{key} ({_words_for(_without_none(kind))})"
        for key, (kind, required) in known.items()
        if required and key not in table
    ]:
        yield place.says(f"it has no {' and no '.join(missing)}")


def _fits(value: Any, kind: Any, strict: bool) -> bool:
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


@cache
def _keys(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Per key of a file: the type of its value, and whether it must be there."""
    types = get_type_hints(kind)
    if issubclass(kind, msgspec.Struct):
        known = msgspec.structs.fields(kind)
        return {field.encode_name: (types[field.name], field.required) for field in known}
    return {
        field.name: (
            types[field.name],
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
    }


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, msgspec.Struct))


def _item_of(kind: Any) -> Any:
    """The type of the items of a tuple; None if it is no tuple."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _without_none(kind: Any) -> Any:
    """The type of a value that may be left out."""
    if get_origin(kind) in (Union, UnionType):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind


def _words_for(kind: Any) -> str:
    """What a value of that type is called."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if _is_record(_item_of(kind)):
        return "one or more tables"
    if get_origin(kind) is tuple:
        return f"a list of {_ITEMS[_item_of(kind)]}"
    return _EXPECTED[kind]


def _nearest(key: str, known: dict[str, Any], place: _Place) -> str:
    """Which name may be meant by an unknown one: the same in another section, else one like it."""
    elsewhere = [name for name in _sections(place.root) if name.endswith(f".{key}")]
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    meant = elsewhere[:1] or [place.section + name for name in near]
    listed = ", ".join(place.section + name for name in known)
    return f"; did you mean {meant[0]}?" if meant else f"; known are {listed}"


def _sections(kind: Any, section: str = "") -> Iterator[str]:
    """Every key of a type's sections, section.name."""
    for key, (expected, _) in _keys(kind).items():
        if _is_record(_without_none(expected)):
            yield from _sections(_without_none(expected), f"{section}{key}.")
        else:
            yield section + key
