"""Tables in the layout of panoptes_aggregation's question_reducer_*.csv: counts are floats, and
empty where nobody gave an answer or the answer is another task's."""

import csv

import numpy as np
import pytest

import galaxyvotes
from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.reductions import by_subject
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_table import explain_no_votes, find_vote_table
from galaxyvotes.tables.votes import Votes, read_votes
from galaxyvotes.tree import DecisionTree

HEADER = "subject_id,workflow_id,task,reducer,"
EXPORT = f"""{HEADER}data.no,data.yes,data.inside,data.outside-the-disk,data.None,\
data.aggregation_version
87654321,4249,T0,question_reducer,3.0,7.0,,,,4.1.0
87654321,4249,T1,question_reducer,,,5.0,1.0,1.0,4.1.0
87654322,4249,T0,question_reducer,9.0,,,,,4.1.0
87654322,4249,T1,question_reducer,,,,,,4.1.0
87654323,4249,T1,question_reducer,,,2.0,,,4.1.0
"""
TREE = """
name = "rings"
title = "Rings"
[[question]]
name = "ring"
text = "Does the galaxy have a ring?"
answer = [
    { column = "ring_yes", text = "Yes", next = "kind" }, { column = "ring_no", text = "No" }
]
[[question]]
name = "kind"
text = "Where is it?"
asked_of = "ring_yes"
answer = [
    { column = "inner", text = "Inside" },
    { column = "outer", text = "Outside the disk" },
    { column = "both", text = "Both" },
]
"""
RINGS = DecisionTree.from_toml(TREE)


def exported(text: str = EXPORT) -> Table:
    return by_subject(Table("q.csv", text.encode()))


def votes_of(table: Table, tree: DecisionTree = RINGS, **options) -> tuple[Votes, list[str]]:
    found = find_vote_table([table], LabelSettings(**options), tree)
    assert found is not None
    table, layout = found
    return read_votes(table.read(), layout, at=table.at), table.texts("subject_id")


def refusal(text: str, kind: type[Exception] = DataError, tree: DecisionTree = RINGS) -> str:
    with pytest.raises(kind) as error:
        votes_of(exported(text), tree)
    return str(error.value)


def test_tasks_become_the_questions_that_have_their_answers():
    votes, subjects = votes_of(exported())
    assert subjects == ["87654321", "87654322", "87654323"]
    assert votes.counts is not None
    assert votes.counts.tolist() == [[7, 3, 5, 1, 0], [0, 9, -1, -1, -1], [-1, -1, 2, 0, 0]]
    expected = np.array(
        [[0.7, 0.3, 0.7 * 5 / 6, 0.7 / 6, 0], [0, 1, 0, 0, 0], [np.nan] * 5], np.float32
    )
    np.testing.assert_allclose(votes.values, expected, rtol=1e-6)


def test_the_columns_of_answers_may_be_named_in_the_tree():
    named = (
        TREE
        + """
        [[table]]
        name = "zooniverse"
        columns = "{answer}"
        holds = "votes"
        [table.names]
        ring_yes = "T0.no"
        ring_no = "T0.yes"
        inner = "T1.inside"
        outer = "T1.outside-the-disk"
        both = "T1.both"
    """
    )
    votes, _ = votes_of(exported(), DecisionTree.from_toml(named))
    assert votes.counts is not None
    assert votes.counts[0].tolist() == [3, 7, 5, 1, 0]


def test_tasks_that_several_questions_could_be_are_refused_with_what_to_write():
    more = TREE.replace('"inner", text = "Inside"', '"inner", text = "Yes"')
    more = more.replace('"outer", text = "Outside the disk"', '"outer", text = "No"')
    message = refusal(EXPORT, ConfigError, DecisionTree.from_toml(more))
    assert message.startswith(
        "q.csv: the answers of the task T0 are those of the questions ring and kind. Name the"
        ' columns in the tree file: [[table]] with name = "zooniverse", columns = "{answer}",'
        ' holds = "votes" and names = { "inner" = "T0.yes", "outer" = "T0.no", … }'
    )
    both = "\n".join(line.replace("T0", "T2") for line in EXPORT.splitlines() if ",T0," in line)
    message = refusal(EXPORT + both, ConfigError)
    assert message.startswith("q.csv: the answers of the question ring are those of the tasks T0")


def test_answers_that_no_question_has_are_listed():
    table = exported(EXPORT.replace("inside", "near").replace("data.no,", "data.never,"))
    assert find_vote_table([table], LabelSettings(), RINGS) is None
    assert explain_no_votes([table], LabelSettings(), RINGS) == (
        "q.csv is an export of Zooniverse's, with the tasks and answers T0: never, yes; T1: near,"
        " outside-the-disk. No question of the tree 'rings' has the answers of a task. Name the"
        ' columns in the tree file: [[table]] with name = "zooniverse", columns = "{answer}",'
        ' holds = "votes" and names = { "ring_yes" = "T0.…", "ring_no" = "T0.…", … }'
    )


