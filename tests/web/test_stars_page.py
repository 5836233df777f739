"""Stars on the page, in Debian's browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


@pytest.fixture
def starred(start, zoo, zoo_map, tmp_path):
    votes = tmp_path / "votes.sqlite"
    return start(zoo.table, images=zoo.images, galaxy_map=zoo_map, votes=votes, workers=1)


def test_galaxies_are_starred_by_key_and_button_and_change_the_order(open_site, starred):
    page = open_site(starred)
    page.locator(".cell a").nth(20).focus()
    page.keyboard.press("s")
    star = page.get_by_role("button", name="Star g0020")
    expect(star).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="1 starred, show only these").click()
    expect(page.locator(".counter")).to_have_text("1 of 150 galaxies")
    page.locator(".cell a").first.click()
    dialog = page.get_by_role("dialog", name="Galaxy g0020")
    expect(dialog.locator(".star")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("s")
    expect(dialog.locator(".star")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("s")
    expect(dialog.locator(".star")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="1 starred, show only these").click()
    expect(page.locator(".counter")).to_have_text("150 galaxies")
    page.locator(".cell a").nth(3).click()
    expect(page.get_by_role("dialog", name="Galaxy g0003")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".cell a").nth(12).click()  # opened and not starred
    expect(page.get_by_role("dialog", name="Galaxy g0012")).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_response("**/galaxies?*sort=-learned_interest*"):
        page.locator("#sort").select_option("learned_interest")
    assert starred.get("/stars").json() == {"starred": 1, "seen": 2}
    first = starred.get("/galaxies?sort=-learned_interest&limit=1").json()["galaxies"][0]["id"]
    expect(page.locator(".cell[aria-posinset='1'] .caption small")).to_have_text(first)


@pytest.mark.parametrize(
    ("query", "width", "scheme"),
    [
        ("?sort=-learned_interest&filter=given_stars:0..", 360, "dark"),
        ("?filter=given_stars:1..", 2560, "light"),
        ("?galaxy=g0003", 1280, "dark"),
    ],
)
def test_stars_are_accessible_and_fit(open_site, starred, query, width, scheme):
    starred.post("/stars", json={"galaxies": ["g0003", "g0030"], "stars": 5})
    page = open_site(starred, query, width=width, scheme=scheme)
    expect(page.locator(".star[aria-pressed=true]").first).to_be_attached()
    page.wait_for_timeout(300)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
