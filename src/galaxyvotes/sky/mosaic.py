"""Which mosaics images are cut from, and how much of the sky each shows."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxyvotes.errors import ConfigError

__all__ = ["ARCSEC_OF", "CutoutSize", "Mosaic"]

ARCSEC_OF = {  # units of angles, as tables and people write them
    "arcsec": 1.0,
    "arcsecond": 1.0,
    "arcseconds": 1.0,
    '"': 1.0,
    "arcmin": 60.0,
    "arcminute": 60.0,
    "arcminutes": 60.0,
    "'": 60.0,
    "deg": 3600.0,
    "degree": 3600.0,
    "degrees": 3600.0,
    "mas": 0.001,
}
PIXEL_UNITS = frozenset({"px", "pix", "pixel", "pixels"})
_OF_COLUMN = re.compile(r"([\d.]+(?:[eE][+-]?\d+)?)\s*[*×]\s*(\S.*)")
_OF_UNIT = re.compile(r"([\d.]+(?:[eE][+-]?\d+)?)\s*(\D*)")


@dataclass(frozen=True)
class CutoutSize:
    """The side of a cut-out: so many arcsec, pixels of the mosaic, or times the value of a column
    of the table.
    """

    number: float
    unit: str = "arcsec"  # or px; of a column without a unit of its own, too
    column: str = ""

    @staticmethod
    def parse(text: str) -> "CutoutSize":
        """The size that a text names: `30arcsec`, `0.5arcmin`, `200px` or `8*petro_r50`.

        ConfigError if it names none.
        """
        text = text.strip()
        if (found := _OF_COLUMN.fullmatch(text)) and (number := _positive(found[1])):
            return CutoutSize(number, column=found[2].strip("`'\" "))
        if (found := _OF_UNIT.fullmatch(text)) and (number := _positive(found[1])):
            unit = found[2].strip().lower()
            if unit in PIXEL_UNITS:
                return CutoutSize(number, "px")
            if unit in ARCSEC_OF:
                return CutoutSize(number * ARCSEC_OF[unit])
        raise ConfigError(
            f"size {text!r}: expected how much of the sky an image shows, such as 30arcsec,"
            " 0.5arcmin or 200px, or times a column of the table, such as 8*petro_r50"
        )


def _positive(text: str) -> float:
    """The number in a text, 0 if it is none above 0."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < 1e9 else 0.0


@dataclass(frozen=True)
class Mosaic:
    """Mosaics that images are cut from, where a table has the positions of galaxies.

    `files` are FITS files, or folders of them: one for each band, or several tiles. `size` is the
    side of each image on the sky: "30arcsec", "200px" (of the mosaic) or "8*petro_r50" (times a
    column, which is in arcsec unless it has a unit). `position` names the columns of right
    ascension and declination in degrees; by default the columns that are called so.
    """

    files: tuple[str | Path, ...]
    size: str = ""
    position: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a size that is none, and no files."""
        if not self.files:
            raise ConfigError(
                'no mosaic is named: name its FITS files, or folders of them, `mosaic="sky.fits"`'
            )
        if len(self.position) not in (0, 2):
            raise ConfigError(
                f"position {', '.join(self.position)}: expected two columns, of right ascension and"
                " declination"
            )
        if self.size:
            CutoutSize.parse(self.size)

    @property
    def in_proportion(self) -> bool:
        """Whether each image is cut in proportion to its galaxy, so that pixels have no common size
        on the sky.
        """
        return bool(self.size and CutoutSize.parse(self.size).column)

    def to_table(self) -> dict[str, Any]:
        """What is named, as TOML has it."""
        named = {"mosaic": [Path(file).name for file in self.files], "cutout_size": self.size}
        return {name: value for name, value in named.items() if value}
