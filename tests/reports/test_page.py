import base64
import io
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.comparison import Comparison, Seen
from galaxyvotes.reports.digits import digits_of, written
from galaxyvotes.reports.document import SHOWN, rows_shown
from galaxyvotes.reports.headline import HEADLINE
from galaxyvotes.reports.html import jpeg_uri
from galaxyvotes.reports.sections import SECTIONS
from galaxyvotes.reports.write import write_report
from galaxyvotes.tree import DecisionTree


@pytest.fixture(scope="module")
def report(written):
    """A report with every section."""
    return written


@pytest.fixture(scope="module")
def page(report, read_page):
    """Its page."""
    return read_page(report.html.read_text("utf-8"))


@pytest.fixture
def page_of(tmp_path, quick, read_page):
    """`page_of(comparison)`: its page."""

    def render(comparison: Comparison):
        return read_page(write_report(comparison, tmp_path, quick).html.read_text("utf-8"))

    return render


def as_shown(measure: dict) -> str:
    """A measure and its interval as a page of forty galaxies shows them."""
    text = digits_of(measure, 3)
    return text.value if text.low == text.high else f"{text.value} {text.low}–{text.high}"


def sections_of(page) -> list[str]:
    return [attributes["id"] for tag, attributes in page.tags if tag == "section"]


# ---- sections


def test_a_section_without_contents_is_left_out(page, page_of, make_comparison):
    names = [section.name for section in SECTIONS[FRACTIONS]]
    assert sections_of(page) == [name for name in names if name != "chance"]
    plain = page_of(make_comparison(on_leaderboard=False))
    missing = {"leaderboard", "as-published", "chance", "training"}
    assert sections_of(plain) == [name for name in names if name not in missing]
    assert "leaderboard" not in plain.text


def test_an_empty_section_says_what_to_run(page_of, make_comparison):
    named = {"store": "my store", "run": "mean (mean of a, b)"}
    page = page_of(make_comparison(provenance=named))
    remedy = "Run galaxyvotes calibrate 'my store' --run mean, then evaluate again."
    assert page.text.count(remedy) == 2  # intervals and familiarity
    assert "galaxyvotes calibrate STORE --run RUN" in page_of(make_comparison(provenance={})).text


def test_an_empty_section_says_why_calibrate_would_be_refused(page_of, make_comparison):
    page = page_of(make_comparison(cannot_calibrate="It was trained on 3 of them."))
    assert page.text.count("This run is not calibrated. It was trained on 3 of them.") == 2
    assert "Run galaxyvotes calibrate" not in page.text


def test_without_baselines_nothing_is_said_beside_them(page_of, make_comparison):
    page = page_of(
        make_comparison(baselines={}, no_baselines="No baselines: no training galaxies.")
    )
    assert "No baselines: no training galaxies." in page.text
    assert page.text.lower().count("baseline") == 1


def test_the_page_of_quantities_has_its_own_sections_and_no_words_of_votes(page_of, history):
    tree = DecisionTree.of_numbers(["ttype"])
    labels = np.random.default_rng(0).normal(size=(30, 1))
    bounds = Bounds(labels - 1, labels + 1)
    scores = np.linspace(0.01, 1, 30, dtype=np.float32)
    predicted = Predictions(
        tuple(map(str, range(30))), tree.columns, labels + 0.1, bounds=bounds, familiarity=scores
    )
    comparison = Comparison(
        tree,
        labels,
        predicted,
        baselines={"mean": predicted},
        nominal_coverage=0.9,
        shift=Shift.count(scores, 99),
        history=history,
    )
    page = page_of(comparison)
    names = [section.name for section in SECTIONS[QUANTITIES] if section.name != "chance"]
    assert sections_of(page) == names
    assert "Evaluation of predicted quantities: ttype" in page.text
    assert "nominal coverage 90 %" in page.text
    for word in ("AUC", "ROC", "ccuracy", "volunteers", "fraction"):
        assert word not in re.sub(r"<style>.*?</style>", "", page.html, flags=re.DOTALL), word


