"""Every setting and its default, in frozen dataclasses; named recipes; TOML in and out.

A recipe is a name (`paper`, `small`) or a TOML file, plus single settings such as
`train.learning_rate=1e-3`. The resolved recipe is saved with the run, so a run folder alone
rebuilds its network.
"""

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import tomlkit

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.files import read_text
from galaxyvotes.tree import DecisionTree

__all__ = [
    "RECIPES",
    "SKY_ZOOM",
    "LabelSettings",
    "ModelSettings",
    "PackSettings",
    "Recipe",
    "SplitSettings",
    "TrainSettings",
]

SKY_ZOOM = 1.2  # `train.augment` "sky" shows galaxies from 1 / 1.2 to 1.2 times their size


@dataclass(frozen=True)
class SplitSettings:
    """How galaxies are divided; the fractions add up to 1, and another key draws another division.

    `turn` turns a division on: with a fifth for testing, the turns 0, 0.2, 0.4, 0.6 and 0.8 test
    each galaxy once: a five-fold cross-validation.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    key: str = "galaxyvotes"
    turn: float = 0.0

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


@dataclass(frozen=True)
class LabelSettings:
    """Where the labels of a catalogue are, and how to read them; by default both are found.

    `table` names the table of votes where several fit; `tree` is the decision tree, a name or a
    `.toml` file; `votes` the kind of columns where a table has several (`weighted`, `debiased`,
    `votes` …); `classes` a column of class names, which becomes a tree of one question; `quantity`
    columns of numbers, which become a tree of quantities; `id_column` the column that names the
    images. With `unlabelled`, images without labels are kept, too.
    """

    table: str | None = None
    tree: str | Path | DecisionTree | None = None
    votes: str | None = None
    classes: str | None = None
    quantity: str | tuple[str, ...] = ()
    id_column: str | None = None
    unlabelled: bool = False

    def __post_init__(self) -> None:
        """Refuse labels that are votes and quantities at once."""
        if isinstance(self.quantity, str):
            object.__setattr__(self, "quantity", (self.quantity,))
        if self.quantity and not (
            self.tree is None and self.votes is None and self.classes is None
        ):
            raise ConfigError(
                f"quantity {self.quantity[0]!r} is a tree of its own: leave out tree, votes and classes"
            )


@dataclass(frozen=True)
class PackSettings:
    """Which square of an image is kept, in its own pixels (0: all of it), and the side it is
    resized to.
    """

    crop_px: int = 128
    size_px: int = 128

    def __post_init__(self) -> None:
        """Refuse sizes that no image can have."""
        if self.crop_px < 0 or not 8 <= self.size_px <= 2048:
            raise ConfigError(
                f"crop {self.crop_px} px, size {self.size_px} px: crop is 0 (all) or more, size"
                " from 8 to 2048"
            )


@dataclass(frozen=True)
class ModelSettings:
    """Which network; `batch_norm_momentum` is the weight of the newest batch in the running
    statistics.

    `name` is one of `models.MODELS` or `timm:NAME`, any encoder of timm's. `pretrained` is where
    the weights of such an encoder come from: nowhere (""), the ones timm names for it on the
    Hugging Face hub ("hub"), another repository there ("hf-hub:OWNER/REPOSITORY") or a folder.
    `width` and `depth` are those of `compact`, `dropout` is its and timm's. `views` is how many
    sides of an image an answer is the mean of: first the eight of the square, then those of the
    image turned by 45°; and of as many again at each of the `zooms`, such as 1.1. Turns and zooms
    are for networks trained with `train.augment` "sky", which has shown them such views.
    """

    name: str = "vgg6"
    batch_norm_momentum: float = 0.01
    width: int = 32
    depth: int = 1
    dropout: float = 0.2
    views: int = 1
    zooms: tuple[float, ...] = ()
    pretrained: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers that no network can have."""
        if not (8 <= self.width <= 1024 and 1 <= self.depth <= 16 and 0 <= self.dropout < 1):
            raise ConfigError(
                f"model.width {self.width}, depth {self.depth}, dropout {self.dropout}:"
                " expected 8 to 1024, 1 to 16, and from 0 up to 1"
            )
        if not 1 <= self.views <= 16:
            raise ConfigError(
                f"model.views is {self.views}; it lies in 1–16: the 8 sides of a square, then"
                " at 45°"
            )
        if not all(1 / SKY_ZOOM <= zoom <= SKY_ZOOM and zoom != 1 for zoom in self.zooms):
            raise ConfigError(
                f"model.zooms is {list(self.zooms)}; each lies in {1 / SKY_ZOOM:.2f}–{SKY_ZOOM}, as"
                " training shows galaxies at most, and is not 1, which is always there"
            )
        if not 0 < self.batch_norm_momentum <= 1:
            raise ConfigError(
                f"model.batch_norm_momentum is {self.batch_norm_momentum}; it lies above 0, up to 1"
            )


