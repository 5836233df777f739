"""What a notebook shows of each thing is one short line, however much is in it."""

import pytest

from galaxyvotes import DecisionTree, Recipe, evaluate, open_catalog


@pytest.fixture(scope="module")
def evaluation(blob_run, blob_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return evaluate(blob_store, blob_run, out=out, baselines=False, resamples=5, progress=False)


def test_every_repr_is_one_short_line(blob_run, blob_store, blobs, evaluation):
    network = blob_run.network()
    assert repr(blob_store) == f"<Store {blob_store.path}: 80 galaxies of 32 px, tree class>"
    assert repr(network) == "<Network vgg6: <Head class: 2 answers>, images of 32 px>"
    assert repr(DecisionTree.load("kaggle")) == "<DecisionTree kaggle: 11 questions, 37 answers>"
    assert repr(Recipe.load("paper")).startswith("<Recipe paper: vgg6, ")
    assert repr(evaluation) == f"<Evaluation of 12 galaxies: {evaluation.path}>"
    assert repr(evaluation.report) == f"<Report {evaluation.path}>"
    with open_catalog(blobs) as catalog:
        assert repr(catalog) == "<Catalog: 80 galaxies, labels from the names of the folders>"
    assert repr(blob_run.calibration()) == "<Calibration: none>"
    assert len(repr(blob_run)) < 200


def test_an_evaluation_shows_its_summary_and_its_numbers_in_a_notebook(evaluation):
    html = evaluation._repr_html_()
    assert html.startswith("<p>With 12 galaxies, nothing can be concluded")
    assert "The network predicts the right class of" in html
    assert "<th>Accuracy</th>" in html
    assert f"<td>{evaluation.document['network']['accuracy']['value']:.3f}</td>" in html
    assert str(evaluation.path) in html
