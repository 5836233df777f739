"""Votes as Zooniverse's own program counts them: the exports of `panoptes_aggregation reduce`.

Its `question_reducer_*.csv` has a row for each subject and task, with the number of volunteers who
gave each answer in `data.<answer>`, empty where it is 0 or of another task. Answers are slugs: the
text that volunteers read, in lower case, with hyphens for all but letters and digits. Here they
become a table with a row a subject and the columns `<task>.<answer>`, which a tree's questions are
matched with by their answers.

Source: github.com/zooniverse/aggregation-for-caesar, csv_utils.py and question_extractor.py.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.questions import Question
from galaxyvotes.tables.cells import NotANumber, numbers_of
from galaxyvotes.tables.names import first_repeated
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_layout import VoteLayout, find_layout
from galaxyvotes.tree import DecisionTree, VoteColumns

__all__ = ["SubjectVotes", "by_subject", "explain_reductions"]

_SUBJECT, _WORKFLOW, _TASK, _REDUCER = "subject_id", "workflow_id", "task", "reducer"
_DATA = "data."
# What is in these columns is no answer: the version of the program, who voted, who gave no answer.
_NO_ANSWERS = {"aggregation_version", "user_ids", "None"}
_LISTED = 400  # letters of answers that an error lists


@dataclass(frozen=True)
class SubjectVotes(Table):
    """A row a subject, and a column `<task>.<answer>` for each answer that somebody gave; a task
    that nobody answered is unknown.
    """

    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def as_votes(
        self, tree: DecisionTree, kind: str | None
    ) -> tuple["SubjectVotes", VoteLayout | None]:
        """The table with columns for all answers of the tree, and how to read it; None if no
        question has the answers of a task.

        Columns that a table of the tree names come first (`kind` says which), then tasks whose
        answers are those of one question. ConfigError if several tasks or questions have the same.
        """
        of_votes = [table for table in tree.tables if table.holds == "votes"]
        named = {table.of(answer) for table in of_votes for answer in tree.columns}
        votes = self._with(named)
        layout = find_layout(votes.header(), tree=tree, kind=kind)
        if layout is not None or kind is not None:
            return votes, layout
        columns = VoteColumns("zooniverse", "{answer}", "votes", names=self._columns_of(tree))
        votes = self._with({*columns.names.values()})
        if not columns.names:
            return votes, None
        layout = find_layout(votes.header(), tree=replace(tree, tables=(columns,)))
        return votes, None if layout is None else replace(layout, tree=tree)

    def _with(self, names: set[str]) -> "SubjectVotes":
        """The table with these columns, too, for answers to its tasks that nobody gave."""
        data = self.read()
        for name in sorted(names - {*data.column_names}):
            answers = self.tasks.get(name.rpartition(".")[0])
            if answers:
                task = data.column(f"{name.rpartition('.')[0]}.{answers[0]}").to_numpy()
                data = data.append_column(name, pa.array(task * 0))
        return replace(self, data=data)

    def _columns_of(self, tree: DecisionTree) -> dict[str, str]:
        """The columns of the tree's answers, for the questions that have the answers of a task."""
        pairs = [
            (question.name, task, answers)
            for question in tree.questions
            for task, slugs in self.tasks.items()
            if (answers := _answers_of(question, slugs)) is not None
        ]
        questions, tasks = dict[str, str](), dict[str, str]()
        for question, task, answers in pairs:
            one, several = "", ""
            if question in questions:
                one, several = f"question {question}", f"tasks {questions[question]} and {task}"
            elif task in tasks:
                one, several = f"task {task}", f"questions {tasks[task]} and {question}"
            if one:
                raise ConfigError(
                    f"{self.name}: the answers of the {one} are those of the {several}."
                    f" {_name_them(_in_columns(task, answers))}"
                )
            questions[question], tasks[task] = task, question
        return {
            answer: column
            for _, task, answers in pairs
            for answer, column in _in_columns(task, answers).items()
        }


def by_subject(table: Table) -> Table:
    """The votes of an export of Zooniverse's, a row a subject; any other table as it is.

    DataError for a subject that has two rows of one task, for rows of several workflows or of
    another reducer, for anything but whole counts, and for ids that have lost digits.
    """
    header = table.header()
    answers = [name for name in header if name.startswith(_DATA)]
    answers = [name for name in answers if name.removeprefix(_DATA) not in _NO_ANSWERS]
    if not answers or not {_SUBJECT, _TASK, _REDUCER} <= {*header}:
        return table
    _check_one(table, _REDUCER, "question_reducer")
    if _WORKFLOW in header:
        _check_one(table, _WORKFLOW)
    data = table.read()
    subjects = next(iter(table.text_columns([_SUBJECT])))
    if subjects.unfit:
        raise DataError(subjects.unfit)
    encoded = subjects.texts.combine_chunks().dictionary_encode()
    rows, tasks = encoded.indices.to_numpy(), np.array(table.texts(_TASK))
    votes: Float[np.ndarray, "row answer"] = np.stack(
        [_counts(table, data, name) for name in answers], axis=1
    )
    columns: dict[str, pa.Array] = {_SUBJECT: encoded.dictionary}
    of_tasks: dict[str, tuple[str, ...]] = {}
    for task in sorted({*tasks.tolist()}, key=_in_order):
        where = np.flatnonzero(tasks == task)
        _check_different(table, task, where, rows[where])
        given = np.isfinite(votes[where])
        known = np.flatnonzero(given.any(axis=0))
        slugs = tuple(answers[index].removeprefix(_DATA) for index in known)
        if slugs:
            of_tasks[task] = slugs
        counts = np.nan_to_num(votes[where])
        counts[~given.any(axis=1)] = np.nan
        for index, slug in zip(known, slugs, strict=True):
            column = np.full(len(encoded.dictionary), np.nan)
            column[rows[where]] = counts[:, index]
            columns[f"{task}.{slug}"] = pa.array(column)
    return SubjectVotes(table.name, pa.table(columns), tasks=of_tasks)


