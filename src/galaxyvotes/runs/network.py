"""A network as one uses it: its weights, the heads it predicts, what its calibration measured, and
which square of an image it takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import nn

from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.prediction_intervals import PredictionIntervals
from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FractionKind, Kind, Standard
from galaxyvotes.networks.build import build, folded
from galaxyvotes.networks.objectives import Objective, objective_for
from galaxyvotes.networks.timm_encoder import load_pretrained
from galaxyvotes.runs.calibration import Calibration
from galaxyvotes.runtime.counted import counted
from galaxyvotes.tree import DecisionTree

__all__ = ["Head", "Network"]


@dataclass(frozen=True)
class Head:
    """The answers of one tree that a network predicts, one output each; a network of several trees
    has several heads.

    Quantities have a standard each, measured on the training galaxies; fractions have none.
    """

    tree: DecisionTree
    columns: tuple[str, ...]
    standards: tuple[Standard, ...] = ()

    def __repr__(self) -> str:
        """One line: the tree and the number of answers."""
        return f"<Head {self.tree.name}: {counted(len(self.columns), 'answer')}>"

    @property
    def kind(self) -> Kind:
        """What the answers are; a part of the classes of a tree are fractions."""
        return self.tree.kind_of(self.columns)


@dataclass(frozen=True)
class Network:
    """One network, or the members of an ensemble, used for one of its heads.

    `calibrations` has one for each head, or none. `other_members` are networks of the same shape as
    `module`; an ensemble predicts the mean over all of them. `fraction_kind` is the kind of
    fractions that are predicted, and that prediction intervals are for.
    """

    module: nn.Sequential
    heads: tuple[Head, ...]
    pack: PackSettings
    recipe: Recipe
    head_index: int = 0
    calibrations: tuple[Calibration, ...] = ()
    other_members: tuple[nn.Sequential, ...] = ()
    fraction_kind: FractionKind = "joint"

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
        network.check_objective()
        return network

    @staticmethod
    def initial(recipe: Recipe, heads: Sequence[Head], pack: PackSettings) -> "Network":
        """The network that a new run of this recipe starts from: `build`, with the published
        weights that `model.pretrained` names.

        Raises ConfigError or CheckpointError if there are none, or if they do not fit.
        """
        network = Network.build(recipe, heads, pack)
        if recipe.model.pretrained:
            load_pretrained(network.module, recipe.model)
        return network

    def __repr__(self) -> str:
        """One line: the model, and what it predicts from which images."""
        return (
            f"<Network {self.recipe.model.name}: {self.head!r}, images of {self.pack.size_px} px>"
        )

    @property
    def head(self) -> Head:
        """The head in use."""
        return self.heads[self.head_index]

    @property
    def tree(self) -> DecisionTree:
        """The tree of the head in use."""
        return self.head.tree

    @property
    def columns(self) -> tuple[str, ...]:
        """The answers that the head in use predicts."""
        return self.head.columns

    @property
    def outputs(self) -> slice:
        """Where the outputs of the head in use stand among those of the module."""
        start = sum(len(head.columns) for head in self.heads[: self.head_index])
        return slice(start, start + len(self.columns))

    @cached_property
    def objective(self) -> Objective:
        """How outputs of the head in use become fractions or quantities."""
        return self._objective_for(self.head)

    @property
    def calibration(self) -> Calibration:
        """The calibration of the head in use; an empty one if it was never calibrated."""
        return self.calibrations[self.head_index] if self.calibrations else Calibration()

    @property
    def intervals(self) -> PredictionIntervals | None:
        """The prediction intervals of the head and of the kind of fractions in use, if calibrated
        for them; None for classes, whose probabilities are calibrated instead.
        """
        if not self.head.kind.intervals:
            return None
        calibration = self.calibration
        return calibration.joint if self.fraction_kind == "joint" else calibration.conditional

    @property
    def familiarity(self) -> Familiarity | None:
        """What measures how familiar a galaxy is, if the head in use is calibrated."""
        return self.calibration.familiarity

    @property
    def members(self) -> tuple["Network", ...]:
        """The networks of an ensemble, each by itself, or this network alone."""
        modules = (self.module, *self.other_members)
        return tuple(replace(self, module=module, other_members=()) for module in modules)

    @property
    def all_heads(self) -> tuple["Network", ...]:
        """This network, once for each of its heads."""
        return tuple(replace(self, head_index=index) for index in range(len(self.heads)))

    def for_tree(self, tree: str | None) -> "Network":
        """This network, used for the tree of that name; as it is if that is None.

        Raises ConfigError if it has no head for the tree.
        """
        names = [head.tree.name for head in self.heads]
        if tree is not None and tree not in names:
            raise ConfigError(f"there is no tree {tree!r} in this network, only {', '.join(names)}")
        return self if tree is None else replace(self, head_index=names.index(tree))

    @property
    def as_conditional(self) -> "Network":
        """This network, predicting fractions of those who were asked.

        Raises ConfigError if the head in use lacks answers that lead to others of it, or predicts
        quantities.
        """
        self.tree.check_values("conditional", self.columns)
        return replace(self, fraction_kind="conditional")

    @property
    def without_intervals(self) -> "Network":
        """This network, predicting no intervals; familiarity stays."""
        kept = tuple(calibration.without_intervals for calibration in self.calibrations)
        return replace(self, calibrations=kept)

    @property
    def folded(self) -> "Network":
        """This network for predictions only: in evaluation mode, its batch norms folded into its
        convolutions where it can (see `networks.build.folded`).
        """
        others = tuple(map(folded, self.other_members))
        return replace(self, module=folded(self.module), other_members=others)

    def scale_logits(self) -> None:
        """Change the last layer of `module` so that each head's logits are scaled by the
        temperature of its calibration.
        """
        for network in self.all_heads:
            network.calibration.scale_logits(self.module, network.outputs, network.tree)

    def check_objective(self) -> None:
        """Raise ConfigError if the recipe's objective does not fit a head."""
        for head in self.heads:
            self._objective_for(head)

    def _objective_for(self, head: Head) -> Objective:
        name = self.recipe.train.objective
        return objective_for(name, head.tree, head.columns, head.standards)
