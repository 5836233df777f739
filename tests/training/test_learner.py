"""What one step does, beside torch's own."""

import numpy as np
import pytest
import torch
from torch import nn

from galaxyvotes import DataError, PackSettings, Recipe
from galaxyvotes.config import ModelSettings, TrainSettings
from galaxyvotes.networks.batch import Batch, Share
from galaxyvotes.networks.build import build
from galaxyvotes.runs.network import Network
from galaxyvotes.training import learner
from galaxyvotes.training.batches import TrainingBatches
from galaxyvotes.training.learner import SUMS, Learner, check_finite

CPU = torch.device("cpu")


def ready(store, *settings: str, recipe: str = "compact") -> tuple[Learner, Batch, Share]:
    """A learner, a batch of ten galaxies and the share that is all of it."""
    chosen = Recipe.load(recipe, ("train.batch_size=10", "train.precision=float32", *settings))
    batches = TrainingBatches.of([store], chosen)
    network = Network.build(chosen, batches.heads, PackSettings(32, 32))
    return Learner(network, CPU), next(batches.batches(0, 0)), Share(0, 10, 10)


def test_a_step_is_that_of_torchs_adam_and_its_sums_are_those_of_the_batch(blob_store):
    settings = ("model.width=8", "model.dropout=0", "train.objective=mse", "train.average=0")
    settings += ("train.weight_decay=0", "train.clip_norm=0", "train.augment=none")
    made, batch, share = ready(blob_store, *settings)
    other, _, _ = ready(blob_store, *settings)
    module = other.module.train()
    optimiser = torch.optim.Adam(module.parameters(), 1e-3, eps=1e-7)
    predicted = module(batch.images.permute(0, 3, 1, 2) / 255).sigmoid()
    loss = (predicted - batch.values).square().mean(dim=1)
    loss.mean().backward()
    optimiser.step()
    sums = dict(zip(SUMS, made.learn(batch, share, seed=1, rate=1e-3).tolist(), strict=True))
    for name, tensor in made.module.state_dict().items():
        torch.testing.assert_close(tensor, module.state_dict()[name], msg=name)
    assert sums["loss"] == pytest.approx(float(loss.detach().sum()), rel=1e-5)
    assert sums["known"] == batch.values.numel()
    assert sums["squared"] == pytest.approx(sums["loss"] * 2, rel=1e-5)
    assert sums["compared"] == 10
    assert sums["correct"] == int((predicted.argmax(1) == batch.values.argmax(1)).sum())


def test_galaxies_without_labels_change_neither_gradient_nor_sums(blob_store):
    settings = ("model.name=timm:test_convnext", "model.dropout=0", "train.augment=none")
    made, batch, _ = ready(blob_store, *settings)
    other, _, _ = ready(blob_store, *settings)
    unlabelled = Batch(batch.images[:2], torch.full_like(batch.values[:2], torch.nan))
    both = Batch.concatenate([batch, unlabelled])
    sums = made.learn(batch, Share(0, 10, 10), seed=1, rate=1e-4)
    torch.testing.assert_close(sums, other.learn(both, Share(0, 10, 10), seed=1, rate=1e-4))
    for (name, tensor), same in zip(
        made.module.named_parameters(), other.module.parameters(), strict=True
    ):
        torch.testing.assert_close(tensor.grad, same.grad, msg=name)


PLAIN = ("model.name=timm:test_convnext", "model.dropout=0", "train.augment=dihedral")


def test_a_batch_in_parts_takes_the_same_step_where_no_galaxy_depends_on_others(blob_store):
    whole, batch, share = ready(blob_store, *PLAIN, "train.clip_norm=0.1")
    parted, _, _ = ready(blob_store, *PLAIN, "train.clip_norm=0.1", "train.micro_batch=4")
    sizes = []
    parted.module.register_forward_pre_hook(lambda _, images: sizes.append(len(images[0])))
    for seed in (1, 2):
        sums = whole.learn(batch, share, seed=seed, rate=1e-3)
        in_parts = parted.learn(batch, share, seed=seed, rate=1e-3)
        torch.testing.assert_close(in_parts, sums, rtol=1e-5, atol=0)
    assert sizes == [3, 3, 4] * 2
    for (name, tensor), same in zip(
        whole.module.named_parameters(), parted.module.parameters(), strict=True
    ):
        torch.testing.assert_close(tensor.grad, same.grad, msg=name)
        torch.testing.assert_close(tensor, same, msg=name)


