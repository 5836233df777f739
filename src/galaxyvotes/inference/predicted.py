"""What a prediction job gives: its predictions, in memory or in a table, and pictures of some
galaxies with their answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8

from galaxyvotes.confidence.familiarity import FALSE_ALARMS, Shift
from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Bounds, Predictions, Values
from galaxyvotes.runtime.counted import agreeing, counted
from galaxyvotes.runtime.files import new_file
from galaxyvotes.table_formats.read import open_rows
from galaxyvotes.table_formats.to_astropy import to_astropy, to_pandas
from galaxyvotes.tables.table import Table as SourceTable
from galaxyvotes.tree import DecisionTree

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

    from galaxyvotes.reports.contact_sheet import ContactSheet

__all__ = ["Pictures", "Predicted", "Rejected", "Sample"]

Rejected = tuple[str, str]  # the file of an image, and why it cannot be used
Pictures = Callable[[tuple[str, ...]], Mapping[str, UInt8[np.ndarray, "side side 3"]]]

EVENLY, UNFAMILIAR = 180, 20  # galaxies of a sample
_IN_NOTEBOOK = 12
_NAMED = 3  # galaxies that a warning names
_SLICE = 2**16  # rows that are read at a time


@dataclass(frozen=True, repr=False)
class Predicted:
    """The result of a prediction job: the predictions for so many galaxies, and the images that
    could not be used, each with its reason.

    Predictions stand in the table at `path`, from which they are read when they are asked for, or
    in memory if that is None. `passed_over` has the files that are no images, each with its reason.
    `shift` compares the galaxies with the calibration galaxies; None if the run is not calibrated.
    `sample` are some 200 galaxies, and `chosen` says which. `lacking` says what an uncalibrated run
    does not give. `notes` say how FITS images were stretched and their scale, which sizes the
    images have, if they differ, and what helps if some are smaller than the crop, or that an ONNX
    file is older than its run; `made_by` which model and tree predicted, on what, and how long it
    took, and `facts` the same and more for the metadata of tables; `too_large` what helps if most
    are much larger than those that the crop is meant for; `other_scale` if their pixels are larger
    or smaller on the sky than those of the run's images. `stretch` is that of FITS images, empty
    without. A notebook shows twelve galaxies with their answers.

    Predictions for a table stand behind its own columns. All its rows are there, `unpredicted` of
    them without predictions, of which `rejected` has the first hundred. `id_column` is the column
    of ids; the `sample` calls galaxies as their images, and `called` has their ids. The
    predictions of a `shard` are in parts in the folder at `path`.
    `columns_of` says which columns hold predictions, and what of; `rows` are
    those of a table in memory.
    """

    path: Path | None
    galaxies: int
    rejected: tuple[Rejected, ...]
    shift: Shift | None
    passed_over: tuple[Rejected, ...]
    tree: DecisionTree
    fractions: FractionKind
    sample: Predictions
    chosen: str
    pictures: Pictures
    rows: pa.Table | None = None
    notes: tuple[str, ...] = ()
    too_large: str = ""
    other_scale: str = ""
    stretch: str = ""
    columns_of: Mapping[str, str] | None = None
    id_column: str = "id"
    called: Mapping[str, str] = field(default_factory=dict[str, str])
    of_table: bool = False
    unpredicted: int = 0
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    lacking: str = ""
    made_by: str = ""
    shard: str = ""

    @cached_property
    def predictions(self) -> Predictions:
        """All predictions; of a table those of all its rows, NaN where it has none.

        Raises DataError if they are in a table that cannot be read any more; ConfigError for a
        shard.
        """
        self._refuse_shard()
        if self.rows is not None:
            rows = SourceTable("the table", self.rows)
            return Predictions.of_table(rows, self.id_column, self.columns_of)
        assert self.path is not None
        return Predictions.read(self.path, id_column=self.id_column, columns=self.columns_of)

    def to_arrow(self) -> pa.Table:
        """The table: the columns of the user's own, if it was one, and all predictions.

        Raises DataError if it cannot be read any more, ConfigError for a shard.
        """
        self._refuse_shard()
        if self.rows is not None:
            return self.rows
        assert self.path is not None
        with open_rows(self.path) as rows:
            return pa.concat_tables(rows.slices(_SLICE))

    def _refuse_shard(self) -> None:
        if self.shard:
            raise ConfigError(
                f"shard {self.shard} is in parts in {self.path}: `galaxyvotes.merge(…)` makes a"
                " table of all shards, which can be read"
            )

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each galaxy."""
        return self.predictions.ids

    @property
    def columns(self) -> tuple[str, ...]:
        """The answers that are predicted."""
        return self.sample.columns

    @property
    def values(self) -> Values:
        """Fractions (0–1) or quantities."""
        return self.predictions.values

    @property
    def bounds(self) -> Bounds | None:
        """The ends of the prediction intervals; None if the run is not calibrated for them."""
        return self.predictions.bounds

    @property
    def familiarity(self) -> Float[np.ndarray, " galaxy"] | None:
        """The familiarity score of each galaxy; None if the run is not calibrated."""
        return self.predictions.familiarity

    @property
    def warning(self) -> str | None:
        """A warning if the images are much larger than those that the crop is meant for, or have
        pixels of another size on the sky, or if the galaxies are unlike the calibration galaxies,
        all of them or one as none of so many would be; a line each.
        """
        return "\n".join(filter(None, (self.too_large, self.other_scale, self._unlike))) or None

    @property
    def _unlike(self) -> str:
        if self.shift is None or self.sample.familiarity is None:
            return ""
        if self.shift.detected:
            return str(self.shift)
        scores = self.sample.familiarity  # of the least familiar galaxies, too
        odd = np.flatnonzero(scores * self.galaxies < FALSE_ALARMS)
        if not len(odd):
            return ""
        named = self.sample.take(odd[:_NAMED]).ids
        names = ", ".join(self.called.get(name, name) for name in named)
        names += " …" if len(odd) > _NAMED else ""
        return (
            f"{names} {agreeing(len(odd), 'is')} unlike the calibration galaxies (familiarity"
            f" {scores.min():.2g}), so the answers for {agreeing(len(odd), 'it')} may mean nothing"
        )

    @property
    def rejected_path(self) -> Path | None:
        """The table of images that could not be used and of files that were passed over, with
        their reasons; None without a table of predictions, or if there are none.
        """
        if self.path is None or not (self.rejected or self.passed_over):
            return None
        if self.of_table or self.shard:
            return None
        return self.path.with_name(self.path.name + ".rejected.csv")

    def to_pandas(self) -> "pd.DataFrame":
        """The same as a pandas data frame; MissingExtraError without pandas."""
        if not self.of_table:
            return self.predictions.to_pandas()
        return to_pandas(self.to_arrow())

    def to_astropy(self) -> "Table":
        """The same as an astropy table, whose columns say what they mean."""
        if not self.of_table:
            return self.predictions.to_astropy(self.tree)
        return to_astropy(self.to_arrow())

    def contact_sheet(
        self, out: str | Path, *, galaxies: int = EVENLY + UNFAMILIAR, overwrite: bool = False
    ) -> Path:
        """Write pictures of at most so many galaxies with their answers in words: a page (.html),
        or a figure of at most 24 (.png, .svg or .pdf).

        Images that are not there any more are left black. Raises ConfigError for another extension,
        and for a file that is there unless `overwrite`; DataError if the file cannot be written.
        """
        out = new_file(out, overwrite=overwrite)
        self._sheet(galaxies).write(out)
        return out

    def __len__(self) -> int:
        """The number of galaxies."""
        return self.galaxies

    def __repr__(self) -> str:
        """One line: how many galaxies and answers, of which tree, and where they are."""
        galaxies = counted(self.galaxies, "galaxy")
        number = self.unpredicted or len(self.rejected)
        rejected = f", {counted(number, 'image')} rejected" if number else ""
        where = f", in {self.path}" if self.path else ""
        answers = f"{counted(len(self.columns), 'answer')} of {self.tree.name}"
        return f"<Predicted: {galaxies} × {answers}{rejected}{where}>"

    def _repr_html_(self) -> str:
        return self._sheet(_IN_NOTEBOOK).fragment()

    def _sheet(self, galaxies: int) -> "ContactSheet":
        from galaxyvotes.reports.contact_sheet import ContactSheet

        sheet = ContactSheet(
            self.sample,
            self.tree,
            {},
            total=self.galaxies,
            fractions=self.fractions,
            unfamiliar_level=self.shift.level if self.shift else 0.0,
            warning=self._unlike,
            chosen=self.chosen,
            called=self.called,
        ).some(galaxies)
        return sheet.with_pictures(self.pictures(sheet.predictions.ids))


