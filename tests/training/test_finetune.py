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
    evaluate,
    finetune,
    pack,
    predict,
    predict_store,
    train,
)
from galaxyvotes.config import LabelSettings
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.training.finetune import copy_weights

SETTINGS = ("train.epochs=8", "train.batch_size=8")
LONGER = ("train.epochs=40", "train.batch_size=8", "train.average=0.9")


@pytest.fixture(scope="module")
def base(blob_store, tmp_path_factory) -> Run:
    """Our small network, which has learned round from long."""
    settings = (
        "train.epochs=15",
        "train.batch_size=8",
        "model.name=compact",
        "model.width=8",
        "train.keep=last",
    )
    return train(
        blob_store,
        tmp_path_factory.mktemp("base") / "run",
        recipe="small",
        settings=settings,
        progress=False,
    )


@pytest.fixture(scope="module")
def upside(blobs, tmp_path_factory) -> Store:
    """Thirty other blobs, asked another question with the same answer behind it."""
    import simplejpeg

    folder = tmp_path_factory.mktemp("upside")
    random = np.random.default_rng(1)
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    for number in range(30):
        width = (5.5, 2.2)[number % 2]
        light = np.exp(-((x / 5) ** 2 + (y / width) ** 2)) * 180 + random.normal(20, 5, x.shape)
        image = np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (folder / "images").mkdir(exist_ok=True)
        path = folder / "images" / f"u{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95))
    lines = [f"u{number},{('disc', 'needle')[number % 2]}\n" for number in range(30)]
    (folder / "shapes.csv").write_text("name,shape\n" + "".join(lines), "utf-8")
    return pack(
        [folder / "images", folder / "shapes.csv"],
        folder / "store",
        labels=LabelSettings(classes="shape"),
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.4, 0.2, 0.4),
        progress=False,
    )


def test_a_network_trained_on_blobs_learns_new_classes_of_them_from_a_dozen(base, upside, tmp_path):
    run = finetune(upside, tmp_path / "run", start=base, settings=LONGER, progress=False)
    rows = upside.rows("test")
    predicted = predict_store(run.network(), upside, rows)
    assert predicted.columns == ("disc", "needle")
    assert (predicted.values.argmax(axis=1) == upside.values[rows].argmax(axis=1)).mean() > 0.9
    assert run.facts["start"] == base.path.name


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
    whole = finetune(upside, tmp_path / "whole", start=base, settings=SETTINGS, progress=False)
    stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        finetune(upside, tmp_path / "run", start=base, settings=SETTINGS, progress=False)
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
