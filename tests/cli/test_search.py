import shutil

import pytest


@pytest.fixture
def galaxies(blob_run, blobs, run, tmp_path):
    status, out, err = run(
        "embed", blobs, "--run", blob_run.path, "--out", tmp_path / "map.parquet"
    )
    assert status == 0, err
    assert f"{tmp_path / 'map.parquet'}: 80 galaxies" in out
    return tmp_path / "map.parquet"


def test_similar_galaxies_are_printed_or_written(galaxies, run, blob_run, blobs, tmp_path):
    status, out, err = run("similar", galaxies, "g0", "g1", "--count", "2")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == "like g0:"
    assert lines[3] == "like g1:"
    assert len(lines) == 6
    table, page = tmp_path / "near.csv", tmp_path / "near.html"
    asked = ("similar", galaxies, "--image", blobs / "round" / "g0.jpg", "--run", blob_run.path)
    status, out, err = run(*asked, "--out", table, "--sheet", page)
    assert status == 0, err
    assert f"{table}: neighbours of 1 galaxy" in out
    assert page.read_text("utf-8").count("<figure") == 11
    assert run(*asked, "--sheet", page)[0] == 2


def test_an_image_that_cannot_be_used_is_named(galaxies, run, blob_run, tmp_path, make_jpeg):
    images = tmp_path / "images"
    images.mkdir()
    (images / "good.jpg").write_bytes(make_jpeg(side=32))
    (images / "bad.jpg").write_bytes(b"no image")
    (images / "notes.doc").write_bytes(b"no image")
    status, out, _ = run("similar", galaxies, "--image", images, "--run", blob_run.path)
    assert (status, "bad.jpg could not be used: is not an image" in out) == (0, True)
    other = tmp_path / "other.parquet"
    status, out, _ = run("embed", images, "--run", blob_run.path, "--out", other)
    assert (status, f"1 image could not be used: {other}.rejected.csv" in out) == (0, True)


def test_what_is_not_there_is_one_line(galaxies, run, tmp_path):
    assert "has no galaxy 'M31'" in run("similar", galaxies, "M31")[2]
    assert run("embed", "--out", tmp_path / "new.parquet")[0] == 2


def test_odd_galaxies_are_printed_or_written(galaxies, run, tmp_path):
    status, out, err = run("odd", galaxies, "--count", "3")
    assert status == 0, err
    assert len(out.splitlines()) == 3
    status, out, err = run("odd", galaxies, "--out", tmp_path / "odd.csv", "--sheet", "odd.doc")
    assert (status, "name a file that ends in .html" in err) == (2, True)
    assert run("odd", galaxies, "--sheet", tmp_path / "odd.html")[0] == 0
    assert (tmp_path / "odd.html").read_text("utf-8").count("<figure") == 20


def test_tables_of_stars_and_of_galaxies_to_leave_out_have_ids_in_any_column(
    galaxies, run, blob_run, blobs, tmp_path
):
    table = tmp_path / "known.csv"
    table.write_text("survey,stars,image\nsdss,5,round/g0.jpg\nsdss,0,round/g1.jpg\n")
    status, out, err = run("odd", galaxies, "--stars", table, "--count", "100")
    assert (status, len(out.splitlines())) == (0, 78), err
    assert (
        "'sdss' is there twice" in run("odd", galaxies, "--stars", table, "--id-column=survey")[2]
    )
    how = ("choose", blobs, "--by", "random", "--run", blob_run.path, "--without", table)
    assert f"left out, as they are in {table}: " in run(*how, "--id-column", "image")[1]
    assert "no column 'name' for ids" in run(*how, "--id-column", "name")[2]


def test_an_image_of_another_name_is_said_to_be_on_the_map(
    galaxies, run, blob_run, blobs, tmp_path
):
    image = shutil.copy(blobs / "round" / "g0.jpg", tmp_path / "mine.jpg")
    status, out, err = run("similar", galaxies, "--image", image, "--run", blob_run.path)
    assert status == 0, err
    assert out.startswith("like mine, which is g0 on the map:\n")
    assert "  g0\n" not in out
