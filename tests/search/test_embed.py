import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes import CheckpointError, ConfigError, DataError, GalaxyMap, embed, export
from galaxyvotes.inference.engine import forward_rows
from galaxyvotes.search import embed as module


def test_the_columns_have_the_forms_that_embedding_atlas_reads(blob_map):
    schema = pq.read_schema(blob_map.path)
    types = dict(zip(schema.names, schema.types, strict=True))
    assert list(types) == ["id", "x", "y", "representation", "neighbors", "thumbnail"]
    assert types["x"] == types["y"] == pa.float32()
    assert types["neighbors"] == pa.struct(
        [("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))]
    )
    assert types["thumbnail"] == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pq.read_table(blob_map.path)
    for row, cell in enumerate(table.column("neighbors").to_pylist()):
        assert len(cell["ids"]) == len(cell["distances"]) == 4
        assert row not in cell["ids"]
        assert 0 <= min(cell["ids"]) <= max(cell["ids"]) < 80
        assert cell["distances"] == sorted(cell["distances"])
    thumbnail = table.column("thumbnail")[0].as_py()
    assert thumbnail["bytes"].startswith(b"\xff\xd8")
    assert thumbnail["path"] == f"{blob_map.ids[0]}.jpg"


def test_neighbours_of_a_blob_are_blobs_of_its_class(blob_map, blob_store):
    classes = dict(zip(blob_store.ids, blob_store.values.argmax(axis=1).tolist(), strict=True))
    kinds = np.array([classes[name] for name in blob_map.ids])
    cells = pq.read_table(blob_map.path).column("neighbors").to_pylist()
    near = np.array([cell["ids"] for cell in cells])
    assert (kinds[near] == kinds[:, None]).mean() > 0.95


def test_a_representation_is_what_the_last_layer_takes(blob_map, blob_run, blob_store):
    network = blob_run.network().folded
    assert network.recipe.model.views == 1
    features = forward_rows(network, blob_store, np.arange(len(blob_store))).features
    rows = blob_map.rows_of(blob_store.ids)
    assert np.array_equal(blob_map.representations[rows], features)


def test_a_representation_is_the_mean_over_the_views(blob_run, blob_store):
    from dataclasses import replace

    import torch

    from galaxyvotes.inference.engine import estimate, represent_batch
    from galaxyvotes.networks.batch import Batch

    network = replace(blob_run.network().folded, recipe=blob_run.recipe.changed("model.views=2"))
    batch = Batch(torch.from_numpy(blob_store.images(np.arange(5))))
    flipped = Batch(batch.images.flip(1))
    each = [estimate(network, one).features for one in (batch, flipped)]
    assert np.allclose(represent_batch(network, batch), np.mean(each, axis=0), atol=1e-6)


def test_the_metadata_say_what_made_the_map(blob_map, blob_run):
    assert blob_map.meta["holds"] == "representations"
    assert blob_map.meta["model"] == blob_run.name
    assert {"creator", "date", "weights", "recipe", "views"} <= set(blob_map.meta)


def test_a_store_and_its_files_and_any_number_of_threads_have_the_same_map(
    blob_map, blobs, blob_store, blob_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_TOGETHER", 7)
    files = embed(blobs, tmp_path / "a.parquet", run=blob_run, workers=3, progress=False).map
    assert files.ids == blob_map.ids
    table, other = pq.read_table(files.path), pq.read_table(blob_map.path)
    names = ["id", "x", "y", "representation", "thumbnail"]
    assert table.select(names).equals(other.select(names))
    store = embed(blob_store.path, tmp_path / "b.parquet", run=blob_run, progress=False).map
    rows = blob_map.rows_of(store.ids)
    assert np.array_equal(store.representations, blob_map.representations[rows])


def test_an_image_that_cannot_be_used_is_listed_and_stops_nothing(blob_run, make_jpeg, tmp_path):
    images, out = tmp_path / "images", tmp_path / "map.parquet"
    images.mkdir()
    (images / "good.jpg").write_bytes(make_jpeg(side=32))
    (images / "bad.jpg").write_bytes(b"no image")
    done = embed(images, out, run=blob_run, progress=False)
    assert (len(done), done.map.ids, done.rejected[0][0]) == (1, ("good",), "bad.jpg")
    assert "bad" in (tmp_path / "map.parquet.rejected.csv").read_text("utf-8")
    assert pq.read_table(out).column("neighbors")[0].as_py() == {"ids": [], "distances": []}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "images",
        "map.parquet",
        "map.parquet.rejected.csv",
    ]


def test_neighbours_and_thumbnails_may_be_left_out(blob_run, blobs, tmp_path):
    how = {"run": blob_run, "neighbours": 0, "thumbnails": False, "progress": False}
    plain = embed(blobs, tmp_path / "map.parquet", **how).map
    assert plain.columns == ("id", "x", "y", "representation")
    assert plain.pictures(np.array([0])) == {}


def test_what_cannot_be_written_is_refused_before_anything_is_computed(blob_run, blobs, tmp_path):
    with pytest.raises(ConfigError, match=r"a map is a Parquet table; .* ends in \.parquet"):
        embed(blobs, tmp_path / "map.csv", run=blob_run)
    (tmp_path / "map.parquet").write_text("something else")
    with pytest.raises(ConfigError, match="exists: pass `overwrite=True`"):
        embed(blobs, tmp_path / "map.parquet", run=blob_run)
    with pytest.raises(ConfigError, match="neighbours is -1; expected 0 or more"):
        embed(blobs, tmp_path / "other.parquet", run=blob_run, neighbours=-1)


def test_nothing_is_left_of_a_map_that_could_not_be_made(blob_run, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "map.parquet").write_text("what was there before")
    with pytest.raises(DataError, match="not one of 1 image could be used"):
        embed(tmp_path / "images", tmp_path / "map.parquet", run=blob_run, overwrite=True)
    assert (tmp_path / "map.parquet").read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "map.parquet"]


def test_an_exported_run_has_the_same_representations(blob_map, blob_run, blobs, tmp_path):
    file = export(tmp_path / "blobs.onnx", run=blob_run).path
    exported = embed(blobs, tmp_path / "map.parquet", run=file, progress=False).map
    assert np.allclose(exported.representations, blob_map.representations, atol=0.05)
    assert GalaxyMap.open(exported).meta["weights"] != blob_map.meta["weights"]


def test_a_store_of_another_size_is_refused(blob_run, tiny_store, tmp_path):
    with pytest.raises(CheckpointError):
        embed(tiny_store.path, tmp_path / "map.parquet", run=blob_run, progress=False)