class Sample:
    """Some galaxies of a job, chosen while they come: evenly through it, and the least familiar."""

    def __init__(self, total: int) -> None:
        """`total` is the number of galaxies that are to come, at most."""
        self._share = 1.0 if total <= EVENLY + UNFAMILIAR else EVENLY / total
        self._count = 0
        self._even: list[Predictions] = []
        self._even_rows: list[Int[np.ndarray, " chosen"]] = []
        self._least: Predictions | None = None
        self._least_rows = np.empty(0, np.int64)

    def add(self, part: Predictions) -> set[str]:
        """Take note of the next galaxies; the ids of those that are kept for now."""
        rows = np.arange(self._count, self._count + len(part))
        self._count += len(part)
        is_even = np.floor((rows + 1) * self._share) > np.floor(rows * self._share)
        even = part.take(np.flatnonzero(is_even))
        self._even.append(even)
        self._even_rows.append(rows[is_even])
        if part.familiarity is not None and not is_even.all():
            self._add_least(part.take(np.flatnonzero(~is_even)), rows[~is_even])
        return {*even.ids, *(() if self._least is None else self._least.ids)}

    def _add_least(self, others: Predictions, rows: Int[np.ndarray, " chosen"]) -> None:
        """Keep the least familiar of the galaxies that are not among the even ones."""
        if self._least is not None:
            others = Predictions.concatenate([self._least, others])
            rows = np.concatenate([self._least_rows, rows])
        assert others.familiarity is not None
        least = np.sort(np.argsort(others.familiarity, kind="stable")[:UNFAMILIAR])
        self._least, self._least_rows = others.take(least), rows[least]

    @property
    def chosen(self) -> str:
        """Which they are, in words."""
        even, least = sum(map(len, self._even_rows)), len(self._least_rows)
        others = f", and the {least:,} least familiar of the others" if least else ""
        return f"{even:,} taken evenly through them{others}"

    @property
    def predictions(self) -> Predictions:
        """Those that were chosen, in the order of the job."""
        parts = [*self._even, *([] if self._least is None else [self._least])]
        order = np.argsort(np.concatenate([*self._even_rows, self._least_rows]), kind="stable")
        return Predictions.concatenate(parts).take(order)
