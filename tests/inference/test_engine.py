from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxyvotes import predict_store
from galaxyvotes.inference import engine
from galaxyvotes.inference.engine import (
    chunks_of,
    estimate,
    forward,
    forward_rows,
    predict_batch,
    predict_views,
)
from galaxyvotes.networks.augment import views
from galaxyvotes.networks.batch import Batch
from galaxyvotes.networks.build import to_input


def images_of(store, count: int) -> torch.Tensor:
    """The first images of a store."""
    return torch.from_numpy(store.images(np.arange(count)))


def test_the_logits_of_a_galaxy_do_not_depend_on_the_others_to_the_last_bit(blob_run, blob_store):
    network, images = blob_run.network(), images_of(blob_store, 70)
    whole = forward(network, Batch(images)).logits
    for part in (slice(0, 1), slice(33, 50)):
        assert np.array_equal(whole[part], forward(network, Batch(images[part])).logits)
    assert np.array_equal(whole[::-1], forward(network, Batch(images.flip(0))).logits)
    assert forward(network, Batch(images[:0])).logits.shape == (0, 2)


@pytest.mark.parametrize("count", [1, 3, 7, 17, 40])
def test_the_fractions_of_a_galaxy_do_not_depend_on_the_others_to_the_last_bit(
    blob_run, blob_store, count
):
    network, images = blob_run.network(), images_of(blob_store, 80)
    whole = estimate(network, Batch(images)).values
    parts = [estimate(network, Batch(part)).values for part in images.split(count)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_bfloat16_moves_a_fraction_by_less_than_a_hundredth(blob_run, blob_store):
    network = blob_run.network()
    exact = predict_store(
        replace(network, recipe=network.recipe.changed("train.precision=float32")), blob_store
    ).values
    fast = predict_store(
        replace(network, recipe=network.recipe.changed("train.precision=bfloat16")), blob_store
    ).values
    assert 0 < np.abs(fast - exact).max() < 0.01


def test_predictions_are_the_mean_over_views_and_zooms_and_those_of_the_image_itself_without_them(
    blob_run, blob_store
):
    network, images = blob_run.network(), images_of(blob_store, 20)
    ids = tuple(blob_store.ids[:20])
    plain = predict_batch(network, Batch(images), ids)
    assert np.array_equal(plain.values, estimate(network, Batch(images)).values)
    assert plain.spread is None
    changed = replace(
        network, recipe=network.recipe.changed("model.views=9").changed("model.zooms=1.1")
    )
    mean = predict_batch(changed, Batch(images), ids)
    each = [estimate(network, Batch(view)).values for view in views(images, 9, (1.1,))]
    assert len(each) == 18
    assert np.allclose(mean.values, np.mean(each, axis=0), atol=1e-6)
    assert np.allclose(mean.spread, np.std(each, axis=0), atol=1e-6)


@pytest.mark.parametrize("threads", [2, 3])
def test_predictions_of_several_threads_are_those_of_one_to_the_last_bit(
    blob_run, blob_store, threads
):
    network = replace(blob_run.network(), recipe=blob_run.recipe.changed("model.views=8"))
    batch = Batch(images_of(blob_store, len(blob_store)))
    plain = predict_batch(network, batch, tuple(blob_store.ids))
    torch.set_num_threads(threads)
    try:
        threaded = predict_store(network, blob_store)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    assert len(blob_store) > 16 * threads
    assert threaded.ids == plain.ids
    assert np.array_equal(threaded.values, plain.values)
    assert np.array_equal(threaded.spread, plain.spread)


def test_the_views_of_one_galaxy_share_a_group(blob_run, blob_store, monkeypatch):
    network = replace(blob_run.network(), recipe=blob_run.recipe.changed("model.views=8"))
    sizes = []
    monkeypatch.setattr(
        engine, "to_input", lambda images: (sizes.append(len(images)), to_input(images))[1]
    )
    alone = predict_batch(network, Batch(images_of(blob_store, 6)[5:]), ("5",))
    assert sizes == [16]
    assert np.array_equal(
        alone.values, predict_store(network, blob_store, np.arange(20)).values[5:6]
    )


def test_rows_of_a_store_keep_their_order(blob_run, blob_store):
    network, rows = blob_run.network(), np.array([41, 3, 17, 60])
    whole = predict_store(network, blob_store)
    some = predict_store(network, blob_store, rows)
    assert some.ids == tuple(blob_store.ids[row] for row in rows)
    assert np.array_equal(some.values, whole.values[rows])
    outputs = forward_rows(network, blob_store, rows)
    assert np.array_equal(
        outputs.logits, forward(network, Batch(images_of(blob_store, 80)[rows])).logits
    )
    assert np.array_equal(predict_views(network, blob_store, rows)[0], some.values)


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (15, 1), (100, 3), (5000, 2)])
def test_chunks_are_whole_groups_that_cover_all_images_once(count, workers):
    chunks = chunks_of(count, workers)
    covered = [number for chunk in chunks for number in range(count)[chunk]]
    assert covered == list(range(count))
    assert all((chunk.stop - chunk.start) % engine.GROUP == 0 for chunk in chunks)
    assert max(chunk.stop - chunk.start for chunk in chunks) <= engine.CHUNK
