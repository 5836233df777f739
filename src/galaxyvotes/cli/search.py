"""Commands that find galaxies by how they look: embed, similar, odd, choose."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from galaxyvotes.cli.messages import as_options
from galaxyvotes.cli.options import (
    Bands,
    Device,
    FinishedRun,
    Flag,
    Hdu,
    IdColumn,
    Overwrite,
    Stretch,
    fits_layout,
    named,
)
from galaxyvotes.runtime.counted import counted

__all__ = ["choose", "embed", "odd", "similar"]


def embed(
    *images: Path,
    run: FinishedRun = None,
    neighbours: int = 10,
    index: Annotated[bool, Flag] = False,
    projection: Literal["pca", "umap"] = "pca",
    thumbnails: Annotated[bool, Parameter(negative="--no-thumbnails")] = True,
    device: Device = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: Annotated[bool, Flag] = False,
    stretch: Stretch = None,
    hdu: Hdu = None,
    bands: Bands = None,
    out: Path,
    overwrite: Overwrite = False,
) -> None:
    """Make a map of galaxies: how the network represents each, and which others look like it.

    The map is a Parquet table with a row per image, which similar reads and which opens in
    Apple's Embedding Atlas.

    Example: galaxyvotes embed my-galaxies --out map.parquet

    Args:
        images: Folders, zips, image files, or one packed store.
        neighbours: How many of the most similar galaxies are kept with each galaxy; 0 keeps none.
        index: Also write an index beside the map, which finds nearly all neighbours and takes
            milliseconds among a million galaxies (needs the extra search).
        projection: How galaxies are placed on the map: by their principal components (pca), or by
            UMAP (umap), where groups that look alike lie apart (needs the extra umap).
        thumbnails: Also keep a small picture of each galaxy, some 2 kilobytes.
        workers: Threads, each with images of its own; by default one per core.
        scale: How many times as many pixels a galaxy covers as in the images that the network was
            trained on.
        fit: Take whole images, whatever their size.
        out: The map to write: .parquet.
    """
    from galaxyvotes.search.embed import embed as embed_

    done = embed_(
        named(images, "embed"),
        out,
        run=run,
        neighbours=neighbours,
        index=index,
        projection=projection,
        thumbnails=thumbnails,
        device=device,
        workers=workers,
        scale=scale,
        fit=fit,
        stretch=stretch,
        layout=fits_layout(hdu, bands),
        overwrite=overwrite,
    )
    print(f"{done.path}: {counted(len(done), 'galaxy')}")
    if done.rejected:
        print(f"{counted(len(done.rejected), 'image')} could not be used: {done.rejected_path}")
    if done.passed_over:
        passed_over = counted(len(done.passed_over), "file", "was")
        print(f"{passed_over} passed over: {done.rejected_path}")
    for note in done.notes:
        print(as_options(note))


def similar(
    galaxy_map: Annotated[Path, Parameter(name="map")],
    *ids: str,
    image: Annotated[tuple[Path, ...], Parameter(negative=(), show_default=False)] = (),
    count: int = 10,
    run: FinishedRun = None,
    device: Device = "auto",
    scale: float | None = None,
    fit: Annotated[bool, Flag] = False,
    stretch: Stretch = None,
    hdu: Hdu = None,
    bands: Bands = None,
    sheet: Path | None = None,
    out: Path | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Find the galaxies of a map that look most like some of them, or like other images.

    Without --out or --sheet it prints them, the nearest first. A distance of 0 is the same
    representation, 1 one that has nothing in common with it. No galaxy is like itself: an
    image that is on the map is left out.

    Example: galaxyvotes similar map.parquet NGC4414 --sheet alike.html

    Args:
        galaxy_map: A map that embed made.
        ids: Ids of galaxies on the map.
        image: An image file, folder or zip to find similar galaxies for; may be repeated.
        count: How many galaxies to find for each.
        run: The run that made the map; by default the bundled model.
        scale: How many times as many pixels a galaxy covers in these images as in those that the
            network was trained on.
        fit: Take whole images, whatever their size.
        sheet: The page of pictures to write: .html.
        out: The table to write: .csv, .ecsv, .fits, .parquet, .vot or .xml (VOTable).
    """
    from galaxyvotes.search.similar import similar as similar_

    _check_sheet(sheet, overwrite=overwrite)
    found = similar_(
        galaxy_map,
        ids,
        images=image,
        count=count,
        run=run,
        device=device,
        scale=scale,
        fit=fit,
        stretch=stretch,
        layout=fits_layout(hdu, bands),
    )
    for name, reason in found.rejected:
        print(f"{name} could not be used: {reason}")
    if out is not None:
        found.write(out, overwrite=overwrite)
        print(f"{out}: neighbours of {counted(len(found), 'galaxy')}")
    if sheet is not None:
        found.contact_sheet(sheet, overwrite=overwrite)
        print(f"{sheet}: pictures with their distances")
    if out is None and sheet is None:
        for query, own, ids_, distances in zip(
            found.queries, found.on_map, found.ids, found.distances, strict=True
        ):
            called = f", which is {own} on the map" if own not in (query, "") else ""
            print(f"like {query}{called}:")
            for name, distance in zip(ids_, distances, strict=True):
                print(f"  {distance:.3f}  {name}")


