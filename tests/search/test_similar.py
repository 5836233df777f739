import shutil

import numpy as np
import pytest

from galaxyvotes import CheckpointError, ConfigError, DataError, embed, similar
from galaxyvotes.search.neighbours import nearest


def test_galaxies_like_some_of_a_map_are_the_nearest_without_themselves(blob_map):
    found = similar(blob_map.path, blob_map.ids[:2], count=3)
    expected = nearest(blob_map.representations, blob_map.representations[:2], 3, np.array([0, 1]))
    assert found.queries == blob_map.ids[:2]
    assert found.ids == tuple(tuple(blob_map.ids[row] for row in rows) for rows in expected.rows)
    assert np.array_equal(found.distances, expected.distances)
    assert similar(blob_map, blob_map.ids[0], count=3).ids == found.ids[:1]


def test_an_image_of_a_galaxy_on_the_map_is_not_like_itself(blob_map, blob_run, blobs, tmp_path):
    name = blob_map.ids[5]
    (image,) = blobs.rglob(f"{name}.jpg")
    shutil.copy(image, tmp_path / "renamed.jpg")
    by_id = similar(blob_map, name, count=3)
    how = {"run": blob_run, "count": 3, "progress": False}
    found = similar(blob_map, images=[image, tmp_path / "renamed.jpg"], **how)
    assert found.queries == (name, "renamed")
    assert found.on_map == (name, name)
    assert found.ids == by_id.ids * 2
    assert np.allclose(found.distances, by_id.distances, atol=1e-5)
    both = similar(blob_map, blob_map.ids[0], images=image, run=blob_run, progress=False)
    assert both.queries == (blob_map.ids[0], name)
    assert both.distances.shape == (2, 10)


def test_another_image_of_the_same_name_leaves_nothing_out(blob_map, blob_run, make_jpeg, tmp_path):
    name = blob_map.ids[5]
    (tmp_path / f"{name}.jpg").write_bytes(make_jpeg(side=32, seed=9))
    found = similar(blob_map, images=tmp_path, run=blob_run, count=80, progress=False)
    assert (found.queries, found.on_map) == ((name,), ("",))
    assert {*found.ids[0]} == {*blob_map.ids}


def test_of_equal_galaxies_on_the_map_the_image_is_the_one_of_its_name(
    blob_run, blobs, make_jpeg, tmp_path
):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.jpg").write_bytes(make_jpeg(side=32, seed=4 if name < "c" else 5))
    twins = embed(folder, tmp_path / "twins.parquet", run=blob_run, progress=False).map
    found = similar(twins, images=folder / "b.jpg", run=blob_run, progress=False)
    assert (found.on_map, found.ids[0]) == (("b",), ("a", "c"))
    assert similar(twins, "images/b.jpg").ids == found.ids


def test_an_image_on_a_map_with_an_index_is_found_in_spite_of_its_rounding(
    blob_run, blobs, tmp_path
):
    pytest.importorskip("usearch")
    how = {"run": blob_run, "progress": False}
    indexed = embed(blobs, tmp_path / "map.parquet", index=True, **how).map
    images = sorted(blobs.rglob("*.jpg"))[:10]
    assert indexed.index is not None
    assert similar(indexed, images=images, **how).on_map == tuple(one.stem for one in images)


def test_another_run_than_that_of_the_map_is_refused(blob_map, blobs):
    with pytest.raises(CheckpointError, match="was made with other weights than those of"):
        similar(blob_map, images=blobs, progress=False)


def test_what_is_asked_must_make_sense(blob_map):
    with pytest.raises(ConfigError, match="no galaxy is named"):
        similar(blob_map)
    with pytest.raises(ConfigError, match="count is 0; expected 1 or more"):
        similar(blob_map, blob_map.ids[0], count=0)
    with pytest.raises(DataError, match="has no galaxy 'M31'"):
        similar(blob_map, "M31")


def test_a_map_of_few_galaxies_has_no_more_neighbours(blob_run, blobs, tmp_path):
    some = sorted(blobs.rglob("*.jpg"))[:3]
    few = embed(some, tmp_path / "few.parquet", run=blob_run, progress=False).map
    assert similar(few, few.ids).distances.shape == (3, 2)
    both = similar(few, few.ids[0], images=some[1], run=blob_run, progress=False)
    assert both.distances.shape == (2, 2)


def test_neighbours_are_written_as_a_table(blob_map, tmp_path):
    found = similar(blob_map, blob_map.ids[:2], count=2)
    for name in ("near.csv", "near.fits", "near.parquet"):
        assert found.write(tmp_path / name).is_file()
    header, first, *_ = (tmp_path / "near.csv").read_text("utf-8").splitlines()
    assert header.replace('"', "") == "query,rank,id,distance"
    assert first.replace('"', "").startswith(f"{blob_map.ids[0]},1,{found.ids[0][0]},")
    with pytest.raises(ConfigError, match="exists"):
        found.write(tmp_path / "near.csv")


def test_a_page_shows_each_query_and_its_neighbours(blob_map, blob_run, blobs, tmp_path):
    (image,) = blobs.rglob(f"{blob_map.ids[5]}.jpg")
    found = similar(blob_map, blob_map.ids[0], images=image, run=blob_run, progress=False)
    page = found.contact_sheet(tmp_path / "page.html").read_text("utf-8")
    assert page.count("<figure") == page.count("<img") == 2 * 11
    assert f"nearest to it of {len(blob_map)} galaxies" in page
    with pytest.raises(ConfigError, match=r"ends in \.html"):
        found.contact_sheet(tmp_path / "page.png")
    assert repr(found).startswith("<Similar: 10 neighbours of 2 galaxies, from ")
