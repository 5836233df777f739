"""Whoever wrote a file is told which key is wrong, what stands there and what was expected."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec
import pytest

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.toml import from_table, parsed


class Star(msgspec.Struct, frozen=True):
    name: str
    lines: tuple[float, ...] = ()


@dataclass(frozen=True)
class Camera:
    gain: float = 1.0
    pixels: int = 2048
    band: Literal["g", "r"] = "g"
    cooled: bool = True

    def __post_init__(self) -> None:
        if self.gain <= 0:
            raise ConfigError(f"gain is {self.gain}; expected it above 0")


@dataclass(frozen=True)
class Night:
    date: str
    camera: Camera = field(default_factory=Camera)
    spare: Camera | None = None
    stars: tuple[Star, ...] = ()
    seeing: float | None = None


def test_a_table_becomes_the_object_with_its_sections_and_lists_of_tables():
    text = """
    date = "2026-11-28"
    [camera]
    gain = 2
    [[stars]]
    name = "Vega"
    lines = [486.1, 656]
    """
    night = from_table(parsed(text, "night.toml"), Night, "night.toml")
    assert night == Night("2026-11-28", Camera(2.0), None, (Star("Vega", (486.1, 656.0)),))
    assert isinstance(night.camera.gain, float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "it has no date (a text in quotes)"),
        ({"date": 3}, "date is 3; expected a text in quotes"),
        ({"dat": ""}, "unknown key dat; did you mean date?"),
        ({"x": ""}, "unknown key x; known are date, camera, spare, stars, seeing"),
        ({"pixels": 8}, "unknown key pixels; did you mean camera.pixels?"),
        ({"date": "", "camera": 3}, "camera is 3; expected a section, [camera]"),
        ({"date": "", "spare": []}, "spare is []; expected a section, [spare]"),
        ({"date": "", "camera": {"gian": 3}}, "unknown key camera.gian; did you mean camera.gain?"),
        ({"date": "", "camera": {"gain": "3"}}, "camera.gain is '3'; expected a number"),
        ({"date": "", "camera": {"gain": True}}, "camera.gain is True; expected a number"),
        ({"date": "", "camera": {"pixels": 3.0}}, "camera.pixels is 3.0; expected a whole number"),
        ({"date": "", "camera": {"band": "i"}}, "camera.band is 'i'; expected one of g, r"),
        ({"date": "", "camera": {"cooled": 1}}, "camera.cooled is 1; expected true or false"),
        ({"date": "", "camera": {"gain": -1.0}}, "gain is -1.0; expected it above 0"),
        ({"date": "", "seeing": "good"}, "seeing is 'good'; expected a number"),
        (
            {"date": "", "stars": {"name": ""}},
            "stars is {'name': ''}; expected one or more tables, [[stars]]",
        ),
        ({"date": "", "stars": [3]}, "stars is [3]; expected one or more tables, [[stars]]"),
        ({"date": "", "stars": [{"name": ""}, {}]}, "stars 2: it has no name (a text in quotes)"),
        ({"date": "", "stars": [{"nam": ""}]}, "stars 1: unknown key nam; did you mean name?"),
        (
            {"date": "", "stars": [{"name": "", "lines": [1, "2"]}]},
            "stars 1: lines is [1, '2']; expected a list of numbers",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_expected(table, message):
    with pytest.raises(ConfigError) as error:
        from_table(table, Night, "night.toml")
    assert str(error.value) == f"night.toml: {message}"


def test_unless_it_is_strict_numbers_may_stand_in_quotes():
    assert from_table({"gain": "2.5", "pixels": 8.0}, Camera, "", strict=False) == Camera(2.5, 8)


def test_errors_are_of_the_kind_and_call_keys_what_the_caller_says():
    with pytest.raises(DataError, match=r"^here: unknown setting gian; did you mean gain\?$"):
        from_table({"gian": 3}, Camera, "here", noun="setting", error=DataError)
    with pytest.raises(DataError, match=r"^here: not TOML: Invalid value"):
        parsed("a = ", "here", error=DataError)
