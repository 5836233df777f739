"""Commands that make runs: train, finetune, ensemble, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from galaxyvotes.cli.options import (
    Device,
    Flag,
    NewRun,
    PackedStore,
    PackedStores,
    Recipe,
    Resume,
    Settings,
    named,
)

if TYPE_CHECKING:
    from galaxyvotes.runs.run import Run

__all__ = ["calibrate", "ensemble", "finetune", "train"]


def train(
    *stores: PackedStores,
    recipe: Recipe = None,
    settings: Settings = (),
    answers: str | None = None,
    min_mean_fraction: float | None = None,
    resume: Resume = False,
    device: Device = "auto",
    out: NewRun,
) -> None:
    """Train a network from scratch on one or several stores.

    galaxyvotes train STORE [STORE ...] --out RUN

    Stores share one network, which has a head for each of their trees. Ctrl-C saves
    and stops; the same command with --resume goes on to the same end, bit for bit.

    Args:
        recipe: paper (the default), small, compact, strong, or a .toml file.
        settings: Change one setting, e.g. --set train.epochs=10; may be repeated.
        answers: Learn only these answers, separated by commas.
        min_mean_fraction: Learn only answers with at least this mean fraction over the training
            galaxies.
    """
    from galaxyvotes.training.loop import train as train_

    settings += () if answers is None else (f"train.answers={answers}",)
    settings += (
        () if min_mean_fraction is None else (f"train.min_mean_fraction={min_mean_fraction}",)
    )
    _note_if_new(out, resume=resume)
    stores = named(stores, "train STORE [STORE ...] --out RUN")
    run = train_(stores, out, recipe=recipe, settings=settings, resume=resume, device=device)
    _print_trained(run)


def finetune(
    *stores: PackedStores,
    start: Path | None = None,
    recipe: Recipe = None,
    settings: Settings = (),
    other_size: Annotated[bool, Flag] = False,
    resume: Resume = False,
    device: Device = "auto",
    out: NewRun,
) -> None:
    """Fine-tune a trained network on a few dozen to a few hundred galaxies of a new question.

    galaxyvotes finetune STORE [STORE ...] --out RUN

    Args:
        start: The run to start from; the bundled model if it is left out.
        recipe: finetune (the default) or a .toml file; the network is that of the run to start
            from.
        settings: Change one setting, e.g. --set train.encoder_rate=0 trains the last layer only;
            may be repeated.
        other_size: The store may be packed with another size than the run, e.g. with more pixels of
            the same sky; add --set train.encoder_rate=1, as the encoder has to adapt.
    """
    from galaxyvotes.training.finetune import finetune as finetune_

    _note_if_new(out, resume=resume)
    run = finetune_(
        named(stores, "finetune STORE [STORE ...] --out RUN"),
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

    galaxyvotes ensemble RUN RUN [RUN ...] --out RUN

    The runs differ only by train.seed: same network, image size and questions. A
    galaxy that any of them has seen counts as seen. Calibrate the ensemble anew.

    Args:
        runs: The finished runs.
        out: The run folder to make.
    """
    from galaxyvotes.runs.ensemble import ensemble as ensemble_

    made = ensemble_(named(runs, "ensemble RUN RUN [RUN ...] --out RUN", least=2), out)
    print(f"{made.path}: the mean of {', '.join(made.members)}; not calibrated yet")


def calibrate(
    store: PackedStore,
    *,
    run: Path,
    split: Literal["validation", "test"] = "validation",
    coverage: float = 0.9,
    familiar: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> None:
    """Calibrate a run on held-out galaxies: prediction intervals, familiarity, class probabilities.

    The result is kept in the run folder. Probabilities of a tree of one question, such
    as classes, are calibrated by temperature scaling, and so change.

    Args:
        run: A finished run; no validation galaxy may have chosen its epoch (train.keep=last).
        split: The galaxies to calibrate on, none of which the run was trained on. They cannot
            evaluate it any more.
        coverage: The chance that an interval contains the volunteers' fraction.
        familiar: A larger store of such galaxies, labelled or not, for the familiarity score.
        seed: Draws which third of the galaxies scales the intervals and fits the temperature.
    """
    from galaxyvotes.evaluation.calibrate import calibrate as calibrate_

    found = calibrate_(
        store, run, split=split, coverage=coverage, familiar=familiar, seed=seed, device=device
    )
    intervals = found.joint
    assert intervals is not None
    print(f"{run}: {intervals.coverage:.0%} intervals for {len(intervals.columns)} answers")
    if intervals.unbounded:
        what = "they have no bounds" if intervals.kind == "quantity" else "their intervals are 0–1"
        print(f"too few galaxies for {', '.join(intervals.unbounded)}: {what}")
    if scaling := found.temperature:
        shifts = ", ".join(
            f"{name} {by:+.2f}" for name, by in zip(intervals.columns, scaling.shifts, strict=True)
        )
        print(f"temperature scaling: logits × {scaling.factor:.2f}, {shifts}")


def _note_if_new(out: Path, *, resume: bool) -> None:
    if resume and not out.exists():
        print(f"{out} does not exist yet: a new run begins")


def _print_trained(run: "Run") -> None:
    last = run.history[-1]
    rmse = last["validation_mse"] ** 0.5
    print(f"{run.path}: {last['epoch']} epochs, validation RMSE {rmse:.4f}")
    if run.caveat:
        print(run.caveat)
