"""Simulate galaxies, pack, train and evaluate: every step, without a download.

Steps that an earlier call finished are kept, so a demo that was stopped goes on.
"""

from pathlib import Path

from galaxyvotes.config import Recipe
from galaxyvotes.errors import ConfigError
from galaxyvotes.evaluation.evaluate import Evaluation, evaluate
from galaxyvotes.runtime.progress import counting
from galaxyvotes.simulation.galaxies import simulate
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store
from galaxyvotes.training.loop import train

__all__ = ["demo"]


def demo(
    out: str | Path, *, galaxies: int = 2500, seed: int = 0, epochs: int = 8, progress: bool = True
) -> Evaluation:
    """Leave a simulated zoo, its store, a run and `report.html` in the folder `out`.

    Raises ConfigError for a folder that is not empty and that no demo began, MissingExtraError
    without GalSim.
    """
    zoo, packed, run = (Path(out) / name for name in ("zoo", "store", "run"))
    if not zoo.exists() and Path(out).is_dir() and any(Path(out).iterdir()):
        raise ConfigError(f"{out} is not empty, and no demo began it: name another folder")
    if not zoo.exists():
        with counting("simulating", galaxies, show=progress) as advance:
            simulate(zoo, galaxies=galaxies, seed=seed, progress=advance)
    store = Store.open(packed) if packed.exists() else pack(zoo, packed, progress=progress)
    recipe = Recipe.load("small", (f"train.epochs={epochs}", f"train.seed={seed}"))
    train(store, run, recipe=recipe, resume=run.exists(), progress=progress)
    return evaluate(store, run, out=out, overwrite=True, seed=seed, progress=progress)
