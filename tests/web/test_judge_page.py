"""The judge of the page in Debian's browser."""

import re

import pyarrow.csv as pacsv
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from galaxyvotes.reports.galaxy_table import EVALUATED, galaxy_table


@pytest.fixture(scope="module")
def judged(start, zoo, judged_fractions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    pacsv.write_csv(galaxy_table(judged_fractions), folder / EVALUATED)
    return start(folder, images=zoo.images, workers=1)


@pytest.fixture(scope="module")
def of_classes(start, zoo, judged_classes, tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / EVALUATED
    pacsv.write_csv(galaxy_table(judged_classes), path)
    return start(path, images=zoo.images, workers=1)


def counter(page):
    return page.locator(".browse .counter")


def test_galaxies_come_before_numbers_and_open_in_their_order(open_site, judged):
    page = open_site(judged, "?tab=judge")
    expect(page.locator(".judge h2").first).to_have_text("Largest errors")
    worst = [one["id"] for one in judged.get("/judge").json()["groups"][0]["galaxies"]]
    assert page.locator(".strip").first.locator("small:last-child").all_inner_texts() == worst
    page.locator(".strip a").nth(1).click()
    expect(page.get_by_role("dialog", name=f"Galaxy {worst[1]}")).to_be_visible()
    assert page.locator("#galaxy .track .label-mark").count() >= 3
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name=f"Galaxy {worst[2]}")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All in this order").first.click()
    expect(counter(page)).to_have_text("150 galaxies")
    expect(page.locator(".cell .caption small").first).to_have_text(worst[0])


def test_a_cut_of_the_roc_curve_opens_the_galaxies_on_each_side(open_site, judged):
    page = open_site(judged, "?tab=judge&answer=Class1.2")
    found = judged.get("/judge/answer?answer=Class1.2").json()["roc"]["points"]
    expect(page.locator(".cut-line output")).to_have_text("0.5")
    page.get_by_role("slider", name="Cut on the prediction").press("ArrowLeft")
    expect(page.locator(".cut-line output")).to_have_text("0.45")
    wrong = next(point["wrong"] for point in found if point["threshold"] == 0.45)
    page.get_by_role("link", name="wrongly selected").click()
    expect(counter(page)).to_have_text(f"{wrong['galaxies']} of 150 galaxies")
    expect(
        page.get_by_role("button", name="Remove the filter features or disk ≥ 0.45")
    ).to_be_visible()
    page.get_by_role("button", name="Remove the filter features or disk (label) ≤ 0.5").click()
    page.go_back()
    page.go_back()
    expect(page.locator(".tabs [data-tab=judge]")).to_have_attribute("aria-current", "page")
    expect(page.locator(".judged-answer select")).to_have_value("Class1.2")


def test_a_bin_and_a_cell_open_their_galaxies(open_site, judged):
    page = open_site(judged, "?tab=judge")
    page.locator(".judged-answer select").select_option("Class1.1")
    expect(page).to_have_url(re.compile(r"answer=Class1\.1"))
    found = judged.get("/judge/answer?answer=Class1.1").json()
    number = found["reliability"][2]["galaxies"]
    shape = page.get_by_role("link", name=re.compile(r"predicted 0\.2–0\.3: "))
    shape.focus()
    shape.press("Enter")
    expect(counter(page)).to_have_text(f"{number} of 150 galaxies")
    page.go_back()
    cell = page.get_by_role("link", name=re.compile(r"^label .*, predicted ")).first
    number = int(re.search(r"(\d+) galaxies", cell.get_attribute("aria-label"))[1])
    cell.click()
    expect(counter(page)).to_have_text(f"{number} of 150 galaxies")


def test_a_cell_of_a_confusion_matrix_opens_who_is_taken_for_whom(open_site, of_classes):
    page = open_site(of_classes, "?tab=judge")
    cells = of_classes.get("/judge").json()["confusions"][0]["cells"]
    number = cells[0][1]["galaxies"]
    page.get_by_role("link", name="barred spiral, predicted elliptical").click()
    expect(counter(page)).to_have_text(f"{number} of 150 galaxies")
    expect(page).to_have_url(re.compile("filter=class"))
    page.reload()
    expect(counter(page)).to_have_text(f"{number} of 150 galaxies")
    page.get_by_role("button", name="Remove the filter class = barred spiral").click()
    expect(page.locator(".chips button")).to_have_count(1)


def test_without_labels_there_is_no_judge(open_site, site):
    expect(open_site(site).locator("[data-tab=judge]")).to_have_count(0)


@pytest.mark.parametrize(
    ("kind", "query", "width", "scheme"),
    [
        ("judged", "?tab=judge", 1280, "light"),
        ("judged", "?tab=judge", 360, "dark"),
        ("judged", "?tab=judge&galaxy=g0009", 1280, "dark"),
        ("of_classes", "?tab=judge", 1280, "dark"),
    ],
)
def test_the_judge_is_accessible_and_fits(open_site, request, kind, query, width, scheme):
    page = open_site(request.getfixturevalue(kind), query, width=width, scheme=scheme)
    page.wait_for_selector(".chart")
    if "galaxy" in query:
        page.wait_for_selector("#galaxy .label-mark")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.judge').scrollWidth") <= width
