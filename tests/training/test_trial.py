"""Whether layers learn, or the fitted last layer stays alone."""

import numpy as np
import pytest

from galaxyvotes import ConfigError, calibrate, finetune, predict_store
from galaxyvotes.training import trial as trials
from galaxyvotes.training.trial import Trial

FEW = ("train.epochs=2", "train.batch_size=8", "train.precision=float32", "model.views=1")


def test_the_smaller_loss_of_galaxies_left_out_decides_and_is_said():
    assert Trial(0.5, 0.4, 20).pays
    assert not Trial(0.5, 0.5, 20).pays
    assert Trial(0.5, 0.4, 20).remark.startswith("all layers learn: of 20 training galaxies")
    assert "stay as they are" in Trial(0.4, 0.5, 20).remark


@pytest.mark.parametrize("learned", [0.0, 9.0])
def test_a_run_has_the_recipe_that_the_trial_found_better(
    base, upside, tmp_path, monkeypatch, capsys, learned
):
    monkeypatch.setattr(trials, "trial", lambda *_: Trial(1.0, learned, 2))
    run = finetune(upside, tmp_path / "run", start=base, settings=FEW)
    assert run.recipe.name == ("layered" if learned < 1 else "fitted")
    assert run.recipe.model.name == "layered"
    said = capsys.readouterr().err
    assert "the last layer is fitted" in said
    assert "2 training galaxies left out of a trial" in said
    before, after = (_layers(run, name) for name in ("start", "weights"))
    changed = any(not np.array_equal(before[name], after[name]) for name in before)
    assert changed == (learned < 1)


@pytest.mark.parametrize("recipe", ["fitted", "layered"])
def test_both_ways_can_be_named_and_need_no_trial(base, upside, tmp_path, monkeypatch, recipe):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    how = {"recipe": recipe, "settings": FEW, "progress": False}
    run = finetune(upside, tmp_path / "run", start=base, **how)
    assert (run.recipe.name, run.recipe.model.name) == (recipe, "layered")
    further = finetune(upside, tmp_path / "further", start=run, settings=FEW, progress=False)
    assert further.recipe.model.name == "layered"


def test_what_cannot_be_fitted_is_refused_before_anything_is_computed(base, upside, tmp_path):
    with pytest.raises(ConfigError, match=r"recipe fitted .* train.objective is mse .* finetune"):
        finetune(
            upside, tmp_path / "run", start=base, recipe="fitted", settings=("train.objective=mse",)
        )


def test_a_folder_that_exists_is_refused_before_the_trial(base, upside, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    (tmp_path / "run").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        finetune(upside, tmp_path / "run", start=base, settings=FEW, progress=False)


def test_many_galaxies_are_learned_without_a_trial(base, upside, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    monkeypatch.setattr(trials, "MANY", 5)
    run = finetune(upside, tmp_path / "run", start=base, settings=FEW, progress=False)
    assert run.recipe.name == "layered"


def test_too_few_galaxies_to_leave_some_out_have_no_trial(base, upside, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    monkeypatch.setattr(trials, "LEFT_OUT", 20)
    run = finetune(upside, tmp_path / "run", start=base, settings=FEW, progress=False)
    assert run.recipe.name == "fitted"


def _layers(run, name: str) -> dict[str, np.ndarray]:
    from galaxyvotes.runs.tensors import read_tensors

    tensors, _ = read_tensors(run.path / f"{name}.safetensors")
    return {key: tensor.numpy() for key, tensor in tensors.items() if key.startswith("layers")}


def test_without_a_recipe_new_classes_are_learned_from_a_dozen_and_calibrated(
    base, upside, tmp_path
):
    run = finetune(upside, tmp_path / "run", start=base, settings=FEW, progress=False)
    rows = upside.rows("test")
    predicted = predict_store(run.network(), upside, rows)
    assert (predicted.values.argmax(axis=1) == upside.values[rows].argmax(axis=1)).mean() > 0.9
    calibrate(upside, run, progress=False)
    assert run.network().familiarity is not None


def test_nothing_of_the_trial_is_kept_and_it_is_the_same_each_time(base, upside, tmp_path):
    first, again = (
        finetune(upside, tmp_path / name, start=base, settings=FEW, progress=False)
        for name in ("first", "again")
    )
    digests = [(run.path / "weights.safetensors").read_bytes() for run in (first, again)]
    assert digests[0] == digests[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "first"]


@pytest.mark.parametrize("asked", [{"recipe": "finetune"}, {"settings": ("train.encoder_rate=0",)}])
def test_who_names_a_recipe_or_a_rate_has_it_and_no_trial(
    base, upside, tmp_path, monkeypatch, asked
):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    asked["settings"] = (*FEW, *asked.get("settings", ()))
    run = finetune(upside, tmp_path / "run", start=base, progress=False, **asked)
    assert run.recipe.name == "finetune"
    assert run.recipe.model.name == "compact"


def test_a_question_that_the_network_knows_begins_with_what_it_knows(
    base, blob_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(trials, "trial", lambda *_: pytest.fail("a trial"))
    run = finetune(blob_store, tmp_path / "run", start=base, settings=FEW, progress=False)
    assert run.recipe.name == "finetune"
    assert run.facts["copied_heads"] == ["class"]


def test_a_trial_that_is_stopped_says_that_there_is_no_run_and_leaves_nothing(
    base, upside, tmp_path, stop_after
):
    stop_after(1)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept: begin again"):
        finetune(upside, tmp_path / "run", start=base, settings=FEW, progress=False)
    assert list(tmp_path.iterdir()) == []
    run = finetune(upside, tmp_path / "run", start=base, settings=FEW, resume=True, progress=False)
    assert run.finished
