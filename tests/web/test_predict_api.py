import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

import galaxyvotes as gv
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web.predict_api import ARROW


def files(zoo, *names):
    return [("file", (f"{n}.jpg", (zoo.images / f"{n}.jpg").read_bytes())) for n in names]


@pytest.fixture(scope="module")
def predicted(zoo):
    return gv.predict(zoo.images, workers=1, progress=False).predictions


def rows_of(answered, columns):
    return np.array([[g["answers"][c]["value"] for c in columns] for g in answered["galaxies"]])


def test_images_get_the_numbers_of_predict(site, zoo, predicted):
    names = [f"g{n:04d}" for n in range(20)]
    answered = site.post("/predict", files=files(zoo, *names)).json()
    assert [galaxy["id"] for galaxy in answered["galaxies"]] == names
    assert (rows_of(answered, predicted.columns) == predicted.values[:20]).all()
    lower = [galaxy["answers"]["Class1.1"]["low"] for galaxy in answered["galaxies"]]
    assert lower == pytest.approx(predicted.bounds.lower[:20, 0].tolist(), abs=1e-6)
    scores = [galaxy["familiarity"] for galaxy in answered["galaxies"]]
    assert scores == predicted.familiarity[:20].tolist()


def test_requests_at_the_same_time_are_not_mixed_up(site, zoo, predicted):
    def ask(number):
        answered = site.post("/predict", files=files(zoo, f"g{number:04d}")).json()
        return rows_of(answered, predicted.columns)[0]

    with ThreadPoolExecutor(8) as pool:
        found = np.array([*pool.map(ask, range(40))])
    assert (found == predicted.values[:40]).all()


def test_an_arrow_stream_has_the_same_numbers(site, zoo, predicted):
    given = [*files(zoo, "g0003"), ("file", ("bad.jpg", b"no image"))]
    answered = site.post("/predict", files=given, headers={"accept": ARROW})
    assert answered.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(io.BytesIO(answered.content)).read_all()
    assert table.column("id").to_pylist() == ["g0003"]
    assert (
        table.column("Class7.2").to_pylist()
        == predicted.values[3:4, predicted.columns.index("Class7.2")].tolist()
    )
    assert b"is not an image" in table.schema.metadata[b"rejected"]


def test_an_image_that_cannot_be_used_stops_no_other(site, zoo):
    given = [("file", ("<b>.png", b"x")), *files(zoo, "g0001")]
    answered = site.post("/predict", files=given)
    assert answered.status_code == 200
    assert [galaxy["id"] for galaxy in answered.json()["galaxies"]] == ["g0001"]
    assert answered.json()["rejected"][0]["id"] == "<b>"


def test_images_none_of_which_can_be_used_are_an_error_in_words(site, make_jpeg):
    answered = site.post("/predict", files=[("file", ("small.jpg", make_jpeg(side=24)))])
    assert answered.status_code == 422
    assert answered.json()["error"] == (
        "not one of 1 image could be used: 1 of 1 image is smaller than the crop of 208 px (1 of 24"
        " × 24 px): `fit=True` takes whole images, `scale=0.11` a crop of 23 px"
    )
    whole = site.post("/predict?fit=true", files=[("file", ("small.jpg", make_jpeg(side=24)))])
    assert whole.status_code == 200


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.fits", b"no FITS"),
        ("short.fits", b"SIMPLE  =                    T".ljust(80)),
        ("packed.fits.gz", b"\x1f\x8b no gzip"),
        ("<script>.png", b"\x89PNG"),
    ],
)
def test_an_image_that_is_damaged_is_refused_in_the_words_of_the_command_line(
    site, tmp_path, name, data
):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as refused:
        gv.predict(tmp_path / name, progress=False)
    answered = site.post("/predict", files=[("file", (name, data))])
    assert (answered.status_code, answered.json()["error"]) == (422, str(refused.value))


def test_other_trees_and_fractions_can_be_asked_for(site, zoo):
    classes = site.post("/predict?tree=classes5", files=files(zoo, "g0001")).json()
    assert (classes["tree"], len(classes["galaxies"][0]["answers"])) == ("classes5", 5)
    given = site.post("/predict?fractions=conditional", files=files(zoo, "g0001")).json()
    assert given["galaxies"][0]["answers"]["Class8.1"]["value"] is not None
    unknown = site.post("/predict?tree=nix", files=files(zoo, "g0001"))
    assert (unknown.status_code, "nix" in unknown.json()["error"]) == (422, True)
    wrong = site.post("/predict?fractions=some", files=files(zoo, "g0001"))
    assert (wrong.status_code, "fractions" in wrong.json()["error"]) == (422, True)


def test_a_request_without_a_file_is_an_error_in_words(site):
    answered = site.post("/predict")
    assert answered.status_code == 422
    assert answered.json()["error"].startswith("file: ")


def test_fits_images_become_pictures_by_the_stretch_of_the_server(start, site, zoo, tmp_path):
    light = np.random.default_rng(0).normal(1, 0.5, (3, 256, 256)).astype(np.float32)
    fits.writeto(tmp_path / "g0000.fits", light)
    file = [("file", ("g0000.fits", (tmp_path / "g0000.fits").read_bytes()))]
    assert "name a stretch" in site.post("/predict", files=file).json()["error"]
    answered, pictures = [], []
    for stretch in ("legacy", "sdss"):
        client = start(zoo.table, images=tmp_path, stretch=stretch, workers=1)
        answered.append(client.post("/predict", files=file).json()["galaxies"][0]["answers"])
        pictures.append(client.get("/galaxies/g0000/thumbnail").content)
    assert answered[0] != answered[1]
    assert pictures[0] != pictures[1]
    by_request = site.post("/predict?stretch=sdss", files=file).json()["galaxies"][0]["answers"]
    assert by_request == answered[1]
    with pytest.raises(ConfigError, match="stretch"):
        start(zoo.table, images=tmp_path, stretch="nix")