def test_batch_norm_has_the_statistics_of_each_part(blob_store):
    momentum, settings = 0.1, ("model.width=8", "train.augment=none")
    made, batch, share = ready(blob_store, *settings, "train.micro_batch=5")
    running = made.module.norm.running_mean.clone()
    with torch.no_grad():
        stem = made.module.stem(batch.images.permute(0, 3, 1, 2) / 255)
    for part in (stem[:5], stem[5:]):
        running = (1 - momentum) * running + momentum * part.mean(dim=(0, 2, 3))
    made.learn(batch, share, seed=1, rate=1e-3)
    torch.testing.assert_close(made.module.norm.running_mean, running)


def test_each_part_draws_a_dropout_of_its_own(blob_store):
    made, batch, _ = ready(blob_store, "model.width=8", "model.dropout=0.5", "train.micro_batch=2")
    same = Batch(batch.images[:1].repeat(4, 1, 1, 1), batch.values[:1].repeat(4, 1))
    outputs = []
    made.module.dropout.register_forward_hook(lambda *hooked: outputs.append(hooked[2] == 0))
    made.learn(same, Share(0, 4, 4), seed=1, rate=1e-4)
    assert not torch.equal(*outputs)


def test_dropout_is_drawn_from_the_seed_and_nothing_else(blob_store):
    outputs = []
    for seed, before in ((1, 5), (1, 6), (2, 5)):
        made, batch, share = ready(blob_store, "model.width=8", "model.dropout=0.5")
        torch.manual_seed(before)
        outputs.append(float(made.learn(batch, share, seed=seed, rate=1e-4)[0]))
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_step_leaves_torchs_random_state_as_it_was(blob_store):
    made, batch, share = ready(blob_store, "model.width=8")
    before = torch.get_rng_state()
    made.learn(batch, share, seed=1, rate=1e-4)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_running_mean_follows_fast_at_first_and_then_by_its_share(blob_store):
    made, batch, share = ready(blob_store, "model.width=8", "train.average=0.75")
    weight, mean = made.module.stem.weight, made.averaged.module.stem.weight
    expected = mean.detach().clone()
    for step, keep in ((1, 1 / 11), (2, 2 / 12), (90, 0.75)):
        made.learn(batch, share, seed=step, rate=1e-2)
        made.average(step)
        expected = keep * expected + (1 - keep) * weight.detach()
        torch.testing.assert_close(mean, expected)


def test_without_average_the_network_itself_is_validated(blob_store):
    made, *_ = ready(blob_store, "model.width=8", "train.average=0")
    assert made.averaged is made.network


@pytest.mark.parametrize("name", ["vgg6", "compact", "timm:test_efficientnet", "timm:test_resnet"])
def test_synchronised_batch_norms_keep_weights_and_predictions(name):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    module = build(ModelSettings(name, width=8), answers=3, size_px=64).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected, state = module(images), module.state_dict()
        learner._synchronise_batch_norms(module)
        norms = [each for each in module.modules() if isinstance(each, nn.SyncBatchNorm)]
        assert norms
        assert not any(isinstance(each, nn.BatchNorm2d) for each in module.modules())
        assert module.state_dict().keys() == state.keys()
        torch.testing.assert_close(module(images), expected)


def test_an_output_that_is_not_finite_names_the_epoch_and_the_rate():
    check_finite(True, TrainSettings(), 0)
    with pytest.raises(DataError, match=r"in epoch 4: lower train\.learning_rate \(0\.001\)"):
        check_finite(False, TrainSettings(), 3)


def test_of_galaxies_with_an_unknown_answer_no_largest_is_compared(blob_store):
    made, batch, _ = ready(blob_store, "model.width=8")
    values = batch.values.clone()
    values[:3, 0] = np.nan
    logits, loss = torch.zeros(10, 2), torch.ones(10)
    sums = learner.metric_sums(made.network, logits, Batch(batch.images, values), loss)
    assert dict(zip(SUMS, sums.tolist(), strict=True)) == {
        "loss": 10,
        "squared": pytest.approx(float((values.nan_to_num(0.5) - 0.5).square().sum())),
        "known": 17,
        "correct": int((values[3:].argmax(dim=1) == 0).sum()),
        "compared": 7,
    }
