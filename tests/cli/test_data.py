import shutil

import pytest

from galaxyvotes import Store
from galaxyvotes.tree import DecisionTree
from mosaics import pixels, wcs_of, write_mosaic, write_table


def test_pack_reports_what_became_of_every_image_and_row(run, galaxies_folder, tmp_path):
    images = galaxies_folder / "images"
    (images / "1003.jpg").write_bytes(b"")
    (images / "1004.jpg").unlink()
    (images / "notes.doc").write_bytes(b"")
    (images / "9999.jpg").write_bytes((images / "1001.jpg").read_bytes())
    status, out, _ = run(
        "pack", galaxies_folder, "--out", tmp_path / "s", "--crop", "0", "--size", "16"
    )
    assert status == 0
    assert "10 galaxies of 16 px" in out
    assert "tree kaggle, 37 answers" in out
    assert "1 image could not be used" in out
    assert "1 row of the table has no image" in out
    assert "1 image is in no row of the table and was left out" in out
    assert f"1 file was passed over: {tmp_path / 's' / 'rejected.csv'}" in out
    assert "images/notes.doc" in (tmp_path / "s/rejected.csv").read_text()


def test_five_rotated_splits_test_each_galaxy_once(run, blobs, tmp_path):
    tested: list[str] = []
    for turn in ("0", "0.2", "0.4", "0.6", "0.8"):
        options = ("--size", "8", "--crop", "32", "--splits", "0.7,0.1,0.2", "--split-turn", turn)
        assert run("pack", blobs, "--out", tmp_path / turn, *options)[0] == 0
        store = Store.open(tmp_path / turn)
        tested += [store.ids[row] for row in store.rows("test")]
    assert sorted(tested) == sorted(store.ids)


def test_splits_that_are_not_three_numbers_are_refused(run, blobs, tmp_path):
    status, _, err = run("pack", blobs, "--splits", "0.8,0.2", "--out", tmp_path / "s")
    assert status == 2
    assert "--splits '0.8,0.2': expected three fractions, e.g. 0.8,0.1,0.1" in err


