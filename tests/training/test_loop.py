import json
import os
import subprocess
import sys
import time

import pytest
import torch

from galaxyvotes import (
    ConfigError,
    DataError,
    PackSettings,
    Run,
    SplitSettings,
    Store,
    evaluate,
    pack,
    predict_store,
    simulate,
    train,
)
from galaxyvotes.errors import CheckpointError
from galaxyvotes.runtime.locks import locked_folder
from galaxyvotes.training import initialise, learner
from galaxyvotes.training.learner import Learner

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
    """A run that was never interrupted."""
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


@pytest.mark.parametrize("steps", [1, 7, 8, 13])
def test_a_run_stopped_at_any_step_and_resumed_ends_bit_for_bit_as_if_never_stopped(
    store, whole, tmp_path, stop_after, steps
):
    stop_after(steps)
    with pytest.raises(KeyboardInterrupt, match="`resume=True`"):
        go(store, tmp_path / "run")
    assert not Run.open(tmp_path / "run").finished
    assert ending(go(store, tmp_path / "run", resume=True)) == ending(whole)


def test_a_run_killed_outright_goes_on_to_the_same_end(store, whole, tmp_path):
    out = tmp_path / "run"
    code = f"""
import time
import torch
from galaxyvotes.training import loop
torch.set_num_threads(1)
write_state = loop.write_state
def slow(*state):
    write_state(*state)
    time.sleep(0.2)
loop.write_state = slow
loop.train({str(store.path)!r}, {str(out)!r}, recipe="small", settings={SETTINGS!r}, progress=False)
"""
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
    assert ending(go(store, out, resume=True)) == ending(whole)


def test_predictions_for_test_galaxies_are_right_after_training(store, blob_run):
    rows = store.rows("test")
    predicted = predict_store(blob_run.network(), store, rows).values
    assert (predicted.argmax(axis=1) == store.values[rows].argmax(axis=1)).mean() > 0.9


def test_a_cosine_schedule_rises_and_falls_to_nearly_zero_and_a_constant_one_stays(
    store, tmp_path, monkeypatch
):
    learn, rates = Learner.learn, []

    def watched(self, batch, share, *, seed, rate):
        rates.append(rate)
        return learn(self, batch, share, seed=seed, rate=rate)

    monkeypatch.setattr(Learner, "learn", watched)
    go(store, tmp_path / "cosine", settings=(*SETTINGS, "train.schedule=cosine"))
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.01 * max(rates) <= 0.001
    rates.clear()
    go(store, tmp_path / "constant", settings=(*SETTINGS, "train.schedule=constant"))
    assert set(rates) == {1e-3}


def test_test_galaxies_are_never_used_for_training(store, whole):
    seen = set(whole.seen.column("id").to_pylist())
    assert seen == {
        store.ids[row] for split in ("train", "validation") for row in store.rows(split).tolist()
    }
    assert not seen & {store.ids[row] for row in store.rows("test").tolist()}


def test_a_finished_run_resumed_is_returned_as_it_is(store, whole):
    before = ending(whole)
    assert ending(go(store, whole.path, resume=True)) == before


def test_a_run_is_resumed_by_the_same_command_with_its_settings(store, whole, tmp_path, stop_after):
    stop_after(4)
    with pytest.raises(KeyboardInterrupt, match="go on with the same arguments and `resume=True`"):
        go(store, tmp_path / "run")
    assert ending(go(store, tmp_path / "run", resume=True)) == ending(whole)


@pytest.mark.parametrize("settings", [(), SETTINGS[1:], ("train.batch_size = 8",)])
def test_settings_that_a_run_began_with_may_be_named_or_left_out(store, whole, settings):
    before = ending(whole)
    resumed = train(store, whole.path, settings=settings, resume=True, progress=False)
    assert ending(resumed) == before


@pytest.mark.parametrize(
    ("recipe", "settings", "named"),
    [
        ("paper", (), r"model\.batch_norm_momentum is 0\.1, not 0\.01"),
        ("small", (), r"train\.epochs is 3, not 40"),
        ("small", (*SETTINGS, "train.seed=1"), r"train\.seed is 0, not 1"),
        (None, ("train.epochs=5",), r"train\.epochs is 3, not 5"),
        (None, ("train.answers=long",), r"train\.answers is empty, not long"),
    ],
)
def test_a_run_is_not_resumed_with_another_recipe_and_the_first_difference_is_named(
    store, whole, recipe, settings, named
):
    with pytest.raises(ConfigError, match=named + r": leave out `recipe=…` and `settings=…`"):
        train(store, whole.path, recipe=recipe, settings=settings, resume=True, progress=False)


