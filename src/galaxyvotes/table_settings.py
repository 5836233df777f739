"""Which columns a table of predictions has, and what it calls them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FractionKind

__all__ = ["Naming", "TableSettings"]

Naming = Literal["tree", "identifier", "galaxyzoo"]

_OF_IDENTIFIERS = (".fits", ".vot", ".xml")


@dataclass(frozen=True)
class TableSettings:
    """What a table of predictions calls the answers.

    `names` are those of the tree ("tree"); with letters, digits and underlines only, as expressions
    in programs can have them ("identifier"); or those that Galaxy Zoo's catalogues have, for
    conditional fractions ("galaxyzoo": `{question}_{answer}_fraction`). By default FITS and VOTable
    have identifiers, and other formats the names of the tree. `prefix` stands before the names of
    all predicted columns where these follow the columns of a user's table. `summary` adds two
    columns: the most likely way down the tree in words, and the entropy of the answers.
    """

    names: Naming | None = None
    prefix: str = ""
    summary: bool = False

    def naming(self, path: Path | None) -> Naming:
        """What a table at that path, or in memory, calls the answers."""
        if self.names is not None:
            return self.names
        is_of_identifiers = path is not None and path.suffix.lower() in _OF_IDENTIFIERS
        return "identifier" if is_of_identifiers else "tree"

    def kind(self, fractions: FractionKind | None) -> FractionKind:
        """The fractions that are meant: those asked for, or what the names are for; ConfigError if
        these contradict each other.
        """
        if self.names == "galaxyzoo" and fractions == "joint":
            raise ConfigError(
                "Galaxy Zoo's catalogues have fractions of those who were asked:"
                " `fractions='conditional'`, or leave out `names='galaxyzoo'`"
            )
        return fractions or ("conditional" if self.names == "galaxyzoo" else "joint")
