"""What labellers answered, in a file of SQLite: durable at once, and nothing is ever deleted.

A classification is what one person answered for one galaxy, at one moment: some answers of the
tree, one a question, or none if it was skipped. Several galaxies may be answered together, in one
step, and taken back together. The last one of a person for a galaxy counts.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from galaxyvotes.errors import ConfigError
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.votes_file import VotesFile

__all__ = ["Classifications", "Progress"]

_TABLES = """
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER PRIMARY KEY,
    labeller TEXT NOT NULL,
    answers TEXT NOT NULL,
    at TEXT NOT NULL,
    taken_back INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS galaxies (
    step INTEGER NOT NULL REFERENCES steps,
    galaxy TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_galaxy ON galaxies (galaxy);
CREATE INDEX IF NOT EXISTS by_step ON galaxies (step);
"""
# The last step of each labeller for each galaxy that was not taken back.
_CURRENT = """
SELECT labeller, galaxy, answers, max(number) FROM galaxies JOIN steps ON step = number
WHERE NOT taken_back {which} GROUP BY labeller, galaxy
"""


class Progress(NamedTuple):
    """How many galaxies a labeller has answered and skipped."""

    labeller: str
    answered: int
    skipped: int


@dataclass(frozen=True)
class Classifications:
    """The file at `path`, which the first answer makes, of answers to the questions of a tree."""

    path: Path
    tree: DecisionTree

    @cached_property
    def file(self) -> VotesFile:
        """The file itself, in which there may be more than answers."""
        return VotesFile(self.path, self.tree.name)

    # ---- what is answered

    def add(self, labeller: str, galaxies: Sequence[str], answers: Sequence[str]) -> int:
        """Keep the answers of one person for some galaxies, none if these are skipped; they are on
        the disk when this returns. The number of the step.

        Raises ConfigError for answers that the tree does not have, that contradict each other or
        lack the one that leads to them, and without a name or a galaxy; DataError if the file
        cannot be written.
        """
        self._check(answers)
        if not (labeller := labeller.strip()):
            raise ConfigError("a labeller has a name")
        if not galaxies:
            raise ConfigError("no galaxy is named")
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.file.writing(_TABLES) as database:
            step = database.execute(
                "INSERT INTO steps (labeller, answers, at) VALUES (?, ?, ?)",
                (labeller, json.dumps(sorted(answers)), at),
            ).lastrowid
            rows = ((step, name) for name in dict.fromkeys(galaxies))
            database.executemany("INSERT INTO galaxies VALUES (?, ?)", rows)
        assert step is not None
        return step

    def take_back(self, labeller: str) -> list[str]:
        """Take back the last step of a person that still counts: its galaxies, none if there is no
        such step. DataError and ConfigError as of `progress`, DataError also if the file cannot be
        written.
        """
        if not self.path.exists():
            return []
        with self.file.writing(_TABLES) as database:
            found = database.execute(
                "SELECT max(number) FROM steps WHERE labeller = ? AND NOT taken_back",
                (labeller.strip(),),
            ).fetchone()[0]
            if found is None:
                return []
            database.execute("UPDATE steps SET taken_back = 1 WHERE number = ?", (found,))
            names = database.execute("SELECT galaxy FROM galaxies WHERE step = ?", (found,))
            return [name for (name,) in names]

    def _check(self, answers: Sequence[str]) -> None:
        owners = {answer.column: q for q in self.tree.questions for answer in q.answers}
        if unknown := [name for name in answers if name not in owners]:
            raise ConfigError(f"the tree {self.tree.name!r} has no answer {unknown[0]!r}")
        asked = Counter(owners[name].name for name in answers)
        if twice := [question for question, count in asked.items() if count > 1]:
            raise ConfigError(f"question {twice[0]!r} has two answers")
        for name in answers:
            needs = owners[name].asked_of
            if needs is not None and needs not in answers:
                raise ConfigError(f"{name!r} is answered, and {needs!r}, which leads to it, is not")

    # ---- what is there

    def of_galaxy(self, name: str) -> list[tuple[str, list[str]]]:
        """Who answered what for a galaxy; skipped ones are left out. DataError and ConfigError as
        of `progress`.
        """
        rows = self._current("AND galaxy = ?", (name,))
        return [(labeller, answers) for labeller, _, answers in rows if answers]

    def seen_by(self, labeller: str) -> set[str]:
        """The galaxies that a person has answered or skipped; DataError and ConfigError as of
        `progress`.
        """
        rows = self._current("AND labeller = ?", (labeller.strip(),))
        return {galaxy for _, galaxy, _ in rows}

    def progress(self) -> list[Progress]:
        """Who has done how much, in the order of the names; DataError if the file cannot be read,
        ConfigError if it is of another tree.
        """
        answered, skipped = Counter[str](), Counter[str]()
        for labeller, _, answers in self._current():
            (answered if answers else skipped)[labeller] += 1
        names = sorted({*answered, *skipped})
        return [Progress(name, answered[name], skipped[name]) for name in names]

    def answered(self) -> int:
        """How many galaxies have answers; DataError and ConfigError as of `progress`."""
        return len({galaxy for _, galaxy, answers in self._current() if answers})

    def agreement(self) -> float | None:
        """Of two people who both answered a question of a galaxy, how many gave the same answer;
        None if there are no two. DataError and ConfigError as of `progress`.
        """
        owners = {answer.column: q.name for q in self.tree.questions for answer in q.answers}
        votes = Counter[tuple[str, str]]()
        for _, galaxy, answers in self._current():
            votes.update((galaxy, answer) for answer in answers)
        asked = Counter[tuple[str, str]]()
        for (galaxy, answer), count in votes.items():
            asked[galaxy, owners[answer]] += count
        same = sum(count * (count - 1) for count in votes.values())
        pairs = sum(count * (count - 1) for count in asked.values())
        return same / pairs if pairs else None

    def table(self, name_of: Callable[[str], str] = str) -> Iterator[str]:
        """A table of votes as CSV, line by line: the id, or what `name_of` makes of it, and of each
        answer how many gave it, in the columns that `pack` takes for whole votes of the tree.
        DataError and ConfigError as of `progress`.
        """
        yield ",".join(["id", *self.vote_columns()]) + "\n"
        counts = dict[str, Counter[str]]()
        for _, galaxy, answers in self._current():
            if answers:
                counts.setdefault(galaxy, Counter()).update(answers)
        for galaxy, votes in sorted(counts.items()):
            numbers = (str(votes[answer]) for answer in self.tree.columns)
            quoted = '"' + name_of(galaxy).replace('"', '""') + '"'
            yield ",".join([quoted, *numbers]) + "\n"

    def vote_columns(self) -> list[str]:
        """What the table calls the votes for each answer."""
        layouts = [table for table in self.tree.tables if table.holds == "votes"]
        pattern = next(iter(layouts), None)
        return [pattern.of(name) if pattern else name for name in self.tree.columns]

    # ---- the file

    def _current(
        self, which: str = "", values: tuple[str, ...] = ()
    ) -> list[tuple[str, str, list[str]]]:
        """Labeller, galaxy and answers of all that counts."""
        if not self.path.exists():
            return []
        with self.file.opened() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'steps'").fetchone():
                return []
            rows: list[Any] = database.execute(_CURRENT.format(which=which), values).fetchall()
        return [(labeller, galaxy, json.loads(answers)) for labeller, galaxy, answers, _ in rows]
