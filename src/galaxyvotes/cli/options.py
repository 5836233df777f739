"""Options that several commands share, and what they print."""

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from galaxyvotes.errors import ConfigError

if TYPE_CHECKING:
    from galaxyvotes.sky.fits import FitsLayout
    from galaxyvotes.sky.mosaic import Mosaic

__all__ = [
    "USAGES",
    "Bands",
    "Device",
    "FinishedRun",
    "Flag",
    "Hdu",
    "IdColumn",
    "Missing",
    "MosaicFiles",
    "NewRun",
    "NoMirror",
    "Overwrite",
    "PackedStore",
    "PackedStores",
    "Position",
    "Quantities",
    "Resume",
    "Settings",
    "Stretch",
    "cut_from_mosaic",
    "fits_layout",
    "named",
    "other_option",
]

USAGES = {
    "pack": "SOURCE [SOURCE ...] --out STORE",
    "train": "STORE [STORE ...] --out RUN",
    "finetune": "STORE [STORE ...] --out RUN",
    "ensemble": "RUN RUN [RUN ...] --out RUN",
    "calibrate": "STORE [--run RUN] [--out RUN]",
    "predict": "IMAGES [IMAGES ...] --out TABLE [--sheet PAGE]",
    "merge": "OUT",
    "embed": "IMAGES [IMAGES ...] --out MAP",
    "similar": "MAP [ID ...] [--image FILE] [--sheet PAGE]",
    "odd": "MAP [--sheet PAGE] [--out TABLE]",
    "choose": "IMAGES [IMAGES ...] [--by bald] [--out TABLE]",
    "serve": "[CATALOGUE] [--images FOLDER]",
    "evaluate": "STORE [--run RUN]",
    "figures": "[STORE] [--run RUN]",
    "export": "[--run RUN] --out FILE",
    "submit": "PREDICTIONS --sample FILE --out FILE",
    "detect": "FITS [FITS ...] --out TABLE",
    "cutout": "TABLE --mosaic FITS [FITS ...] --size SIZE --out FOLDER",
    "simulate": "--out FOLDER",
    "tree": "[NAME]",
}
_OTHER_NAMES = (  # what others call options, and which of ours is meant: the first that there is
    (
        ("--run", "--from", "--model", "--network", "--weights", "--checkpoint"),
        ("--run", "--start"),
    ),
    (("--run", "--model", "--for"), ("--for", "--run")),
    (("-o", "--output", "--output-dir", "--save"), ("--out",)),
    (("-f", "--force", "--replace", "-y"), ("--overwrite",)),
    (("--class", "--label", "--labels", "--target"), ("--classes",)),
)
_SETTINGS = {"lr": "learning_rate"}
Flag = Parameter(negative=(), show_default=False)
Bands = Annotated[
    str | None,
    Parameter(
        help="Names of the bands of FITS images in the order of the file, e.g. g,r,z; by default as"
        " the file names them, or in the order of the stretch."
    ),
]
Hdu = Annotated[
    str | None,
    Parameter(
        help="The HDU of FITS files that holds the image, by number (the first is 0) or name, or"
        " those of its bands, e.g. 1,3,5; by default the only one with an image."
    ),
]
IdColumn = Annotated[
    str | None,
    Parameter(
        help="The column with the ids of the galaxies of a table; by default one that is called as"
        " ids are, or the first of texts."
    ),
]
Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda or mps.")]
FinishedRun = Annotated[Path | None, Parameter(help="A run folder; by default the bundled model.")]
NewRun = Annotated[Path, Parameter(help="The run folder to make, or to resume.")]
MosaicFiles = Annotated[
    tuple[Path, ...],
    Parameter(
        name="--mosaic",
        negative=(),
        show_default=False,
        consume_multiple=True,
        help="FITS files of a mosaic, or folders of them, one for each band or several tiles: an"
        " image of each galaxy of a table is cut from them, at its position.",
    ),
]
NoMirror = Annotated[
    bool,
    Flag,
    Parameter(
        help="Rotate images and never mirror them, in training and in predictions: for questions"
        " that a mirror image answers otherwise, such as clockwise or anticlockwise."
    ),
]
Overwrite = Annotated[bool, Flag, Parameter(help="Replace what is there.")]
PackedStore = Annotated[Path, Parameter(help="A store that pack made.")]
PackedStores = Annotated[Path, Parameter(help="Stores that pack made.")]
Quantities = Annotated[
    tuple[str, ...], Parameter(name="--quantity", negative=(), show_default=False)
]
Missing = Annotated[
    tuple[str, ...],
    Parameter(
        name="--missing",
        negative=(),
        show_default=False,
        allow_leading_hyphen=True,
        consume_multiple=False,
    ),
]
Position = Annotated[
    str | None,
    Parameter(
        help="The columns of right ascension and declination in degrees, e.g. RAJ2000,DEJ2000; by"
        " default those that are called so."
    ),
]
Resume = Annotated[bool, Flag, Parameter(help="Continue a run that was stopped.")]
Stretch = Annotated[
    str | None,
    Parameter(
        help="How the bands of FITS images become pictures: sdss, legacy, hsc, euclid, hubble,"
        " single, or a .toml file; by default that of the run, or single for one band."
    ),
]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=(), show_default=False)]


def named(paths: tuple[Path, ...], command: str, *, least: int = 1) -> tuple[Path, ...]:
    """The paths; ConfigError with the usage of the command if there are fewer than `least`."""
    if len(paths) < least:
        raise ConfigError(
            f"nothing to read is named; usage: galaxyvotes {command} {USAGES[command]}"
        )
    return paths


def fits_layout(
    hdu: str | None,
    bands: str | None,
    mosaic: tuple[Path, ...] = (),
    size: str | None = None,
    position: str | None = None,
) -> "FitsLayout":
    """Where in FITS files the images are, or from which mosaic they are cut, as options say it."""
    from galaxyvotes.sky.fits import FitsLayout

    if not mosaic and (size or position):
        option = "--size" if size else "--position"
        raise ConfigError(
            f"{option} is for images that are cut from a mosaic: name its files, --mosaic FITS"
        )
    cut_from = cut_from_mosaic(mosaic, size, position) if mosaic else None
    return FitsLayout(tuple(_parts(hdu)) or None, tuple(_parts(bands)), cut_from)


def cut_from_mosaic(mosaic: tuple[Path, ...], size: str | None, position: str | None) -> "Mosaic":
    """From what images are cut, and how large, as options say it."""
    from galaxyvotes.sky.mosaic import Mosaic

    return Mosaic(mosaic, size or "", tuple(_parts(position)))


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def other_option(option: str, options: Collection[str]) -> str | None:
    """What a command with these options calls an option that it does not have; None if nothing
    like it.
    """
    from galaxyvotes.config import TrainSettings

    for names, ours in _OTHER_NAMES:
        if option in names and (there := next((name for name in ours if name in options), None)):
            return there
    setting = option.removeprefix("--").replace("-", "_")
    setting = _SETTINGS.get(setting, setting)
    if "--set" in options and setting in {field.name for field in fields(TrainSettings)}:
        return f"--set train.{setting}=VALUE"
    return None
