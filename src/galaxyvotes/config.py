"""Every setting and its default, in frozen dataclasses, and recipes as TOML files.

A recipe is one that ships (`recipes/*.toml`, by its name) or a TOML file, plus single settings such
as `train.learning_rate=1e-3`. What a file does not name has its default. The resolved recipe is
saved with the run, so a run folder alone rebuilds its network.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

import tomlkit

from galaxyvotes.errors import ConfigError
from galaxyvotes.pack_settings import PackSettings
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import read_text
from galaxyvotes.runtime.toml import from_table, parsed
from galaxyvotes.split_settings import SplitSettings
from galaxyvotes.tree import DecisionTree

__all__ = [
    "SKY_ZOOM",
    "LabelSettings",
    "ModelSettings",
    "PackSettings",
    "Recipe",
    "SplitSettings",
    "TrainSettings",
    "recipe_names",
]

SKY_ZOOM = 1.2  # `train.augment` "sky" shows galaxies from 1 / 1.2 to 1.2 times their size


@dataclass(frozen=True)
class LabelSettings:
    """Where the labels of a catalogue are, and how to read them; by default both are found.

    `table` names the table of votes where several fit; `tree` is the decision tree, a name or a
    `.toml` file; `votes` the kind of columns where a table has several (`weighted`, `debiased`,
    `votes` …); `classes` a column of class names, which becomes a tree of one question; `quantity`
    columns of numbers, which become a tree of quantities; `id_column` the column that names the
    images. With `unlabelled`, images without labels are kept, too. `missing` are values that mean
    unknown, such as -1, beside an empty cell, NaN, NULL and the like; `class_names` gives classes
    other names, `{"0": "no", "1": "ring"}`. `largest` is a column that names the answer with the
    largest of a tree's fractions, for galaxies whose fractions are not known.
    """

    table: str | None = None
    tree: str | Path | DecisionTree | None = None
    votes: str | None = None
    classes: str | None = None
    quantity: str | tuple[str, ...] = ()
    id_column: str | None = None
    unlabelled: bool = False
    missing: str | int | float | tuple[str | int | float, ...] = ()
    class_names: Mapping[str, str] = field(default_factory=dict[str, str])
    largest: str | None = None

    @property
    def missing_words(self) -> tuple[str, ...]:
        """The values that mean unknown, as a table writes them."""
        values = self.missing if isinstance(self.missing, tuple) else (self.missing,)
        return tuple(str(value).strip() for value in values)

    def __post_init__(self) -> None:
        """Refuse labels that are votes and quantities at once, and classes without a name."""
        if isinstance(self.quantity, str):
            object.__setattr__(self, "quantity", (self.quantity,))
        names = {str(word).strip(): name.strip() for word, name in self.class_names.items()}
        object.__setattr__(self, "class_names", names)
        if not all([*names, *names.values()]):
            raise ConfigError(f"class names {names}: expected a word and a name for each")
        votes, others = self.votes or self.classes, self.tree or self.votes or self.classes
        if self.quantity and (others or self.largest):
            raise ConfigError(
                f"quantity {self.quantity[0]!r} is a tree of its own: leave out tree, votes,"
                " classes and largest"
            )
        if self.classes and self.votes:
            raise ConfigError(f"leave out classes {self.classes!r} or votes {self.votes!r}")
        if self.largest and votes:
            raise ConfigError(
                f"largest {self.largest!r} is all that is read of the votes: leave out votes and"
                " classes"
            )


@dataclass(frozen=True)
class ModelSettings:
    """Which network, and over how many views of an image a prediction is the mean.

    name                 `vgg6`, `compact`, `layered`, or `timm:NAME`, any encoder of timm
    batch_norm_momentum  the weight of the newest batch in the running statistics
    width, depth         of `compact` and `layered`
    scale                of `layered`: how much larger or smaller than packed it takes images
    dropout              of `compact`, `layered` and of timm's encoders
    views                how many flips and rotations are averaged: first the eight of the square,
                         then those of the image rotated by 45°; without `train.mirror` the four
                         rotations, then those after 45°, 22.5° and 67.5°
    zooms                magnifications, such as 1.1, at each of which as many views are averaged
                         again
    pretrained           where the weights of an encoder of timm come from: nowhere (""), those that
                         timm names for it on the Hugging Face hub ("hub"), another repository there
                         ("hf-hub:OWNER/REPOSITORY") or a folder
    pixels               what `vgg6` takes: "rgb", 0–1, or "raw_bgr", 0–255 and blue first, as the
                         paper's notebook has them

    Rotations by less than 90° and zooms are for networks trained with `train.augment` "sky", which
    has shown them such views.
    """

    name: str = "vgg6"
    batch_norm_momentum: float = 0.01
    width: int = 32
    depth: int = 1
    scale: float = 1.0
    dropout: float = 0.2
    views: int = 1
    zooms: tuple[float, ...] = ()
    pretrained: str = ""
    pixels: Literal["rgb", "raw_bgr"] = "rgb"

    def __post_init__(self) -> None:
        """Refuse numbers that no network can have."""
        if self.pixels != "rgb" and self.name != "vgg6":
            raise ConfigError(f"model.pixels {self.pixels} is for vgg6 only, not for {self.name}")
        if not 0.25 <= self.scale <= 4 or (self.scale != 1 and self.name != "layered"):
            raise ConfigError(
                f"model.scale is {self.scale:g} of {self.name}: it is for layered, 0.25 to 4"
            )
        if not (8 <= self.width <= 1024 and 1 <= self.depth <= 16 and 0 <= self.dropout < 1):
            raise ConfigError(
                f"model.width {self.width}, depth {self.depth}, dropout {self.dropout}:"
                " expected 8 to 1024, 1 to 16, and from 0 up to 1"
            )
        if not 1 <= self.views <= 16:
            raise ConfigError(
                f"model.views is {self.views}; it lies in 1–16: 8 flips and 90° rotations,"
                " then those at 45°"
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
    """How a network is trained.

    objective          the loss, one of `objectives.OBJECTIVES`
    targets            "fractions", or "majority": in their place 1 for each question's most voted
                       answer and 0 for the others, down the tree (see `training.majority`)
    micro_batch        how many galaxies of a batch are in memory together (0: all); gradients
                       add up to the batch's, but batch norm has the statistics of each part (see
                       `training.learner`)
    balance            how several stores share a batch: by their number of galaxies to this power
    learning_rate      at its highest; adam_epsilon and weight_decay are AdamW's (decay 0: Adam's)
    clip_norm          the longest gradient that a step follows (0: any)
    encoder_rate       the share of the learning rate before the last layer, for a network that
                       starts from weights of another run or `model.pretrained` (0: these stay)
    schedule           "cosine": the learning rate rises over the first twentieth of the steps and
                       falls to nothing along half a cosine; "one_cycle": it rises along half a
                       cosine for three tenths, from a 25th, and falls along another
    average            above 0, the run ends with a running mean of the weights, which keeps this
                       share of itself at each step
    augment            "dihedral": flips and 90° rotations; "sky": any rotation, zoom and noise;
                       "surveys": also other scales, stretches and resolutions, in grey, noisier
    mirror             whether augmentation and views mirror images, too; a handed question, such as
                       clockwise or anticlockwise, sets this to false
    plateau            once the training loss has converged within so many epochs, the learning rate
                       passes through the rest of its schedule in as many, and training ends (0:
                       never; see `training.optimiser`)
    patience           training ends after so many epochs without a lower validation loss (0: never)
    keep               the network of the last epoch, or of the one with the lowest validation loss
    precision          "auto": bfloat16 where the device multiplies it faster, else float32
    answers            the only answers to train on (empty: all)
    min_mean_fraction  trains on answers of this mean fraction or more; quantities are all kept
    checkpoint_minutes how often the state is saved, to resume from
    """

    objective: str = "bce"
    targets: Literal["fractions", "majority"] = "fractions"
    epochs: int = 50
    batch_size: int = 256
    micro_batch: int = 0
    balance: float = 1.0
    learning_rate: float = 1e-3
    adam_epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    encoder_rate: float = 1.0
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    average: float = 0.0
    augment: Literal["none", "dihedral", "sky", "surveys"] = "none"
    mirror: bool = True
    plateau: int = 0
    patience: int = 0
    keep: Literal["last", "best"] = "last"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    answers: tuple[str, ...] = ()
    min_mean_fraction: float = 0.0
    checkpoint_minutes: float = 5.0

    @property
    def selects_epoch(self) -> bool:
        """Whether validation galaxies decide which epoch's network is kept: they have influenced it
        then.
        """
        return self.keep == "best" or self.patience > 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with."""
        for name, smallest in (
            ("epochs", 1),
            ("batch_size", 2),
            ("seed", 0),
            ("patience", 0),
            ("plateau", 0),
            ("weight_decay", 0),
            ("clip_norm", 0),
            ("checkpoint_minutes", 0),
        ):
            if not getattr(self, name) >= smallest:
                raise ConfigError(
                    f"train.{name} is {getattr(self, name)}; the smallest is {smallest}"
                )
        if not (self.micro_batch == 0 or self.micro_batch >= 2):
            raise ConfigError(
                f"train.micro_batch is {self.micro_batch}; the smallest is 2, and 0 is all at once"
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
    """All settings of a run: with a store, they settle its result.

    `pack` is how images are packed for it, by default as for the bundled model; that of a run is
    how its stores are packed.
    """

    name: str = "paper"
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    pack: PackSettings = field(default_factory=PackSettings)

    def __repr__(self) -> str:
        """One line: the network, what it minimises, and for how long."""
        return (
            f"<Recipe {self.name}: {self.model.name}, {self.train.objective},"
            f" {counted(self.train.epochs, 'epoch')}>"
        )

    @property
    def mirrors(self) -> bool:
        """Whether a network is trained with mirror images, or predicts the mean over some."""
        return self.train.mirror and (self.train.augment != "none" or self.model.views > 1)

    @staticmethod
    def load(source: "str | Path | Recipe", settings: Sequence[str] = ()) -> "Recipe":
        """A recipe that ships, by its name, one from a TOML file, or one as it is, with settings
        such as `train.epochs=10` on top, or a single one.

        Raises ConfigError if there is no such recipe or file, or if a setting is unknown or cannot
        be; DataError if the file is not text.
        """
        recipe = source if isinstance(source, Recipe) else _read(source)
        for setting in [settings] if isinstance(settings, str) else settings:
            recipe = recipe.changed(setting)
        return recipe

    def changed(self, setting: str) -> "Recipe":
        """This recipe with one setting, `section.name=value`, changed.

        The value is TOML, or else a text without quotes; the items of a list are divided by commas.

        Raises ConfigError if the setting is unknown, if the value cannot be, or if it is of
        `pack`, which a store settles.
        """
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(
                f"setting {setting!r}: expected section.name=value, e.g. train.epochs=10"
            )
        table = section = asdict(self)
        *sections, name = key.strip().split(".")
        if sections[:1] == ["pack"]:
            raise ConfigError(
                f"setting {setting}: a store settles this, when it is packed: pack it with"
                " `settings=PackSettings(crop_px=…)` or `settings=PackSettings(size_px=…)`"
            )
        for each in sections:
            if not isinstance(section.get(each), dict):
                section[each] = {}
            section = section[each]
        section[name] = _value(value, listed=isinstance(section.get(name), tuple))
        return from_table(table, Recipe, f"setting {setting}", strict=False, noun="setting")

    def difference(self, other: "Recipe") -> tuple[str, Any, Any] | None:
        """The first setting that another recipe has otherwise, with both values; None if they are
        the same but for their names.
        """
        for section in ("model", "train"):
            ours, theirs = (asdict(getattr(recipe, section)) for recipe in (self, other))
            for name, value in ours.items():
                if value != theirs[name]:
                    return f"{section}.{name}", value, theirs[name]
        return None

    def to_toml(self) -> str:
        """The whole recipe as TOML; `from_toml` reads it back equal."""
        return tomlkit.dumps(asdict(self))

    @staticmethod
    def from_toml(text: str, origin: str = "recipe") -> "Recipe":
        """The recipe in a TOML text; what it does not name has its default, its name that of the
        file, `origin`.

        Raises ConfigError if it is not TOML, or if a setting is unknown or cannot be.
        """
        table = {"name": Path(origin).stem} | parsed(text, origin)
        return from_table(table, Recipe, origin, noun="setting")


_RECIPES = resources.files("galaxyvotes") / "recipes"


def recipe_names() -> tuple[str, ...]:
    """The names of the recipes that come with the package."""
    names = (entry.name for entry in _RECIPES.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def _read(source: str | Path) -> Recipe:
    """The recipe of that name, or in that file."""
    path = Path(source)
    if str(source) in recipe_names():
        text = (_RECIPES / f"{source}.toml").read_text("utf-8")
        return Recipe.from_toml(text, origin=str(source))
    if path.suffix != ".toml":
        near = difflib.get_close_matches(str(source), recipe_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(recipe_names())}"
        raise ConfigError(f"no recipe {str(source)!r}; {hint}; or give a .toml file")
    if not path.is_file():
        raise ConfigError(f"no recipe file {path}")
    return Recipe.from_toml(read_text(path), origin=str(path))


def _value(text: str, *, listed: bool) -> Any:
    """The value in the text of a setting: TOML if it is, else the text; of a `listed` setting a
    list, whose items may stand without brackets.
    """
    value: Any
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if listed and isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return cast("Any", value if isinstance(value, list) or not listed else [value])