def test_values_that_mean_unknown_and_names_of_classes_are_options(run, make_jpeg, tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(make_jpeg(number))
    (tmp_path / "t.csv").write_text("id,ring\n0,0\n1,1\n2,-1\n3,9\n")
    arguments = ("pack", tmp_path, "--classes", "ring", "--crop", "16", "--size", "16")
    names = ("--class-names", "0=no, 1=ring", "--missing", "-1", "--missing", "9")
    status, out, _ = run(*arguments, *names, "--out", tmp_path / "s")
    assert status == 0
    assert "2 galaxies have no label and were left out" in out
    assert "read as unknown" not in out
    assert Store.open(tmp_path / "s").tree.columns == ("no", "ring")
    status, _, err = run(*arguments, "--class-names", "0,1=ring", "--out", tmp_path / "t")
    assert status == 2
    assert "--class-names '0,1=ring': expected WORD=NAME, e.g. 0=no,1=ring" in err


def test_sets_are_given_by_a_column_or_by_three_lists_and_a_limit_takes_some(
    run, make_jpeg, tmp_path
):
    words = ["train", "train", "val", "test", ""]
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(make_jpeg(number))
    rows = "".join(f"{n},{'ab'[n % 2]},{word}\n" for n, word in enumerate(words))
    (tmp_path / "t.csv").write_text("id,type,split\n" + rows)
    arguments = ("pack", tmp_path, "--classes", "type", "--crop", "16", "--size", "16")
    out = run(*arguments, "--splits", "split", "--out", tmp_path / "s")[1]
    assert "4 galaxies of 16 px (2 train, 1 validation, 1 test)" in out
    files = [tmp_path / f"{name}.list" for name in ("train", "validation", "test")]
    for number, file in enumerate(files):
        file.write_text(f"{number}\n")
    names = ",".join(map(str, files))
    out = run(*arguments, "--splits", names, "--out", tmp_path / "l")[1]
    assert "3 galaxies of 16 px (1 train, 1 validation, 1 test)" in out
    out = run(*arguments, "--limit", "2", "--out", tmp_path / "two")[1]
    assert "2 galaxies of 16 px" in out
    assert "1 a, 1 b" in out


def test_simulated_galaxies_have_the_size_asked_for(run, tmp_path):
    status, out, _ = run("simulate", "--galaxies", "2", "--size", "48", "--out", tmp_path / "zoo")
    assert status == 0
    assert "2 galaxies" in out
    arguments = ("pack", tmp_path / "zoo", "--crop", "48", "--size", "48", "--out", tmp_path / "s")
    assert "2 galaxies of 48 px" in run(*arguments)[1]


def test_a_store_is_packed_for_the_bundled_model_unless_something_else_is_named(
    run, blob_run, tmp_path
):
    run("simulate", "--galaxies", "20", "--out", tmp_path / "zoo")
    packing = ("pack", tmp_path / "zoo", "--out")
    status, out, _ = run(*packing, tmp_path / "bundled")
    assert status == 0
    assert "images: 208 px brought to 96 px, as the bundled model needs" in out
    assert "images: 32 px\n" in run(*packing, tmp_path / "for", "--for", blob_run.path)[1]
    assert "images: 128 px\n" in run(*packing, tmp_path / "paper", "--recipe", "paper")[1]
    own = ("--recipe", "strong", "--crop", "200", "--size", "48")
    assert "images: 200 px brought to 48 px\n" in run(*packing, tmp_path / "own", *own)[1]
    status, out, _ = run("predict", tmp_path / "bundled", "--out", tmp_path / "answers.csv")
    assert (status, "20 galaxies" in out) == (0, True)


def test_galaxies_of_the_run_of_an_onnx_file_are_found_or_said_to_be_unknown(
    run, blobs, blob_run, tmp_path
):
    run("export", "--run", blob_run.path, "--out", tmp_path / "alone.onnx")
    copy = tmp_path / blob_run.path.name
    shutil.copytree(blob_run.path, copy)
    shutil.copy(tmp_path / "alone.onnx", copy / "beside.onnx")
    packing = ("pack", blobs, "--splits", "0.2,0.4,0.4", "--out")
    out = run(*packing, tmp_path / "a", "--for", copy / "beside.onnx")[1]
    assert f"are in the training set, not drawn for validation or test, because {copy}" in out
    shutil.rmtree(copy)
    out = run(*packing, tmp_path / "b", "--for", tmp_path / "alone.onnx")[1]
    assert "alone.onnx has no table of the galaxies that it was trained on: some may be in" in out


def test_a_store_is_for_a_run_or_for_a_recipe(run, blobs, blob_run, tmp_path):
    both = ("--for", blob_run.path, "--recipe", "paper")
    status, _, err = run("pack", blobs, *both, "--out", tmp_path / "s")
    assert status == 2
    assert "--for and --recipe both say what the store is for: leave out one" in err


def test_trees_are_listed_printed_and_drawn(run, tmp_path):
    assert "kaggle" in run("tree")[1]
    assert "Class11.6" in run("tree", "kaggle")[1]
    assert run("tree", "kaggle", "--out", tmp_path / "tree.svg")[0] == 0
    assert "<svg" in (tmp_path / "tree.svg").read_text()
    assert run("tree", "kaggle", "--out", tmp_path / "tree.toml")[0] == 0
    assert DecisionTree.load(tmp_path / "tree.toml") == DecisionTree.load("kaggle")
    printed = run("tree", "kaggle", "--toml")[1]
    assert DecisionTree.from_toml(printed) == DecisionTree.load("kaggle")
    status, _, err = run("tree", "kagle")
    assert status == 2
    assert "kaggle" in err


def test_cutout_says_what_became_of_every_galaxy(run, tmp_path):
    sky = wcs_of(300, 400)
    mosaic = write_mosaic(tmp_path / "m.fits", pixels())
    table = write_table(tmp_path / "t.fits", sky, [50, 399, 900.0], [50, 100, 10.0])
    options = ("--mosaic", mosaic, "--size", "10arcsec")
    status, out, _ = run("cutout", table, *options, "--out", tmp_path / "cuts")
    assert status == 0
    assert out.splitlines() == [
        f"{tmp_path / 'cuts' / 'cutouts.fits'}: 2 cut-outs",
        "1 image reaches beyond the mosaic's edge (cutout_off_edge)",
        "1 galaxy without an image: lies outside the mosaic",
    ]
    status, _, err = run("cutout", table, "--size", "10arcsec", "--out", tmp_path / "x")
    assert (status, "no mosaic is named" in err, "--mosaic sky.fits" in err) == (2, True, True)
    status, _, err = run("cutout", table, *options[:2], "--out", tmp_path / "x")
    assert (
        "name its side, such as --size 30arcsec or, times a column, --size '8.48*petro_r90'" in err
    )
    status, _, err = run("pack", table, *options, "--scale", "2", "--out", tmp_path / "x")
    assert "mosaic shows is its --size: change that, and leave out --scale" in err
    status, _, err = run("pack", table, "--size", "10arcsec", "--out", tmp_path / "x")
    assert "--size is for images that are cut from a mosaic: name its files, --mosaic FITS" in err


def test_detect_says_how_many_sources_there_are(run, tmp_path):
    pytest.importorskip("photutils", reason="photutils finds the sources: install the extra detect")
    data = pixels() / 20
    data[100:110, 200:210] += 3
    mosaic = write_mosaic(tmp_path / "m.fits", data)
    status, out, _ = run("detect", mosaic, "--sigma", "4", "--out", tmp_path / "s.csv")
    assert (status, out) == (0, f"{tmp_path / 's.csv'}: 1 source\n")
