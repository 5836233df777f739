"""From galaxy images and what volunteers said about them, learn what they would have said about any other galaxy.

    images + table ──► Catalog ──► Store ──► Batch ──► network ──► Predictions ──► report, table
                 open_catalog    pack     train                predict          evaluate

Names are imported when they are first used, so that `import galaxyvotes` costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from galaxyvotes.memory import ask_for_large_pages

if TYPE_CHECKING:
    from galaxyvotes.answers import predict_store
    from galaxyvotes.calibrate import calibrate
    from galaxyvotes.calibrated import Calibrated
    from galaxyvotes.catalog import Catalog, open_catalog
    from galaxyvotes.checkpoint import Network, Run
    from galaxyvotes.config import PackSettings, Recipe, SplitSettings
    from galaxyvotes.errors import CheckpointError, ConfigError, DataError, GalaxyVotesError, MissingExtraError
    from galaxyvotes.evaluate import Evaluation, draw_figures, evaluate
    from galaxyvotes.export import Exported, export
    from galaxyvotes.finetune import finetune
    from galaxyvotes.join import join
    from galaxyvotes.novelty import Shift
    from galaxyvotes.pack import pack
    from galaxyvotes.predict import predict
    from galaxyvotes.predictions import Predictions
    from galaxyvotes.simulate import simulate
    from galaxyvotes.store import Store
    from galaxyvotes.submit import submit
    from galaxyvotes.train import train
    from galaxyvotes.tree import DecisionTree

_HOMES = {
    "answers": ("predict_store",),
    "calibrate": ("calibrate",),
    "calibrated": ("Calibrated",),
    "catalog": ("Catalog", "open_catalog"),
    "checkpoint": ("Network", "Run"),
    "config": ("PackSettings", "Recipe", "SplitSettings"),
    "errors": ("CheckpointError", "ConfigError", "DataError", "GalaxyVotesError", "MissingExtraError"),
    "evaluate": ("Evaluation", "draw_figures", "evaluate"),
    "export": ("Exported", "export"),
    "finetune": ("finetune",),
    "join": ("join",),
    "novelty": ("Shift",),
    "pack": ("pack",),
    "predict": ("predict",),
    "predictions": ("Predictions",),
    "simulate": ("simulate",),
    "store": ("Store",),
    "submit": ("submit",),
    "train": ("train",),
    "tree": ("DecisionTree",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Calibrated",
    "Catalog",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DecisionTree",
    "Evaluation",
    "Exported",
    "GalaxyVotesError",
    "MissingExtraError",
    "Network",
    "PackSettings",
    "Predictions",
    "Recipe",
    "Run",
    "Shift",
    "SplitSettings",
    "Store",
    "calibrate",
    "draw_figures",
    "evaluate",
    "export",
    "finetune",
    "join",
    "open_catalog",
    "pack",
    "predict",
    "predict_store",
    "simulate",
    "submit",
    "train",
]


class _Package(ModuleType):
    """Verbs are functions and live in modules of the same name; `galaxyvotes.train` is always the function.

    Importing a submodule sets it as an attribute of its package, which would hide the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'galaxyvotes' has no attribute {name!r}")
        found = getattr(import_module(f"galaxyvotes.{_HOME[name]}"), name)
        setattr(self, name, found)
        return found


sys.modules[__name__].__class__ = _Package
ask_for_large_pages()
