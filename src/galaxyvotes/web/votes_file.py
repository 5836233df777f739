"""The file (SQLite) of what people did on the page: durable at once, whatever ends the server."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from galaxyvotes.errors import ConfigError, DataError

__all__ = ["VotesFile"]

_FORMAT = 1


@dataclass(frozen=True)
class VotesFile:
    """The file at `path`, which what is first written makes; answers in it are to the questions of
    the tree of that name, none if it is empty.
    """

    path: Path
    tree: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def writing(self, tables: str) -> Generator[sqlite3.Connection]:
        """The file with these tables, in a transaction that is on the disk at its end.

        Raises DataError and ConfigError as `opened`.
        """
        with self._lock, self.opened() as database:
            database.executescript(tables)
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")

    @contextmanager
    def opened(self) -> Generator[sqlite3.Connection]:
        """The file. Raises DataError if it cannot be read or written, ConfigError if it is of
        another tree.
        """
        try:
            database = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                self._check(database)
                yield database
            finally:
                database.close()  # what was not committed is undone
        except sqlite3.Error as error:
            raise DataError(f"{self.path} cannot be read or written: {error}") from None

    def _check(self, database: sqlite3.Connection) -> None:
        """Refuse a file of another tree or of a newer version; sign a new one."""
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _FORMAT:
            raise DataError(f"{self.path} is of a newer version of galaxyvotes")
        if not self.tree:
            return
        database.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT)")
        if not version:
            database.execute("INSERT OR IGNORE INTO facts VALUES ('tree', ?)", (self.tree,))
            database.execute(f"PRAGMA user_version = {_FORMAT}")
        found = database.execute("SELECT value FROM facts WHERE name = 'tree'").fetchone()
        if found and found[0] != self.tree:
            raise ConfigError(
                f"{self.path} holds answers to the tree {found[0]!r}, and the catalogue has"
                f" {self.tree!r}: name another file with `votes=…`"
            )
