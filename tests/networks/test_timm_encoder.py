"""Encoders of timm's, and weights in the hub's layout that the tests write themselves."""

import json
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
from safetensors.torch import save_file
from torch import nn

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    MissingExtraError,
    Run,
    finetune,
    predict_store,
    train,
)
from galaxyvotes.config import ModelSettings, Recipe
from galaxyvotes.networks.build import build, encoder, to_input
from galaxyvotes.networks.timm_encoder import TimmNetwork, load_pretrained

RESNET = ModelSettings("timm:test_resnet", dropout=0.0)
SETTINGS = (
    "model.name=timm:test_resnet",
    "train.epochs=1",
    "train.batch_size=8",
    "train.keep=last",
)


def made(
    settings: ModelSettings = RESNET, seed: int = 0, *, answers: int = 5, size_px: int = 32
) -> TimmNetwork:
    module = build(settings, answers=answers, size_px=size_px, seed=seed)
    assert isinstance(module, TimmNetwork)
    return module


def published(
    folder: Path, name: str = "test_resnet", *, classes: int = 10, seed: int = 7, **changed
) -> Path:
    """A folder as timm's repositories on the hub are: a whole network with its classifier."""
    torch.manual_seed(seed)
    module = timm.create_model(name, num_classes=classes)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architecture": name, "num_classes": classes, "num_features": module.num_features}
    taught = {
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.25, 0.125],
        "classifier": "fc",
        "num_classes": classes,
    }
    (folder / "config.json").write_text(
        json.dumps(config | {"pretrained_cfg": taught} | changed), "utf-8"
    )
    save_file(module.state_dict(), folder / "model.safetensors")
    return folder


def loaded(source: object, settings: ModelSettings = RESNET, **sizes) -> TimmNetwork:
    from dataclasses import replace

    settings = replace(settings, pretrained=str(source))
    network = made(settings, **sizes)
    load_pretrained(network, settings)
    return network


def pictures(side: int = 32) -> torch.Tensor:
    return to_input(torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8))


def test_a_network_of_timms_ends_in_the_dense_layer_and_its_encoder_gives_features():
    module = made().eval()
    assert isinstance(module[-1], nn.Linear)
    assert module(pictures()).shape == (3, 5)
    assert encoder(module)(pictures()).shape == (3, module.dense.in_features)


def test_one_seed_gives_one_network_and_the_same_images_the_same_answers():
    first, again, other = made(seed=3).eval(), made(seed=3).eval(), made(seed=4).eval()
    images = pictures()
    assert torch.equal(first(images), first(images))
    assert torch.equal(first(images), again(images))
    assert not torch.equal(first(images), other(images))


@pytest.mark.parametrize("size_px", [32, 64])
def test_an_encoder_that_is_made_for_one_size_is_made_for_ours(size_px):
    assert made(ModelSettings("timm:test_vit"), size_px=size_px).eval()(
        pictures(size_px)
    ).shape == (3, 5)


def test_pixels_are_normalised_as_timm_names_it():
    module, images = made(), pictures()
    assert torch.allclose(module.normalise(images), (images - 0.5) / 0.5)


def test_running_statistics_have_our_setting():
    module = made(ModelSettings("timm:test_resnet", batch_norm_momentum=0.25))
    assert {layer.momentum for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)} == {
        0.25
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_resnot", "did you mean test_resnet"),
        ("test_resnet.r16_in1k", r"did you mean test_resnet\.r160_in1k"),
        ("hf-hub:mine/mine", "timm does not know"),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused_with_the_nearest(name, said):
    with pytest.raises(ConfigError, match=said):
        made(ModelSettings(f"timm:{name}"))


def test_a_size_that_the_encoder_refuses_is_said():
    with pytest.raises(
        ConfigError,
        match=r"images of 8 px do not fit model timm:test_vit.*PackSettings\(size_px=160\)",
    ):
        made(ModelSettings("timm:test_vit"), size_px=8)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"needs timm.*galaxyvotes\[timm\]"):
        made()


