"""The command line: parse, call one function, print.

What takes long to import is imported by the command that needs it; help is plain text, as reading
Markdown takes long."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from galaxyvotes.errors import ConfigError, GalaxyVotesError

if TYPE_CHECKING:
    from galaxyvotes.runs.run import Run

__all__ = ["app", "main"]

app = App(
    name="galaxyvotes",
    help=(
        "Learn from volunteers' votes on galaxy images what they would say about any other galaxy."
    ),
    version=lambda: import_module("importlib.metadata").version("galaxyvotes"),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # what was saved, and how to go on, is said below
)
Flag = Parameter(negative=())
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=())]
Quantities = Annotated[tuple[str, ...], Parameter(name="--quantity", negative=())]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, mps.")]
Resume = Annotated[bool, Flag, Parameter(help="Go on with a run that was stopped.")]
FinishedRun = Annotated[Path, Parameter(help="A finished run.")]
PackedStore = Annotated[Path, Parameter(help="A packed store.")]
StoresAndRun = Annotated[
    Path, Parameter(help="The packed stores, and last the run folder to make or to resume.")
]


@app.command
def pack(
    *paths: Path,
    crop: int = 128,
    size: int = 128,
    scaled: Annotated[bool, Flag] = False,
    table: str | None = None,
    tree: str | None = None,
    votes: str | None = None,
    classes: str | None = None,
    quantity: Quantities = (),
    id_column: str | None = None,
    unlabelled: Annotated[bool, Flag] = False,
    splits: str = "0.8,0.1,0.1",
    split_key: str = "galaxyvotes",
    split_turn: float = 0.0,
    workers: int | None = None,
) -> None:
    """Pack images and what volunteers said about them into a store.

    galaxyvotes pack SOURCE [SOURCE ...] OUT

    A SOURCE is a folder, a zip, the challenge's zip of zips, a CSV or Parquet table;
    several belong together. The same command goes on with a pack that was stopped.

    Args:
        paths: The sources, and last the folder to make.
        crop: Side in pixels of the central square that is kept; 0 keeps all of it.
        size: Side in pixels to which that square is brought.
        scaled: Decode JPEGs at a smaller scale where the size allows it: faster, by half a grey
            level less exact.
        table: The table of votes, where several could be it.
        tree: The decision tree, by name (see galaxyvotes tree) or as a .toml file; otherwise found
            from the header.
        votes: Which of its columns to read, where a table has several kinds: weighted, debiased,
            fraction, votes ...
        classes: A column of class names: they become the answers of one question.
        quantity: A column of numbers to predict instead of votes, e.g. a T type; may be given
            several times.
        id_column: The column that names the images; otherwise the one that fits most of them.
        unlabelled: Also pack images that have no votes.
        splits: Fractions of training, validation and test galaxies.
        split_key: Another word draws another division.
        split_turn: Turns the division on: with 0.7,0.1,0.2 the turns 0, 0.2, 0.4, 0.6 and 0.8 test
            each galaxy once.
        workers: Threads; as many as there are cores otherwise.
    """
    from galaxyvotes.config import PackSettings, SplitSettings
    from galaxyvotes.store.pack import pack as pack_

    sources, out = _apart(
        paths, "pack", "sources and the folder to make", "SOURCE [SOURCE ...] OUT"
    )
    try:
        train_, validation, test = (float(part) for part in splits.split(","))
    except ValueError:
        raise ConfigError(
            f"--splits {splits!r}: expected three fractions, e.g. 0.8,0.1,0.1"
        ) from None
    store = pack_(
        sources,
        out,
        table=table,
        tree=tree,
        votes=votes,
        classes=classes,
        quantity=quantity,
        id_column=id_column,
        unlabelled=unlabelled,
        settings=PackSettings(crop, size),
        splits=SplitSettings(train_, validation, test, split_key, split_turn),
        scaled=scaled,
        workers=workers,
    )
    print(store.summary)


@app.command
def tree(name: str | None = None, *, out: Path | None = None) -> None:
    """Print a decision tree, or draw it as a flowchart; without a name, list those that ship.

    Args:
        name: A tree that ships, or a .toml file.
        out: Draw it into this file (.svg, .png, .pdf).
    """
    from galaxyvotes.tree import DecisionTree, shipped

    if name is None:
        print(*(f"{each:10} {DecisionTree.load(each).title}" for each in shipped()), sep="\n")
        return
    chosen = DecisionTree.load(name)
    if out is None:
        print(chosen.draw())
        return
    from galaxyvotes.reports.diagrams import flowchart
    from galaxyvotes.reports.figures import save

    save(flowchart(chosen), out)
    print(out)


@app.command
def train(
    *paths: StoresAndRun,
    recipe: str | None = None,
    settings: Settings = (),
    answers: str | None = None,
    min_mean_fraction: float | None = None,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train a network on one or several stores and leave it in a run folder.

    galaxyvotes train STORE [STORE ...] RUN

    Stores share one network, which has a head for each of their trees. Ctrl-C saves
    and stops; the same command with --resume goes on to the same end, bit for bit.

    Args:
        recipe: A recipe by name (paper, which is the default, small, compact, strong) or a .toml
            file.
        settings: Change one setting, e.g. --set train.epochs=10; may be given several times.
        answers: Learn only these answers, separated by commas.
        min_mean_fraction: Learn only answers with at least this mean fraction over the training
            galaxies.
    """
    from galaxyvotes.training.loop import train as train_

    stores, out = _apart(
        paths, "train", "a store and the run folder to make", "STORE [STORE ...] RUN"
    )
    settings += () if answers is None else (f"train.answers={answers}",)
    settings += (
        () if min_mean_fraction is None else (f"train.min_mean_fraction={min_mean_fraction}",)
    )
    _say_if_new(out, resume=resume)
    run = train_(stores, out, recipe=recipe, settings=settings, resume=resume, device=device)
    _print_trained(run)