def test_the_numbers_on_the_page_are_those_of_the_json(report, page):
    document = json.loads(report.json.read_text("utf-8"))
    text = page.text
    assert document["summary"].replace("\N{NO-BREAK SPACE}", " ") in text
    for summary in (document["network"], *document["baselines"].values(), document["contaminated"]):
        for column in HEADLINE[FRACTIONS]:
            measure = summary[column.key]
            assert as_shown(measure) in text
    for row in document["network"]["answers"]:
        auc = as_shown(row["auc"]) if row["judged"] else "not judged"
        assert f"{row['positives']} {auc} {as_shown(row['rmse'])}" in text
    assert document["leaderboard"]["sentence"] in text
    assert f"{document['familiarity']['sentence']}." in text
    for galaxies in document["shown"].values():
        for galaxy in galaxies:
            familiarity = f"Familiarity {written(galaxy['familiarity'], 3)}"
            assert f"{galaxy['id']} RMSE {written(galaxy['rmse'], 3)} {familiarity}" in text


def test_the_cuts_and_confusions_on_the_page_are_those_of_the_json(report, page):
    judged = [row["judged"] for row in report.document["network"]["answers"]]
    assert set(judged) == {True, False}
    for row in itertools.compress(report.document["cuts"]["answers"], judged):
        for cut in row["cuts"]:
            shares = [
                "undefined" if share["value"] is None else as_shown(share)
                for share in (cut["purity"], cut["completeness"])
            ]
            assert f"{cut['chosen']:,} {' '.join(shares)}" in page.text
    questions = report.document["cuts"]["questions"]
    for question in (question for question in questions if question["judged"]):
        for row in question["galaxies"]:
            assert not sum(row) or f"{100 * row[0] / sum(row):.0f} % {row[0]:,}" in page.text


def test_an_answer_with_fewer_than_ten_positives_is_not_judged(report, page):
    answers = report.document["network"]["answers"]
    few = [row["text"] for row in answers if not row["judged"]]
    assert "lens or arc Class8.2 0.000 0 not judged" in page.text
    assert all(row["positives"] < 10 for row in answers if not row["judged"])
    folded = "Not judged, with fewer than ten positive galaxies or without a negative one:"
    assert page.text.count(f"{folded} {', '.join(few)}.") == 2  # curves and cuts


@pytest.mark.parametrize(
    ("seen", "warned"),
    [
        (Seen(), False),
        (Seen(training=7), True),
        (Seen(validation=7), True),
        (Seen(validation=7, chose_epoch=False), False),
        (Seen(calibration=7), True),
    ],
)
def test_galaxies_that_the_run_has_used_are_marked_in_the_first_paragraph(
    page_of, make_comparison, seen, warned
):
    html = page_of(make_comparison(seen=seen)).html
    assert ('class="lead warn"' in html) == warned
    assert ('class="lead"' in html) != warned


def test_the_published_protocol_is_marked_beside_the_held_out_galaxies(report, page):
    assert ("div", {"class": "leak"}) in page.tags
    assert "32 are in the training or validation set" in page.text
    held_out, published = (
        report.document[key]["rmse"]["value"] for key in ("network", "contaminated")
    )
    assert f"−{held_out - published:.3f} too optimistic" in page.text


def test_a_run_of_several_catalogues_says_what_the_curves_are_over(page, page_of, full_comparison):
    rows = [row | {"gz2_validation_mse": 0.01} for row in full_comparison.history]
    several = page_of(replace(full_comparison, history=rows, contaminated=None))
    assert "trained on several catalogues" in several.text
    assert "several catalogues" not in page.text


# ---- a page by itself, for everybody


