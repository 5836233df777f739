"""The most informative galaxies; a few lines of Python play the search, which has tests of its
own."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from galaxyvotes.web import informative, informative_job

SEARCH = """
import json, sys, pyarrow as pa, pyarrow.parquet as pq
job = json.loads(sys.argv[1])
print("150 of 150", flush=True)
pq.write_table(pa.table({"id": ["g0007", "g0003"], "score": [0.5, 0.25]}), job["out"])
"""


@pytest.fixture
def labelled(start, zoo, tmp_path):
    """A client of a server of its own, whose table has no other files beside it."""
    (tmp_path / "zoo.parquet").write_bytes(zoo.table.read_bytes())
    return start(tmp_path / "zoo.parquet", images=zoo.images, workers=1)


def queue(client, labeller="Ada"):
    address = f"/queue?order=informative&limit=3&labeller={labeller}"
    return client.get(address).json()


def test_they_come_first_once_they_are_found(labelled, monkeypatch, tmp_path):
    assert labelled.get("/queue/informative").json()["state"] == "never"
    assert "is not known yet" in queue(labelled)["error"]
    monkeypatch.setattr(informative, "JOB", ["-c", SEARCH])
    labelled.post("/queue/informative")
    for _ in range(600):
        if (found := labelled.get("/queue/informative").json())["state"] != "running":
            break
        time.sleep(0.05)
    assert found == {"state": "finished", "done": 150, "total": 150, "reason": ""}
    assert queue(labelled) == {"galaxies": ["g0007", "g0003", "g0000"]}
    given = {"labeller": "Ada", "galaxies": ["g0007"], "answers": ["Class1.1"]}
    assert labelled.post("/votes", json=given).status_code == 200
    assert queue(labelled)["galaxies"][0] == "g0003"
    table = pa.table({"id": ["g0009"], "score": [1.0]})
    pq.write_table(table, tmp_path / "zoo.parquet.informative.parquet")
    assert queue(labelled)["galaxies"][0] == "g0009"
    table = pa.table({"id": ["stranger"], "score": [1.0]})
    pq.write_table(table, tmp_path / "zoo.parquet.informative.parquet")
    assert "names no galaxy of zoo.parquet" in queue(labelled)["error"]


def test_a_search_that_fails_says_why(labelled, monkeypatch):
    monkeypatch.setattr(informative, "JOB", ["-c", "raise SystemExit('error: no image')"])
    labelled.post("/queue/informative")
    for _ in range(600):
        if (found := labelled.get("/queue/informative").json())["state"] != "running":
            break
        time.sleep(0.05)
    assert (found["state"], found["reason"]) == ("failed", "error: no image")


def test_without_image_files_there_is_nothing_to_compare(start, zoo, tmp_path):
    bare = start(zoo.table, votes=tmp_path / "votes.sqlite", workers=1)
    assert bare.get("/about").json()["catalogue"]["informative"] is False
    assert "--images FOLDER" in bare.post("/queue/informative").json()["error"]


def test_the_search_writes_scores_and_says_how_far_it_is(zoo, tmp_path, monkeypatch, capsys):
    few = tmp_path / "images"
    few.mkdir()
    for name in ("g0000.jpg", "g0001.jpg", "g0002.jpg"):
        (few / name).write_bytes((zoo.images / name).read_bytes())
    job = {"images": [str(few)], "out": str(tmp_path / "t.parquet"), "count": 2, "tree": "kaggle"}
    monkeypatch.setattr("sys.argv", ["informative_job", json.dumps(job)])
    monkeypatch.setattr("os.nice", lambda _: 0)
    informative_job.main()
    assert "3 of 3" in capsys.readouterr().err
    table = pq.read_table(tmp_path / "t.parquet")
    scores = table.column("score").to_numpy()
    assert (len(table), np.all(np.diff(scores) <= 0)) == (2, True)
    monkeypatch.setattr("sys.argv", ["informative_job", json.dumps(job | {"tree": "none"})])
    with pytest.raises(SystemExit, match="2"):
        informative_job.main()


SLOW = """
const fetched = window.fetch;
window.fetch = async (address, options) => {
  if (String(address).includes("order=random")) await new Promise((done) => setTimeout(done, 700));
  return fetched(address, options);
};
"""


def test_the_page_searches_and_then_asks(open_site, labelled, monkeypatch):
    monkeypatch.setattr(informative, "JOB", ["-c", SEARCH])
    page = open_site(labelled, "?tab=label", name="Bob")
    page.evaluate(SLOW)
    order = page.get_by_label("Which galaxy is next")
    with page.expect_request("**/queue?*order=random*"):
        order.select_option("random")
        order.select_option("informative")
        expect(page.get_by_alt_text("The galaxy g0007")).to_be_visible(timeout=20_000)
    page.wait_for_timeout(800)  # what comes too late is not shown
    expect(page.get_by_alt_text("The galaxy g0007")).to_be_visible()
