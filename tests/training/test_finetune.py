"""From a run to a new question: its weights are kept, and galaxies it has seen stay seen."""

import numpy as np
import pytest
import torch

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    DecisionTree,
    PackSettings,
    Recipe,
    Run,
    SplitSettings,
    Store,
    calibrate,
    evaluate,
    finetune,
    pack,
    predict,
    predict_store,
    train,
)
from galaxyvotes.config import LabelSettings
from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.provenance import in_words
from galaxyvotes.metrics.classification import probabilities
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runs.skill import warning_after_training
from galaxyvotes.runs.start import network_at_start
from galaxyvotes.runtime.memory_limits import Memory
from galaxyvotes.training import frozen, learner, validation
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.finetune import copy_weights
from galaxyvotes.training.frozen import FrozenFeatures

SETTINGS = ("train.epochs=8", "train.batch_size=8")
LONGER = ("train.epochs=40", "train.batch_size=8", "train.average=0.9")


def test_a_network_trained_on_blobs_learns_new_classes_of_them_from_a_dozen(base, upside, tmp_path):
    run = finetune(upside, tmp_path / "run", start=base, settings=LONGER, progress=False)
    rows = upside.rows("test")
    predicted = predict_store(run.network(), upside, rows)
    assert predicted.columns == ("disc", "needle")
    assert (predicted.values.argmax(axis=1) == upside.values[rows].argmax(axis=1)).mean() > 0.9
    assert run.facts["start"] == base.path.name
    own, before = (each.facts["stores"][0]["train"] for each in (run, base))
    assert f"(trained on {own + before} galaxies, fine-tuned on {own} of them)" in in_words(
        *open_network(run)
    )


def test_galaxies_that_the_first_run_has_seen_count_as_seen(base, blob_store, upside, tmp_path):
    run = finetune(
        [upside, blob_store], tmp_path / "run", start=base, settings=SETTINGS, progress=False
    )
    assert set(base.seen.column("pixels").to_pylist()) <= set(run.seen.column("pixels").to_pylist())
    alone = finetune(upside, tmp_path / "alone", start=base, settings=SETTINGS, progress=False)
    assert set(base.seen.column("pixels").to_pylist()) <= set(
        alone.seen.column("pixels").to_pylist()
    )


def test_the_second_run_is_not_evaluated_on_training_galaxies_of_the_first(
    base, blobs, upside, tmp_path
):
    splits = SplitSettings(0.4, 0.2, 0.4, "another")
    again = pack(
        blobs, tmp_path / "again", settings=PackSettings(32, 32), splits=splits, progress=False
    )
    run = finetune(again, tmp_path / "run", start=base, settings=SETTINGS, progress=False)
    with pytest.raises(DataError, match="training or validation set"):
        evaluate(again, run, out=tmp_path / "report", resamples=20, baselines=False, progress=False)


def test_a_frozen_encoder_stays_as_it_was_to_the_last_bit(base, upside, tmp_path):
    settings = (*SETTINGS, "train.encoder_rate=0", "train.average=0")
    run = finetune(upside, tmp_path / "run", start=base, settings=settings, progress=False)
    before, after = base.network().module.state_dict(), run.network().module.state_dict()
    assert all(
        torch.equal(before[name], after[name]) for name in before if not name.startswith("dense")
    )
    assert before["dense.weight"].shape == after["dense.weight"].shape
    assert not torch.equal(before["dense.weight"], after["dense.weight"])


def test_a_head_of_both_runs_starts_with_its_trained_weights(base, blob_store, upside, tmp_path):
    settings = ("train.epochs=1", "train.batch_size=8", "train.learning_rate=1e-6")
    run = finetune(
        [upside, blob_store], tmp_path / "run", start=base, settings=settings, progress=False
    )
    rows = blob_store.rows("test")
    predicted = predict_store(run.network(tree="class"), blob_store, rows)
    assert (predicted.values.argmax(axis=1) == blob_store.values[rows].argmax(axis=1)).mean() > 0.9


@pytest.fixture(scope="module")
def again(blobs, upside, tmp_path_factory) -> Store:
    """The thirty other blobs with the labels of the first run."""
    table = tmp_path_factory.mktemp("again") / "kinds.csv"
    kinds = ("round", "long")
    lines = [f"u{number},{kinds[number % 2]}\n" for number in range(30)]
    table.write_text("name,class\n" + "".join(lines), "utf-8")
    return pack(
        [upside.path.parent / "images", table],
        table.parent / "store",
        labels=LabelSettings(classes="class"),
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.4, 0.2, 0.4),
        progress=False,
    )


