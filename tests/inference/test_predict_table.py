"""A table of galaxies in, the same table with predictions out."""

import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galaxyvotes import ConfigError, DataError, FitsLayout, Predictions, TableSettings, predict
from galaxyvotes.table_formats.read import open_rows

PREDICTED = ["long", "round"]


@pytest.fixture(scope="session")
def ten(blobs, tmp_path_factory, blob_run):
    """A folder with ten images, 101.jpg to 110.jpg, and what is predicted for them."""
    folder = tmp_path_factory.mktemp("ten") / "cutouts"
    folder.mkdir()
    for number, path in enumerate(sorted(blobs.rglob("*.jpg"))[::8]):
        shutil.copyfile(path, folder / f"{101 + number}.jpg")
    done = predict(folder, run=blob_run, progress=False)
    assert done.ids == tuple(str(number) for number in range(101, 111))
    return folder, done.values


def catalogue(numbers, **columns) -> Table:
    """A table of these galaxies with a unit, a description and masked cells."""
    table = Table({"name": np.array([f"J{number}" for number in numbers]), **columns})
    table["objid"] = np.array(numbers, "i8")
    table["ra"] = np.linspace(0, 359, len(numbers))
    table["ra"].unit, table["ra"].description = "deg", "right ascension"
    masked = np.arange(len(numbers)) % 3 == 0
    table["type"] = MaskedColumn(np.arange(len(numbers), dtype="i2"), mask=masked)
    table["sersic"] = np.arange(2 * len(numbers), dtype="f4").reshape(-1, 2)
    return table


def whole(path) -> pa.Table:
    with open_rows(path) as rows:
        return pa.concat_tables(rows.slices(10**6))


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv", "parquet", "csv"])
def test_a_table_keeps_its_columns_and_gets_predictions_behind_them(
    ten, blob_run, tmp_path, suffix
):
    folder, values = ten
    order = np.random.default_rng(0).permutation(10)
    path = tmp_path / f"in.{'fits' if suffix == 'csv' else suffix}"
    formats = {"vot": "votable", "ecsv": "ascii.ecsv"}
    table = catalogue(101 + order)
    table.write(path, format=formats.get(suffix, path.suffix[1:]))
    done = predict(
        path, tmp_path / f"out.{suffix}", run=blob_run, progress=False,
        image=f"{folder}/{{objid}}.jpg",
    )  # fmt: skip
    before, after = whole(path), whole(done.path)
    assert after.column_names == [*before.column_names, *PREDICTED, "image_problem"]
    if suffix != "csv":
        own = after.select(before.column_names)
        assert own.equals(before)
        assert own.schema.equals(before.schema, check_metadata=False)
        fields = zip(own.schema, before.schema, strict=True)
        facts = ((a.metadata or {}, b.metadata or {}) for a, b in fields)
        assert all(a.get(key) == b.get(key) for a, b in facts for key in (b"unit", b"description"))
    predicted = np.stack([after.column(name).to_numpy() for name in PREDICTED], axis=1)
    assert np.array_equal(predicted.astype("f4"), values[order])
    assert np.array_equal(done.values, values[order])
    assert done.ids == tuple(f"J{number}" for number in 101 + order)
    assert (done.galaxies, done.unpredicted, done.rejected_path) == (10, 0, None)


def test_cells_of_a_csv_stay_as_they_are_written(ten, blob_run, tmp_path):
    folder, _ = ten
    path = folder.parent / "as_written.csv"
    path.write_text('file,mag,id\n"cutouts/103.jpg",17.50,007\ncutouts/101.jpg,,1e3\n')
    done = predict(path, tmp_path / "out.csv", run=blob_run, progress=False)
    lines = (tmp_path / "out.csv").read_text().replace('"', "").splitlines()
    assert lines[0] == "file,mag,id,long,round,image_problem"
    assert lines[1].startswith("cutouts/103.jpg,17.50,007,0.")
    assert lines[2].startswith("cutouts/101.jpg,,1e3,0.")
    assert done.ids == ("007", "1e3")


def test_images_are_found_by_a_column_of_paths_of_a_template_or_of_names(
    ten, blob_run, tmp_path, make_jpeg
):
    folder, values = ten
    path = folder.parent / "three.fits"
    numbers = [105, 101, 110]
    table = catalogue(numbers, file=np.array([f"cutouts/{number}.jpg" for number in numbers]))
    table.write(path, overwrite=True)
    expected = values[[4, 0, 9]]
    ways = [
        (path, {}),
        (path, {"image": "cutouts/{OBJID:03}.jpg"}),
        (path, {"image": "{file}"}),
        ([path, folder], {}),
        ([folder, path], {"image": "{objid}"}),
    ]
    for images, how in ways:
        done = predict(images, run=blob_run, progress=False, **how)
        assert np.array_equal(done.values, expected)
        assert done.to_arrow().column("ra").to_pylist() == [0.0, 179.5, 359.0]
    assert done.to_astropy()["ra"].unit == "deg"
    assert done.to_astropy()["type"].mask.tolist() == [True, False, False]
    assert list(done.to_pandas()["objid"]) == numbers