def explain_reductions(tables: Sequence[Table], tree: DecisionTree | None) -> str | None:
    """Why these exports of Zooniverse's are not read, and what to do, for an error; None if there
    are none among the tables.
    """
    for table in tables:
        if isinstance(table, SubjectVotes):
            found = "; ".join(f"{task}: {', '.join(names)}" for task, names in table.tasks.items())
            found = found if len(found) <= _LISTED else f"{found[:_LISTED]} …"
            what = f"{table.name} is an export of Zooniverse's, with the tasks and answers {found}"
            if tree is None:
                return (
                    f"{what}. Pass `labels=LabelSettings(tree='FILE')`, a tree whose answers these"
                    " are"
                )
            answers = tree.questions[0].answers
            name = f"{next(iter(table.tasks), 'T0')}.…"
            return (
                f"{what}. No question of the tree {tree.name!r} has the answers of a task."
                f" {_name_them({answer.column: name for answer in answers})}"
            )
        if {"classification_id", "extractor"} <= {*table.header()}:
            return (
                f"{table.name} is an export of Zooniverse's with a row for each classification:"
                " count them with `panoptes_aggregation reduce`, and give the table that it writes"
            )
    return None


# ---- one task and one question


def _answers_of(question: Question, slugs: Sequence[str]) -> dict[str, str] | None:
    """The slug of each answer if all slugs of a task are answers of this question, else None.

    An answer is called by its column, what follows the first underline there, or its text.
    """
    columns = [answer.column for answer in question.answers]
    for words in (
        columns,
        [column.partition("_")[2] for column in columns],
        [answer.text for answer in question.answers],
    ):
        called = [_slug(word) for word in words]
        wanted = {_slug(slug): slug for slug in slugs}
        if len({*called}) == len(called) and wanted.keys() <= {*called}:
            return {
                column: wanted.get(slug, slug) for column, slug in zip(columns, called, strict=True)
            }
    return None


def _slug(text: str) -> str:
    """A text as Zooniverse writes it in the names of columns."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


def _in_columns(task: str, slugs: Mapping[str, str]) -> dict[str, str]:
    return {answer: f"{task}.{slug}" for answer, slug in slugs.items()}


def _name_them(names: Mapping[str, str]) -> str:
    """How a tree file says which columns are meant."""
    pairs = ", ".join(f'"{answer}" = "{column}"' for answer, column in [*names.items()][:2])
    return (
        'Name the columns in the tree file: [[table]] with name = "zooniverse", columns ='
        f' "{{answer}}", holds = "votes" and names = {{ {pairs}, … }}'
    )


# ---- checks


def _check_one(table: Table, column: str, expected: str = "") -> None:
    """Refuse rows that differ from the first one in a column, or from what is expected there."""
    words = table.text(column)
    expected = expected or words[0].as_py()
    for row, word in enumerate(words.to_pylist()):
        if word != expected:
            raise DataError(
                f"{table.at(row)}: {column} is {word!r}; expected {expected!r}, as in all rows of"
                " an export that is read as votes: leave the other rows out"
            )


def _check_different(
    table: Table, task: str, where: Int[np.ndarray, " row"], subjects: Int[np.ndarray, " row"]
) -> None:
    if repeated := first_repeated(subjects):
        earlier, row = (int(where[place]) for place in repeated)
        subject = table.texts(_SUBJECT)[row]
        raise DataError(
            f"{table.at(row)}: task {task} of the subject {subject} stands already in"
            f" {table.at(earlier)}; leave one of them out"
        )


def _counts(table: Table, data: pa.Table, name: str) -> Float[np.ndarray, " row"]:
    counts = numbers_of(data.column(name))
    if isinstance(counts, NotANumber):
        raise DataError(f"{table.at(counts.row)}: {name} is {counts.word!r}; {counts.expected}")
    bad = (counts < 0) | (counts != np.floor(counts)) & ~np.isnan(counts)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{table.at(row)}: {name} is {counts[row]:g}; votes are whole counts, 0 or more"
        )
    return counts


def _in_order(task: str) -> tuple[str, int]:
    """T2 before T10."""
    number = re.search(r"\d+$", task)
    return (task[: number.start()], int(number[0])) if number else (task, -1)
