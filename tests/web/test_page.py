"""The page in Debian's browser."""

import re
from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def served(start, zoo, tmp_path_factory):
    votes = tmp_path_factory.mktemp("page") / "votes.sqlite"
    return start(zoo.table, images=zoo.images, votes=votes, workers=1)


@pytest.fixture
def open_page(open_site, served):
    """`open_page(query, …)`: the page of this server."""
    return partial(open_site, served)


def ids(page: Page) -> list[str]:
    return page.locator(".cell .caption small").all_inner_texts()


def test_the_gallery_has_all_galaxies_and_only_those_in_sight_are_there(open_page):
    page = open_page(width=500)
    expect(page.locator(".counter")).to_have_text("150 galaxies")
    page.wait_for_selector(".cell img")
    assert page.locator(".cell").count() < 60
    page.locator(".cell a").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".cell a:focus .caption small")).to_have_text("g0149")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cell a:focus .caption small")).to_have_text("g0148")


def test_a_click_on_an_answer_filters_and_back_goes_back(open_page, served):
    page = open_page()
    page.get_by_role("button", name="smooth", exact=True).click()
    wanted = served.get("/galaxies?filter=Class1.1:0.5..").json()["matching"]
    expect(page.locator(".counter")).to_have_text(f"{wanted} of 150 galaxies")
    expect(page).to_have_url(re.compile(re.escape("filter=Class1.1:0.5..")))
    page.go_back()
    expect(page.locator(".counter")).to_have_text("150 galaxies")


def test_counts_follow_a_threshold_that_moves(open_page, served):
    page = open_page()
    expect(page.locator(".histogram rect").first).to_be_attached()
    slider = page.get_by_role("slider", name="smooth: at least")
    slider.focus()
    for _ in range(5):
        slider.press("PageUp")
    expect(page.locator(".answer.used .range")).to_have_text("≥ 0.5")
    wanted = served.get("/galaxies?filter=Class1.1:0.5..").json()["matching"]
    expect(page.locator(".counter")).to_have_text(f"{wanted} of 150 galaxies")
    page.get_by_role("button", name="Remove the filter smooth ≥ 0.5").click()
    expect(page.locator(".counter")).to_have_text("150 galaxies")


def test_the_address_holds_the_view(open_page, served):
    query = "?filter=Class1.1:0.2..0.8&filter=Class7.1:0.1..&sort=-Class7.1"
    page = open_page(query)
    found = served.get(f"/galaxies{query}").json()
    expect(page.locator(".counter")).to_have_text(f"{found['matching']} of 150 galaxies")
    page.wait_for_selector(".cell img")
    assert ids(page)[:3] == [galaxy["id"] for galaxy in found["galaxies"][:3]]
    assert page.locator("#sort").input_value() == "Class7.1"
    assert page.locator(".chips button").count() == 2


def test_a_galaxy_opens_with_its_path_and_keys_go_on(open_page):
    page = open_page()
    page.locator(".cell a").nth(1).click()
    dialog = page.get_by_role("dialog", name="Galaxy g0001")
    expect(dialog).to_be_visible()
    assert dialog.locator(".path .step").count() >= 2
    assert dialog.locator(".whisker").count() >= 3
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="Galaxy g0002")).to_be_visible()
    expect(page).to_have_url(re.compile(re.escape("galaxy=g0002")))
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("galaxy="))


def test_an_id_is_searched(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("G001")
    expect(page.locator(".counter")).to_have_text("10 of 150 galaxies")
    expect(page).to_have_url(re.compile(re.escape("q=G001")))


def test_the_selection_is_exported(open_page, served):
    page = open_page("?filter=Class1.1:0.5..")
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="List of ids").click()
    expected = served.get("/export?format=ids&filter=Class1.1:0.5..").text
    assert Path(download.value.path()).read_text("utf-8") == expected


def test_an_image_that_is_given_lights_up_the_tree(open_page, zoo, make_jpeg, tmp_path):
    page = open_page("?tab=try")
    small = tmp_path / "<i>small.jpg"
    small.write_bytes(make_jpeg(side=64))
    page.set_input_files("#file", [zoo.images / "g0003.jpg", small])
    cards = page.locator(".card:not(.waiting)")
    expect(cards).to_have_count(2, timeout=20_000)
    card = page.locator(".card", has_text="g0003.jpg")
    expect(card.locator(".step").first).to_be_visible()
    expect(card.locator(".warning")).to_contain_text("Do not rely on the answers")
    expect(page.locator(".card", has_text="<i>small.jpg")).to_contain_text("all of it was taken")


