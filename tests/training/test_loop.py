import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module

import pytest

from galaxyvotes import ConfigError, DataError, Run, Store, predict_store, train
from galaxyvotes.errors import CheckpointError

SETTINGS = ("train.epochs=3", "train.batch_size=8", "train.checkpoint_minutes=0")


@pytest.fixture(scope="module")
def store(blob_store) -> Store:
    return blob_store


def go(store, out, *, settings=SETTINGS, **more) -> Run:
    return train(store, out, recipe="small", settings=settings, progress=False, **more)


def ending(run: Run) -> tuple[bytes, list[dict]]:
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in run.history]
    return (run.path / "weights.safetensors").read_bytes(), rows


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory) -> Run:
    """A run that nothing interrupted."""
    return go(store, tmp_path_factory.mktemp("whole") / "run")


def test_a_run_has_a_row_of_the_papers_metrics_for_every_epoch(whole):
    assert [row["epoch"] for row in whole.history] == [1, 2, 3]
    for row in whole.history:
        assert {
            "loss",
            "mse",
            "accuracy",
            "validation_loss",
            "validation_mse",
            "validation_accuracy",
        } <= set(row)


def test_the_same_seed_gives_the_same_network_bit_for_bit(store, whole, tmp_path):
    assert ending(go(store, tmp_path / "run")) == ending(whole)


def test_another_seed_gives_another_network(store, whole, tmp_path):
    other = go(store, tmp_path / "run", settings=(*SETTINGS, "train.seed=1"))
    assert ending(other)[0] != ending(whole)[0]


@pytest.mark.parametrize("stop_after", [1, 7, 8, 13])
def test_a_run_stopped_at_any_step_and_resumed_ends_bit_for_bit_as_if_never_stopped(
    store, whole, tmp_path, monkeypatch, stop_after
):
    training = import_module("galaxyvotes.training.loop")._Training
    step, count = training._step, 0

    def interrupted(self, images, said):
        nonlocal count
        step(self, images, said)
        count += 1
        if count == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(training, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            go(store, tmp_path / "run")
    assert not Run.open(tmp_path / "run").finished
    assert ending(go(store, tmp_path / "run", settings=(), resume=True)) == ending(whole)


def test_a_run_killed_outright_goes_on_to_the_same_end(store, whole, tmp_path):
    out = tmp_path / "run"
    code = (
        "import torch; torch.set_num_threads(1)\nfrom importlib import import_module\nimport"
        " time\ntraining = import_module('galaxyvotes.training.loop')\nsave ="
        " training._Training._save\ndef slow(self):\n    save(self);"
        f" time.sleep(0.2)\ntraining._Training._save = slow\ntraining.train({str(store.path)!r},"
        f" {str(out)!r}, recipe='small', settings={SETTINGS!r}, progress=False)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        while not (out / "state.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
    assert not Run.open(out).finished
    assert ending(go(store, out, settings=(), resume=True)) == ending(whole)


def test_it_learns_what_the_volunteers_see(store, blob_run):
    rows = store.rows("test")
    predicted = predict_store(blob_run.network(), store, rows).values
    assert (predicted.argmax(axis=1) == store.values[rows].argmax(axis=1)).mean() > 0.9


def test_a_cosine_schedule_rises_falls_and_ends_near_nothing_and_a_constant_one_stays(
    store, tmp_path, monkeypatch
):
    training = import_module("galaxyvotes.training.loop")._Training
    step, rates = training._step, []

    def watched(self, images, said):
        step(self, images, said)
        rates.append(self.optimiser.param_groups[0]["lr"])

    monkeypatch.setattr(training, "_step", watched)
    go(store, tmp_path / "cosine", settings=(*SETTINGS, "train.schedule=cosine"))
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.01 * max(rates) <= 0.001
    rates.clear()
    go(store, tmp_path / "constant", settings=(*SETTINGS, "train.schedule=constant"))
    assert set(rates) == {1e-3}


def test_the_test_galaxies_teach_nothing(store, whole):
    seen = set(whole.seen.column("id").to_pylist())
    assert seen == {
        store.ids[row] for split in ("train", "validation") for row in store.rows(split).tolist()
    }
    assert not seen & {store.ids[row] for row in store.rows("test").tolist()}


def test_a_finished_run_resumed_is_returned_as_it_is(store, whole):
    before = ending(whole)
    assert ending(go(store, whole.path, settings=(), resume=True)) == before


def test_a_run_goes_on_with_no_other_recipe(store, whole):
    with pytest.raises(
        ConfigError, match=r"goes on with the recipe it began with, small: leave out the recipe"
    ):
        train(store, whole.path, recipe="paper", resume=True, progress=False)


def test_a_folder_that_exists_is_refused(store, whole):
    with pytest.raises(ConfigError, match=r"exists already: continue it with --resume"):
        go(store, whole.path)


def test_a_run_cannot_go_on_with_another_store(store, whole, tmp_path):
    state = json.loads((whole.path / "run.json").read_text())
    state["stores"][0]["digest"] = "another"
    del state["digest"]
    (whole.path / "run.json").rename(tmp_path / "kept.json")
    try:
        (whole.path / "run.json").write_text(json.dumps(state))
        with pytest.raises(CheckpointError, match="was trained on another store"):
            go(store, whole.path, settings=(), resume=True)
    finally:
        (tmp_path / "kept.json").replace(whole.path / "run.json")


def test_fewer_answers_give_a_smaller_network(store, tmp_path):
    run = go(
        store,
        tmp_path / "run",
        settings=("train.epochs=1", "train.batch_size=8", "train.answers=round"),
    )
    assert run.heads[0].columns == ("round",)
    assert predict_store(run.network(), store, store.rows("test")).columns == ("round",)


def test_answers_that_few_galaxies_have_can_be_left_out(store, tmp_path):
    with pytest.raises(ConfigError, match=r"no answer has a mean fraction of 0\.9"):
        go(store, tmp_path / "run", settings=("train.min_mean_fraction=0.9",))
    assert not (tmp_path / "run").exists()


def test_an_answer_that_does_not_exist_is_refused_by_name(store, tmp_path):
    with pytest.raises(ConfigError, match="'square', which is no answer"):
        go(store, tmp_path / "run", settings=("train.answers=square",))


def test_an_output_that_is_no_number_is_an_error_that_says_what_to_do(store, tmp_path, monkeypatch):
    monkeypatch.setattr(
        import_module("galaxyvotes.training.loop"),
        "to_input",
        lambda images: images.permute(0, 3, 1, 2) / 0.0,
    )
    with pytest.raises(DataError, match=r"lower train\.learning_rate"):
        go(store, tmp_path / "run")
