from dataclasses import replace

import pytest

from galaxyvotes.reports.document import document_of
from galaxyvotes.reports.paper_table import beside_paper, published_aucs
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")


@pytest.fixture(scope="module")
def document(full_comparison, quick):
    return document_of(full_comparison, quick)


def test_the_published_table_has_the_counts_that_the_text_gives():
    aucs = published_aucs()["auc"]
    assert len(aucs) == len(KAGGLE.columns)
    assert sum(auc > 0.95 for auc in aucs) == 10
    assert sum(auc >= 0.90 for auc in aucs) == 31
    assert sorted(aucs)[:6] == [0.42, 0.78, 0.80, 0.82, 0.85, 0.85]
    assert [label for label, auc in enumerate(aucs) if auc == 0.99] == [3, 26, 27]
    assert aucs[KAGGLE.columns.index("Class8.2")] == 0.42


def test_each_label_has_the_published_auc_and_both_of_ours(document):
    rows = document["paper_table"]["answers"]
    assert [row["label"] for row in rows] == list(range(37))
    for row, honest, contaminated in zip(
        rows, document["network"]["answers"], document["contaminated"]["answers"], strict=True
    ):
        assert row["answer"] == honest["answer"] == contaminated["answer"]
        assert (row["honest"], row["as_published"]) == (honest["auc"], contaminated["auc"])
    assert [row["published"] for row in rows] == published_aucs()["auc"]


def test_an_undefined_auc_is_counted_nowhere(document):
    counts = document["paper_table"]["counts"]
    assert counts["published"] == {
        "defined": 37,
        "above_0.95": 10,
        "from_0.95": 13,
        "from_0.90": 31,
    }
    assert counts["honest"]["defined"] == document["network"]["mean_auc"]["answers"] < 37


def test_ours_are_counted_as_rounded_as_theirs(document):
    answers = [
        {"answer": column, "text": "", "auc": {"value": auc}, "positives": 20}
        for column, auc in zip(KAGGLE.columns, (0.9449, 0.9451, 0.9549, 0.9551), strict=False)
    ]
    given = {
        "tree": "kaggle",
        "network": {"answers": answers},
        "contaminated": {"answers": answers},
    }
    table = beside_paper(given, KAGGLE.columns)
    assert table["counts"]["honest"] == {
        "defined": 4,
        "above_0.95": 1,
        "from_0.95": 3,
        "from_0.90": 4,
    }


def test_fewer_answers_keep_the_numbers_of_their_labels(document):
    fewer = [row for row in document["network"]["answers"] if row["answer"].startswith("Class8")]
    given = {"tree": "kaggle", "network": {"answers": fewer}, "contaminated": {"answers": fewer}}
    rows = beside_paper(given, KAGGLE.columns)["answers"]
    assert [row["label"] for row in rows] == list(range(18, 25))
    assert rows[1]["published"] == 0.42


@pytest.mark.parametrize("change", [{"contaminated": None}, {"tree": "gz2"}])
def test_other_trees_and_honest_reports_have_no_such_table(document, change):
    assert beside_paper(document | change, KAGGLE.columns) is None


def test_the_page_numbers_the_labels_and_explains_the_outlier(written, read_page):
    text = read_page(written.html.read_text("utf-8")).text
    assert "19 Class8.2 lens or arc 0.42" in text
    assert "10 of 37" in text
    assert "31 of 37" in text
    assert "rests on a handful of positive galaxies" in text


def test_a_page_without_the_protocol_has_no_table(full_comparison, quick):
    assert document_of(replace(full_comparison, contaminated=None), quick)["paper_table"] is None