def test_a_run_stands_beside_the_network_that_it_started_from(base, again, tmp_path):
    settings = (*SETTINGS, "train.objective=bce")
    run = finetune(again, tmp_path / "run", start=base, settings=settings, progress=False)
    assert run.facts["copied_heads"] == [again.tree.name]
    rows = again.rows("test")
    start = network_at_start(run, again.tree.name)
    assert start is not None
    before = predict_store(start, again, rows).values
    assert np.array_equal(before, predict_store(base.network(), again, rows).values)
    report = evaluate(again, run, out=tmp_path / "report", resamples=20, progress=False)
    brier = ((probabilities(before) - again.values[rows]) ** 2).sum(axis=1).mean()
    row = report.document["baselines"]["network before fine-tuning"]
    assert row["brier"]["value"] == pytest.approx(brier, rel=1e-5)
    assert "network before fine-tuning" in report.document["differences"]
    assert "Network before fine-tuning" in report.path.read_text("utf-8")
    (tmp_path / "copy").mkdir()
    assert network_at_start(run.copy_to(tmp_path / "copy"), again.tree.name) is not None


def test_an_answer_that_the_first_run_did_not_have_has_no_row_of_the_start(base, upside, tmp_path):
    run = finetune(upside, tmp_path / "run", start=base, settings=SETTINGS, progress=False)
    assert run.facts["copied_heads"] == []
    assert network_at_start(run, upside.tree.name) is None
    assert network_at_start(base, base.heads[0].tree.name) is None
    report = evaluate(upside, run, out=tmp_path / "report", resamples=20, progress=False)
    assert "network before fine-tuning" not in report.document["baselines"]


def test_fine_tuning_that_has_made_nothing_better_says_so(base, again, tmp_path):
    settings = ("train.epochs=2", "train.batch_size=8", "train.learning_rate=0.5")
    run = finetune(again, tmp_path / "run", start=base, settings=settings, progress=False)
    before = run.facts["validation_at_start"]["validation_mse"]
    assert run.kept["validation_mse"] > before
    assert run.warning is not None
    better = finetune(
        again,
        tmp_path / "better",
        start=base,
        settings=("train.epochs=6", "train.batch_size=8", "train.learning_rate=1e-3"),
        progress=False,
    )
    assert better.kept["validation_mse"] < before
    assert better.warning is None
    worse = {"validation_mse": before / 2, "validation_accuracy": None}
    warning = warning_after_training(better.heads, better.history[0] | worse, 100, worse)
    assert warning is not None
    assert warning.startswith(
        "is no better than before fine-tuning on 100 validation galaxies: class: validation Brier"
    )


def test_another_catalogues_columns_of_the_same_flowchart_start_with_trained_weights():
    ours, theirs, other = (DecisionTree.load(name) for name in ("kaggle", "gz2", "decals"))
    recipe = Recipe.load("compact", ("model.width=8",))
    trained, new = (
        Network.build(recipe, heads, PackSettings(64, 64))
        for heads in (
            (Head(other, other.columns), Head(theirs, theirs.columns)),
            (Head(ours, ours.columns),),
        )
    )
    copy_weights(trained, new)
    assert torch.equal(
        new.module[-1].weight, trained.module[-1].weight[trained.all_heads[1].outputs]
    )
    alone = Network.build(recipe, (Head(other, other.columns),), PackSettings(64, 64))
    drawn = Network.build(recipe, (Head(ours, ours.columns),), PackSettings(64, 64))
    before = drawn.module[-1].weight.clone()
    copy_weights(alone, drawn)
    assert torch.equal(drawn.module[-1].weight, before)