def test_the_page_loads_nothing_and_stays_small(report, page):
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,", "data:image/svg+xml;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\((?!#)", page.html)
    for figure in re.findall(r'svg\+xml;base64,([^"]*)"', page.html):
        image = base64.b64decode(figure).decode()
        pixels = 'href="data:image/png;base64,'
        assert not re.search(r"<script|@import|url\((?!#)|href=\"(?!#)", image.replace(pixels, ""))
    assert report.html.stat().st_size < 2_000_000


def test_the_page_can_be_read_without_seeing_it(page):
    assert ("html", {"lang": "en"}) in page.tags
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(a.get("scope") in ("col", "row", "rowgroup") for tag, a in page.tags if tag == "th")
    scrolling = [a for _, a in page.tags if a.get("class", "").split()[:1] == ["scroll"]]
    assert all(
        a["role"] == "region" and a["aria-label"] and a["tabindex"] == "0" for a in scrolling
    )
    names = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert links <= names


def test_every_figure_is_there_in_light_and_in_dark(page):
    sources = [attributes for tag, attributes in page.tags if tag == "source"]
    assert len(sources) == 6  # agreement, ROC, precision–recall, reliability, familiarity, history
    assert all(a["media"] == "(prefers-color-scheme: dark)" for a in sources)


def test_hostile_names_are_shown_and_never_obeyed(
    page_of, make_comparison, make_labels, make_predictions
):
    evil = "<script>alert('x')</script>"
    labels = make_labels()
    ids = tuple(f"{evil}{i}" for i in range(40))
    comparison = make_comparison(
        predicted=make_predictions(labels[:, :5], 0.1, ids),
        baselines={evil: make_predictions(labels, 0.2, ids)},
        provenance={evil: f'" onload="{evil}'},
    )
    page = page_of(comparison)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script" not in page.html
    assert evil in page.text


def test_hostile_answers_are_shown_and_never_obeyed(page_of):
    answers = ["</svg><img src=x onerror=y>", 'a" id="b_1']
    tree = DecisionTree.of_classes(answers, name="<b>class</b>")
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1, 0]]
    predicted = Predictions(tuple("abcdef"), tree.columns, np.clip(labels, 0.1, 0.8))
    page = page_of(Comparison(tree, labels, predicted))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for attributes in images)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert answers[0] in page.text
    assert "<b>class</b>" in page.text


# ---- galaxies


def test_each_galaxy_has_its_own_image(page_of, full_comparison):
    asked = []

    def images(rows):
        asked.extend(rows.tolist())
        return np.full((len(rows), 32, 32, 3), 90, np.uint8)

    page_of(replace(full_comparison, images=images, contaminated=None))
    assert len(asked) == 5 * SHOWN
    assert asked == np.concatenate([*rows_shown(full_comparison).values()]).tolist()


def test_galaxies_come_worst_best_strangest_most_uncertain_and_random(page, page_of):
    titles = (
        "Largest errors",
        "Smallest errors",
        "Lowest familiarity scores of the others",
        "Most uncertain of the others",
        "Drawn at random from the others",
    )
    places = [page.text.index(title) for title in titles]
    assert places == sorted(places)
    assert places[-1] < page.text.index("Mean AUC")
    tree = DecisionTree.of_numbers(["colour"])
    values = np.random.default_rng(0).normal(size=(40, 1)).astype(np.float32)
    ids = tuple(f"g{i}" for i in range(40))
    plain = page_of(Comparison(tree, values + 0.1, Predictions(ids, tree.columns, values)))
    assert "Most uncertain" not in plain.text
    assert "Drawn at random from the others" in plain.text


def test_an_image_becomes_a_small_jpeg_of_the_same_galaxy():
    pixels = np.zeros((424, 424, 3), np.uint8)
    pixels[:, 212:] = (200, 100, 50)
    kind, _, data = jpeg_uri(pixels).partition(",")
    assert kind == "data:image/jpeg;base64"
    assert len(data) < 10_000
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert decoded.shape == (192, 192, 3)
    assert np.abs(decoded[96, 180].astype(int) - (200, 100, 50)).max() < 12