def odd(
    galaxy_map: Annotated[Path, Parameter(name="map")],
    *,
    count: int = 20,
    stars: Path | None = None,
    id_column: IdColumn = None,
    sheet: Path | None = None,
    out: Path | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Find the galaxies of a map that are most unlike all others: odd ones, artefacts, stars.

    Without --out or --sheet it prints them with their scores, the mean distance from their
    nearest neighbours.

    Args:
        galaxy_map: A map that embed made.
        count: How many galaxies to find.
        stars: A table of galaxies that you have looked at, with their ids and a column stars, from
            0 for what is of no interest to 5: those come first that are also like galaxies of many
            stars.
        sheet: The page of pictures to write: .html.
        out: The table to write: .csv, .ecsv, .fits, .parquet, .vot or .xml (VOTable).
    """
    from galaxyvotes.search.odd import odd as odd_

    _check_sheet(sheet, overwrite=overwrite)
    found = odd_(galaxy_map, count, stars=stars, id_column=id_column)
    if out is not None:
        found.write(out, overwrite=overwrite)
        print(f"{out}: {counted(len(found), 'galaxy')}")
    if sheet is not None:
        found.contact_sheet(sheet, overwrite=overwrite)
        print(f"{sheet}: pictures with their scores")
    if out is None and sheet is None:
        for name, score in zip(found.ids, found.scores.tolist(), strict=True):
            print(f"{score:.3f}  {name}")


def choose(
    *images: Path,
    count: int = 20,
    by: Literal["bald", "uncertainty", "random"] = "bald",
    without: Path | None = None,
    id_column: IdColumn = None,
    run: FinishedRun = None,
    tree: str | None = None,
    device: Device = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: Annotated[bool, Flag] = False,
    stretch: Stretch = None,
    hdu: Hdu = None,
    bands: Bands = None,
    seed: int = 0,
    out: Path | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Choose the galaxies to ask volunteers about next, from which a network learns most.

    Galaxies that the run was trained on are left out. Without --out it prints the others with
    their scores, the first to ask about first.

    Args:
        images: Folders, zips, image files, or one packed store.
        count: How many galaxies to choose.
        by: bald (where the predictions of several views and members disagree most), uncertainty
            (where the answers are least certain) or random.
        without: A table of galaxies to leave out, by their ids.
        tree: The tree whose questions are asked, if the run has several; by default its first.
        workers: Threads, each with images of its own; by default one per core.
        scale: How many times as many pixels a galaxy covers as in the images that the network was
            trained on.
        fit: Take whole images, whatever their size.
        seed: Of the random numbers.
        out: The table to write: .csv, .ecsv, .fits, .parquet, .vot or .xml (VOTable).
    """
    from galaxyvotes.runtime.files import new_file
    from galaxyvotes.search.choose_next import choose as choose_
    from galaxyvotes.table_formats.write import check_format

    if out is not None:
        new_file(out, overwrite=overwrite)
        check_format(out)
    chosen = choose_(
        named(images, "choose"),
        count,
        by=by,
        without=without or (),
        id_column=id_column,
        run=run,
        tree=tree,
        device=device,
        workers=workers,
        scale=scale,
        fit=fit,
        stretch=stretch,
        layout=fits_layout(hdu, bands),
        seed=seed,
    )
    for name, reason in chosen.rejected:
        print(f"{name} could not be used: {reason}")
    if chosen.seen:
        print(f"left out, as the run was trained on them: {counted(chosen.seen, 'galaxy')}")
    if without is not None:
        print(f"left out, as they are in {without}: {counted(chosen.without, 'galaxy')}")
    if out is not None:
        chosen.write(out, overwrite=overwrite)
        print(f"{out}: {counted(len(chosen), 'galaxy')}")
    else:
        for name, score in zip(chosen.ids, chosen.scores.tolist(), strict=True):
            print(f"{score:.3f}  {name}")


def _check_sheet(sheet: Path | None, *, overwrite: bool) -> None:
    """Refuse a page that cannot be written, before anything is computed."""
    if sheet is not None:
        from galaxyvotes.reports.contact_sheet import check_page
        from galaxyvotes.runtime.files import new_file

        check_page(sheet)
        new_file(sheet, overwrite=overwrite)
