"""The button that fine-tunes, in Debian's browser; a few lines of Python play the job."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from galaxyvotes.web import finetuning

JOB = """
import json, pathlib, sys
folder = pathlib.Path(json.loads(sys.argv[1])["folder"])
print("$ galaxyvotes pack", flush=True)
for when in ("before", "after"):
    (folder / when).mkdir()
    (folder / when / "report.html").write_text(f"<h1>The network {when}</h1>")
    (folder / when / "report.json").write_text(json.dumps({"summary": "It is better."}))
"""
WAITS = "import time; print('$ galaxyvotes finetune', flush=True); time.sleep(600)"


def test_a_button_fine_tunes_and_shows_both_reports(open_site, start, zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(finetuning, "JOB", ["-c", WAITS])
    client = start(zoo.table, images=zoo.images, votes=tmp_path / "votes.sqlite", workers=1)
    page = open_site(client, "?tab=label", name="Ada", width=360, scheme="dark")
    page.get_by_text("Fine-tune the network on these votes").click()
    panel = page.locator(".finetune")
    button = panel.get_by_role("button", name="Fine-tune")
    expect(panel.get_by_text("0 galaxies have answers; 20 are needed.")).to_be_visible()
    expect(button).to_be_disabled()
    names = list(zoo.predictions.ids[:20])
    given = {"labeller": "Bob", "galaxies": names, "answers": ["Class1.1"]}
    assert client.post("/votes", json=given).status_code == 200
    page.locator(".finetune > summary").click()  # closed, and opened again
    page.locator(".finetune > summary").click()
    button.click()
    expect(panel.get_by_role("progressbar")).to_be_visible()
    expect(panel.get_by_text("It is fine-tuned …")).to_be_visible(timeout=20_000)
    assert Axe().run(page).violations_count == 0
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("Stopped.")).to_be_visible()
    monkeypatch.setattr(finetuning, "JOB", ["-c", JOB])
    button.click()
    expect(panel.get_by_text("It is better.")).to_be_visible(timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    with page.expect_popup() as popup:
        panel.get_by_role("link", name="Report after").click()
    expect(popup.value.get_by_role("heading", name="The network after")).to_be_visible()
    expect(panel.get_by_role("link", name="Report before")).to_be_visible()
