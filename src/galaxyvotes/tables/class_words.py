"""What the words in a column of classes mean: a class, or that nothing is known.

Spaces around a word and what nobody sees of it do not matter, and 1.0 is the class 1. NaN, NULL
and the like are nobody's class, unless a class is so called by name or is an answer of the tree
that was asked for.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.cells import is_unknown, rewrite, without_point
from galaxyvotes.tables.headers import plain
from galaxyvotes.tables.lines import split_lines
from galaxyvotes.tables.names import as_shown
from galaxyvotes.tree import DecisionTree

__all__ = ["ClassWords"]


@dataclass(frozen=True)
class ClassWords:
    """The words of one column: their names if they have others, the values that mean unknown, and
    the answers of the tree, if one was asked for.
    """

    names: Mapping[str, str]
    missing: tuple[str, ...]
    answers: frozenset[str]
    called: str = "classes"  # what the words are, for errors

    @staticmethod
    def of(labels: LabelSettings, tree: DecisionTree | None) -> "ClassWords":
        """As the settings and the tree say."""
        answers = frozenset(() if tree is None else tree.columns)
        called = "classes" if labels.largest is None else "answers"
        return ClassWords(labels.class_names, labels.missing_words, answers, called)

    def class_of(self, word: str) -> str:
        """The class that a word means, "" if unknown."""
        word = as_shown(word)
        if word in self.answers and word not in self.names and word not in self.missing:
            return word
        short = without_point(word)
        name = self.names.get(word, self.names.get(short))
        if name is not None:
            return name
        return "" if is_unknown(word, self.missing) else short

    def read(self, words: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column as classes."""
        return rewrite(words, self.class_of)

    def unknown(self, words: pa.ChunkedArray) -> dict[str, int]:
        """Which words were read as unknown in how many rows, without empty cells and values that
        the settings name.
        """
        counts = Counter[str]()
        for pair in words.value_counts():
            word, count = pair["values"].as_py(), pair["counts"].as_py()
            if word.strip() and is_unknown(word) and not self.class_of(word):
                counts[word.strip()] += count
        return dict(counts.most_common())

    def classes(self, words: pa.ChunkedArray, where: str) -> set[str]:
        """The classes in a column; `where` says for errors which.

        Raises ConfigError for a name of a word that is not there, DataError for classes that differ
        only by case or spaces, unless both have names.
        """
        there = {as_shown(word) for word in words.unique().to_pylist()}
        known = there | {without_point(word) for word in there}
        for word in self.names:
            if word not in known:
                listed = ", ".join(sorted(known - {""})[:12])
                raise ConfigError(
                    f"{where} has no {word!r}, which class names name; it has {listed}"
                )
        classes = {name for word in there if (name := self.class_of(word))}
        if broken := next((name for name in sorted(classes) if len(split_lines(name)) > 1), None):
            raise DataError(
                f"{where} has {split_lines(broken)[0]!r} … over several lines among its"
                f' {self.called}: is a quote (") opened there that is not closed?'
            )
        similar: dict[str, str] = {}
        for name in sorted(classes - {*self.names.values()}):
            other = similar.setdefault(plain(name), name)
            if other != name:
                raise DataError(
                    f"{where} has the {self.called} {other!r} and {name!r}, which differ only by"
                    " case or spaces: write them alike, or pass"
                    f" `labels=LabelSettings(class_names={ {name: other} })`"
                )
        return classes
