"""The names of a table's columns, whose spaces and letter case no two programs keep alike."""

from collections.abc import Iterable

from galaxyvotes.errors import ConfigError
from galaxyvotes.tables.names import as_shown

__all__ = ["Header", "plain"]


class Header:
    """A table's columns, found by name: as it is written, or else but for spaces and case."""

    def __init__(self, names: Iterable[str]) -> None:
        """Index them."""
        self._names: dict[str, list[str]] = {}
        for name in names:
            self._names.setdefault(plain(name), []).append(name)

    def find(self, name: str) -> str | None:
        """The column of that name, as the table writes it; None if there is none.

        ConfigError if several columns differ from it by spaces or case only.
        """
        same = self._names.get(plain(name), [])
        if name in same:
            return name
        if len(same) > 1:
            raise ConfigError(
                f"several columns are called {name!r} but for spaces or case:"
                f" {', '.join(map(repr, same))}; rename all but one"
            )
        return same[0] if same else None

    def __contains__(self, name: str) -> bool:
        """Whether there is such a column."""
        return plain(name) in self._names


def plain(name: str) -> str:
    """A name without what differs: spaces around and doubled, the case of letters, and what nobody
    sees (see `as_shown`).
    """
    return " ".join(as_shown(name).split()).casefold()
