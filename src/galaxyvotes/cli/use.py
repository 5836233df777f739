"""Commands that use runs: predict, evaluate, figures, export, submit, demo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from galaxyvotes.cli.messages import as_options
from galaxyvotes.cli.options import (
    Bands,
    Device,
    FinishedRun,
    Flag,
    Hdu,
    IdColumn,
    MosaicFiles,
    Overwrite,
    PackedStore,
    Position,
    Stretch,
    fits_layout,
    named,
)
from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.table_settings import Naming, TableSettings

if TYPE_CHECKING:
    from galaxyvotes.inference.job import Merged
    from galaxyvotes.inference.predicted import Predicted

__all__ = ["demo", "evaluate", "export", "figures", "merge", "predict", "submit"]


def predict(
    *images: Path,
    run: Path | None = None,
    tree: str | None = None,
    fractions: Literal["joint", "conditional"] | None = None,
    intervals: bool | None = None,
    device: Device = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: Annotated[bool, Flag] = False,
    stretch: Stretch = None,
    hdu: Hdu = None,
    bands: Bands = None,
    image: str | None = None,
    id_column: IdColumn = None,
    mosaic: MosaicFiles = (),
    size: str | None = None,
    position: Position = None,
    names: Naming | None = None,
    prefix: str = "",
    summary: Annotated[bool, Flag] = False,
    sheet: Path | None = None,
    shard: str | None = None,
    ray: str | None = None,
    out: Path | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Predict the vote fractions of galaxy images: a table, one row per image.

    With a calibrated run, as the bundled model is, each answer has the bounds of its
    prediction interval, and each image a familiarity score. A contact sheet shows
    pictures of some 200 galaxies with their answers in words. A table that names its
    images is written with its own columns as they are, and the predictions behind them.
    A job that was stopped goes on where it was when the same command is run again.

    Example: galaxyvotes predict my-galaxies --out answers.csv --sheet answers.html

    Args:
        images: Folders, zips, image files, a table alone or beside its images, or one packed store.
            A table may be a URL, s3://BUCKET/TABLE, and have a column of URLs.
        run: A run folder, or an ONNX file that export wrote; by default the bundled model.
        tree: The tree to predict, if the run has several; by default its first, or of a calibrated
            copy the one that it was calibrated for. The bundled model has kaggle, classes5 and gz2.
        fractions: Fractions of all volunteers (joint, the default) or of those who were asked
            (conditional).
        intervals: Also write the bounds of each answer, <answer>_low and <answer>_high; by default
            if the run is calibrated.
        workers: Threads, each with images of its own; by default one per core.
        scale: How many times as many pixels a galaxy covers as in the images that the network was
            trained on, e.g. 0.42 for cut-outs of 88 px; the crop is as many times as wide.
        fit: Take whole images, whatever their size.
        image: Of a table: the paths of its images as a template over columns, relative to the
            table, e.g. "cutouts/{iauname}.fits"; of images beside it, the column that names them,
            "{objid}"; by default the column is found that does.
        prefix: Of a table: put this before the names of the predicted columns.
        size: With --mosaic, how much of the sky an image shows: 30arcsec, 200px (of the mosaic) or
            "8*petro_r50" (times a column).
        summary: Add two columns: the most likely answers down the tree in words, and the entropy of
            the answers in bits.
        names: What the table calls the answers: as the tree does (tree), with letters, digits and
            underlines only (identifier, the default of FITS and VOTable), or as Galaxy Zoo's
            catalogues call conditional fractions (galaxyzoo).
        sheet: The contact sheet to write: a page (.html), or a figure of 24 galaxies (.png, .svg or
            .pdf).
        shard: Predict one of so many parts of the job only, e.g. 2/8; when all are done, on
            whatever machines, merge makes the table.
        ray: Let the actors of a Ray cluster compute the rows: its address (HOST:PORT or auto), or
            local, to start one on this machine. --workers is the number of actors.
        out: The table to write: .csv, .ecsv, .fits, .parquet, .vot or .xml (VOTable); s3://… also.
    """
    from galaxyvotes.inference.predict import predict as predict_

    if out is None and sheet is None:
        raise ConfigError(
            "predict writes a table, --out answers.csv, or a contact sheet, --sheet answers.html:"
            " name one of them or both"
        )
    if sheet is not None:
        from galaxyvotes.reports.contact_sheet import check_format
        from galaxyvotes.runtime.files import new_file

        check_format(sheet)
        new_file(sheet, overwrite=overwrite)
    done = predict_(
        named(images, "predict"),
        out,
        run=run,
        tree=tree,
        fractions=fractions,
        intervals=intervals,
        device=device,
        workers=workers,
        scale=scale,
        fit=fit,
        stretch=stretch,
        layout=fits_layout(hdu, bands, mosaic, size, position),
        image=image,
        id_column=id_column,
        table=TableSettings(names, prefix, summary),
        shard=shard,
        ray=ray,
        overwrite=overwrite,
    )
    if sheet is not None:
        done.contact_sheet(sheet, overwrite=overwrite)
    path = _shown(done.path)
    where = f"shard {done.shard}, {path}" if done.shard else path or sheet
    rows = f"{counted(done.galaxies + done.unpredicted, 'row')}, " if done.of_table else ""
    print(f"{where}: {rows}{counted(done.galaxies, 'galaxy')}")
    if sheet is not None and done.path is not None:
        print(f"{sheet}: pictures with their answers")
    _print_left_out(done, done.rejected_path)
    for note in filter(None, (done.lacking, *done.notes)):
        print(as_options(note))
    for line in (done.warning or "").splitlines():
        print(f"warning: {as_options(line)}")
    print(f"predicted by {done.made_by}")