def test_what_is_no_image_is_said_in_words(open_page, tmp_path):
    page = open_page("?tab=try")
    (tmp_path / "notes.txt").write_text("no image", "utf-8")
    page.set_input_files("#file", tmp_path / "notes.txt")
    expect(page.locator(".card.failed")).to_contain_text("is not an image of a kind that is read")


def answer_all(page: Page) -> None:
    """Give the first answer to every question of a galaxy."""
    galaxy = page.locator(".label-keys .small").inner_text()
    for _ in range(12):
        if page.locator(".label-keys .small").inner_text() != galaxy:
            return
        page.keyboard.press("1")
        page.wait_for_timeout(50)
    raise AssertionError(f"{galaxy} still asks")


def test_questions_are_answered_by_keys_and_taken_back(open_page, served):
    page = open_page("?tab=label", name="Ada")
    expect(page.locator("#asked")).to_contain_text("simply smooth and rounded")
    first = page.locator(".label-keys .small").inner_text()
    page.keyboard.press("1")
    expect(page.locator("#asked")).to_contain_text("How rounded")
    page.keyboard.press("u")
    expect(page.locator("#asked")).to_contain_text("simply smooth and rounded")
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.locator("#asked")).to_contain_text("anything odd")
    page.keyboard.press("2")
    expect(page.locator(".label-keys .small")).not_to_have_text(first)
    votes = served.get(f"/votes?galaxy={first}").json()["votes"]
    assert votes == [{"labeller": "Ada", "answers": ["Class1.1", "Class6.2", "Class7.2"]}]
    expect(page.locator(".label .toolbar .small")).to_contain_text("1 answered by you")
    page.keyboard.press("u")
    expect(page.locator(".label-keys .small")).to_have_text(first)
    assert served.get(f"/votes?galaxy={first}").json()["votes"] == []
    page.keyboard.press("s")
    expect(page.locator(".label-keys .small")).not_to_have_text(first)


def test_several_galaxies_get_one_answer(open_page, served):
    page = open_page(name="Bob")
    page.locator(".cell a").nth(4).focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator(".bulk b")).to_have_text("2 chosen")
    page.locator(".bulk select").select_option("Class4.1")
    page.get_by_role("button", name="Vote").click()
    expect(page.locator("#status")).to_contain_text("“spiral” is saved for 2 galaxies")
    for name in ("g0004", "g0005"):
        votes = served.get(f"/votes?galaxy={name}").json()["votes"]
        assert {"labeller": "Bob", "answers": ["Class1.2", "Class2.2", "Class4.1"]} in votes
    page.locator(".bulk").get_by_role("button", name="Undo").click()
    expect(page.locator(".bulk b")).to_have_text("2 chosen")
    assert "Bob" not in served.get("/votes?galaxy=g0004").text


def test_a_vote_outlives_the_server(browser, start, zoo, tmp_path):
    from galaxyvotes import serve

    for number in (1, 2):
        with serve(zoo.table, images=zoo.images, votes=tmp_path / "v.sqlite", port=0) as server:
            page = browser.new_page()
            page.add_init_script("localStorage.setItem('galaxyvotes-labeller', 'Ada')")
            page.goto(server.url + "?tab=label")
            page.wait_for_selector("#asked")
            answer_all(page)
            said = page.locator(".label .toolbar .small")
            expect(said).to_contain_text(f"{number} answered by you")
            page.close()


@pytest.mark.parametrize(
    ("query", "width", "scheme"),
    [
        ("?filter=Class1.2:0.3..", 1280, "light"),
        ("?galaxy=g0003", 1280, "dark"),
        ("?sort=-uncertainty", 360, "dark"),
        ("?galaxy=g0003", 360, "light"),
        ("?tab=try", 1280, "dark"),
        ("?tab=label", 1280, "light"),
        ("?tab=label", 360, "dark"),
        ("", 2560, "dark"),
    ],
)
def test_the_page_is_accessible_and_fits(open_page, query, width, scheme):
    page = open_page(query, width=width, scheme=scheme, name="Ada")
    page.wait_for_timeout(700)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_asks_for_no_name_from_elsewhere():
    static = Path(__file__).parents[2] / "src" / "galaxyvotes" / "web" / "static"
    for file in static.iterdir():
        text = file.read_text("utf-8")
        assert not re.search(r"(?:src|import|from|url\()\s*[=(]?\s*[\"']?https?:", text), file.name
        assert "innerHTML" not in text
        assert "eval(" not in text
