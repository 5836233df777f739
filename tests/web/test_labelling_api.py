import numpy as np
import pytest


@pytest.fixture(scope="module")
def labelled(start, zoo, tmp_path_factory):
    votes = tmp_path_factory.mktemp("votes") / "votes.sqlite"
    return start(zoo.table, images=zoo.images, votes=votes, workers=1)


def ids(answered):
    return answered.json()["galaxies"]


def test_votes_are_kept_and_taken_back(labelled):
    given = {"labeller": "Ada", "galaxies": ["g0001", "g0002"], "answers": ["Class1.1"]}
    assert labelled.post("/votes", json=given).json()["galaxies"] == 2
    found = labelled.get("/votes?galaxy=g0001").json()["votes"]
    assert found == [{"labeller": "Ada", "answers": ["Class1.1"]}]
    progress = labelled.get("/votes").json()
    assert progress["labellers"] == [{"labeller": "Ada", "answered": 2, "skipped": 0}]
    lines = labelled.get("/votes/export").text.splitlines()
    assert (len(lines), lines[1].startswith('"g0001",1,0,')) == (3, True)
    assert ids(labelled.post("/votes/undo", json={"labeller": "Ada"})) == ["g0001", "g0002"]
    assert labelled.get("/votes?galaxy=g0001").json()["votes"] == []


def test_the_queue_leaves_out_what_a_labeller_has_seen(labelled, zoo):
    uncertain = ids(labelled.get("/queue?labeller=Cleo&limit=3"))
    sorted_ = labelled.get("/galaxies?sort=-uncertainty&limit=4").json()["galaxies"]
    assert uncertain == [galaxy["id"] for galaxy in sorted_[:3]]
    skipped = {"labeller": "Cleo", "galaxies": uncertain[:2]}
    assert labelled.post("/votes", json=skipped).status_code == 200
    assert ids(labelled.get("/queue?labeller=Cleo&limit=2")) == [g["id"] for g in sorted_[2:]]
    assert ids(labelled.get("/queue?labeller=Dan&limit=3")) == uncertain
    least = zoo.predictions.ids[int(np.argmin(zoo.predictions.familiarity))]
    assert ids(labelled.get("/queue?labeller=Dan&order=unfamiliar&limit=1")) == [least]


def test_a_random_queue_is_the_same_each_time_and_another_for_others(labelled):
    address = "/queue?order=random&limit=20&labeller="
    first = ids(labelled.get(address + "Eve"))
    assert first == ids(labelled.get(address + "Eve"))
    assert first != ids(labelled.get(address + "Finn"))
    smooth = ids(labelled.get(address + "Eve&filter=Class1.1:0.5.."))
    assert set(smooth) <= {
        galaxy["id"]
        for galaxy in labelled.get("/galaxies?filter=Class1.1:0.5..&limit=500").json()["galaxies"]
    }


@pytest.mark.parametrize(
    ("given", "status", "problem"),
    [
        ({"labeller": "Ada", "galaxies": ["nobody"]}, 422, "no galaxy 'nobody'"),
        ({"labeller": "Ada", "galaxies": ["g0001"], "answers": ["x"]}, 422, "no answer 'x'"),
        ({"labeller": "", "galaxies": ["g0001"]}, 422, "labeller: "),
        ({"labeller": "Ada", "galaxies": []}, 422, "galaxies: "),
        ([], 422, ""),
    ],
)
def test_votes_that_mean_nothing_are_refused_in_words(labelled, given, status, problem):
    answered = labelled.post("/votes", json=given)
    assert (answered.status_code, problem in answered.json()["error"]) == (status, True)


def test_another_page_may_not_vote(labelled):
    given = {"labeller": "Ada", "galaxies": ["g0005"], "answers": ["Class1.1"]}
    headers = {"origin": "https://evil.example"}
    assert labelled.post("/votes", json=given, headers=headers).status_code == 403
    simple = {"content-type": "text/plain"}  # which needs no leave of the browser
    assert labelled.post("/votes", content=b"{}", headers=simple).status_code == 422
    assert labelled.get("/votes?galaxy=g0005").json()["votes"] == []