def test_a_recipe_of_another_name_and_the_same_content_goes_on(store, whole, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text((whole.path / "config.toml").read_text().replace('"small"', '"mine"'))
    train(store, whole.path, recipe=path, resume=True, progress=False)


def test_without_a_recipe_the_number_of_galaxies_chooses_one_and_it_is_said(
    store, tmp_path, capsys
):
    settings = (*SETTINGS, "train.epochs=1")
    run = train(store, tmp_path / "run", settings=settings, progress=True)
    assert run.recipe.name == "small"
    said = capsys.readouterr().err
    assert f"recipe small, because there are only {len(store.rows('train'))} training" in said
    assert "Fine-tuning begins with a trained network" in said


def test_a_folder_that_exists_is_refused(store, whole):
    with pytest.raises(ConfigError, match=r"exists already and is a finished run: name"):
        go(store, whole.path)


def test_a_finished_run_that_is_resumed_says_so_and_how_to_train_on(store, whole, capsys):
    train(store, whole.path, resume=True, progress=True)
    err = capsys.readouterr().err
    assert f"{whole.path} is finished and is not trained again; training ended after all 3" in err
    assert f"begin another run: finetune with {whole.path} as its start" in err
    with pytest.raises(ConfigError, match=r"run is finished, with .*\.epochs is 3, not 5: leave"):
        train(store, whole.path, settings=("train.epochs=5",), resume=True, progress=False)


def test_a_folder_in_which_a_run_is_being_trained_says_who_trains_there(
    store, tmp_path, stop_after
):
    stop_after(1)
    with pytest.raises(KeyboardInterrupt, match=r"stopped in epoch 1 of 3 of .*, which is saved"):
        go(store, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"exists already: continue it with `resume=True`"):
        go(store, tmp_path / "run")
    expected = rf"run is being trained by process {os.getpid()} on .*: wait until that has ended"
    with locked_folder(tmp_path / "run"), pytest.raises(ConfigError, match=expected):
        go(store, tmp_path / "run")
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match="exists already and is no run: name another folder"):
        go(store, tmp_path / "other")


def test_a_run_that_another_process_trains_is_refused(store, tmp_path, stop_after):
    stop_after(1)
    with pytest.raises(KeyboardInterrupt):
        go(store, tmp_path / "run")
    expected = r"run is being written by process \d+ on "
    with locked_folder(tmp_path / "run"), pytest.raises(DataError, match=expected):
        go(store, tmp_path / "run", resume=True)


def test_a_run_cannot_be_resumed_with_another_store(store, whole, tmp_path):
    state = json.loads((whole.path / "run.json").read_text())
    state["stores"][0]["digest"] = "another"
    del state["digest"]
    (whole.path / "run.json").rename(tmp_path / "kept.json")
    try:
        (whole.path / "run.json").write_text(json.dumps(state))
        with pytest.raises(CheckpointError, match="was trained on another store"):
            go(store, whole.path, resume=True)
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


def test_leaving_out_all_answers_is_refused_before_there_is_a_folder(store, tmp_path):
    with pytest.raises(ConfigError, match=r"no answer has a mean fraction of 0\.9"):
        go(store, tmp_path / "run", settings=("train.min_mean_fraction=0.9",))
    assert not (tmp_path / "run").exists()


def test_an_answer_that_does_not_exist_is_refused_by_name(store, tmp_path):
    with pytest.raises(ConfigError, match="'square', which is no answer"):
        go(store, tmp_path / "run", settings=("train.answers=square",))


