"""The bundled model is there, small, whole, and used where no other is named."""

from importlib import resources
from pathlib import Path

import pytest

from galaxyvotes import ConfigError, PackSettings, Predictions, predict
from galaxyvotes.runs.run import bundled_run

WEIGHTS = Path(str(resources.files("galaxyvotes"))) / "weights"


def test_the_bundled_model_is_small_and_has_a_card():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 20e6
    card = (WEIGHTS / "README.md").read_text("utf-8")
    for word in (
        "Training data",
        "Splits",
        "Figures",
        "Limits",
        "Licence",
        "benchmarks/default_model.py",
    ):
        assert word in card
    assert not list(WEIGHTS.glob("*.pt*"))


def test_images_are_packed_for_it_by_default():
    assert bundled_run().pack == PackSettings()


@pytest.mark.parametrize(
    ("tree", "first"), [(None, "Class1.1"), ("gz2", "t01_smooth_or_features_a01")]
)
def test_any_image_is_predicted_without_a_run_with_bounds(tmp_path, make_jpeg, tree, first):
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"g{number}.jpg").write_bytes(make_jpeg(number, 424))
    done = predict(tmp_path / "images", tmp_path / "out.csv", tree=tree, progress=False)
    predictions = Predictions.read(done.path)
    assert len(predictions) == 3
    assert predictions.columns[0].startswith(first)
    assert predictions.bounds is not None
    assert (predictions.bounds.lower <= predictions.values).all()
    assert (predictions.values <= predictions.bounds.upper).all()


def test_its_classes_have_probabilities_and_no_bounds(tmp_path, make_jpeg):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "g.jpg").write_bytes(make_jpeg(1, 424))
    how = {"tree": "classes5", "progress": False}
    done = predict(tmp_path / "images", tmp_path / "out.csv", **how)
    predictions = Predictions.read(done.path)
    assert predictions.columns[0] == "completely-round-smooth"
    assert predictions.values.sum() == pytest.approx(1, abs=1e-5)
    assert predictions.bounds is None
    assert predictions.familiarity is not None
    with pytest.raises(ConfigError, match="its probabilities are calibrated, and it has no"):
        predict(tmp_path / "images", tmp_path / "bounds.csv", intervals=True, **how)


def test_its_conditional_fractions_have_bounds_too(tmp_path, make_jpeg):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "g.jpg").write_bytes(make_jpeg(1, 424))
    done = predict(
        tmp_path / "images", tmp_path / "out.csv", fractions="conditional", progress=False
    )
    predictions = Predictions.read(done.path)
    assert predictions.bounds is not None
    first = predictions.bounds.upper[:, :3]  # everybody is asked whether it is smooth
    assert (predictions.values[:, :3] <= first).all()


def test_it_lists_the_galaxies_it_has_seen():
    run = bundled_run()
    assert run.seen.num_rows > 20_000
    assert set(run.seen.column("split").to_pylist()) == {"train", "validation"}


@pytest.mark.real_data
def test_it_predicts_real_galaxies_that_it_has_never_seen(shared_data, tmp_path):
    from galaxyvotes import PackSettings, Store, evaluate, pack

    sources = [shared_data / "kaggle" / f"images_training_rev1_part{n}.zip" for n in (1, 2, 3, 4)]
    table = shared_data / "kaggle" / "training_solutions_rev1.csv"
    store = pack(
        [*sources, table], tmp_path / "store", settings=PackSettings(208, 96), progress=False
    )
    assert isinstance(store, Store)
    result = evaluate(
        store,
        bundled_run(),
        out=tmp_path / "report",
        allow_seen=True,
        baselines=False,
        resamples=50,
        progress=False,
    )
    assert (
        result.document["seen"]["training"] <= 1
    )  # one has the pixels of a galaxy with another id
    assert result.document["network"]["rmse"]["value"] < 0.11  # the mean vote has 0.165