def test_a_question_whose_answers_no_task_has_is_unknown():
    found = find_vote_table([exported(EXPORT.replace("inside", "near"))], LabelSettings(), RINGS)
    assert found is not None
    assert [*found[1].unknown] == ["kind"]


def test_without_a_tree_the_error_says_which_answers_it_needs():
    assert find_vote_table([exported()], LabelSettings(), None) is None
    assert explain_no_votes([exported()], LabelSettings(), None) == (
        "q.csv is an export of Zooniverse's, with the tasks and answers T0: no, yes; T1: inside,"
        " outside-the-disk. Pass `labels=LabelSettings(tree='FILE')`, a tree whose answers these"
        " are"
    )


def test_extracts_are_refused_with_what_counts_them():
    extracts = Table(
        "question_extractor_a.csv",
        b"classification_id,user_name,task,subject_id,extractor,data.yes\n1,a,T0,2,question,1\n",
    )
    assert "count them with `panoptes_aggregation reduce`" in explain_no_votes(
        [by_subject(extracts)], LabelSettings(), RINGS
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("87654321,4249,T0,question_reducer,1,1,,,,", "task T0 of the subject 87654321 stands"),
        ("1,4250,T0,question_reducer,1,1,,,,", "workflow_id is '4250'; expected '4249', as in"),
        ("1,4249,T0,point_reducer,1,1,,,,", "reducer is 'point_reducer'; expected 'question_red"),
        ("1,4249,T0,question_reducer,1.5,1,,,,", "data.no is 1.5; votes are whole counts, 0 or"),
        ("1,4249,T0,question_reducer,-1,1,,,,", "data.no is -1; votes are whole counts, 0 or"),
        ("1,4249,T0,question_reducer,x,1,,,,", "data.no is 'x'; expected a number"),
    ],
)
def test_rows_that_are_no_votes_are_refused_with_their_line(row, message):
    assert refusal(EXPORT + row + "\n").startswith(f"q.csv line 7: {message}")


def test_ids_of_subjects_that_have_lost_digits_are_refused():
    with pytest.raises(DataError, match="ids have lost their last digits"):
        exported(f"{HEADER}data.yes\n5.877e17,1,T0,question_reducer,1\n")


def test_other_tables_are_left_as_they_are():
    table = Table("t.csv", b"subject_id,task,data.yes\n1,T0,1\n")
    assert by_subject(table) is table


def test_simulated_galaxies_pack_alike_from_an_export_and_from_their_own_table(tmp_path, kaggle):
    zoo = galaxyvotes.simulate(tmp_path / "zoo", galaxies=12)
    with (zoo / "votes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    words = {answer.column: answer.text for answer in kaggle.answers}
    slugs = {name: "-".join(text.lower().replace(",", "").split()) for name, text in words.items()}
    names = {
        answer.column: f"T{task}.{slugs[answer.column]}"
        for task, question in enumerate(kaggle.questions)
        for answer in question.answers
    }
    columns = sorted({*slugs.values()})
    with (tmp_path / "question_reducer_zoo.csv").open("w", encoding="utf-8") as file:
        file.write(HEADER + ",".join(f"data.{slug}" for slug in columns) + "\n")
        for row in rows:
            for task, question in enumerate(kaggle.questions):
                counts = {slugs[a.column]: row[f"{a.column}_votes"] for a in question.answers}
                cells = [f"{counts[s]}.0" if counts.get(s, "0") != "0" else "" for s in columns]
                start = f"{row['SimulationID']},1,T{task},question_reducer,"
                file.write(start + ",".join(cells) + "\n")
    tree = tmp_path / "tree.toml"
    table = '\n[[table]]\nname = "export"\ncolumns = "{answer}"\nholds = "votes"\nnames = {'
    table += ", ".join(f'"{name}" = "{column}"' for name, column in names.items()) + "}\n"
    tree.write_text(kaggle.to_toml() + table, "utf-8")
    galaxyvotes.pack(
        [zoo / "images", tmp_path / "question_reducer_zoo.csv"],
        tmp_path / "exported",
        labels=LabelSettings(tree=tree),
    )
    galaxyvotes.pack(zoo, tmp_path / "own", labels=LabelSettings(votes="votes"))
    stores = [galaxyvotes.Store.open(tmp_path / name) for name in ("exported", "own")]
    assert stores[0].ids == stores[1].ids
    np.testing.assert_array_equal(stores[0].values, stores[1].values)
    assert stores[0].votes is not None
    np.testing.assert_array_equal(stores[0].votes.clip(min=0), stores[1].votes)