def test_a_run_that_has_lost_its_start_does_not_start_from_random_weights(base, upside, tmp_path):
    run = finetune(upside, tmp_path / "run", start=base, settings=SETTINGS, progress=False)
    (run.path / "weights.safetensors").unlink()
    (run.path / "start.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"start\.safetensors cannot be read"):
        finetune(upside, run.path, start=base, resume=True, progress=False)


def test_finetuning_stopped_and_resumed_ends_bit_for_bit_as_if_never_stopped(
    base, upside, tmp_path, stop_after
):
    whole = finetune(
        upside, tmp_path / "whole", start=base, recipe="finetune", settings=SETTINGS, progress=False
    )
    stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        finetune(
            upside,
            tmp_path / "run",
            start=base,
            recipe="finetune",
            settings=SETTINGS,
            progress=False,
        )
    run = finetune(upside, tmp_path / "run", start=base, resume=True, progress=False)
    assert (run.path / "weights.safetensors").read_bytes() == (
        whole.path / "weights.safetensors"
    ).read_bytes()


def test_a_store_packed_otherwise_is_refused_with_how_to_pack_it(base, tiny_store, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"pack it again with `settings=PackSettings\(32, 32\)`"
    ):
        finetune(tiny_store, tmp_path / "run", start=base, settings=SETTINGS, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def larger(blobs, tmp_path_factory) -> Store:
    """The blobs with half as many pixels again across the same sky."""
    return pack(
        blobs,
        tmp_path_factory.mktemp("larger") / "store",
        settings=PackSettings(32, 48),
        progress=False,
    )


def test_a_network_is_trained_on_with_more_pixels_if_asked_to(base, larger, tmp_path):
    settings = ("train.epochs=1", "train.batch_size=8", "train.learning_rate=1e-6", "model.views=4")
    run = finetune(
        larger, tmp_path / "run", start=base, settings=settings, other_size=True, progress=False
    )
    assert run.facts["pack"] == {"crop_px": 32, "size_px": 48}
    assert (run.recipe.model.name, run.recipe.model.width, run.recipe.model.views) == (
        "compact",
        8,
        4,
    )
    before, after = base.network().module.state_dict(), run.network().module.state_dict()
    for name in ("stem.weight", "stage3.0.conv2.weight"):
        torch.testing.assert_close(before[name], after[name], atol=1e-3, rtol=0)


def test_weights_that_fit_one_size_only_are_refused(blob_store, larger, upside, base, tmp_path):
    paper = train(
        blob_store, tmp_path / "paper", recipe="small", settings=("train.epochs=1",), progress=False
    )
    with pytest.raises(
        CheckpointError, match="fit vgg6 on images of 32 px only, not vgg6 on 48 px"
    ):
        finetune(larger, tmp_path / "run", start=paper, other_size=True, progress=False)
    with pytest.raises(
        CheckpointError, match=r"fit compact on images of 32 px only.*leave out.*model"
    ):
        finetune(upside, tmp_path / "run", start=base, settings=("model.width=16",), progress=False)
    assert not (tmp_path / "run").exists()


def test_pretrained_weights_beside_those_of_a_run_are_refused(base, upside, tmp_path):
    with pytest.raises(
        ConfigError, match=r"begins with the weights of .*leave out model\.pretrained"
    ):
        finetune(
            upside, tmp_path / "run", start=base, settings=("model.pretrained=hub",), progress=False
        )


def test_a_folder_that_exists_is_refused(base, upside, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        finetune(upside, tmp_path / "run", start=base, settings=SETTINGS, progress=False)


@pytest.mark.parametrize(
    "settings", [PackSettings(0, 32), PackSettings(32, 32, 0.75)], ids=["fit", "scale"]
)
def test_a_store_of_whole_or_scaled_images_is_learned_from_and_predicted_alike(
    blobs, blob_run, tmp_path, settings
):
    store = pack(blobs, tmp_path / "store", settings=settings, progress=False)
    run = finetune(
        store, tmp_path / "run", start=blob_run, settings=("train.epochs=1",), progress=False
    )
    assert run.pack == Run.open(run.path).recipe.pack == settings
    of_store = predict(store.path, run=run, progress=False)
    of_images = predict(blobs, run=run, progress=False)
    order = [of_images.ids.index(name) for name in of_store.ids]
    assert np.array_equal(of_images.values[order], of_store.values)
    whole = evaluate(store, run, out=tmp_path / "report", baselines=False, progress=False)
    assert str(settings) in whole.path.read_text("utf-8")


FROZEN = (*SETTINGS, "train.encoder_rate=0", "train.average=0.9")


def test_a_frozen_encoder_sees_each_image_once_and_not_once_an_epoch(
    base, upside, tmp_path, monkeypatch
):
    seen = 0
    to_input = frozen.to_input

    def counted(images):
        nonlocal seen
        seen += len(images)
        return to_input(images)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("an epoch passed images through the encoder")

    monkeypatch.setattr(frozen, "to_input", counted)
    monkeypatch.setattr(learner, "to_input", refused)
    monkeypatch.setattr(validation, "forward_rows", refused)
    run = finetune(upside, tmp_path / "run", start=base, settings=FROZEN, progress=False)
    assert seen == 8 * len(upside.rows("train")) + len(upside.rows("validation"))
    assert len(run.history) == 8


def test_the_metrics_of_a_frozen_encoder_are_those_of_the_network_that_is_kept(
    base, upside, tmp_path
):
    settings = (*FROZEN, "train.precision=float32", "model.views=1")
    run = finetune(upside, tmp_path / "run", start=base, settings=settings, progress=False)
    rows = upside.rows("validation")
    predicted = predict_store(run.network(), upside, rows).values
    error = ((predicted - upside.values[rows]) ** 2).mean()
    assert run.history[-1]["validation_mse"] == pytest.approx(error, rel=1e-4)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_a_last_layer_alone_learns_new_classes(base, upside, tmp_path):
    settings = (*LONGER, "train.encoder_rate=0", "train.learning_rate=0.02")
    run = finetune(upside, tmp_path / "run", start=base, settings=settings, progress=False)
    rows = upside.rows("test")
    predicted = predict_store(run.network(), upside, rows).values
    assert (predicted.argmax(axis=1) == upside.values[rows].argmax(axis=1)).mean() > 0.9


def test_a_frozen_encoder_stopped_and_resumed_ends_bit_for_bit_as_if_never_stopped(
    base, upside, blob_store, tmp_path, stop_after
):
    stores = [upside, blob_store]
    whole = finetune(stores, tmp_path / "whole", start=base, settings=FROZEN, progress=False)
    stop_after(9)
    with pytest.raises(KeyboardInterrupt):
        finetune(stores, tmp_path / "run", start=base, settings=FROZEN, progress=False)
    run = finetune(stores, tmp_path / "run", start=base, resume=True, progress=False)
    assert (run.path / "weights.safetensors").read_bytes() == (
        whole.path / "weights.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("augment", "mirror", "versions"),
    [("none", "true", 1), ("dihedral", "true", 8), ("dihedral", "false", 4), ("sky", "false", 8)],
)
def test_versions_are_what_augmentation_shows_and_fewer_where_memory_is_short(
    base, upside, monkeypatch, augment, mirror, versions
):
    settings = (f"train.augment={augment}", f"train.mirror={mirror}", "train.batch_size=8")
    recipe = Recipe.load(base.recipe, settings)
    batches = TrainingBatches.of([upside], recipe)
    network = Network.build(recipe, batches.heads, upside.pack)
    assert frozen.versions_for(network, batches) == versions
    features = FrozenFeatures.of(network, batches, torch.device("cpu"), versions)
    assert features.train[0].shape == (len(upside.rows("train")), versions, 64)
    assert features.validation[0].shape == (len(upside.rows("validation")), 1, 64)
    apart = (features.train[0][:, :1] - features.train[0][:, 1:]).abs().amax(dim=(0, 2))
    assert (apart > 0).all()
    of_one = features.train[0][:, 0].nbytes
    left = Memory(12 * of_one, "a container")
    monkeypatch.setattr(frozen, "available_memory", lambda: left)
    assert frozen.versions_for(network, batches) == min(versions, 3)
    monkeypatch.setattr(frozen, "MOST_BYTES", of_one)
    assert frozen.versions_for(network, batches) == 1


def test_a_run_keeps_its_number_of_versions_wherever_it_goes_on(
    base, upside, tmp_path, monkeypatch, stop_after
):
    settings = ("train.encoder_rate=0", "train.epochs=2", "train.batch_size=8")
    whole = finetune(upside, tmp_path / "whole", start=base, settings=settings, progress=False)
    stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        finetune(upside, tmp_path / "run", start=base, settings=settings, progress=False)
    monkeypatch.setattr(frozen, "available_memory", lambda: Memory(1, "a container"))
    run = finetune(upside, tmp_path / "run", resume=True, progress=False)
    assert (run.path / "weights.safetensors").read_bytes() == (
        whole.path / "weights.safetensors"
    ).read_bytes()


def test_finetuning_ends_when_it_has_converged_and_validation_galaxies_have_no_part_in_it(
    base, upside, tmp_path, stop_after
):
    settings = ("train.plateau=2", "train.learning_rate=1e-7", "train.batch_size=8")
    run = finetune(upside, tmp_path / "run", start=base, settings=settings, progress=False)
    assert 6 <= len(run.history) < 60
    assert run.recipe.train.keep == "last"
    calibrate(upside, run, progress=False)
    stop_after(2 * len(run.history) - 1)
    with pytest.raises(KeyboardInterrupt):
        finetune(upside, tmp_path / "stopped", start=base, settings=settings, progress=False)
    again = finetune(upside, tmp_path / "stopped", start=base, resume=True, progress=False)
    assert (again.path / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


def test_galaxies_that_will_be_refused_are_told_before_training(base, blobs, tmp_path, capsys):
    splits = SplitSettings(0.4, 0.2, 0.4, "another")
    again = pack(
        blobs, tmp_path / "again", settings=PackSettings(32, 32), splits=splits, progress=False
    )
    finetune(again, tmp_path / "run", start=base, settings=("train.epochs=1",))
    said = capsys.readouterr().err
    test = int(again.seen_in(base.seen)[again.rows("test")].sum())
    assert f"{base.path} was trained on " in said
    assert f"{test} of the {len(again.rows('test'))} test galaxies of {again.path}" in said
    assert said.index("calibrate and evaluate will refuse them") < said.index("epoch 1 of 1")
