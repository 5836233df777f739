import pyarrow.csv as pacsv
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.reports.galaxy_table import EVALUATED, galaxy_table
from galaxyvotes.runs.run import bundled_run
from galaxyvotes.web.serve import serve


@pytest.fixture(scope="module")
def run(tmp_path_factory, judged_fractions):
    """The bundled run with the table of an evaluation."""
    folder = tmp_path_factory.mktemp("run")
    bundled_run().copy_to(folder)
    pacsv.write_csv(galaxy_table(judged_fractions), folder / EVALUATED)
    return folder


@pytest.fixture(scope="module")
def judged(start, run):
    return start(run, workers=1)


def test_a_run_that_was_evaluated_is_served_with_its_galaxies(judged):
    catalogue = judged.get("/about").json()["catalogue"]
    assert (catalogue["name"], catalogue["galaxies"]) == (EVALUATED, 150)
    assert catalogue["judge"]
    assert catalogue["answers"]["Class1.1"] == "Class1.1_predicted"


def test_programs_get_the_numbers_and_their_galaxies(judged):
    found = judged.get("/judge").json()
    assert (found["kind"], found["galaxies"]) == ("fractions", 150)
    cell = found["confusions"][0]["cells"][0][1]
    galaxies = judged.get("/galaxies", params={"filter": cell["filter"]}).json()
    assert galaxies["matching"] == cell["galaxies"] > 0
    one = judged.get("/judge/answer?answer=Class1.1").json()
    assert len(one["roc"]["curve"]) > 20


def test_a_galaxy_has_its_labels_beside_its_predictions(judged, judged_fractions):
    for row in (3, 9):
        answers = judged.get(f"/galaxies/g{row:04d}").json()["answers"]
        labels = [answer["label"] for answer in answers.values()]
        expected = judged_fractions.labels[row].tolist()
        assert labels == [None if label != label else pytest.approx(label) for label in expected]


def test_what_cannot_be_judged_is_an_error_in_words(judged, site):
    assert not site.get("/about").json()["catalogue"]["judge"]
    for address in ("/judge", "/judge/answer?answer=Class1.1"):
        answered = site.get(address)
        assert answered.status_code == 422
        assert "no labels beside its predictions" in answered.json()["error"]
    answered = judged.get("/judge/answer?answer=nix")
    assert (answered.status_code, "no answer 'nix'" in answered.json()["error"]) == (422, True)


def test_two_runs_are_one_too_many(run):
    with pytest.raises(ConfigError, match="is a run, and so is `run=…`: name one"):
        serve(run, run=run, port=0)
