"""The decision tree: questions, their answers, and which answer leads to which question.

A tree is data (`trees/*.toml`), never code; a plain classification is a tree of one question. Two
relations are kept apart, because campaigns publish them apart:

- `next` of an answer is the question a volunteer sees after giving it: the flowchart.
- `asked_of` of a question is the answer whose givers are *all* asked it. The joint fractions of its
  answers (of everybody) add up to the joint fraction of that answer; without one they add up to 1.

So joint and conditional fractions (of those who were asked) hold the same information wherever
anybody was asked; `vote_fractions` computes one from the other.

A question may also ask for a *quantity*, a number of any size such as a T type or a colour: it has
one answer, whose column holds the number. A tree asks for fractions or for quantities, never for
both; a network trained on several stores predicts both.

Source: Willett et al. 2013, MNRAS 435, 2835, section 2 and table 2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

import numpy as np
import tomlkit
from jaxtyping import Float, Num

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind, ValueKind
from galaxyvotes.questions import (
    FRACTION_COLUMNS,
    QUANTITY_COLUMNS,
    Answer,
    Question,
    TreeFile,
    VoteColumns,
    check_questions,
    check_tables,
    check_units,
    owners_of,
)
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import read_text
from galaxyvotes.runtime.toml import from_table, parsed
from galaxyvotes.vote_fractions import (
    Branch,
    asked_fractions,
    conditional_fractions,
    joint_fractions,
    volunteers_of,
)

__all__ = [
    "Answer",
    "DecisionTree",
    "Question",
    "VoteColumns",
    "bundled_trees",
]

_TREES = resources.files("galaxyvotes") / "trees"


@dataclass(frozen=True)
class DecisionTree:
    """Questions in the order of the campaign's columns; `DecisionTree.load("kaggle")` reads one
    that ships. `units` has those of quantities that are known, by column.
    """

    name: str
    title: str
    questions: tuple[Question, ...]
    tables: tuple[VoteColumns, ...] = FRACTION_COLUMNS
    source: str = field(default="", compare=False)
    units: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)

    def __post_init__(self) -> None:
        """Refuse a tree that contradicts itself, naming the question."""
        check_questions(self.questions, f"tree {self.name!r}")
        check_units(self.units, self.questions, f"tree {self.name!r}")
        check_tables(self.tables, self.kind, self.columns, f"tree {self.name!r}")

    def __repr__(self) -> str:
        """One line: its name and size."""
        return (
            f"<DecisionTree {self.name}: {counted(len(self.questions), 'question')},"
            f" {counted(len(self.columns), 'answer')}>"
        )

    def check_values(self, kind: ValueKind, columns: Sequence[str]) -> None:
        """Refuse values that these answers do not have: ConfigError for answers of another tree,
        for fractions of a tree of quantities or the reverse, and for conditional fractions if
        `columns` lacks the answer whose givers are asked.
        """
        if self.kind is QUANTITIES and kind != "quantity":
            raise ConfigError(
                f"tree {self.name!r} asks for quantities, which have no {kind} fractions: ask for"
                " the quantities themselves"
            )
        if self.kind is not QUANTITIES and kind == "quantity":
            raise ConfigError(f"tree {self.name!r} asks for {self.kind.name}, not for quantities")
        if foreign := [name for name in columns if name not in self.columns]:
            raise ConfigError(
                f"tree {self.name!r} has no answer {foreign[0]!r}; its answers are"
                f" {', '.join(self.columns)}"
            )
        if kind == "conditional" and (orphans := self.orphans(columns)):
            raise ConfigError(
                f"the conditional fraction of {orphans[0]} needs that of"
                f" {self.parent_of[orphans[0]]}: add this answer"
            )

    def difference_from(self, other: "DecisionTree") -> str:
        """What a tree of the same name has otherwise, and what to do."""
        one, another = set(self.columns), set(other.columns)
        lacking = [f"{name!r} is no answer there" for name in self.columns if name not in another]
        lacking += [
            f"{name!r} is an answer there only" for name in other.columns if name not in one
        ]
        what = ", ".join(lacking[:6]) or "its questions stand or lead otherwise"
        return (
            f"{what}; pack both with one tree (`labels=LabelSettings(tree='FILE.toml')`; of classes"
            " with `labels=LabelSettings(tree='FILE.toml', classes='COLUMN')`), or rename one"
        )

    def unlike_unit(self, units: Mapping[str, str]) -> str:
        """Which quantity has another unit here than in `units`, in words; empty if none that is
        known on both sides has.
        """
        for name, unit in self.units.items():
            if units.get(name, unit) != unit:
                return f"{name} is in {unit} for the one and in {units[name]} for the other"
        return ""

    @property
    def kind(self) -> Kind:
        """What its answers are: vote fractions, quantities, or classes (one question whose tables
        may hold a class).
        """
        if self.questions[0].quantity:
            return QUANTITIES
        of_classes = len(self.questions) == 1 and any(t.holds == "class" for t in self.tables)
        return CLASSES if of_classes else FRACTIONS

    def kind_of(self, columns: Sequence[str]) -> Kind:
        """What predictions for some of its answers are: those for a part of the classes are
        fractions, because galaxies may be of none of them.
        """
        return FRACTIONS if self.kind is CLASSES and len(columns) < len(self.columns) else self.kind

    @property
    def handed(self) -> bool:
        """Whether a question has other answers for the mirror image of a galaxy."""
        return any(question.handed for question in self.questions)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every answer's column, in table order."""
        return tuple(answer.column for question in self.questions for answer in question.answers)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer, in table order."""
        return tuple(answer for question in self.questions for answer in question.answers)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Per question, the slice of its answers in `columns`."""
        ends = np.cumsum([len(question.answers) for question in self.questions]).tolist()
        return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def parents(self) -> tuple[int | None, ...]:
        """Per question, the index in `columns` of the answer it is asked of; None means
        everybody.
        """
        return tuple(
            None if q.asked_of is None else self.columns.index(q.asked_of) for q in self.questions
        )

    @cached_property
    def parent_of(self) -> dict[str, str | None]:
        """Per answer, the answer that its question is asked of; None means everybody."""
        return {
            answer.column: question.asked_of
            for question in self.questions
            for answer in question.answers
        }

    def parents_of(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Per answer among `columns`, the answer of them that its question is asked of.

        Empty if everybody is asked, or if that answer is not among them.
        """
        parents = [self.parent_of[name] or "" for name in columns]
        return tuple(parent if parent in columns else "" for parent in parents)

    def orphans(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of these answers whose question is asked of an answer that is not among them.

        Their conditional fractions cannot be computed from the joint ones.
        """
        return tuple(
            name
            for name in columns
            if self.parent_of[name] is not None and self.parent_of[name] not in columns
        )

    @cached_property
    def flowchart(self) -> tuple[tuple[int | None, tuple[str | None, ...]], ...]:
        """Which answer each question is asked of, and what follows its answers, whatever these are
        called: trees of one campaign share it.
        """
        return tuple(
            (parent, tuple(answer.next for answer in question.answers))
            for question, parent in zip(self.questions, self.parents, strict=True)
        )

    @cached_property
    def depth_first(self) -> tuple[int, ...]:
        """Question indices, each after the question that its `asked_of` belongs to."""
        owners = owners_of(self.questions)
        order: list[int] = []

        def visit(question: Question) -> None:
            if question.asked_of is not None:
                visit(owners[question.asked_of])
            index = self.questions.index(question)
            if index not in order:
                order.append(index)

        for question in self.questions:
            visit(question)
        return tuple(order)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Each question's answers in `columns` and the answer it is asked of, in the order of
        `depth_first`.
        """
        return tuple((self.slices[index], self.parents[index]) for index in self.depth_first)

    def asked(
        self, joint: Float[np.ndarray, "galaxy answer"]
    ) -> Float[np.ndarray, "galaxy question"]:
        """The fraction of everybody who was asked each question."""
        asked = np.ones((len(joint), len(self.questions)), joint.dtype)
        for index, parent in enumerate(self.parents):
            if parent is not None:
                asked[:, index] = joint[:, parent]
        return asked

    def conditional(
        self,
        joint: Float[np.ndarray, "galaxy answer"],
        columns: Sequence[str] | None = None,
        *,
        min_asked: float = 0.0,
    ) -> Float[np.ndarray, "galaxy answer"]:
        """Fractions of those who were asked, in 0–1, from fractions of everybody.

        NaN where nobody was asked, or fewer than `min_asked`. `columns` names the answers that the
        array holds, if not all of them.

        Raises ConfigError if the tree asks for quantities, or if `columns` lacks an answer whose
        givers are asked the question of another.
        """
        columns = self.columns if columns is None else tuple(columns)
        self.check_values("conditional", columns)
        parents = [columns.index(name) if name else -1 for name in self.parents_of(columns)]
        asked = asked_fractions(joint, parents)
        return conditional_fractions(joint, asked, min_asked).astype(joint.dtype)

    def volunteers(
        self, votes: Num[np.ndarray, "galaxy answer"]
    ) -> Float[np.ndarray, "galaxy answer"]:
        """How many volunteers each joint fraction comes from: all votes on the question that its
        branch begins with.

        `votes` are whole counts, -1 where not known (NaN in the result).
        """
        return volunteers_of(votes, self.branches)

    def joint(
        self, conditional: Float[np.ndarray, "galaxy answer"]
    ) -> Float[np.ndarray, "galaxy answer"]:
        """Fractions of everybody, from fractions of those who were asked.

        Zero where nobody gave the answer that leads to the question, whatever the conditional
        fraction is there; NaN where somebody gave it and the conditional fraction is NaN.
        """
        return joint_fractions(conditional, self.branches)

    def __iter__(self) -> Iterator[tuple[Question, slice]]:
        """Each question with the slice of its answers in `columns`."""
        return iter(zip(self.questions, self.slices, strict=True))

    def draw(self) -> str:
        """The tree as indented text: each question under the answer it is asked of."""
        lines = [f"{self.name}: {self.title}"]

        def branch(asked_of: str | None, indent: str) -> None:
            for question in self.questions:
                if question.asked_of != asked_of:
                    continue
                lines.append(f"{indent}{question.name}  {question.text}")
                for answer in question.answers:
                    follows = f"  → {answer.next}" if answer.next else ""
                    lines.append(f"{indent}  {answer.column}  {answer.text}{follows}")
                    branch(answer.column, indent + "      ")

        branch(None, "")
        return "\n".join(lines)

    def to_toml(self) -> str:
        """The tree as the text of a tree file; `from_toml` reads it back equal."""
        units = dict(self.units)
        file = TreeFile(self.name, self.title, self.source, units, self.tables, self.questions)
        return tomlkit.dumps(file.to_table())

    @staticmethod
    def from_toml(text: str, origin: str = "tree file") -> "DecisionTree":
        """The tree in the text of a tree file; `origin` names it in errors.

        A file that names no tables has columns called as its answers are.

        Raises ConfigError if it is not TOML, has an unknown or missing key or a value of another
        type, or if the tree contradicts itself.
        """
        file = from_table(parsed(text, origin), TreeFile, origin)
        quantities = any(question.quantity for question in file.questions)
        usual = QUANTITY_COLUMNS if quantities else FRACTION_COLUMNS
        try:
            return DecisionTree(
                file.name,
                file.title,
                file.questions,
                file.tables or usual,
                file.source,
                file.units,
            )
        except ConfigError as error:
            raise ConfigError(f"{origin}: {error}") from None

    @staticmethod
    def load(name: str | Path) -> "DecisionTree":
        """A bundled tree, by name (`kaggle`, `gz2`, `classes5` …), or one from a `.toml` file.

        Raises ConfigError for an unknown name, a file that is not there and questions that
        contradict each other, DataError for a file that is not UTF-8 text.
        """
        if str(name) in bundled_trees():
            return _bundled(str(name))
        path = Path(name)
        if path.suffix != ".toml":
            raise ConfigError(
                f"no tree {str(name)!r}: give one of {', '.join(bundled_trees())}, or a .toml file"
            )
        if not path.is_file():
            raise ConfigError(f"no tree file {path}")
        return DecisionTree.from_toml(read_text(path), origin=str(path))

    @staticmethod
    def of_classes(classes: Sequence[str], name: str = "class") -> "DecisionTree":
        """A tree of one question, for a plain classification; answers in alphabetical order."""
        answers = tuple(Answer(column, column) for column in sorted(set(classes)))
        tables = (VoteColumns("class", name, "class"), *FRACTION_COLUMNS)
        return DecisionTree(
            name, f"Classes of the column {name!r}", (Question(name, name, answers),), tables
        )

    @staticmethod
    def of_numbers(columns: Sequence[str]) -> "DecisionTree":
        """A tree of quantities, one a column of a table."""
        questions = tuple(
            Question(name, name, (Answer(name, name),), quantity=True) for name in columns
        )
        return DecisionTree(
            "+".join(columns), f"Numbers: {', '.join(columns)}", questions, QUANTITY_COLUMNS
        )


@cache
def _bundled(name: str) -> DecisionTree:
    text = (_TREES / f"{name}.toml").read_text("utf-8")
    return DecisionTree.from_toml(text, origin=f"tree {name}")


@cache
def bundled_trees() -> tuple[str, ...]:
    """The names of the trees that come with the package."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in _TREES.iterdir()
            if entry.name.endswith(".toml")
        )
    )
