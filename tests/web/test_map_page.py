"""The map of the page in Debian's browser."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from galaxyvotes.images.read import decode


@pytest.fixture
def page(open_site, mapped):
    """The map."""
    page = open_site(mapped, "?tab=map", width=1100)
    expect(page.locator(".map .counter")).to_have_text("150 galaxies")
    return page


def colours(page: Page) -> int:
    """How many colours the picture of the map has."""
    page.wait_for_timeout(400)
    picture = decode(page.locator(".map-stage").screenshot())
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def draw_around(page: Page) -> None:
    box = page.locator(".map-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.get_by_role("button", name="Lasso", exact=True).click()
    page.mouse.move(x - 150, y - 150)
    page.mouse.down()
    for dx, dy in ((150, -150), (150, 150), (-150, 150)):
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def test_dots_take_the_colours_of_a_column(page):
    plain = colours(page)
    assert plain > 1
    page.get_by_label("Colour by").select_option("Class1.1")
    expect(page.locator(".legend")).to_be_visible()
    assert colours(page) > 2 * plain


def test_a_lasso_is_the_selection_of_the_gallery_and_back(page, mapped):
    draw_around(page)
    counter = page.locator(".map .counter")
    expect(counter).to_contain_text("of 150 galaxies")
    lasso = page.evaluate("new URLSearchParams(location.search).get('lasso')")
    number = mapped.get("/galaxies", params={"lasso": lasso}).json()["matching"]
    assert 0 < number < 140
    expect(counter).to_have_text(f"{number} of 150 galaxies")
    page.get_by_role("button", name="In the gallery").click()
    expect(page.locator(".browse .counter")).to_have_text(f"{number} of 150 galaxies")
    page.get_by_role("button", name="Remove the filter in the lasso on the map").click()
    expect(page.locator(".browse .counter")).to_have_text("150 galaxies")
    page.locator("[data-tab=map]").click()
    expect(counter).to_have_text("150 galaxies")


def test_a_filter_of_the_gallery_shows_on_the_map(page, mapped):
    page.goto("/?tab=map&filter=Class1.1:0.5..")
    number = mapped.get("/galaxies?filter=Class1.1:0.5..").json()["matching"]
    expect(page.locator(".map .counter")).to_have_text(f"{number} of 150 galaxies")


def test_dots_turn_into_pictures_that_open_a_galaxy_and_those_like_it(page):
    assert page.locator(".pictures li").count() == 0
    page.locator(".points").focus()
    for _ in range(3):
        page.keyboard.press("+")
    page.wait_for_selector(".pictures img.there")
    picture = page.locator(".pictures img.there").first
    name = picture.get_attribute("alt")
    picture.dispatch_event("click")
    box = picture.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#galaxy h2")).to_be_visible()
    assert name
    page.wait_for_selector(".alike button")
    other = page.locator(".alike button").first.get_attribute("aria-label").removeprefix("Open ")
    page.locator(".alike button").first.click()
    expect(page.locator("#galaxy h2")).to_have_text(other)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".pictures li")).to_have_count(0)


def test_the_map_is_accessible_and_fits_a_telephone(page):
    page.set_viewport_size({"width": 360, "height": 700})
    expect(page.locator(".points")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found = Axe().run(page, context=".map")
    assert found.violations_count == 0, found.generate_report()
