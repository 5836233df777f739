import re

import numpy as np
import pytest
from PIL import Image

from galaxyvotes.errors import ConfigError
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.contact_sheet import ContactSheet
from galaxyvotes.tree import DecisionTree


def sheet(kaggle, galaxies: int = 5, **settings) -> ContactSheet:
    """Galaxies from sure to be smooth to sure to have features, the first the least familiar."""
    values = np.zeros((galaxies, 37))
    values[:, 1] = np.linspace(0, 1, galaxies)
    values[:, 0] = 1 - values[:, 1]
    ids = tuple(f"g{number}" for number in range(galaxies))
    scores = np.linspace(0.001, 1, galaxies)
    pictures = {name: np.full((32, 32, 3), 90, np.uint8) for name in ids}
    predictions = Predictions(ids, kaggle.columns, values, familiarity=scores)
    defaults = {"total": galaxies, "unfamiliar_level": 0.05}
    return ContactSheet(predictions, kaggle, pictures, **defaults | settings)


def test_galaxies_are_grouped_by_their_first_answer_the_surest_first(kaggle):
    assert sheet(kaggle).groups == [("smooth", [0, 1, 2]), ("features or disk", [4, 3])]


def test_a_page_shows_every_picture_and_needs_no_other_file(kaggle):
    page = sheet(kaggle).page()
    assert page.count('src="data:image/jpeg;base64,') == 5
    assert set(re.findall(r'(?:src|href)="(\w+)', page)) == {"data"}
    assert "<script" not in page
    assert "features or disk 75\N{NO-BREAK SPACE}%" in page


def test_every_unfamiliar_galaxy_is_marked_and_the_sheet_says_what_that_means(kaggle):
    one = sheet(kaggle)
    assert one.page().count(">unfamiliar</span>") == 1
    assert one.remark.startswith(
        "1 is marked as unfamiliar: less like the calibration galaxies than 95 % of these are, so"
        " trust its answers less;"
    )
    assert one.remark in one.page()
    strange = sheet(kaggle, 40, unfamiliar_level=1.0)
    assert strange.page().count(">unfamiliar</span>") == 40
    known = sheet(kaggle, unfamiliar_level=0.0005)
    assert (known.remark, known.page().count(">unfamiliar</span>")) == ("", 0)


def texts(figure) -> list[str]:
    return [each.get_text() for each in figure.axes[0].texts]


def test_a_figure_has_ids_and_says_how_many_galaxies_it_shows(kaggle):
    words = texts(sheet(kaggle, 40).figure())
    assert "24 of 40 galaxies (taken evenly through them): predicted share of all" in words[1]
    assert {"g0", "g39"} <= set(words)
    assert not any("in brackets" in each for each in words)


def test_a_figure_marks_unfamiliar_galaxies(kaggle):
    words = texts(sheet(kaggle, 10, unfamiliar_level=0.3).figure())
    assert words.count("unfamiliar") == 3
    assert any(each.startswith("3 are marked as unfamiliar") for each in words)


def test_an_id_that_is_wider_than_a_picture_shows_its_end(kaggle):
    predictions = Predictions(
        ("survey/" * 20 + "0123 \N{HIRAGANA LETTER A}",), kaggle.columns, np.full((1, 37), 0.5)
    )
    words = texts(ContactSheet(predictions, kaggle, {}, total=1).figure())
    assert words[-1].startswith("…")
    assert words[-1].endswith("/0123 \N{WHITE SQUARE}")


def test_names_of_files_are_escaped(kaggle):
    values = np.full((1, 37), 0.5)
    predictions = Predictions(("<script>alert(1)</script>",), kaggle.columns, values)
    page = ContactSheet(predictions, kaggle, {}, total=1).page()
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_a_galaxy_without_a_picture_keeps_its_answers(kaggle):
    page = sheet(kaggle).with_pictures({}).page()
    assert "<img" not in page
    assert page.count("<figcaption>") == 5


def test_some_of_the_galaxies_are_spread_over_all(kaggle):
    some = sheet(kaggle, 9, total=90).some(3)
    assert some.predictions.ids == ("g0", "g4", "g8")
    assert some.sentence.startswith("3 of 90 galaxies: predicted share of all volunteers")


def test_a_sheet_of_some_galaxies_says_which(kaggle):
    everything = sheet(kaggle, 9, total=9)
    assert everything.sentence.startswith("9 galaxies: ")
    some = everything.some(3).sentence
    assert some.startswith("3 of 9 galaxies (taken evenly through them): ")
    part = sheet(kaggle, 9, total=90, chosen="the 9 brightest")
    assert part.sentence.startswith("9 of 90 galaxies (the 9 brightest): ")
    assert part.some(3).sentence.startswith("3 of 90 galaxies (some of the 9 brightest): ")


def test_a_figure_has_at_most_24_galaxies_in_rows_of_six(kaggle, tmp_path):
    sheet(kaggle, 60).write(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        width, height = picture.size
    sheet(kaggle, 24).write(tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.size == (width, height)
    assert len(sheet(kaggle, 60).figure().axes[0].images) == 24


def test_quantities_stand_in_their_order(kaggle):
    tree = DecisionTree.of_numbers(["ttype"])
    predictions = Predictions(("a", "b", "c"), ("ttype",), np.array([[3.0], [-5.0], [1.0]]))
    assert ContactSheet(predictions, tree, {}, total=3).groups == [("", [1, 2, 0])]


def test_another_format_is_refused(kaggle, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown format '\.jpg' of a contact sheet"):
        sheet(kaggle).write(tmp_path / "sheet.jpg")
