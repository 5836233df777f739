"""A network as one uses it: its weights, the heads it predicts, and which square of an image it
takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import nn

from galaxyvotes.confidence.conformal import PredictionIntervals
from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FractionKind
from galaxyvotes.networks.build import build, folded
from galaxyvotes.networks.objectives import Objective, Standard
from galaxyvotes.networks.timm_encoder import load_pretrained
from galaxyvotes.tree import DecisionTree

__all__ = ["Head", "Network"]


@dataclass(frozen=True)
class Head:
    """The answers of one tree that a network gives, one output each; a network of several trees has
    several heads.

    Quantities have a standard each, measured on the galaxies that teach; fractions have none.
    """

    tree: DecisionTree
    columns: tuple[str, ...]
    standards: tuple[Standard, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network with what is needed to use one of its heads, and which square of an image it wants
    to see.

    `others` are networks of the same shape, if it was joined from several: together they answer
    with their mean.

    `fraction_kind` says which kind of fractions its answers are, and the calibrations are of that kind.
    """

    module: nn.Sequential
    heads: tuple[Head, ...]
    pack: PackSettings
    recipe: Recipe
    place: int = 0
    calibrations: tuple[PredictionIntervals | None, ...] = ()
    familiars: tuple[Familiarity | None, ...] = ()
    others: tuple[nn.Sequential, ...] = ()
    conditionals: tuple[PredictionIntervals | None, ...] = ()
    fraction_kind: FractionKind = "joint"

    @property
    def head(self) -> Head:
        """The head in use."""
        return self.heads[self.place]

    @property
    def tree(self) -> DecisionTree:
        """The tree its answers belong to."""
        return self.head.tree

    @property
    def columns(self) -> tuple[str, ...]:
        """The answers it gives."""
        return self.head.columns

    @property
    def calibration(self) -> PredictionIntervals | None:
        """How far off its answers may be; None if nobody has measured that."""
        return self.calibrations[self.place] if self.calibrations else None

    @property
    def familiar(self) -> Familiarity | None:
        """What galaxies it knows its answers for; None if it was never calibrated."""
        return self.familiars[self.place] if self.familiars else None

    @property
    def outputs(self) -> slice:
        """Where its answers stand among the outputs of the module."""
        start = sum(len(head.columns) for head in self.heads[: self.place])
        return slice(start, start + len(self.columns))

    @cached_property
    def objective(self) -> Objective:
        """What its outputs mean as fractions."""
        return Objective(self.recipe.train.objective, self.tree, self.columns, self.head.standards)

    @property
    def members(self) -> tuple["Network", ...]:
        """The networks whose mean answers, itself first; only itself unless it was joined."""
        return tuple(
            replace(self, module=module, others=()) for module in (self.module, *self.others)
        )

    @property
    def folded(self) -> "Network":
        """The same network for looking at galaxies only: in evaluation mode, quicker if it has
        batch norms to fold.
        """
        return replace(self, module=folded(self.module), others=tuple(map(folded, self.others)))

    @property
    def all_heads(self) -> tuple["Network", ...]:
        """The same network, once for each of its heads."""
        return tuple(replace(self, place=place) for place in range(len(self.heads)))

    @property
    def as_conditional(self) -> "Network":
        """The same network, whose answers are fractions of those who were asked; ConfigError if it
        cannot know them.
        """
        self.tree.check_values("conditional", self.columns)
        return replace(self, fraction_kind="conditional", calibrations=self.conditionals)

    def for_tree(self, tree: str | None) -> "Network":
        """The same network, used for the tree of that name; for its first one if there is no
        name.
        """
        names = [head.tree.name for head in self.heads]
        if tree is not None and tree not in names:
            raise ConfigError(f"this network answers the tree {' and '.join(names)}, not {tree!r}")
        return replace(self, place=0 if tree is None else names.index(tree))

    @staticmethod
    def build(recipe: Recipe, heads: Sequence[Head], pack: PackSettings) -> "Network":
        """A network with new weights, drawn from the recipe's seed.

        Raises ConfigError if the model or the objective does not fit the heads or the images.
        """
        module = build(
            recipe.model,
            answers=sum(len(head.columns) for head in heads),
            size_px=pack.size_px,
            seed=recipe.train.seed,
        )
        network = Network(module, tuple(heads), pack, recipe)
        _ = [each.objective for each in network.all_heads]  # refuses an objective that does not fit
        return network

    @staticmethod
    def beginning(recipe: Recipe, heads: Sequence[Head], pack: PackSettings) -> "Network":
        """The network that a new run of this recipe begins with: untrained, or with pretrained
        weights.
        """
        network = Network.build(recipe, heads, pack)
        if recipe.model.pretrained:
            load_pretrained(network.module, recipe.model)
        return network
