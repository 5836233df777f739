"""Fine-tuning beside a server; a few lines of Python play the job, which has tests of its own."""

import time
from pathlib import Path

import pytest

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web import finetuning
from galaxyvotes.web.classifications import Classifications
from galaxyvotes.web.finetuning import MIN_GALAXIES, FineTuning

SUCCEEDS = """
import json, pathlib, sys
folder = pathlib.Path(json.loads(sys.argv[1])["folder"])
print("$ galaxyvotes pack", folder.joinpath("votes.csv").read_text()[:3])
for when in ("before", "after"):
    (folder / when).mkdir()
    (folder / when / "report.html").write_text(f"<p>{when}</p>")
    (folder / when / "report.json").write_text(json.dumps({"summary": "It is better."}))
"""
WAITS = "import time; print('$ galaxyvotes finetune', flush=True); time.sleep(600)"
FAILS = "print('error: no galaxy'); raise SystemExit(2)"


@pytest.fixture
def tuner(tmp_path, kaggle, monkeypatch):
    labels = Classifications(tmp_path / "votes.sqlite", kaggle)
    names = [f"g{number}" for number in range(MIN_GALAXIES)]
    labels.add("Ada", names, ["Class1.1"])

    def named(galaxy: str) -> str:  # as the images are called
        return f"{galaxy}.jpg"

    def go(code: str) -> FineTuning:
        monkeypatch.setattr(finetuning, "JOB", ["-c", code])
        return FineTuning((tmp_path,), named, labels, tmp_path / "t.finetuned")

    return go


def ended(tuner: FineTuning):
    for _ in range(600):
        if (found := tuner.progress()).state != "running":
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_the_reports_and_what_was_printed_are_there_at_the_end(tuner):
    one = tuner(SUCCEEDS)
    assert one.progress().state == "never"
    with pytest.raises(DataError, match="no report of the network before fine-tuning yet"):
        one.report("before")
    one.begin()
    found = ended(one)
    assert (found.state, found.commands, found.reports, found.summary) == (
        "finished", ("galaxyvotes pack id,",), ("before", "after"), "It is better."
    )  # fmt: skip
    votes = Path(found.folder, "votes.csv").read_text("utf-8").splitlines()
    assert (len(votes), votes[1][:10]) == (1 + MIN_GALAXIES, '"g0.jpg",1')
    assert one.report("after").read_text() == "<p>after</p>"
    assert tuner(SUCCEEDS).progress() == found  # of a server that is started again
    one.begin()
    assert ended(one).folder.endswith("2")


def test_one_runs_at_a_time_and_can_be_stopped(tuner):
    one = tuner(WAITS)
    one.begin()
    with pytest.raises(ConfigError, match="is being fine-tuned"):
        one.begin()
    assert one.stop().state == "stopped"
    one.stop()  # nothing runs any more
    assert tuner(WAITS).progress().state == "stopped"


def test_what_fails_says_why(tuner):
    one = tuner(FAILS)
    one.begin()
    found = ended(one)
    assert (found.state, found.lines[-1], found.reports) == ("failed", "error: no galaxy", ())


def test_a_few_answers_and_a_folder_that_cannot_be_written_are_refused(tuner):
    one = tuner(SUCCEEDS)
    one.labels.take_back("Ada")
    one.labels.add("Ada", ["g1"], ["Class1.1"])
    one.labels.add("Ada", ["g2"], [])
    with pytest.raises(ConfigError, match=f"1 galaxy has answers; .* label {MIN_GALAXIES} or more"):
        one.begin()
    one.labels.add("Ada", [f"g{number}" for number in range(MIN_GALAXIES)], ["Class1.2"])
    one.folder.write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        one.begin()


def test_the_server_offers_it_where_it_has_image_files(site, start, zoo, tmp_path):
    assert site.get("/about").json()["catalogue"]["finetune"] is True
    found = site.get("/finetune").json()
    assert (found["state"], found["needed"]) == ("never", MIN_GALAXIES)
    answered = site.post("/finetune")
    assert (answered.status_code, "label 20 or more" in answered.json()["error"]) == (422, True)
    assert site.post("/finetune/stop").json()["state"] == "never"
    assert site.get("/finetune/after").status_code == 422
    bare = start(zoo.table, votes=tmp_path / "votes.sqlite", workers=1)
    assert bare.get("/about").json()["catalogue"]["finetune"] is False
    assert "--images FOLDER" in bare.get("/finetune").json()["error"]


def test_a_report_can_run_nothing(site, zoo):
    folder = zoo.table.with_name(f"{zoo.table.name}.finetuned") / "1" / "after"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<script>alert(1)</script>")
    (folder / "report.json").write_text('{"summary": ""}')
    answered = site.get("/finetune/after")
    policy = answered.headers["content-security-policy"]
    assert (answered.status_code, "sandbox" in policy, "script-src" in policy) == (200, True, False)