def test_a_row_whose_image_cannot_be_used_stays_with_the_reason(ten, blob_run, tmp_path):
    folder, values = ten
    here = tmp_path / "here"
    shutil.copytree(folder, here / "cutouts")
    (here / "cutouts/102.jpg").write_bytes(b"")
    rows = ["cutouts/101.jpg", "cutouts/102.jpg", "cutouts/999.jpg", "", "cutouts/103.jpg", "a.txt"]
    (here / "t.csv").write_text("n,file\n" + "".join(f"{n},{row}\n" for n, row in enumerate(rows)))
    done = predict(here / "t.csv", tmp_path / "out.parquet", run=blob_run, progress=False)
    table = whole(done.path)
    assert table.column("n").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert table.column("image_problem").to_pylist() == [
        "",
        "is empty (0 bytes)",
        "cannot be read: No such file or directory",
        "the table names no image",
        "",
        "is no image by its name (.txt)",
    ]
    assert table.column("round").is_null().to_pylist() == [False, True, True, True, False, True]
    assert np.array_equal(done.values[[0, 4]], values[[0, 2]])
    assert np.isnan(done.values[[1, 2, 3, 5]]).all()
    assert (done.galaxies, done.unpredicted, len(done.rejected)) == (2, 4, 4)


def test_rows_of_one_image_are_each_predicted(ten, blob_run):
    folder, values = ten
    path = folder.parent / "twice.csv"
    path.write_text("a,file\n1,cutouts/101.jpg\n2,cutouts/101.jpg\n")
    done = predict(path, run=blob_run, progress=False)
    assert np.array_equal(done.values, values[[0, 0]])


def test_columns_called_as_those_of_the_predictions_are_refused_or_told_apart(
    ten, blob_run, tmp_path
):
    folder, values = ten
    path = folder.parent / "clash.csv"
    path.write_text("file,ROUND\ncutouts/101.jpg,5\n")
    with pytest.raises(ConfigError, match=r"clash.csv has a column 'round', as the predictions"):
        predict(path, run=blob_run, progress=False)
    settings = TableSettings(prefix="gv_")
    done = predict(path, tmp_path / "o.fits", run=blob_run, table=settings, progress=False)
    names = fits.getdata(done.path).names
    assert names == ["file", "ROUND", "gv_long", "gv_round", "gv_image_problem"]
    assert np.array_equal(done.values, values[:1])
    with pytest.raises(ConfigError, match=r"is for images that a table names"):
        predict(folder, run=blob_run, table=settings, progress=False)


