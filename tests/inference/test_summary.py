import numpy as np
import pytest

from galaxyvotes import ConfigError, DecisionTree, Predictions, TableSettings, merge, predict
from galaxyvotes.inference.summary import check_summary, likely_paths
from galaxyvotes.metrics.information import entropy
from galaxyvotes.table_formats.read import open_rows

SUMMARY = TableSettings(summary=True)


def test_the_likely_path_takes_the_largest_fraction_at_each_question(kaggle, make_fractions):
    joint = make_fractions(kaggle, 50, seed=3)
    paths = likely_paths(kaggle, joint, kaggle.columns)
    questions = {question.name: (question, where) for question, where in kaggle}
    for row, path in zip(joint, paths, strict=True):
        name, words = kaggle.questions[0].name, []
        while name is not None:
            question, where = questions[name]
            answer = question.answers[int(row[where].argmax())]
            words.append(answer.text)
            name = answer.next
        assert path == " > ".join(words)
    conditional = kaggle.conditional(joint)
    assert likely_paths(kaggle, conditional, kaggle.columns) == paths


def test_a_path_ends_at_a_question_that_is_not_predicted_or_asked_of_nobody(kaggle):
    values = np.zeros((2, 37), np.float32)
    values[0, 0] = values[1, 1] = 1
    first = [answer.text for answer in kaggle.questions[0].answers]
    assert likely_paths(kaggle, values, kaggle.columns) == first[:2]
    assert likely_paths(kaggle, values[:, :3], kaggle.columns[:3]) == first[:2]
    assert likely_paths(kaggle, values[:0], kaggle.columns) == []


@pytest.mark.parametrize("suffix", ["csv", "fits", "parquet"])
def test_a_table_has_the_summary_behind_the_predictions(blob_run, blobs, tmp_path, suffix):
    out, how = tmp_path / f"out.{suffix}", {"run": blob_run, "table": SUMMARY, "progress": False}
    done = predict(blobs, out, **how)
    with open_rows(out) as rows:
        table = next(rows.slices(100))
    assert table.column_names == ["id", "long", "round", "likely_path", "entropy"]
    tree = DecisionTree.of_classes(["long", "round"])
    values = done.values
    assert [*table.column("likely_path").to_pylist()] == likely_paths(tree, values, done.columns)
    bits = table.column("entropy").to_numpy()
    assert np.allclose(bits, entropy(tree, values, done.columns), atol=1e-6)
    assert Predictions.read(out).columns == ("long", "round")
    out.unlink()
    for shard in ("1/2", "2/2"):
        predict(blobs, out, shard=shard, **how)
    merge(out)
    with open_rows(out) as rows:
        assert next(rows.slices(100)).equals(table)


def test_a_row_without_prediction_has_no_summary(blob_run, blobs, tmp_path):
    first = next(blobs.rglob("*.jpg"))
    (tmp_path / "t.csv").write_text(f"file\n{first}\ngone.jpg\n")
    table = predict(tmp_path / "t.csv", run=blob_run, table=SUMMARY, progress=False).to_arrow()
    names = ["file", "long", "round", "likely_path", "entropy", "image_problem"]
    assert table.column_names == names
    assert table.column("likely_path").is_null().to_pylist() == [False, True]


def test_conditional_fractions_have_the_summary_of_the_joint_ones(two_heads, blobs):
    how = {"run": two_heads, "tree": "pair", "table": SUMMARY, "progress": False}
    joint = predict(blobs, **how).to_arrow()
    conditional = predict(blobs, **how, fractions="conditional").to_arrow()
    assert joint.column("likely_path").equals(conditional.column("likely_path"))
    bits = [table.column("entropy").to_numpy() for table in (joint, conditional)]
    assert np.allclose(*bits, atol=1e-5)


def test_quantities_have_no_summary(blob_run):
    from dataclasses import replace

    network = blob_run.network()
    numbers = DecisionTree.of_numbers(["size"])
    head = replace(network.heads[0], tree=numbers, columns=("size",))
    with pytest.raises(ConfigError, match="quantities, which have no summary"):
        check_summary(replace(network, heads=(head,)))
