import pytest

from galaxyvotes import ConfigError, Run, SplitSettings, Store, evaluate, train
from galaxyvotes.evaluation.published import check_published, published_protocol
from galaxyvotes.evaluation.seen import seen_by
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.metrics.scores import rmse
from galaxyvotes.reports.comparison import ReportSettings
from galaxyvotes.tree import DecisionTree


@pytest.fixture(scope="module")
def fractions(blob_fractions, tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("fractions") / "store"
    return blob_fractions(folder, SplitSettings(0.7, 0.15, 0.15))


@pytest.fixture(scope="module")
def run(fractions, tmp_path_factory) -> Run:
    settings = ("train.epochs=1", "train.batch_size=8")
    out = tmp_path_factory.mktemp("run") / "run"
    return train(fractions, out, recipe="small", settings=settings, progress=False)


def test_the_protocol_counts_the_galaxies_that_were_used_in_training(blob_run, blob_store):
    network, seen = blob_run.network(), seen_by(blob_run, blob_store)
    summary = published_protocol(blob_store, network, seen, ReportSettings(resamples=20))
    assert 0 < summary["seen"] <= summary["galaxies"] == 16  # a fifth of eighty
    rows = blob_store.rows("train")
    assert f"of the {len(rows)} training galaxies" in summary["note"]
    predicted = predict_store(network, blob_store, rows).values
    assert summary["rmse"]["value"] == pytest.approx(rmse(blob_store.values[rows], predicted))


def test_the_report_marks_it_as_contaminated(run, fractions, tmp_path):
    result = evaluate(
        fractions,
        run,
        out=tmp_path,
        as_published=True,
        baselines=False,
        resamples=20,
        progress=False,
    )
    assert result.document["contaminated"]["galaxies"] == 16
    assert "do not quote" in result.path.read_text("utf-8")


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        (DecisionTree.of_numbers(["ttype"]), "ttype is of quantities"),
        (DecisionTree.of_classes(["a", "b"]), "class is of classes"),
    ],
)
def test_the_paper_has_no_protocol_for_quantities_and_classes(tree, kind):
    with pytest.raises(ConfigError, match=f"{kind}: leave out `as_published=True`"):
        check_published(tree)