def test_ids_that_lost_digits_or_zeros_are_refused(ten, blob_run, make_jpeg, tmp_path):
    folder, _ = ten
    path = folder.parent / "lost.fits"
    Table({"objid": np.array([5.877229844395459e17, 101.0])}).write(path, overwrite=True)
    with pytest.raises(
        DataError, match=r"lost.fits row 1: objid is .* have lost their last digits"
    ):
        predict(path, run=blob_run, image="cutouts/{objid}.jpg", progress=False)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/0007.jpg").write_bytes(make_jpeg(1, 32))
    (tmp_path / "t.csv").write_text("objid,x\n7,1\n")
    Table({"objid": [7, 8]}).write(tmp_path / "t.fits")
    with pytest.raises(DataError, match="lost the zeros before"):
        predict([tmp_path / "t.fits", tmp_path / "cut"], run=blob_run, progress=False)
    done = predict(tmp_path / "t.fits", run=blob_run, image="cut/{objid:04}.jpg", progress=False)
    assert (done.galaxies, done.unpredicted) == (1, 1)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("cutouts/{nothing}.jpg", r"three.fits has no column 'nothing'; it has name, file"),
        ("cutouts/a.jpg", "names no column of three.fits"),
        ("cutouts/{objid", "is no template"),
        ("cutouts/{objid:>9}.jpg", "is not understood"),
        ("cutouts/{objid}-{band}.fits", "needs the names of the bands"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(ten, blob_run, template, message):
    path = ten[0].parent / "three.fits"
    catalogue([105], file=np.array(["x"])).write(path, overwrite=True)
    with pytest.raises(ConfigError, match=message):
        predict(path, run=blob_run, image=template, progress=False)


def test_images_that_are_not_there_are_an_error_before_any_work(ten, blob_run, monkeypatch):
    folder, _ = ten
    path = folder.parent / "absent.csv"
    path.write_text("objid,ra,dec\n101,1,2\n102,3,4\n")
    monkeypatch.chdir(folder)
    message = r"no image of the first 2 rows is there, as named by 'objid'; .* from the curr"
    with pytest.raises(DataError, match=message):
        predict(path, run=blob_run, image="{objid}.jpg", progress=False)
    with pytest.raises(
        DataError, match=r"has positions on the sky, but no pixels: name the mosaic"
    ):
        predict(path, run=blob_run, progress=False)
    with pytest.raises(ConfigError, match="are tables: name one"):
        predict([path, folder.parent / "absent.csv"], run=blob_run, progress=False)


def test_a_column_of_paths_where_nothing_is_is_named(ten, blob_run, monkeypatch):
    folder, _ = ten
    monkeypatch.chdir(folder)
    path = folder.parent / "wrong.csv"
    path.write_text("objid,z,file\n101,1,there/101.jpg\n102,3,\n")
    message = (
        r"wrong\.csv: the column 'file' names images, and none is .* there/101\.jpg, and paths"
    )
    with pytest.raises(DataError, match=message):
        predict(path, run=blob_run, progress=False)
    path.write_text("objid,file\n101,101.jpg\n")
    with pytest.raises(DataError, match=r"it is there from the current one, write /.*/101\.jpg"):
        predict(path, run=blob_run, progress=False)


def test_a_file_for_each_band_is_one_image(blob_run, tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "bands").mkdir()
    for band in "gr":
        fits.writeto(tmp_path / f"bands/7-{band}.fits", random.random((40, 40)).astype("f4"))
    (tmp_path / "t.csv").write_text("id\n7\n")
    layout = FitsLayout(bands=("g", "r"))
    how = {"layout": layout, "stretch": "hubble", "run": blob_run, "progress": False}
    alone = predict(tmp_path / "bands", **how)
    done = predict(tmp_path / "t.csv", image="bands/{id}-{band}.fits", **how)
    assert np.array_equal(done.values, alone.values)


def test_galaxies_are_known_by_their_ids_and_not_by_their_images(ten, blob_run, tmp_path):
    folder, values = ten
    path = folder.parent / "surveys.csv"
    rows = ["sdss,0.5,588017,cutouts/101.jpg", "sdss,1.5,588018,cutouts/102.jpg"]
    path.write_text("\n".join(["survey,mag,objid,file", *rows]))
    for out in (None, tmp_path / "out.csv", tmp_path / "out.fits", tmp_path / "out.parquet"):
        done = predict(path, out, run=blob_run, progress=False)
        assert done.ids == ("588017", "588018")
        assert np.array_equal(done.values, values[:2])
    sheet = done.contact_sheet(tmp_path / "sheet.html").read_text("utf-8")
    assert sheet.count("data:image/jpeg") == 2
    assert "<code>588017</code>" in sheet
    assert "cutouts/" not in sheet
    done = predict(path, run=blob_run, id_column="FILE", progress=False)
    assert done.ids == ("cutouts/101.jpg", "cutouts/102.jpg")
    with pytest.raises(
        ConfigError, match=r"surveys\.csv has no column 'id' for ids, it has survey"
    ):
        predict(path, run=blob_run, id_column="id", progress=False)
    with pytest.raises(ConfigError, match="`id_column=…` is for images that a table names"):
        predict(folder, run=blob_run, id_column="id", progress=False)


def test_rows_of_the_same_id_have_each_their_own_picture(ten, blob_run, tmp_path):
    folder, _ = ten
    path = folder.parent / "same.csv"
    path.write_text("id,file\nx,cutouts/101.jpg\nx,cutouts/102.jpg\ny,cutouts/103.jpg\n")
    done = predict(path, run=blob_run, id_column="id", progress=False)
    sheet = done.contact_sheet(tmp_path / "sheet.html").read_text("utf-8")
    assert sheet.count("<code>x</code>") == 2
    assert len({*re.findall(r"data:image/jpeg[^\"]+", sheet)}) == 3


def test_a_list_of_paths_without_header_is_a_list_of_images(ten, blob_run):
    folder, _ = ten
    path = folder.parent / "list.txt"
    path.write_text("cutouts/101.jpg\ncutouts/102.jpg\n")
    done = predict(path, run=blob_run, progress=False)
    assert (done.ids, done.of_table) == (("101", "102"), False)


def test_predictions_of_a_table_are_read_again(ten, blob_run, tmp_path):
    folder, values = ten
    path = folder.parent / "once.csv"
    path.write_text("file\ncutouts/101.jpg\ncutouts/102.jpg\n")
    done = predict(path, tmp_path / "out.fits", run=blob_run, progress=False)
    columns = {"long": "long", "round": "round"}
    read = Predictions.read(done.path, id_column="file", columns=columns)
    assert np.array_equal(read.values, values[:2])
    assert (
        done.contact_sheet(tmp_path / "sheet.html").read_text("utf-8").count("data:image/jpeg") == 2
    )
