"""From images to a report on simulated galaxies: every step, without a download.

The bundled model predicts galaxies that it knows only from real images, which gives a contact
sheet; then it is fine-tuned on half of them, calibrated on a quarter, and evaluated on the rest.
Steps that an earlier call finished are kept, so a demo that was stopped goes on.
"""

from pathlib import Path

from galaxyvotes.config import Recipe, SplitSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.evaluation.calibrate import calibrate
from galaxyvotes.evaluation.evaluate import Evaluation, evaluate
from galaxyvotes.inference.predict import predict
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.progress import announce, counting
from galaxyvotes.simulation.galaxies import simulate
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store
from galaxyvotes.training.finetune import finetune

__all__ = ["demo"]

_LEAST = 60
SPLITS = SplitSettings(0.5, 0.25, 0.25)
# Simulated galaxies are less like real ones than another survey is, so the encoder adapts more than
# by default.
SETTINGS = ("train.encoder_rate=0.5", "train.learning_rate=0.003")


def demo(
    out: str | Path,
    *,
    galaxies: int = 600,
    seed: int = 0,
    epochs: int = 20,
    progress: bool = True,
) -> Evaluation:
    """Leave in the folder `out` simulated galaxies, the bundled model's predictions of them
    (`answers.csv`, `answers.html`), a fine-tuned run and its `report.html`.

    Raises ConfigError for a folder that is not empty and that no demo began and for fewer than 60
    galaxies, MissingExtraError without GalSim.
    """
    if galaxies < _LEAST:
        raise ConfigError(
            f"galaxies is {galaxies}; a demo takes {_LEAST} or more: with fewer nothing can be"
            " calibrated"
        )
    out = Path(out)
    zoo, packed, run = out / "zoo", out / "store", out / "run"
    if not zoo.exists() and out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty, and no demo began it: name another folder")
    if not zoo.exists():
        announce(f"galaxyvotes simulate --galaxies {galaxies} --out {zoo}", show=progress)
        with counting("simulating", galaxies, show=progress) as advance:
            simulate(zoo, galaxies=galaxies, seed=seed, progress=advance)
    _predict(zoo / "images", out / "answers.csv", out / "answers.html", progress=progress)
    store = Store.open(packed) if packed.exists() else _pack(zoo, packed, progress=progress)
    _finetune(store, run, seed, epochs, progress=progress)
    announce(f"galaxyvotes evaluate {packed} --run {run} --out {out}", show=progress)
    return evaluate(store, run, out=out, overwrite=True, seed=seed, progress=progress)


def _predict(images: Path, table: Path, sheet: Path, *, progress: bool) -> None:
    if not sheet.exists():
        announce(f"galaxyvotes predict {images} --out {table} --sheet {sheet}", show=progress)
        predict(images, table, overwrite=True, progress=progress).contact_sheet(sheet)


def _pack(zoo: Path, out: Path, *, progress: bool) -> Store:
    parts = ",".join(str(part) for part in (SPLITS.train, SPLITS.validation, SPLITS.test))
    announce(f"galaxyvotes pack {zoo} --splits {parts} --out {out}", show=progress)
    return pack(zoo, out, splits=SPLITS, progress=progress)


def _finetune(store: Store, run: Path, seed: int, epochs: int, *, progress: bool) -> None:
    """Fine-tune and calibrate, unless that has been done."""
    settings = (*SETTINGS, f"train.epochs={epochs}", f"train.seed={seed}")
    recipe = Recipe.load("finetune", settings)
    options = " ".join(f"--set {setting}" for setting in settings)
    announce(f"galaxyvotes finetune {store.path} {options} --out {run}", show=progress)
    finetune(store, run, recipe=recipe, resume=run.exists(), progress=progress)
    if not Run.open(run).calibration().joint:
        announce(f"galaxyvotes calibrate {store.path} --run {run}", show=progress)
        calibrate(store, run, seed=seed, progress=progress)