@app.command
def finetune(
    *paths: StoresAndRun,
    start: Path | None = None,
    recipe: str | None = None,
    settings: Settings = (),
    other_size: Annotated[bool, Flag] = False,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Teach a network that knows galaxies already a new question, from a few dozen to a few hundred
    of them.

    galaxyvotes finetune STORE [STORE ...] RUN

    Args:
        start: The run to begin from; the one that comes with galaxyvotes otherwise.
        recipe: A recipe by name (finetune otherwise) or a .toml file; its network is that of the
            run to begin from.
        settings: Change one setting, e.g. --set train.encoder_rate=0, which leaves all but the last
            layer as it was.
        other_size: The galaxies may be packed otherwise than the run's, e.g. with more pixels of
            the same sky; with --set train.encoder_rate=1, as the network learns to see anew.
    """
    from galaxyvotes.training.finetune import finetune as finetune_

    stores, out = _apart(
        paths, "finetune", "a store and the run folder to make", "STORE [STORE ...] RUN"
    )
    _say_if_new(out, resume=resume)
    run = finetune_(
        stores,
        out,
        start=start,
        recipe=recipe,
        settings=settings,
        resume=resume,
        other_size=other_size,
        device=device,
    )
    _print_trained(run)


@app.command
def join(*paths: Path) -> None:
    """Join several runs in one, which answers as the mean of their networks.

    galaxyvotes join RUN RUN [RUN ...] OUT

    The runs are alike but for chance: the same network, images and questions, but
    another train.seed. The joined one has seen what any saw; calibrate it anew.

    Args:
        paths: The finished runs, and last the run folder to make.
    """
    from galaxyvotes.runs.ensemble import join as join_

    runs, out = _apart(
        paths, "join", "two runs or more and the folder to make", "RUN RUN [RUN ...] OUT", least=3
    )
    joined = join_(runs, out)
    print(
        f"{joined.path}: the mean of {', '.join(joined.members)}; galaxyvotes calibrate gives it"
        " bounds"
    )


@app.command
def evaluate(
    run: FinishedRun,
    store: PackedStore,
    *,
    out: Path | None = None,
    split: Literal["test", "validation", "train"] = "test",
    allow_seen: Annotated[bool, Flag] = False,
    as_published: Annotated[bool, Flag] = False,
    baselines: Annotated[bool, Parameter(negative="--no-baselines")] = True,
    seed: int = 0,
    device: Device = "auto",
) -> None:
    """Judge a run on galaxies it has never seen, beside the baselines: report.html, report.json and
    report.csv.

    Args:
        out: Folder for the report; the run's own folder otherwise.
        split: Which galaxies: test, or by name those that tuned or taught the run.
        allow_seen: Judge even though the run has seen some of these galaxies; the report says how
            many.
        as_published: Add the 2023 paper's protocol, which judges mostly on training galaxies,
            marked as contaminated.
        baselines: Also fit and judge the baselines (mean vote, central pixel, boosted trees).
        seed: Of the bootstrap and the boosted trees.
    """
    from galaxyvotes.evaluation.evaluate import evaluate as evaluate_

    result = evaluate_(
        run,
        store,
        out=out,
        split=split,
        allow_seen=allow_seen,
        as_published=as_published,
        baselines=baselines,
        seed=seed,
        device=device,
    )
    print(result.table(), result.path, sep="\n")


@app.command
def calibrate(
    run: Path,
    store: PackedStore,
    *,
    split: Literal["validation", "test"] = "validation",
    coverage: float = 0.9,
    familiar: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> None:
    """Measure how far off a run's answers may be, and which galaxies are familiar to it, for all
    its predictions.

    Answers to a tree of one question, such as classes, become as sure as these galaxies
    bear out, and so change.

    Args:
        run: A finished run, of which no validation galaxy chose the epoch (train.keep=last).
        split: The galaxies to measure on; those that taught the run are refused. They cannot judge
            it any more.
        coverage: The chance that an interval holds what volunteers say.
        familiar: A larger store of such galaxies, labelled or not, to measure in what is familiar.
        seed: Draws which third says where errors are large and how sure to be, and which galaxies
            say what is familiar.
    """
    from galaxyvotes.evaluation.calibrate import calibrate as calibrate_

    found = calibrate_(
        run, store, split=split, coverage=coverage, familiar=familiar, seed=seed, device=device
    )
    bounds = found.joint
    assert bounds is not None
    print(f"{run}: intervals of {bounds.coverage:.0%} coverage for {len(bounds.columns)} answers")
    if bounds.unbounded:
        what = "they have no bounds" if bounds.of == "quantity" else "their intervals are 0–1"
        print(f"too few galaxies for {', '.join(bounds.unbounded)}: {what}")
    if sure := found.certainty:
        shifts = ", ".join(
            f"{name} {by:+.2f}" for name, by in zip(bounds.columns, sure.shifts, strict=True)
        )
        print(
            f"its answers are as sure now as these galaxies bear out: logits × {sure.factor:.2f},"
            f" {shifts}"
        )


@app.command
def predict(
    *images: Path,
    run: Path | None = None,
    out: Path,
    tree: str | None = None,
    fractions: Literal["joint", "conditional"] = "joint",
    intervals: bool | None = None,
    device: Device = "auto",
    workers: int | None = None,
) -> None:
    """Answer every question for images in folders, archives or a store: a CSV or Parquet table.

    Args:
        images: Folders, zips, image files, or one packed store.
        run: A finished run, or an ONNX file that export wrote; otherwise the run that comes with
            galaxyvotes.
        out: The table to write; .csv or .parquet.
        tree: The tree to answer, if the run answers several; its first otherwise.
        fractions: Of everybody (joint, as the challenge has them) or of those who were asked
            (conditional).
        intervals: Also write each answer's bounds, <answer>_low and <answer>_high; otherwise if it
            was calibrated.
        workers: Threads, each with images of its own; as many as there are cores otherwise.
    """
    from galaxyvotes.inference.predict import predict as predict_

    if not images:
        raise ConfigError("predict needs images: galaxyvotes predict IMAGES --out FILE")
    done = predict_(
        images,
        run,
        out,
        tree=tree,
        fractions=fractions,
        intervals=intervals,
        device=device,
        workers=workers,
    )
    print(f"{done.path}: {done.galaxies:,} galaxies")
    if done.rejected:
        print(f"{len(done.rejected):,} images could not be used: {done.rejected_path}")
    if done.warning:
        print(f"warning: {done.warning}")


@app.command
def export(run: Path | None = None, *, onnx: Path, check: Path | None = None) -> None:
    """Write a run as one ONNX file, which answers without galaxyvotes, once it is seen to answer as
    the run does.

    Args:
        run: A finished run; the one that comes with galaxyvotes otherwise.
        onnx: The file to write; .onnx. Its metadata says what goes in and what comes out.
        check: A folder, zip, image or store: real galaxies to compare the two on, besides random
            images.
    """
    from galaxyvotes.inference.export import export as export_

    done = export_(run, onnx=onnx, check=check)
    print(
        f"{done.path}: off the run by {done.difference:.1g} at most; {done.random} random,"
        f" {done.real} real images"
    )


@app.command
def submit(predictions: Path, *, sample: Path, out: Path) -> None:
    """Turn predictions into a submission for the 2014 challenge.

    Args:
        predictions: What galaxyvotes predict wrote.
        sample: A sample submission (.csv or .zip); its header, ids and order are kept.
        out: The submission to write (.csv or .zip).
    """
    from galaxyvotes.predictions import Predictions
    from galaxyvotes.reports.challenge import submit as submit_

    submit_(Predictions.read(predictions), sample, out)
    print(out)


@app.command
def figures(
    run: FinishedRun, store: Path | None = None, *, out: Path = Path("figures"), kind: str = "svg"
) -> None:
    """Draw the paper's figures: flowchart, architecture and, given a store, the ROC plots of its
    test galaxies.

    Args:
        store: A packed store, for the ROC plots.
        out: Folder for the figures.
        kind: svg, png or pdf.
    """
    from galaxyvotes.evaluation.evaluate import draw_figures

    for path in draw_figures(run, store, out, kind=kind):
        print(path)


@app.command
def simulate(out: Path, *, galaxies: int = 2000, seed: int = 0) -> None:
    """Draw a small Galaxy Zoo from a seed: images, and volunteers' votes on them with the truth
    beside them.

    Args:
        out: The folder to make; galaxyvotes pack reads it.
        galaxies: How many.
        seed: The same seed draws the same galaxies.
    """
    from galaxyvotes.runtime.progress import counting
    from galaxyvotes.simulation.galaxies import simulate as simulate_

    with counting("simulating", galaxies) as progress:
        simulate_(out, galaxies=galaxies, seed=seed, progress=progress)
    print(f"{out}: {galaxies:,} galaxies")


@app.command
def demo(out: Path = Path("demo"), *, galaxies: int = 2500, seed: int = 0) -> None:
    """Simulate, pack, train and evaluate in a few minutes, and leave a report.

    Args:
        out: The folder to make; one that an earlier demo left is gone on with.
        galaxies: How many to simulate.
        seed: Of everything that is random.
    """
    from galaxyvotes.demo import demo as demo_

    result = demo_(out, galaxies=galaxies, seed=seed)
    print(result.table(), f"report: {result.path}", sep="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error that the user can mend is one line and exit status 2."""
    os.environ.setdefault(
        "THP_MEM_ALLOC_ENABLE", "1"
    )  # torch asks for pages of 2 MB: 1.5 times as fast to train
    gc.set_threshold(
        100_000, 10, 10
    )  # importing torch makes hundreds of thousands of objects, none of them garbage
    try:
        if "WORLD_SIZE" in os.environ:
            import_module("galaxyvotes.runtime.distributed").among_several(
                sys.argv[1:] if arguments is None else arguments
            )
        app(arguments, exit_on_error=False, print_error=False)
    except (GalaxyVotesError, CycloptsError, KeyboardInterrupt) as end:
        print(f"galaxyvotes: {str(end) or 'stopped'}", file=sys.stderr)
        sys.exit(130 if isinstance(end, KeyboardInterrupt) else 2)


def _say_if_new(out: Path, *, resume: bool) -> None:
    if resume and not out.exists():
        print(f"{out} is not there yet: a new run begins")


def _print_trained(run: "Run") -> None:
    last = run.history[-1]
    print(
        f"{run.path}: {last['epoch']} epochs, validation RMSE {last['validation_mse'] ** 0.5:.4f}"
    )
    if run.caveat:
        print(run.caveat)


def _apart(
    paths: tuple[Path, ...], command: str, needs: str, usage: str, least: int = 2
) -> tuple[tuple[Path, ...], Path]:
    """What a command reads and, the last, what it makes; an error says what it needs if something
    is missing."""
    if len(paths) < least:
        raise ConfigError(f"{command} needs {needs}: galaxyvotes {command} {usage}")
    return paths[:-1], paths[-1]
