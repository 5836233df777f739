"""A run before its first step."""

import json

import pytest
import torch

from galaxyvotes import ConfigError, PackSettings, Recipe
from galaxyvotes.runs.network import Network
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.initialise import WarmStart, _check_batch_norms, create_run

CPU = torch.device("cpu")
SMALL = Recipe.load("compact", ("model.width=8", "train.batch_size=10"))


def test_a_new_run_records_stores_galaxies_and_versions(blob_store, tmp_path):
    batches = TrainingBatches.of([blob_store], SMALL)
    run = create_run(batches, tmp_path / "run", SMALL, CPU)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["pack"] == {"crop_px": 32, "size_px": 32}
    (store,) = facts["stores"]
    assert (store["path"], store["digest"]) == (blob_store.path.name, blob_store.digest)
    assert (store["train"], store["validation"]) == (
        len(batches.train[0]),
        len(batches.validation[0]),
    )
    assert {"galaxyvotes", "torch", "left_out"} <= facts.keys()
    assert "start" not in facts
    assert run.seen.num_rows == store["train"] + store["validation"]
    assert not (tmp_path / "run" / "start.safetensors").exists()
    assert not run.finished


def test_a_warm_start_is_kept_with_the_galaxies_it_has_seen(blob_store, tmp_path):
    batches = TrainingBatches.of([blob_store], SMALL)
    network = Network.build(SMALL, batches.heads, PackSettings(32, 32))
    before = batches.seen()
    in_training = before.set_column(3, "split", [["train"] * len(before)])
    run = create_run(
        batches, tmp_path / "run", SMALL, CPU, WarmStart(network, "other", in_training)
    )
    assert run.facts["start"] == "other"
    assert run.facts["known_before"] == [len(batches.validation[0])] * 2
    assert run.seen.num_rows == 2 * len(before)
    assert (tmp_path / "run" / "start.safetensors").exists()


def test_a_folder_that_exists_is_refused(blob_store, tmp_path):
    with pytest.raises(ConfigError, match="exists already and is no run: name another folder"):
        create_run(TrainingBatches.of([blob_store], SMALL), tmp_path, SMALL, CPU)


def test_a_share_of_one_galaxy_is_refused_for_batch_norms_of_timm(blob_store, monkeypatch):
    pytest.importorskip("timm")
    size = len(blob_store.rows("train")) - 3
    settings = ("model.name=timm:test_resnet", f"train.batch_size={size}")
    recipe = Recipe.load("small", settings)
    batches = TrainingBatches.of([blob_store], recipe)
    network = Network.build(recipe, batches.heads, PackSettings(32, 32))
    _check_batch_norms(network, batches)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"the last has 3 for 2 processes, .* want two each"):
        _check_batch_norms(network, batches)
