"""Commands that make data: simulate, detect, cutout, pack, tree."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from galaxyvotes.cli.messages import as_options
from galaxyvotes.cli.options import (
    Bands,
    Flag,
    Hdu,
    Missing,
    MosaicFiles,
    Overwrite,
    Position,
    Quantities,
    Stretch,
    cut_from_mosaic,
    fits_layout,
    named,
)
from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.counted import agreeing, counted

if TYPE_CHECKING:
    from galaxyvotes.config import PackSettings, SplitSettings

__all__ = ["cutout", "detect", "pack", "simulate", "tree"]


def pack(
    *sources: Path,
    for_run: Annotated[Path | None, Parameter(name="--for")] = None,
    recipe: str | None = None,
    crop: int | None = None,
    size: str | None = None,
    scale: float | None = None,
    fit: Annotated[bool, Flag] = False,
    stretch: Stretch = None,
    hdu: Hdu = None,
    bands: Bands = None,
    mosaic: MosaicFiles = (),
    position: Position = None,
    scaled: Annotated[bool, Flag] = False,
    table: str | None = None,
    tree: str | None = None,
    votes: str | None = None,
    classes: str | None = None,
    largest: str | None = None,
    quantity: Quantities = (),
    id_column: str | None = None,
    unlabelled: Annotated[bool, Flag] = False,
    missing: Missing = (),
    class_names: str | None = None,
    splits: str = "0.8,0.1,0.1",
    split_key: str = "galaxyvotes",
    split_turn: float = 0.0,
    limit: int = 0,
    workers: int | None = None,
    out: Path,
) -> None:
    """Pack images and labels into a store, which train, finetune and evaluate read.

    A SOURCE is a folder, a zip, the challenge's zip of zips, or a table (CSV or other
    text, Parquet, FITS, VOTable).
    What belongs together is found from the data. A pack that was stopped continues
    when the same command is run again.

    Crop and size of the images come from what the store is for: the bundled model, which
    finetune starts from, or another run (--for), or a recipe to train with (--recipe).

    Example: galaxyvotes pack images.zip votes.csv --out store

    Args:
        sources: Folders, zips and tables of one catalogue.
        for_run: The run (or its ONNX file) that the store is for: crop and size are those of its
            images, and galaxies it was trained on are not drawn for validation or testing. By
            default the bundled model: 208 and 96.
        recipe: The recipe that the store is for, such as paper: crop and size are those it names.
        crop: Side in pixels of the central square that is kept, whatever the store is for; 0 keeps
            the whole image.
        size: Side in pixels to which that square is resized, whatever the store is for; with
            --mosaic how much of the sky an image shows: 30arcsec, 200px (of the mosaic) or
            "8*petro_r50" (times a column).
        scale: How many times as many pixels a galaxy covers as in the images that the run or recipe
            is for, e.g. 0.42 for cut-outs of 88 px; the crop is as many times as wide.
        fit: Take whole images, whatever their size.
        scaled: Decode JPEGs at a smaller scale where the size allows it: faster, and less exact by
            half a grey level.
        table: The table of labels, if several fit.
        tree: The decision tree, by name (galaxyvotes tree lists them) or as a .toml file; by
            default the one that fits the table's header.
        votes: Which columns to read, if the table has several kinds: weighted, debiased, fraction,
            votes ...
        classes: A column of class names, which become the answers of one question.
        largest: A column that names the answer with the largest fraction of a tree, for galaxies
            whose fractions are not known.
        quantity: A column of numbers to predict instead of votes, e.g. a T type; may be repeated.
        id_column: The column that names the images; by default the one that fits most of them.
        unlabelled: Also pack images without labels.
        missing: A value that means unknown, e.g. -1; may be repeated. Empty cells, NaN, NULL, None,
            NA and - do without.
        class_names: Other names for classes, e.g. 0=no,1=ring.
        splits: Fractions of galaxies in the training, validation and test set; or a column of the
            table that says train, validation or test; or three files with an id a line, e.g.
            train.txt,valid.txt,test.txt.
        split_key: Another word draws other sets.
        split_turn: Rotate the sets: with --splits 0.7,0.1,0.2, the turns 0, 0.2, 0.4, 0.6 and 0.8
            test each galaxy once.
        limit: Pack so many galaxies, as many of each class as its share; 0 packs all.
        workers: Threads; by default one per core.
        out: The store to make.
    """
    from galaxyvotes.config import LabelSettings
    from galaxyvotes.store.pack import pack as pack_

    meant, start = _meant_for(for_run, recipe)
    size_px, on_sky = _sizes(size)
    cut = fits_layout(hdu, bands, mosaic, on_sky, position)
    cut.check_scale(scale)
    store = pack_(
        named(sources, "pack"),
        out,
        labels=LabelSettings(
            table,
            tree,
            votes,
            classes,
            quantity,
            id_column,
            unlabelled,
            missing,
            _class_names(class_names),
            largest,
        ),
        settings=_pack_settings(meant, crop, size_px, scale=scale, fit=fit, stretch=stretch),
        layout=cut,
        splits=replace(_split_settings(splits, split_key, split_turn, limit), start=start),
        scaled=scaled,
        workers=workers,
    )
    print(as_options(store.summary))


def _split_settings(splits: str, key: str, turn: float, limit: int) -> "SplitSettings":
    """The settings in three fractions, three files or the name of a column."""
    from galaxyvotes.config import SplitSettings

    parts = [part.strip() for part in splits.split(",")]
    try:
        train, validation, test = map(float, parts)
        return SplitSettings(train, validation, test, key, turn, limit)
    except ValueError:
        pass
    if len(parts) == 3 and all(Path(part).is_file() for part in parts):
        return SplitSettings(key=key, turn=turn, limit=limit, lists=tuple(parts))
    if len(parts) == 1 and parts[0] and not parts[0].replace(".", "").isdigit():
        return SplitSettings(key=key, turn=turn, limit=limit, column=parts[0])
    absent = [part for part in parts if not Path(part).is_file()]
    raise ConfigError(
        f"--splits {splits!r}: expected three fractions, e.g. 0.8,0.1,0.1, or a column, or three"
        f" files of ids; there is no file {absent[0] if absent else ''}"
    )


def _class_names(text: str | None) -> dict[str, str]:
    """The names in 0=no,1=ring."""
    pairs = [pair.rpartition("=") for pair in text.split(",")] if text else []
    if not all(equals and word.strip() and name.strip() for word, equals, name in pairs):
        raise ConfigError(f"--class-names {text!r}: expected WORD=NAME, e.g. 0=no,1=ring")
    return {word.strip(): name.strip() for word, _, name in pairs}


def _meant_for(run: Path | None, recipe: str | None) -> "tuple[PackSettings, str | Path | None]":
    """Crop and size of what the store is for, and the run whose galaxies are found in it."""
    from galaxyvotes.config import PackSettings, Recipe, SplitSettings

    if run is not None and recipe is not None:
        raise ConfigError("--for and --recipe both say what the store is for: leave out one")
    if recipe is not None:
        return Recipe.load(recipe).pack, None
    if run is None:
        return PackSettings(), SplitSettings.start
    from galaxyvotes.inference.predict import folder_of, open_network

    network, origin = open_network(run)
    return network.pack, folder_of(network, origin)


def _sizes(size: str | None) -> tuple[int | None, str | None]:
    """A side in pixels, or how much of the sky an image shows."""
    whole = size is not None and size.strip().isdecimal()
    return (int(size or 0), None) if whole else (None, size)


def _pack_settings(
    settings: "PackSettings",
    crop: int | None,
    size: int | None,
    *,
    scale: float | None,
    fit: bool,
    stretch: str | None,
) -> "PackSettings":
    """Crop and size of what the store is for, or those that are named."""
    from galaxyvotes.config import PackSettings

    settings = settings.for_images(scale=scale, fit=fit, stretch=stretch)
    if crop is not None and (fit or scale is not None):
        raise ConfigError("--crop says what --scale and --fit would change: leave out one of them")
    if crop is not None:
        settings = PackSettings(crop, settings.size_px, stretch=settings.stretch)
    return settings if size is None else replace(settings, size_px=size)


def cutout(
    table: Path,
    *,
    mosaic: MosaicFiles = (),
    size: str | None = None,
    pixels: int | None = None,
    for_run: Annotated[Path | None, Parameter(name="--for")] = None,
    stretch: str | None = None,
    hdu: Hdu = None,
    bands: Bands = None,
    position: Position = None,
    workers: int | None = None,
    out: Path,
) -> None:
    """Cut an image of each galaxy of a table from a mosaic, at its position.

    The images are FITS files with a WCS, or pictures (--stretch). Beside them is the table
    with the file of each galaxy, or the reason why there is none; predict and pack read it.
    Both also take --mosaic themselves.

    Example: galaxyvotes cutout t.fits --mosaic r.fits --size 30arcsec --out cutouts

    Args:
        table: A table with right ascension and declination in degrees.
        size: The side of each image on the sky: 30arcsec, 0.5arcmin, 200px (of the mosaic), or
            times a column, "8*petro_r50" (in arcsec, unless the column has a unit).
        pixels: The number of pixels of a side, to which images are resampled; by default those of
            the mosaic.
        for_run: A run (or its ONNX file): images have the pixels that it takes.
        stretch: Write JPEG pictures in this stretch, such as sdss, legacy or single, instead of
            FITS files.
        workers: Threads; by default one per core.
        out: The folder to make.
    """
    from galaxyvotes.images.cutout import cutout as cutout_

    made = cutout_(
        table,
        out,
        mosaic=cut_from_mosaic(mosaic, size, position),
        layout=fits_layout(hdu, bands),
        side_px=pixels,
        like=None if for_run is None else _meant_for(for_run, None)[0],
        stretch=stretch,
        workers=workers,
    )
    print(f"{made.table}: {counted(made.galaxies, 'cut-out')}")
    if made.at_edge:
        reach = agreeing(made.at_edge, "reaches")
        print(
            f"{counted(made.at_edge, 'image')} {reach} beyond the mosaic's edge (cutout_off_edge)"
        )
    for problem, count in made.problems.items():
        print(f"{counted(count, 'galaxy')} without an image: {problem}")


def detect(
    *mosaic: Path,
    bands: str | None = None,
    hdu: Hdu = None,
    sigma: float = 1.5,
    area: int = 12,
    contrast: float = 0.05,
    out: Path,
    overwrite: Overwrite = False,
) -> None:
    """Find the sources in a mosaic: a table with their positions, sizes, shapes and fluxes.

    The mosaic may be larger than memory, and several tiles. The table is one that cutout,
    predict and pack take with --mosaic, e.g. with --size "20*radius". Stars are in it, too:
    the sources of the smallest radius.

    Example: galaxyvotes detect mosaic-r.fits --out sources.fits

    Args:
        mosaic: FITS files of one band, or of several (--bands).
        bands: The band in which sources are found, if the mosaic has several.
        sigma: How many times the noise of the background a pixel of a source exceeds it.
        area: How many pixels together make a source.
        contrast: Which share of the light of a source a part of it has that counts as another one.
        out: The table to write: .csv, .ecsv, .fits, .parquet, .vot or .xml (VOTable).
    """
    from galaxyvotes.images.detect import detect as detect_
    from galaxyvotes.sky.detection import DetectionSettings

    done = detect_(
        named(mosaic, "detect"),
        out,
        settings=DetectionSettings(sigma, area, contrast),
        layout=fits_layout(hdu, bands),
        overwrite=overwrite,
    )
    print(f"{done.path}: {counted(done.sources, 'source')}")


def simulate(
    *,
    galaxies: int = 2000,
    seed: int = 0,
    size: int = 212,
    mosaic: Annotated[bool, Flag] = False,
    out: Path,
) -> None:
    """Simulate a small Galaxy Zoo: images, volunteers' votes, and the true shapes beside them.

    Args:
        galaxies: How many to draw.
        seed: The same seed draws the same galaxies.
        size: Side of the images in pixels; 208 or more for the bundled model.
        mosaic: Put the galaxies on one piece of sky instead: FITS mosaics in the bands g, r and z
            (mosaic), and a table with their positions (catalogue.fits).
        out: The folder to make; galaxyvotes pack reads it.
    """
    from galaxyvotes.runtime.progress import counting
    from galaxyvotes.simulation.galaxies import simulate as simulate_

    with counting("simulating", galaxies) as progress:
        simulate_(out, galaxies=galaxies, seed=seed, size_px=size, mosaic=mosaic, progress=progress)
    print(f"{out}: {counted(galaxies, 'galaxy')}")


def tree(
    name: str | None = None,
    *,
    out: Path | None = None,
    toml: Annotated[bool, Flag] = False,
    overwrite: Overwrite = False,
) -> None:
    """Print a decision tree, draw it as a flowchart, or write its file; without a name, list the
    bundled ones.

    Args:
        name: The name of a bundled tree, or a .toml file.
        out: Draw the tree into this file (.svg, .png or .pdf), or write it as a tree file (.toml).
        toml: Print the tree as a tree file, to begin one of your own with.
    """
    from galaxyvotes.tree import DecisionTree, bundled_trees

    if name is None:
        print(*(f"{each:10} {DecisionTree.load(each).title}" for each in bundled_trees()), sep="\n")
        return
    chosen = DecisionTree.load(name)
    if out is None:
        print(chosen.to_toml().rstrip() if toml else chosen.draw())
        return
    from galaxyvotes.runtime.files import new_file, write_text

    new_file(out, overwrite=overwrite)
    if out.suffix.lower() == ".toml":
        write_text(out, chosen.to_toml())
    else:
        from galaxyvotes.figures.drawing import save
        from galaxyvotes.figures.flowchart import flowchart

        save(flowchart(chosen), out)
    print(out)