def _shown(path: Path | None) -> Path | str | None:
    """A path, or the URL that it stands for."""
    from galaxyvotes.runtime.object_store import url_of

    return path and (url_of(path) or path)


def _print_left_out(done: "Predicted | Merged", path: Path | None) -> None:
    """Which images could not be used and which files were passed over."""
    if done.unpredicted:
        print(
            f"{counted(done.unpredicted, 'row')} without a prediction, and why in the last column;"
            f" the first, {': '.join(done.rejected[0])}"
        )
    elif done.rejected:
        where = _shown(path) or f"the first, {': '.join(done.rejected[0])}"
        print(f"{counted(len(done.rejected), 'image')} could not be used: {where}")
    if done.passed_over:
        where = path or f"the first, {': '.join(done.passed_over[0])}"
        print(f"{counted(len(done.passed_over), 'file', 'was')} passed over: {where}")


def merge(out: Path, *, overwrite: Overwrite = False) -> None:
    """Make one table of the shards of a job: row for row that of predict without --shard.

    Example: galaxyvotes merge answers.csv

    Args:
        out: The table, as --out named it for each shard; its shards are in OUT.parts beside it.
    """
    from galaxyvotes.inference.job import merge as merge_

    done = merge_(out, overwrite=overwrite)
    rows = f"{counted(done.galaxies + done.unpredicted, 'row')}, " if done.unpredicted else ""
    print(f"{done.path}: {rows}{counted(done.galaxies, 'galaxy')}")
    _print_left_out(done, done.rejected_path)
    if done.warning:
        print(f"warning: {as_options(done.warning)}")


