"""What a server serves: a model, a catalogue, its pictures and what labellers answered."""

import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Request

from galaxyvotes.errors import ConfigError
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.classifications import Classifications
from galaxyvotes.web.finetuning import FineTuning
from galaxyvotes.web.informative import Informative
from galaxyvotes.web.judge import judged
from galaxyvotes.web.look_alikes import LookAlikes
from galaxyvotes.web.model import Model
from galaxyvotes.web.pictures import Pictures
from galaxyvotes.web.stars import Interest, Stars
from galaxyvotes.web.statistics import Statistics

__all__ = ["InSite", "Site"]

_NO_MAP = "this server has no map: start it with `--map MAP`, which `galaxyvotes embed` writes"

_NEEDS_IMAGES = (
    "the server needs the image files: start it with `--images FOLDER`, a folder or an archive"
)


@dataclass(frozen=True)
class Site:
    """A model; if there is one, a catalogue with pictures, what labellers answered and which
    galaxies they starred; what was counted since the start.
    """

    model: Model
    catalogue: Catalogue | None = None
    pictures: Pictures | None = None
    look_alikes: LookAlikes | None = None
    classifications: Classifications | None = None
    given_stars: Stars | None = None
    learned: Interest | None = None
    fine_tuner: FineTuning | None = None
    informed: Informative | None = None
    statistics: Statistics = field(default_factory=Statistics)
    started: float = field(default_factory=time.time)
    version: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def table(self) -> Catalogue:
        """The catalogue; ConfigError if there is none."""
        if self.catalogue is None:
            raise ConfigError(
                "this server has no catalogue: start it with a table that `galaxyvotes predict`"
                " wrote"
            )
        return self.catalogue

    @property
    def map(self) -> LookAlikes:
        """The map of the catalogue; ConfigError if there is none."""
        if self.look_alikes is None:
            raise ConfigError(_NO_MAP)
        return self.look_alikes

    @property
    def stars(self) -> Stars:
        """The stars of the catalogue; ConfigError if there is no catalogue."""
        _ = self.table
        assert self.given_stars is not None
        return self.given_stars

    @property
    def interest(self) -> Interest:
        """What learns from stars; ConfigError if there is no map."""
        if self.learned is None:
            raise ConfigError(_NO_MAP)
        return self.learned

    @property
    def places(self) -> tuple[str, str]:
        """The columns of x and y on the map; ConfigError if there is none."""
        if (places := self.table.places) is None:
            raise ConfigError(_NO_MAP)
        return places

    @cached_property
    def judged(self) -> dict[str, Any]:
        """How good the predictions of the catalogue are; ConfigError if it has no labels."""
        return judged(self.table)

    @property
    def labels(self) -> Classifications:
        """Where answers are kept; ConfigError if the catalogue has no tree to answer."""
        if self.classifications is None:
            raise ConfigError("no catalogue with the answers of a decision tree is served")
        return self.classifications

    @property
    def finetuning(self) -> FineTuning:
        """What fine-tunes on these answers; ConfigError if there is none."""
        _ = self.labels
        if self.fine_tuner is None:
            raise ConfigError(f"to fine-tune, {_NEEDS_IMAGES}")
        return self.fine_tuner

    @property
    def informative(self) -> Informative:
        """What finds the most informative galaxies; ConfigError if there is none."""
        _ = self.labels
        if self.informed is None:
            raise ConfigError(f"to find the most informative galaxies, {_NEEDS_IMAGES}")
        return self.informed


def _site_of(request: Request) -> Site:
    return request.app.state.site


InSite = Annotated[Site, Depends(_site_of)]