def test_an_output_that_is_not_finite_is_an_error_that_says_what_to_do(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr(learner, "to_input", lambda images: images.permute(0, 3, 1, 2) / 0.0)
    with pytest.raises(
        DataError, match=r"became NaN or infinite in epoch 1: lower train\.learning_rate"
    ):
        go(store, tmp_path / "run")


def test_one_network_learns_two_trees_and_is_evaluated_on_each(
    blob_store, fractions_store, tmp_path
):
    settings = (
        "train.epochs=6",
        "train.batch_size=16",
        "train.average=0.9",
        "train.weight_decay=0.01",
        "train.clip_norm=1",
        "train.augment=sky",
        "train.schedule=cosine",
        "train.balance=0.5",
    )
    run = train(
        [fractions_store, blob_store],
        tmp_path / "run",
        recipe="small",
        settings=settings,
        progress=False,
    )
    assert [head.tree.name for head in run.heads] == ["kaggle", "class"]
    assert {"validation_mse", "class_validation_accuracy"} <= set(run.history[-1])
    network = run.network(tree="class")
    assert network.columns == ("long", "round")
    assert network.outputs == slice(37, 39)
    result = evaluate(
        blob_store, run, out=tmp_path / "report", resamples=20, baselines=False, progress=False
    )
    assert result.document["network"]["accuracy"]["value"] > 0.8
    with pytest.raises(ConfigError, match="no tree 'gz2' in this network, only kaggle, class"):
        run.network(tree="gz2")


def test_two_stores_stopped_and_resumed_end_bit_for_bit_as_if_never_stopped(
    blob_store, fractions_store, tmp_path, stop_after
):
    settings = (
        "train.epochs=2",
        "train.batch_size=16",
        "train.average=0.9",
        "train.weight_decay=0.01",
        "train.clip_norm=1",
        "train.augment=sky",
    )
    stores = [fractions_store, blob_store]
    whole = train(stores, tmp_path / "whole", recipe="small", settings=settings, progress=False)
    stop_after(4)
    with pytest.raises(KeyboardInterrupt):
        train(stores, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert ending(train(stores, tmp_path / "run", resume=True, progress=False)) == ending(whole)


def test_training_ends_when_validation_has_not_improved_for_so_many_epochs(blob_store, tmp_path):
    settings = (
        "train.epochs=40",
        "train.batch_size=16",
        "train.patience=2",
        "train.learning_rate=0.02",
    )
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    losses = [row["validation_loss"] for row in run.history]
    assert len(losses) - 1 - losses.index(min(losses)) == 2
    assert len(losses) < 40


def test_an_objective_of_whole_votes_learns_from_them(
    tmp_path,
):
    zoo = simulate(tmp_path / "zoo", galaxies=40, size_px=160, processes=1)
    store = pack(
        zoo,
        tmp_path / "store",
        settings=PackSettings(128, 32),
        splits=SplitSettings(0.6, 0.2, 0.2),
        progress=False,
    )
    settings = ("train.objective=dirichlet_multinomial", "train.epochs=4", "train.batch_size=8")
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.history[-1]["validation_mse"] < 0.1


def test_training_leaves_random_numbers_and_threads_of_its_caller_alone(store, tmp_path):
    threads, expected = torch.get_num_threads(), torch.rand(3)
    torch.manual_seed(0)  # as every test begins
    go(store, tmp_path / "run", settings=("train.epochs=1", "train.batch_size=8"))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("half", [True, False])
def test_a_resumed_run_keeps_the_precision_that_it_began_with(
    store, tmp_path, stop_after, monkeypatch, capsys, half
):
    monkeypatch.setattr(initialise, "low_precision", lambda setting, device: half)
    monkeypatch.setattr(learner, "low_precision", lambda setting, device: setting == "bfloat16")
    ends: list[tuple[bytes, list[dict]]] = [ending(go(store, tmp_path / "whole"))]
    stop_after(5)
    with pytest.raises(KeyboardInterrupt):
        go(store, tmp_path / "run")
    monkeypatch.setattr(initialise, "low_precision", lambda setting, device: not half)
    run = train(store, tmp_path / "run", resume=True, progress=True)
    assert ending(run) == ends[0]
    precision = "bfloat16" if half else "float32"
    assert run.facts["precision"] == precision
    assert run.recipe.train.precision == "auto"
    assert f"training vgg6 in {precision} on cpu" in capsys.readouterr().err


def test_too_little_memory_names_the_setting_to_change(store, tmp_path, monkeypatch):
    def learn(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(Learner, "learn", learn)
    with pytest.raises(
        DataError, match=r"the GPU has too little memory: 8 .*lower train\.micro_batch, to 4 or"
    ):
        go(store, tmp_path / "run")


def test_a_run_that_ran_out_of_memory_goes_on_from_its_last_state(
    store, whole, tmp_path, monkeypatch
):
    learn, done = Learner.learn, 0

    def learn_and_fail(self: Learner, *batch: object, **more: object) -> torch.Tensor:
        nonlocal done
        done += 1
        if done == 11:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return learn(self, *batch, **more)

    monkeypatch.setattr(Learner, "learn", learn_and_fail)
    with pytest.raises(DataError, match="go on with `resume=True`"):
        go(store, tmp_path / "run")
    assert ending(go(store, tmp_path / "run", resume=True)) == ending(whole)