@dataclass(frozen=True)
class TrainSettings:
    """How it learns.

    `objective` is what a mistake costs, one of `objectives.OBJECTIVES`. `answers` names the only
    answers to learn (empty: all); `min_mean_fraction` keeps those whose mean fraction over the
    training galaxies reaches it; quantities it leaves alone. `balance` says how several stores
    share a batch: by their number of galaxies to that power. `schedule` "cosine" lets the learning
    rate rise over the first twentieth of the steps and then fall to nothing along half a cosine;
    "one_cycle" lets it rise along half a cosine for three tenths of them, from a 25th, and then
    fall along another. `weight_decay` is AdamW's; at 0 that is Adam. `clip_norm` is the longest
    gradient a step follows (0: any). With `average` above 0 the run ends with a running mean of the
    weights, which keeps this share of itself at each step. `patience` ends training after so many
    epochs without a lower validation loss (0: never). `keep` is which epoch's network the run ends
    with: the last, or the one with the lowest validation loss. `encoder_rate` is the share of the
    learning rate that a network uses before its last layer, for one that begins with weights of
    another run or `model.pretrained` (0: what comes before it stays as it was). `precision` "auto"
    is bfloat16 where the device multiplies it faster, else float32.
    """

    objective: str = "bce"
    epochs: int = 50
    batch_size: int = 256
    balance: float = 1.0
    learning_rate: float = 1e-3
    adam_epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    encoder_rate: float = 1.0
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    average: float = 0.0
    augment: Literal["none", "dihedral", "sky"] = "none"
    patience: int = 0
    keep: Literal["last", "best"] = "last"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    answers: tuple[str, ...] = ()
    min_mean_fraction: float = 0.0
    checkpoint_minutes: float = 5.0

    @property
    def chooses(self) -> bool:
        """Whether validation galaxies decide which epoch's network is kept; they are no strangers
        to it then.
        """
        return self.keep == "best" or self.patience > 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with."""
        for name, smallest in (
            ("epochs", 1),
            ("batch_size", 2),
            ("seed", 0),
            ("patience", 0),
            ("weight_decay", 0),
            ("clip_norm", 0),
            ("checkpoint_minutes", 0),
        ):
            if not getattr(self, name) >= smallest:
                raise ConfigError(
                    f"train.{name} is {getattr(self, name)}; the smallest is {smallest}"
                )
        for name in ("learning_rate", "adam_epsilon"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"train.{name} is {getattr(self, name)}; it lies between 0 and 1")
        for name in ("min_mean_fraction", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"train.{name} is {getattr(self, name)}; it lies in 0–1")
        for name in ("balance", "encoder_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"train.{name} is {getattr(self, name)}; it lies in 0–1")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run becomes, given a store."""

    name: str = "paper"
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    @staticmethod
    def load(source: "str | Path | Recipe", settings: Sequence[str] = ()) -> "Recipe":
        """A recipe by name, from a TOML file or as it is, with single settings such as
        `train.epochs=10` on top.
        """
        if isinstance(source, Recipe):
            recipe = source
        elif str(source) in RECIPES:
            recipe = RECIPES[str(source)]
        elif Path(source).suffix == ".toml":
            path = Path(source)
            if not path.is_file():
                raise ConfigError(f"no recipe file {path}")
            recipe = Recipe.from_toml(read_text(path), origin=str(path))
        else:
            raise ConfigError(
                f"no recipe {str(source)!r}{_nearest(str(source), RECIPES)}; or give a .toml file"
            )
        for setting in settings:
            recipe = recipe.changed(setting)
        return recipe

    def changed(self, setting: str) -> "Recipe":
        """This recipe with one setting, `section.name=value`, changed."""
        key, equals, value = setting.partition("=")
        path = key.strip().split(".")
        if not equals:
            raise ConfigError(
                f"--set {setting!r}: expected section.name=value, e.g. train.epochs=10"
            )
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value.strip()
        nested: dict[str, Any] = {path[-1]: parsed}
        for part in reversed(path[:-1]):
            nested = {part: nested}
        return _merge(self, nested, f"--set {setting}")

    def to_toml(self) -> str:
        """The whole recipe as TOML; `from_toml` reads it back equal."""
        return tomlkit.dumps(asdict(self))

    @staticmethod
    def from_toml(text: str, origin: str = "recipe") -> "Recipe":
        """The recipe in a TOML text; what it does not name has its default."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{origin}: not TOML: {error}") from None
        return _merge(Recipe(name=Path(origin).stem), data, origin)


def _merge(settings: Any, data: dict[str, Any], origin: str, prefix: str = "") -> Any:
    known = {entry.name: entry for entry in fields(settings)}
    changes: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            elsewhere = [name for name in _names(Recipe()) if name.endswith(f".{key}")]
            hint = f"; did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, known, prefix)
            raise ConfigError(f"{origin}: unknown setting {prefix}{key}{hint}")
        current = getattr(settings, key)
        if is_dataclass(current):
            if not isinstance(value, dict):
                raise ConfigError(f"{origin}: {prefix}{key} is a section of settings, not a value")
            changes[key] = _merge(current, cast("dict[str, Any]", value), origin, f"{prefix}{key}.")
        else:
            changes[key] = _coerce(known[key].type, value, f"{origin}: {prefix}{key}")
    try:
        return replace(settings, **changes)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _names(settings: Any, prefix: str = "") -> Iterator[str]:
    """Every setting, section.name."""
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        yield from _names(value, f"{entry.name}.") if is_dataclass(value) else [prefix + entry.name]


def _coerce(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{where} is {value!r}; one of {', '.join(get_args(kind))}")
        return value
    if get_origin(kind) is tuple:
        return tuple(_list(get_args(kind)[0], value, where))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        expected = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[
            kind
        ]
        raise ConfigError(f"{where} is {value!r}; expected {expected}")
    return value


def _list(kind: Any, value: Any, where: str) -> Iterator[Any]:
    """The items of a list of names or of numbers, which may also be written as `a,b`."""
    expected = {str: "names", float: "numbers"}[kind]
    items = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]
    if isinstance(value, str):
        items = [part.strip() for part in value.split(",") if part.strip()]
    for item in items:
        try:
            yield float(item) if kind is float else _coerce(kind, item, where)
        except (ConfigError, ValueError, TypeError):
            raise ConfigError(f"{where} is {value!r}; expected a list of {expected}") from None


def _nearest(name: str, known: Any, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    listed = ", ".join(f"{prefix}{each}" for each in known)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known are {listed}"


# How our networks learn, whatever their size.
_OURS = TrainSettings(
    objective="cross_entropy",
    epochs=24,
    batch_size=64,
    balance=0.5,
    learning_rate=3e-3,
    weight_decay=0.02,
    clip_norm=5.0,
    schedule="cosine",
    average=0.999,
    augment="sky",
)

RECIPES: dict[str, Recipe] = {
    # The 2023 paper's, exactly: docs/decisions.md says where its text and its code differ and which
    # we follow.
    "paper": Recipe("paper"),
    # The same network for hundreds to thousands of galaxies: many small steps, batch-norm
    # statistics that settle within them, each galaxy seen from its eight sides, and the epoch that
    # validates best.
    "small": Recipe(
        "small",
        ModelSettings(batch_norm_momentum=0.1),
        TrainSettings(batch_size=32, epochs=40, augment="dihedral", keep="best"),
    ),
    # Our small network, on two cores in an hour: from few fractions beside many classes, or
    # whatever there is. Its validation galaxies choose nothing, so that they can calibrate its
    # intervals.
    "compact": Recipe(
        "compact",
        ModelSettings("compact", batch_norm_momentum=0.1, views=8),
        _OURS,
    ),
    # The same, wider and deeper, for tens of thousands of galaxies with all fractions, packed at
    # 128 px: 11 million parameters, 9.7 GFLOP to learn from a galaxy of 128 px. That is, reckoned
    # and not tried, days on two cores and minutes on a large GPU.
    "strong": Recipe(
        "strong",
        ModelSettings("compact", batch_norm_momentum=0.1, width=64, depth=2, dropout=0.3, views=8),
        replace(
            _OURS, epochs=60, batch_size=256, learning_rate=4e-3, weight_decay=0.05, average=0.9995
        ),
    ),
    # From another run's network to a few hundred galaxies of a new question; the network is that
    # run's.
    "finetune": Recipe(
        "finetune",
        ModelSettings("compact", batch_norm_momentum=0.1, views=8),
        replace(
            _OURS, epochs=60, batch_size=32, learning_rate=2e-3, encoder_rate=0.1, average=0.99
        ),
    ),
}
