"""What becomes of the galaxies of a prediction job, counted while they come."""

from dataclasses import dataclass, field

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import DataError
from galaxyvotes.images.sizes import ImageSizes
from galaxyvotes.inference.predicted import Rejected, Sample
from galaxyvotes.inference.stream import Part, none_usable
from galaxyvotes.pack_settings import PackSettings
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.tables.table import Table

__all__ = ["Outcome", "shift_of"]

_LISTED = 100  # rows of a table without predictions: their reasons stand in the table


@dataclass
class Outcome:
    """The galaxies so far, of a job of `total`: how many there are and are predicted, those that
    are not, with the reasons (of a table the first hundred), a sample, and the shift, if there are
    so many `references` of familiarity scores. `called` has the id, in the `id_column` of a table,
    of each image of the sample.
    """

    total: int
    references: int
    keeps_all: bool
    id_column: str = ""
    galaxies: int = 0
    predicted: int = 0
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    sizes: ImageSizes = field(default_factory=ImageSizes)
    shift: Shift | None = None
    called: dict[str, str] = field(default_factory=dict[str, str])
    sample: Sample = field(init=False)

    def __post_init__(self) -> None:
        """Choose a sample of the whole job."""
        self.sample = Sample(self.total)

    @property
    def unpredicted(self) -> int:
        """The number of rows without predictions that stay in a user's table."""
        return self.galaxies - self.predicted if self.keeps_all else 0

    def add(self, part: Part[Predictions]) -> None:
        """Count some galaxies."""
        self.galaxies += len(part.ids)
        self.sizes.add(part.sizes)
        room = _LISTED - len(self.rejected) if self.keeps_all else None
        self.rejected.extend(part.rejected[:room])
        if part.result is not None:
            self.predicted += len(part.result)
            kept = self.sample.add(part.result)
            if part.rows is not None and self.id_column:
                ids = Table("the table", part.rows).text(self.id_column).to_pylist()
                pairs = zip(part.ids, ids, strict=True)
                self.called |= {image: name for image, name in pairs if image in kept and name}
            scores = part.result.familiarity
            if self.references and scores is not None:
                shift = Shift.count(scores, self.references)
                self.shift = shift if self.shift is None else self.shift + shift

    def check(self, pack: PackSettings) -> None:
        """Raise a DataError if not one image could be used; `pack` is how images were cropped."""
        if self.rejected and not self.predicted:
            raise DataError(none_usable(self.galaxies, self.rejected[0], self.sizes, pack))


def shift_of(network: Network, predictions: Predictions) -> Shift | None:
    """How the familiarity of these galaxies compares with that of the calibration galaxies; None if
    the network is not calibrated.
    """
    if network.familiarity is None or predictions.familiarity is None:
        return None
    return Shift.count(predictions.familiarity, network.familiarity.references)
