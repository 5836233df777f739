import sqlite3
import subprocess
import sys
import threading

import pyarrow.csv
import pytest

from galaxyvotes import PackSettings, pack
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web.classifications import Classifications

SPIRAL = ["Class1.2", "Class2.2", "Class4.1"]


@pytest.fixture
def labels(tmp_path, kaggle):
    return Classifications(tmp_path / "votes.sqlite", kaggle)


def test_the_last_answer_of_a_person_for_a_galaxy_counts(labels):
    labels.add("Ada", ["g1", "g2"], ["Class1.1"])
    labels.add("Ada", ["g1"], SPIRAL)
    labels.add("Bob", ["g1"], ["Class1.3"])
    assert labels.of_galaxy("g1") == [("Ada", sorted(SPIRAL)), ("Bob", ["Class1.3"])]
    assert labels.of_galaxy("g2") == [("Ada", ["Class1.1"])]
    assert labels.seen_by("Ada") == {"g1", "g2"}


def test_a_step_is_taken_back_as_a_whole(labels):
    labels.add("Ada", ["g1"], ["Class1.1"])
    labels.add("Bob", ["g1"], ["Class1.1"])
    labels.add("Ada", ["g1", "g2"], SPIRAL)
    assert labels.take_back("Ada") == ["g1", "g2"]
    assert labels.of_galaxy("g1") == [("Ada", ["Class1.1"]), ("Bob", ["Class1.1"])]
    assert labels.take_back("Ada") == ["g1"]
    assert labels.take_back("Ada") == []
    assert labels.of_galaxy("g1") == [("Bob", ["Class1.1"])]


def test_progress_and_agreement_are_counted(labels):
    assert (labels.progress(), labels.agreement()) == ([], None)
    labels.add("Ada", ["g1", "g2"], ["Class1.1"])
    labels.add("Bob", ["g1"], ["Class1.1"])
    labels.add("Bob", ["g2"], ["Class1.2"])
    labels.add("Bob", ["g3"], [])
    assert [tuple(one) for one in labels.progress()] == [("Ada", 2, 0), ("Bob", 2, 1)]
    assert labels.agreement() == 0.5


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (["nix"], "no answer 'nix'"),
        (["Class1.1", "Class1.2"], "'Q1' has two answers"),
        (["Class4.1"], "'Class2.2', which leads to it, is not"),
    ],
)
def test_answers_that_contradict_the_tree_are_refused(labels, answers, problem):
    with pytest.raises(ConfigError, match=problem):
        labels.add("Ada", ["g1"], answers)
    with pytest.raises(ConfigError, match="has a name"):
        labels.add(" ", ["g1"], [])
    assert not labels.path.exists()


def test_what_was_answered_survives_a_kill(labels):
    program = (
        "import os, signal, sys; from galaxyvotes.tree import DecisionTree;"
        "from pathlib import Path; from galaxyvotes.web.classifications import Classifications;"
        "c = Classifications(Path(sys.argv[1]), DecisionTree.load('kaggle'));"
        "[c.add('Ada', [f'g{n}'], ['Class1.1']) for n in range(5)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, labels.path], check=False)
    assert ended.returncode == -9
    assert labels.seen_by("Ada") == {f"g{n}" for n in range(5)}


def test_answers_of_many_at_the_same_time_are_all_kept(labels):
    def work(name):
        for number in range(20):
            labels.add(name, [f"g{number}"], ["Class1.1"])

    threads = [threading.Thread(target=work, args=(f"person {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [progress.answered for progress in labels.progress()] == [20] * 4


def test_the_table_of_votes_can_be_packed(labels, zoo, tmp_path, kaggle):
    labels.add("Ada", ["g0001", "g0002"], ["Class1.1", "Class7.1", "Class6.2"])
    labels.add("Bob", ["g0001"], ["Class1.2", "Class2.1", "Class9.1", "Class6.2"])
    labels.add("Bob", ["g0003"], [])
    table = tmp_path / "votes.csv"
    table.write_text("".join(labels.table()), "utf-8")
    assert pyarrow.csv.read_csv(table).num_rows == 2
    store = pack(
        [zoo.images, table], tmp_path / "store", settings=PackSettings(64, 16), progress=False
    )
    row = store.ids.index("g0001")
    votes = dict(zip(kaggle.columns, store.votes[row].tolist(), strict=True))
    assert (votes["Class1.1"], votes["Class1.2"], votes["Class6.2"]) == (1, 1, 2)
    values = dict(zip(kaggle.columns, store.values[row].tolist(), strict=True))
    assert (values["Class1.1"], values["Class2.1"], values["Class7.1"]) == (0.5, 0.5, 0.5)


def test_a_file_of_another_kind_is_refused_and_untouched(labels, tmp_path, kaggle):
    labels.path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DataError, match="cannot be read or written"):
        labels.add("Ada", ["g1"], ["Class1.1"])
    assert labels.path.read_bytes() == b"this is no database" * 100
    other = Classifications(tmp_path / "other.sqlite", kaggle)
    other.add("Ada", ["g1"], ["Class1.1"])
    with sqlite3.connect(other.path) as database:
        database.execute("UPDATE facts SET value = 'gz2'")
    database.close()
    with pytest.raises(ConfigError, match="holds answers to the tree 'gz2'"):
        other.seen_by("Ada")
