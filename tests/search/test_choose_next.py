from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from galaxyvotes import ConfigError, DataError, choose, predict
from galaxyvotes.metrics.information import entropy
from galaxyvotes.networks.batch import Batch
from galaxyvotes.search import choose_next as module


@pytest.fixture
def new_images(make_jpeg, tmp_path):
    """Images that no run has seen."""
    folder = tmp_path / "new"
    folder.mkdir()
    for seed in range(12):
        (folder / f"g{seed:02}.jpg").write_bytes(make_jpeg(seed=seed, side=32))
    return folder


def test_the_least_certain_galaxies_come_first(blob_run, new_images):
    chosen = choose(new_images, 5, by="uncertainty", run=blob_run, progress=False)
    predicted = predict(new_images, run=blob_run, progress=False)
    network = blob_run.network()
    expected = entropy(network.tree, predicted.values.astype(float), network.columns)
    order = np.argsort(-expected, kind="stable")[:5]
    assert chosen.ids == tuple(predicted.ids[row] for row in order)
    assert np.allclose(chosen.scores, expected[order], atol=1e-5)
    assert repr(chosen) == "<Queue: 5 galaxies by uncertainty>"


def test_galaxies_that_the_run_was_trained_on_are_left_out(blob_run, blob_store, new_images):
    seen = {*blob_run.seen.column("id").to_pylist()}
    chosen = choose(blob_store.path, 1000, by="uncertainty", run=blob_run, progress=False)
    assert set(chosen.ids) == {*blob_store.ids} - seen
    assert chosen.seen == len(seen)


def test_galaxies_of_a_table_are_left_out(blob_run, new_images, tmp_path):
    pq.write_table(pa.table({"name": ["g01", "g05"], "votes": [1, 2]}), tmp_path / "votes.parquet")
    how = {"by": "random", "run": blob_run, "progress": False}
    by_table = choose(new_images, 100, without=tmp_path / "votes.parquet", **how)
    assert set(by_table.ids) == {f"g{n:02}" for n in range(12)} - {"g01", "g05"}
    assert choose(new_images, 100, without=["g01", "g05"], **how).ids == by_table.ids
    assert by_table.without == 2
    with pytest.raises(DataError, match="cannot be read"):
        choose(new_images, without=tmp_path / "nowhere.csv", **how)


def test_the_table_of_galaxies_to_leave_out_calls_them_by_its_ids_wherever_they_stand(
    blob_run, new_images, tmp_path
):
    rows = "survey,z,objid,file\nsdss,1,g01,new/g02.jpg\nsdss,1,g05,new/g06.jpg\n"
    (tmp_path / "votes.csv").write_text(rows)
    how = {"by": "random", "run": blob_run, "progress": False}
    everything = {f"g{n:02}" for n in range(12)}
    found = choose(new_images, 100, without=str(tmp_path / "votes.csv"), **how)
    assert {*found.ids} == everything - {"g01", "g05"}
    found = choose(new_images, 100, without=tmp_path / "votes.csv", id_column="File", **how)
    assert {*found.ids} == everything - {"g02", "g06"}
    found = choose(new_images, 100, without=tmp_path / "votes.csv", id_column="survey", **how)
    assert ({*found.ids}, found.without) == (everything, 0)
    with pytest.raises(ConfigError, match="no column 'name' for ids, it has survey, z, objid"):
        choose(new_images, without=tmp_path / "votes.csv", id_column="name", **how)
    with pytest.raises(ConfigError, match="and none is named"):
        choose(new_images, without=["g01"], id_column="name", **how)


def test_random_galaxies_are_those_of_the_seed(blob_run, new_images):
    how = {"by": "random", "run": blob_run, "progress": False}
    assert choose(new_images, 5, **how).ids == choose(new_images, 5, workers=3, **how).ids
    assert choose(new_images, 12, **how).ids != choose(new_images, 12, seed=1, **how).ids


def test_bald_prefers_galaxies_whose_views_disagree(blob_run, blob_store):
    recipe = blob_run.recipe.changed("model.views=4")
    network = replace(blob_run.network().folded, recipe=recipe)
    images = blob_store.images(np.arange(10))
    images[0] = images[0].max(axis=(0, 1))  # a blank image is the same from all sides
    ids = tuple(map(str, range(10)))
    scored = module._score(network, "bald", frozenset(), Batch(torch.from_numpy(images)), ids)
    assert scored.scores[0] == pytest.approx(0, abs=1e-6)
    assert scored.scores[1:].max() > 1e-6


def test_what_cannot_be_chosen_is_refused(blob_run, new_images):
    how = {"run": blob_run, "progress": False}
    with pytest.raises(ConfigError, match="this run has one: choose with `by='uncertainty'`"):
        choose(new_images, **how)
    with pytest.raises(ConfigError, match="by is 'luck'; expected bald, uncertainty, random"):
        choose(new_images, by="luck", **how)
    with pytest.raises(ConfigError, match="count is 0"):
        choose(new_images, 0, **how)


def test_a_queue_is_written_as_a_table(blob_run, new_images, tmp_path):
    chosen = choose(new_images, 3, by="uncertainty", run=blob_run, progress=False)
    lines = chosen.write(tmp_path / "queue.csv").read_text("utf-8").replace('"', "").splitlines()
    assert lines[0] == "id,score"
    assert [line.split(",")[0] for line in lines[1:]] == [*chosen.ids]
    with pytest.raises(ConfigError, match="exists"):
        chosen.write(tmp_path / "queue.csv")
