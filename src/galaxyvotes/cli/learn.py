"""Commands that make runs: train, finetune, ensemble, calibrate."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from galaxyvotes.cli.messages import as_options
from galaxyvotes.cli.options import (
    Device,
    FinishedRun,
    Flag,
    NewRun,
    NoMirror,
    PackedStore,
    PackedStores,
    Resume,
    Settings,
    named,
)
from galaxyvotes.runtime.counted import counted

if TYPE_CHECKING:
    from galaxyvotes.runs.run import Run
    from galaxyvotes.store.store import Store

__all__ = ["calibrate", "ensemble", "finetune", "train"]


def train(
    *stores: PackedStores,
    recipe: str | None = None,
    settings: Settings = (),
    answers: str | None = None,
    min_mean_fraction: float | None = None,
    no_mirror: NoMirror = False,
    resume: Resume = False,
    device: Device = "auto",
    out: NewRun,
) -> None:
    """Train a network from scratch on one or several stores.

    Several stores share one network, which has a head for each of their trees. Ctrl-C
    saves and stops; the same command with --resume continues to the same end, bit for
    bit. Few galaxies? finetune needs far fewer.

    Example: galaxyvotes train store --recipe compact --out run

    Args:
        recipe: small, compact, strong, paper, paper-notebook, or a .toml file; by default small for
            fewer than 1,000 training galaxies, compact for fewer than 20,000, and above that strong
            on a GPU.
        settings: Change one setting, e.g. --set train.epochs=10; may be repeated.
        answers: Train for these answers only, separated by commas.
        min_mean_fraction: Train only for answers with at least this mean fraction over the training
            set.
    """
    from galaxyvotes.training.loop import train as train_

    settings += () if answers is None else (f"train.answers={answers}",)
    settings += (
        () if min_mean_fraction is None else (f"train.min_mean_fraction={min_mean_fraction}",)
    )
    settings += ("train.mirror=false",) if no_mirror else ()
    _note_if_new(out, resume=resume)
    stores = named(stores, "train")
    run = train_(stores, out, recipe=recipe, settings=settings, resume=resume, device=device)
    _print_trained(run)


def finetune(
    *stores: PackedStores,
    start: Path | None = None,
    recipe: str | None = None,
    settings: Settings = (),
    other_size: Annotated[bool, Flag] = False,
    no_mirror: NoMirror = False,
    resume: Resume = False,
    device: Device = "auto",
    out: NewRun,
) -> None:
    """Fine-tune a trained network on a few dozen to a few hundred labelled galaxies.

    A store is packed for the bundled model; for another run to start from, pack it with
    --for RUN.

    Example: galaxyvotes finetune store --out run

    Args:
        start: The run to start from; by default the bundled model.
        recipe: finetune, fitted, layered or a .toml file. The network is that of the run to start
            from. By default finetune for questions that this run knows; for others the last layer
            is fitted, and a trial decides whether all layers learn.
        settings: Change one setting, e.g. --set train.encoder_rate=0 trains the last layer only;
            may be repeated.
        other_size: Accept a store with another size than the run's, e.g. with more pixels of the
            same sky. Add --set train.encoder_rate=1, because the encoder has to adapt.
    """
    from galaxyvotes.training.finetune import finetune as finetune_

    settings += ("train.mirror=false",) if no_mirror else ()
    _note_if_new(out, resume=resume)
    run = finetune_(
        named(stores, "finetune"),
        out,
        start=start,
        recipe=recipe,
        settings=settings,
        resume=resume,
        other_size=other_size,
        device=device,
    )
    _print_trained(run)


def ensemble(*runs: Path, out: Path) -> None:
    """Make one run of several, which predicts the mean of their networks.

    The runs may differ only in train.seed. A galaxy that any of them has seen counts as
    seen. Calibrate the ensemble anew.

    Example: galaxyvotes ensemble run-1 run-2 --out mean

    Args:
        runs: Finished runs.
        out: The run folder to make.
    """
    from galaxyvotes.runs.ensemble import ensemble as ensemble_

    made = ensemble_(named(runs, "ensemble", least=2), out)
    print(f"{made.path}: the mean of {', '.join(made.members)}; not calibrated yet")


def calibrate(
    store: PackedStore,
    *,
    run: FinishedRun = None,
    split: Literal["validation", "test"] = "validation",
    coverage: float = 0.9,
    familiar: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
    out: Path | None = None,
    overwrite: Annotated[bool, Flag] = False,
) -> None:
    """Calibrate a run on held-out galaxies: prediction intervals and familiarity score.

    The result is kept in the run, or in a copy of it (--out). Temperature scaling of each
    question changes the predictions a little; on another survey, from 50 to 200 labelled
    galaxies, a good deal. Classes have no intervals.

    Example: galaxyvotes calibrate store --run run

    Args:
        run: A finished run; no validation galaxy may have chosen its epoch (train.keep=last). The
            bundled model needs --out.
        split: The set to calibrate on. The run must not have been trained on it, and cannot be
            evaluated on it afterwards.
        coverage: The probability that an interval contains the volunteers' fraction.
        familiar: A larger store of such galaxies, labelled or not, to measure familiarity on.
        seed: Draws the third of the galaxies that scales the intervals.
        out: A new run folder for a calibrated copy; the run itself stays as it is.
        overwrite: Replace the calibration that the run has.
    """
    from galaxyvotes.evaluation.calibrate import calibrate as calibrate_
    from galaxyvotes.runs.run import open_run
    from galaxyvotes.store.store import Store

    opened = Store.open(store)
    found = calibrate_(
        opened,
        run,
        out=out,
        overwrite=overwrite,
        split=split,
        coverage=coverage,
        familiar=familiar,
        seed=seed,
        device=device,
    )
    run = out or run
    intervals, galaxies = found.joint, counted(len(found.pixels), f"{split} galaxy")
    if intervals is not None:
        share, answers = f"{100 * intervals.coverage:g} %", len(intervals.columns)
        print(f"{run}: {share} intervals for {counted(answers, 'answer')}, from {galaxies}")
        if intervals.unbounded:
            quantity = intervals.kind == "quantity"
            what = "they have no bounds" if quantity else "their intervals are 0–1"
            print(f"too few galaxies for {', '.join(intervals.unbounded)}: {what}")
    else:
        print(f"{run}: calibrated probabilities of classes, from {galaxies}")
    if len(found.temperature) == 1:
        (scaling,) = found.temperature
        shifts = ", ".join(f"{by:+.2f}" for by in scaling.shifts)
        print(f"temperature scaling: logits × {scaling.factor:.2f}, then {shifts}")
    elif found.temperature:
        factors = [scaling.factor for scaling in found.temperature]
        shift = max(abs(by) for scaling in found.temperature for by in scaling.shifts)
        print(
            f"temperature scaling of {len(factors)} questions: logits × {min(factors):.2f} to"
            f" {max(factors):.2f}, shifted by up to {shift:.2f}"
        )
    print(_how_to_predict(open_run(run), opened))


def _how_to_predict(run: "Run", store: "Store") -> str:
    """The command that predicts with a calibration, which names the tree if it has to."""
    from galaxyvotes.evaluation.seen import head_for

    tree = head_for(run, store).tree.name
    option = "" if tree == run.default_tree else f" --tree {tree}"
    folder = shlex.quote(str(run.path))
    return f"predict with it: galaxyvotes predict IMAGES --run {folder}{option} --out answers.csv"


def _note_if_new(out: Path, *, resume: bool) -> None:
    if resume and not out.exists():
        print(f"{out} does not exist yet: a new run begins")


def _print_trained(run: "Run") -> None:
    from galaxyvotes.runs.skill import validation_figures

    epochs, kept = run.history[-1]["epoch"], run.kept
    figures = f"validation {validation_figures(run.heads[0], '', kept)}"
    if kept["epoch"] != epochs:
        figures += f", of epoch {kept['epoch']}, the best one"
    print(f"{run.path}: {counted(epochs, 'epoch')}, {figures}")
    if run.caveat:
        print(as_options(run.caveat))