def evaluate(
    store: PackedStore,
    *,
    run: FinishedRun = None,
    split: Literal["test", "validation", "train"] = "test",
    allow_seen: Annotated[bool, Flag] = False,
    as_published: Annotated[bool, Flag] = False,
    baselines: Annotated[bool, Parameter(negative="--no-baselines")] = True,
    seed: int = 0,
    device: Device = "auto",
    out: Path | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Evaluate a run on galaxies that it has never seen, beside baselines: an HTML report.

    Example: galaxyvotes evaluate store --run run

    Args:
        split: The set to evaluate on.
        allow_seen: Evaluate although the run has seen some of these galaxies; the report says how
            many.
        as_published: Add the protocol of the 2023 paper, which evaluates mostly on training
            galaxies; it is marked as contaminated.
        baselines: Also fit the baselines: mean vote, central pixel, boosted trees.
        seed: Of the bootstrap and the boosted trees.
        out: Folder for report.html, report.json, report.csv and predictions.csv (every galaxy);
            by default the run folder, or report for the bundled model.
    """
    from galaxyvotes.evaluation.evaluate import evaluate as evaluate_

    result = evaluate_(
        store,
        run,
        out=out or run or Path("report"),
        overwrite=overwrite,
        split=split,
        allow_seen=allow_seen,
        as_published=as_published,
        baselines=baselines,
        seed=seed,
        device=device,
    )
    print(as_options(result.table()), result.path, result.report.predictions, sep="\n")


def figures(
    store: Path | None = None,
    *,
    run: FinishedRun = None,
    kind: Literal["svg", "png", "pdf"] = "svg",
    device: Device = "auto",
    out: Path = Path("figures"),
    overwrite: Overwrite = False,
) -> None:
    """Draw the figures of the 2023 paper: flowchart, architecture and ROC curves.

    Args:
        store: A packed store, to draw the ROC curves of its test galaxies.
        kind: The format of the figures.
        out: Folder for the figures.
    """
    from galaxyvotes.evaluation.paper_figures import draw_figures

    for path in draw_figures(run, store, out, kind=kind, device=device, overwrite=overwrite):
        print(path)


def export(
    *,
    run: FinishedRun = None,
    check: Path | None = None,
    out: Path,
    overwrite: Overwrite = False,
) -> None:
    """Export a run as one ONNX file, which any ONNX runtime computes without galaxyvotes.

    The file is compared with the run before it is written.

    Args:
        check: A folder, zip, image or store of galaxies on which to compare the two, besides random
            images.
        out: The file to write: .onnx. Its metadata describes its inputs and outputs.
    """
    from galaxyvotes.inference.export import export as export_

    done = export_(out, run=run, check=check, overwrite=overwrite)
    print(
        f"{done.path}: differs from the run by {done.difference:.1g} at most, on {done.random}"
        f" random and {counted(done.real, 'real image')}"
    )


def submit(
    predictions: Path,
    *,
    sample: Path,
    run: Path | None = None,
    out: Path,
    overwrite: Overwrite = False,
) -> None:
    """Write predictions as a submission to the 2014 challenge.

    A run of fewer answers makes a whole submission: the others get the mean votes of its
    training galaxies, and are listed.

    Args:
        predictions: A table that galaxyvotes predict wrote.
        sample: A sample submission, .csv or .zip; its header, ids and order are kept.
        run: The run that predicted, if it predicts fewer answers than the sample asks for.
        out: The submission to write: .csv or .zip.
    """
    from galaxyvotes.predictions import Predictions
    from galaxyvotes.reports.challenge import lacking
    from galaxyvotes.reports.challenge import submit as submit_

    table, means = Predictions.read(predictions), None
    if run is not None:
        from galaxyvotes.runs.mean_labels import mean_labels
        from galaxyvotes.runs.run import Run

        means = mean_labels(Run.open(run), lacking(table, sample))
    filled = submit_(table, sample, out, means=means, overwrite=overwrite)
    print(out)
    if filled:
        print(
            f"{counted(len(filled), 'answer', 'is')} not predicted; every galaxy has the mean votes"
            f" of the training galaxies of {run} for {agreeing(len(filled), 'it')}:"
            f" {', '.join(filled)}"
        )


def demo(*, galaxies: int = 600, seed: int = 0, out: Path = Path("demo")) -> None:
    """Predict, fine-tune, calibrate and evaluate on simulated galaxies, in about three minutes.

    Each step is printed as the command that does it. DEMO/answers.html shows galaxies with
    the bundled model's predictions, DEMO/report.html how well the fine-tuned one predicts.

    Args:
        galaxies: How many to simulate.
        seed: Of everything that is random.
        out: The folder to make. A demo that was stopped there continues.
    """
    from galaxyvotes.demo import demo as demo_

    result = demo_(out, galaxies=galaxies, seed=seed)
    print(as_options(result.table()))
    print(f"what the bundled model predicts: {out / 'answers.html'}")
    print(f"report of the fine-tuned model: {result.path}")
