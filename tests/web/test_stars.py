import csv
import io

import numpy as np
import pytest

from galaxyvotes import odd
from galaxyvotes.web import stars as stars_module


@pytest.fixture
def starred(start, zoo, zoo_map, tmp_path):
    votes = tmp_path / "votes.sqlite"
    return start(zoo.table, images=zoo.images, galaxy_map=zoo_map, votes=votes, workers=1)


def give(client, stars, *galaxies):
    return client.post("/stars", json={"galaxies": galaxies, "stars": stars})


def ids(client, query):
    return [galaxy["id"] for galaxy in client.get(f"/galaxies?{query}").json()["galaxies"]]


def test_stars_are_kept_shown_and_filtered_by(starred, start, zoo, tmp_path):
    assert starred.get("/galaxies/g0020").json()["stars"] is None
    assert ids(starred, "filter=given_stars:1..") == []
    assert give(starred, 5, "g0020", "g0021").json() == {"starred": 2, "seen": 0}
    assert give(starred, 0, "g0021", "g0022").json() == {"starred": 1, "seen": 2}
    assert starred.get("/galaxies/g0020").json()["stars"] == 5
    assert ids(starred, "filter=given_stars:1..") == ["g0020"]
    assert starred.get("/export?format=ids&filter=given_stars:1..").text == "g0020\n"
    counts = starred.get("/histograms?column=Class1.1&filter=given_stars:1..").json()
    assert sum(counts["Class1.1"]["counts"]) == 1
    again = start(zoo.table, votes=tmp_path / "votes.sqlite", workers=1)
    page = again.get("/galaxies?column=given_stars&sort=-given_stars&limit=4").json()["galaxies"]
    found = [(galaxy["id"], galaxy["given_stars"]) for galaxy in page]
    assert found[:3] == [("g0020", 5), ("g0021", 0), ("g0022", 0)]
    assert found[3][1] is None


def test_stars_and_answers_share_a_file(starred):
    give(starred, 5, "g0020")
    vote = {"labeller": "Ada", "galaxies": ["g0001"], "answers": ["Class1.1"]}
    assert starred.post("/votes", json=vote).status_code == 200
    give(starred, 5, "g0021")
    assert starred.get("/stars").json()["starred"] == 2
    assert starred.get("/votes").json()["labellers"][0]["answered"] == 1


def test_galaxies_are_sorted_by_what_stars_say(starred, zoo_map, tmp_path):
    assert starred.get("/galaxies?sort=-learned_interest").status_code == 422
    assert starred.post("/stars/learn").status_code == 200
    on_map = ids(starred, "sort=-learned_interest&limit=500")
    assert on_map[:20] == list(odd(zoo_map, 20).ids)
    assert {*on_map[-10:]} == {f"g{n:04d}" for n in range(10)}  # which the map does not have
    given = dict.fromkeys(on_map[3:6], 5) | dict.fromkeys(on_map[:3], 0) | {"g0001": 5}
    for name, stars in given.items():
        give(starred, stars, name)
    assert ids(starred, "sort=-learned_interest&limit=500") == on_map  # until it is learned
    starred.post("/stars/learn")
    learned = [
        name for name in ids(starred, "sort=-learned_interest&limit=99") if name not in given
    ]
    table = tmp_path / "stars.csv"
    table.write_text(starred.get("/stars/export").text.replace('"g0001",5\n', ""), "utf-8")
    assert learned[:20] == list(odd(zoo_map, 20, stars=table).ids)
    smooth = ids(starred, "sort=-learned_interest&limit=99&filter=Class1.1:0.3..")
    assert [name for name in smooth if name not in given][:5] == [
        name for name in learned if name in smooth
    ][:5]


def test_the_table_of_stars_has_the_starred_first(starred):
    give(starred, 0, "g0011")
    give(starred, 5, "g0012")
    rows = list(csv.reader(io.StringIO(starred.get("/stars/export").text)))
    assert rows == [["id", "stars"], ["g0012", "5"], ["g0011", "0"]]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"galaxies": ["g0001"], "stars": 6}, "stars: "),
        ({"galaxies": [], "stars": 5}, "galaxies: "),
        ({"galaxies": ["nobody"], "stars": 5}, "no galaxy 'nobody'"),
    ],
)
def test_stars_that_mean_nothing_are_refused_in_words(starred, given, problem):
    answered = starred.post("/stars", json=given)
    assert (answered.status_code, problem in answered.json()["error"]) == (422, True)
    assert starred.get("/stars").json() == {"starred": 0, "seen": 0}


def test_another_page_may_give_no_stars(starred):
    given = {"galaxies": ["g0001"], "stars": 5}
    headers = {"origin": "https://evil.example"}
    assert starred.post("/stars", json=given, headers=headers).status_code == 403


def test_without_a_map_nothing_is_learned(site):
    assert "has no map" in site.post("/stars/learn").json()["error"]


def test_a_large_map_needs_neighbours(starred, monkeypatch):
    monkeypatch.setattr(stars_module, "_MOST_COMPARED", 100)
    assert "has no neighbours" in starred.post("/stars/learn").json()["error"]


def test_a_map_alone_takes_stars(start, zoo_map, tmp_path):
    client = start(zoo_map.path, votes=tmp_path / "v.sqlite", workers=1)
    name = zoo_map.ids[0]
    assert give(client, 5, name).json() == {"starred": 1, "seen": 0}
    client.post("/stars/learn")
    assert len(ids(client, "sort=-learned_interest&limit=500")) == len(zoo_map)
    assert np.isin(name, ids(client, "filter=given_stars:1.."))
