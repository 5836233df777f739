import io

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from galaxyvotes.images.read import decode


def column(zoo, name):
    return zoo.predictions.values[:, zoo.predictions.columns.index(name)]


def ids(answered):
    return [galaxy["id"] for galaxy in answered.json()["galaxies"]]


def test_galaxies_are_filtered_sorted_and_paged(site, zoo):
    smooth, bar = column(zoo, "Class1.1"), column(zoo, "Class3.1")
    wanted = np.flatnonzero((smooth >= 0.25) & (bar <= 0.5))
    wanted = wanted[np.argsort(-smooth[wanted], kind="stable")]
    address = "/galaxies?filter=Class1.1:0.25..&filter=Class3.1:..0.5&sort=-Class1.1"
    first = site.get(address + "&limit=10&column=Class1.1")
    assert first.json()["matching"] == len(wanted)
    assert first.json()["total"] == len(smooth)
    assert ids(first) == [zoo.predictions.ids[row] for row in wanted[:10]]
    assert first.json()["galaxies"][0]["Class1.1"] == pytest.approx(smooth[wanted[0]])
    second = site.get(address + "&limit=10&offset=10")
    assert ids(second) == [zoo.predictions.ids[row] for row in wanted[10:20]]
    assert ids(site.get(address + "&offset=100000")) == []


def test_galaxies_are_found_by_a_part_of_their_id(site):
    assert ids(site.get("/galaxies?q=G000")) == [f"g000{n}" for n in range(10)]
    assert ids(site.get("/galaxies?q=%25")) == []


def test_galaxies_are_sorted_by_how_much_volunteers_would_differ(site, zoo, kaggle):
    joint = zoo.predictions.values.astype(float)
    asked = np.repeat(kaggle.asked(joint), [len(q.answers) for q in kaggle.questions], axis=1)
    with np.errstate(all="ignore"):
        entropy = np.where((joint > 0) & (asked > joint), -joint * np.log(joint / asked), 0).sum(1)
    found = site.get("/galaxies?sort=-uncertainty&limit=5&column=uncertainty").json()["galaxies"]
    order = np.argsort(-entropy)[:5]
    assert [galaxy["row"] for galaxy in found] == order.tolist()
    values = [galaxy["uncertainty"] for galaxy in found]
    assert values == pytest.approx(entropy[order].tolist(), abs=1e-4)


def test_a_histogram_leaves_out_what_is_demanded_of_its_own_column(site, zoo):
    smooth, star = column(zoo, "Class1.1"), column(zoo, "Class1.3")
    address = "/histograms?column=Class1.1&column=Class1.3&filter=Class1.1:0.5.."
    found = site.get(address).json()
    expected = np.histogram(smooth, 40, (0, 1))[0]
    assert sum(found["Class1.1"]["counts"]) == len(smooth)
    assert found["Class1.1"]["counts"] == expected.tolist()
    assert sum(found["Class1.3"]["counts"]) == (smooth >= 0.5).sum()
    assert (found["Class1.3"]["low"], found["Class1.3"]["high"]) == (0, 1)
    assert star.max() <= 1


def test_a_galaxy_has_its_answers_and_its_row(site, zoo):
    found = site.get("/galaxies/g0007").json()
    assert found["row"] == 7
    assert found["answers"]["Class1.1"]["value"] == pytest.approx(column(zoo, "Class1.1")[7])
    assert found["answers"]["Class1.1"]["high"] == pytest.approx(zoo.predictions.bounds.upper[7, 0])
    assert found["columns"]["familiarity"] == found["familiarity"]
    assert found["words"]
    missing = site.get("/galaxies/nobody")
    assert (missing.status_code, "no galaxy 'nobody'" in missing.json()["error"]) == (404, True)


def test_a_galaxy_has_a_small_and_a_large_picture(site):
    small = site.get("/galaxies/g0007/thumbnail")
    assert small.headers["content-type"] == "image/jpeg"
    assert decode(small.content).shape == (192, 192, 3)
    assert decode(site.get("/galaxies/g0007/image").content).shape == (256, 256, 3)
    none = site.get("/galaxies/g0149/image")
    assert (none.status_code, "no image of 'g0149'" in none.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    "name", ["../zoo.parquet", "..%2F..%2Fetc%2Fpasswd", "/etc/passwd", "%00", "a" * 5000]
)
def test_no_id_leads_out_of_the_images(site, name):
    for kind in ("thumbnail", "image"):
        assert site.get(f"/galaxies/{name}/{kind}").status_code in (404, 422)
    assert site.get(f"/static/{name}").status_code in (404, 405)


def test_the_selection_is_exported_with_all_columns(site, zoo):
    wanted = np.flatnonzero(column(zoo, "Class1.1") >= 0.5)
    names = [zoo.predictions.ids[row] for row in wanted]
    asked = "filter=Class1.1:0.5..&sort=-Class1.1"
    assert site.get(f"/export?format=ids&{asked}").text.split() == names
    table = pyarrow.csv.read_csv(io.BytesIO(site.get(f"/export?{asked}").content))
    assert table.column("id").to_pylist() == names
    assert table.num_columns == 1 + 3 * 37 + 1
    parquet = io.BytesIO(site.get(f"/export?format=parquet&{asked}").content)
    assert pq.read_table(parquet).equals(pq.read_table(zoo.table).take(wanted.tolist()))


def test_nothing_selected_is_an_empty_table(site):
    address = "/export?filter=Class1.1:2..&format="
    assert site.get(address + "ids").text == ""
    assert site.get(address + "csv").text.startswith('"id","Class1.1"')
    assert pq.read_table(io.BytesIO(site.get(address + "parquet").content)).num_rows == 0


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("filter=Class1.1", "expected COLUMN:LOW..HIGH"),
        ("filter=Class1.1:nan..1", "expected COLUMN:LOW..HIGH"),
        ("filter=nix:0..1", "no column of numbers 'nix'"),
        ('sort=Class1.1"; DROP VIEW galaxies; --', "no column of numbers"),
        ("sort=-id2", "no column of numbers"),
        ("cone=1,2", "expected RA,DEC,RADIUS"),
        ("cone=1,2,3", "no columns `ra` and `dec`"),
        ("limit=501", "limit: "),
        ("offset=-1", "offset: "),
    ],
)
def test_a_query_that_means_nothing_is_an_error_in_words(site, query, problem):
    answered = site.get(f"/galaxies?{query}")
    assert answered.status_code == 422
    assert problem in answered.json()["error"]