def test_weights_in_timms_layout_are_those_of_the_file_without_the_classifier(tmp_path):
    folder = published(tmp_path / "timm")
    torch.manual_seed(7)
    theirs = timm.create_model("test_resnet", num_classes=10)
    theirs.reset_classifier(0)
    ours, images = loaded(folder).eval(), pictures()
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 0.125])
    seen = (images - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(encoder(ours)(images), theirs.eval()(seen), atol=1e-5)
    assert torch.equal(
        loaded(folder / "model.safetensors").encoder.conv1[0].weight, ours.encoder.conv1[0].weight
    )


def test_weights_in_zoobots_layout_are_an_encoder_without_a_classifier(tmp_path):
    folder = published(tmp_path / "zoobot", "test_convnext", classes=0)
    torch.manual_seed(7)
    theirs = timm.create_model("test_convnext", num_classes=0).state_dict()
    ours = loaded(folder, ModelSettings("timm:test_convnext")).encoder.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_timm_itself_writes_for_the_hub_is_read(tmp_path):
    theirs = timm.create_model("test_vit", num_classes=3)
    timm.models.save_for_hf(theirs, str(tmp_path / "vit"), safe_serialization=True)
    ours = loaded(tmp_path / "vit", ModelSettings("timm:test_vit")).encoder
    assert torch.equal(ours.blocks[0].attn.qkv.weight, theirs.blocks[0].attn.qkv.weight)
    assert ours.pos_embed.shape != theirs.pos_embed.shape  # brought from 160 px to 32


def test_a_config_of_one_level_is_read(tmp_path):
    folder = published(tmp_path / "old")
    flat = {"architecture": "test_resnet", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    (folder / "config.json").write_text(json.dumps(flat), "utf-8")
    images = pictures()
    assert torch.equal(loaded(folder).normalise(images), images)


def test_weights_of_another_shape_are_refused_with_the_first_that_differ(tmp_path):
    folder = published(tmp_path / "wide")
    tensors = timm.create_model("test_resnet", num_classes=0).state_dict()
    tensors["conv1.0.weight"] = torch.zeros(2, 3, 3, 3)
    del tensors["bn1.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"conv1\.0\.weight is \(2, 3, 3, 3\), expected .*bn1\.bias is missing",
    ):
        loaded(folder)


def test_weights_of_another_encoder_are_refused_with_its_name(tmp_path):
    folder = published(tmp_path / "other", "test_convnext")
    with pytest.raises(
        CheckpointError,
        match=r"is of the encoder test_convnext, not test_resnet: set model\.name=timm:",
    ):
        loaded(folder)


def test_the_conversion_that_the_tutorial_names_gives_pixels_as_they_are(tmp_path):
    theirs = timm.create_model("test_convnext", num_classes=0)
    timm.models.save_for_hf(
        theirs,
        str(tmp_path / "zoobot"),
        safe_serialization=True,
        data_config={"mean": (0, 0, 0), "std": (1, 1, 1)},
    )
    ours, images = (
        loaded(tmp_path / "zoobot", ModelSettings("timm:test_convnext")).eval(),
        pictures(),
    )
    assert torch.equal(ours.normalise(images), images)
    assert torch.allclose(encoder(ours)(images), theirs.eval()(images), atol=1e-5)


@pytest.mark.parametrize("given", ["", "pytorch_model.bin"])
def test_a_pickle_is_never_opened(given, tmp_path):
    folder = published(tmp_path / "pickle")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"can run any code.*save_for_hf"):
        loaded(folder / given)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("config.json", "{", "cannot be read"),
        ("config.json", "[]", "does not describe an encoder"),
        ("config.json", "{}", "is of the encoder none"),
        ("config.json", '{"architecture": "test_resnet", "mean": [1], "std": 2}', "three numbers"),
        ("config.json", '{"architecture": "test_resnet", "std": [0, 1, 1]}', "above 0"),
        ("config.json", '{"architecture": "test_resnet", "pretrained_cfg": 3}', "three numbers"),
        ("model.safetensors", "nothing", "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused(name, text, said, tmp_path):
    folder = published(tmp_path / "damaged")
    (folder / name).write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=said):
        loaded(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_is_refused(name, tmp_path):
    (published(tmp_path / "half") / name).unlink()
    with pytest.raises(CheckpointError, match="does not hold both"):
        loaded(tmp_path / "half")
    with pytest.raises(CheckpointError, match="which does not exist"):
        loaded(tmp_path / "none")


def test_weights_are_refused_for_a_network_that_has_none():
    with pytest.raises(ConfigError, match="compact has no published weights"):
        load_pretrained(
            build(ModelSettings("compact"), answers=2, size_px=32),
            ModelSettings("compact", pretrained="hub"),
        )


@pytest.mark.parametrize(
    ("source", "repository", "revision"),
    [
        ("hub", "timm/test_resnet.r160_in1k", None),
        ("hf-hub:mwalmsley/zoobot", "mwalmsley/zoobot", None),
        ("hf_hub:mwalmsley/zoobot@refs/pr/1", "mwalmsley/zoobot", "refs/pr/1"),
    ],
)
def test_the_hub_is_asked_for_two_files_of_one_repository(
    source, repository, revision, tmp_path, monkeypatch
):
    folder, asked = published(tmp_path / "cache"), []

    def download(owner, name, *, revision):
        asked.append((owner, name, revision))
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert torch.equal(
        loaded(source).encoder.conv1[0].weight, loaded(folder).encoder.conv1[0].weight
    )
    assert asked == [
        (repository, "config.json", revision),
        (repository, "model.safetensors", revision),
    ]


def test_a_hub_that_cannot_be_reached_is_said_with_what_to_do(monkeypatch):
    def download(*_, **__):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(
        CheckpointError, match=r"hf download timm/test_resnet\.r160_in1k.*model\.pretrained=FOLDER"
    ):
        loaded("hub")


def test_a_repository_with_a_pickle_only_is_refused(tmp_path, monkeypatch):
    folder = published(tmp_path / "cache")

    def download(owner, name, *, revision):
        if name != "config.json":
            raise RemoteEntryNotFoundError.__new__(RemoteEntryNotFoundError)
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(
        CheckpointError, match=r"hf-hub:mine/mine holds its weights as a pickle only"
    ):
        loaded("hf-hub:mine/mine")


def test_an_encoder_without_weights_on_the_hub_is_refused():
    network = made()
    network.encoder.pretrained_cfg["hf_hub_id"] = None
    with pytest.raises(CheckpointError, match="timm names no weights on the hub for test_resnet"):
        load_pretrained(network, ModelSettings("timm:test_resnet", pretrained="hub"))


def test_a_run_begins_with_pretrained_weights_and_its_folder_alone_rebuilds_it(
    blob_store, tmp_path
):
    folder = published(tmp_path / "timm")
    settings = (f"model.pretrained={folder}", *SETTINGS, "train.encoder_rate=0")
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    theirs = loaded(folder).encoder.state_dict()
    for path in folder.iterdir():
        path.unlink()
    ours = Run.open(run.path).network().module
    assert run.facts["start"] == str(folder)
    assert all(
        torch.equal(ours.encoder.state_dict()[name], tensor) for name, tensor in theirs.items()
    )
    assert ours.normalise.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    rows = blob_store.rows("test")
    first, again = (
        predict_store(each.network(), blob_store, rows).values for each in (run, Run.open(run.path))
    )
    assert np.array_equal(first, again)


def test_a_run_that_was_lost_before_its_first_save_begins_again_at_the_same_place(
    blob_store, tmp_path
):
    folder = published(tmp_path / "timm")
    settings = (f"model.pretrained={folder}", *SETTINGS)
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    weights = (run.path / "weights.safetensors").read_bytes()
    (run.path / "weights.safetensors").unlink()
    (folder / "model.safetensors").unlink()
    again = train(blob_store, run.path, resume=True, progress=False)
    assert (again.path / "weights.safetensors").read_bytes() == weights


def test_weights_that_cannot_be_read_leave_no_folder_behind(blob_store, tmp_path):
    settings = (f"model.pretrained={tmp_path / 'none'}", *SETTINGS)
    with pytest.raises(CheckpointError, match="which does not exist"):
        train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_that_began_with_pretrained_weights_can_be_finetuned_without_them(
    blob_store, tmp_path
):
    folder = published(tmp_path / "timm")
    first = train(
        blob_store,
        tmp_path / "first",
        recipe="small",
        settings=(f"model.pretrained={folder}", *SETTINGS),
        progress=False,
    )
    for path in folder.iterdir():
        path.unlink()
    settings = ("train.epochs=1", "train.batch_size=8", "train.encoder_rate=0", "train.average=0")
    second = finetune(
        blob_store, tmp_path / "second", start=first, settings=settings, progress=False
    )
    ours, theirs = second.network().module.encoder, first.network().module.encoder
    assert torch.equal(ours.conv1[0].weight, theirs.conv1[0].weight)
    assert second.facts["start"] == "first"


def test_a_last_batch_of_one_galaxy_is_refused_before_there_is_a_folder(blob_store, tmp_path):
    alone = len(blob_store.rows("train")) - 1
    settings = (*SETTINGS, f"train.batch_size={alone}")
    with pytest.raises(ConfigError, match=r"the last has 1, .*set another train\.batch_size"):
        train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert not (tmp_path / "run").exists()


def test_an_encoder_of_timms_learns_the_blobs(blob_store, tmp_path):
    settings = (*SETTINGS, "train.epochs=20", "train.learning_rate=3e-3")
    run = train(blob_store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    rows = blob_store.rows("test")
    said = predict_store(run.network(), blob_store, rows).values
    assert (said.argmax(axis=1) == blob_store.values[rows].argmax(axis=1)).mean() > 0.9


def test_the_recipe_of_a_run_keeps_where_its_weights_came_from():
    recipe = Recipe.load("compact", ("model.name=timm:convnext_nano", "model.pretrained=hub"))
    assert Recipe.from_toml(recipe.to_toml(), "compact.toml") == recipe
