import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import DataError
from galaxyvotes.metrics import scores
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.challenge import leaderboard_place
from galaxyvotes.reports.page import HEADLINE, jpeg_uri
from galaxyvotes.reports.write import Report, compare, summarise, write_report
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
LENS = KAGGLE.columns.index("Class8.2")


def votes(count: int = 40, seed: int = 0) -> np.ndarray:
    """Joint fractions that keep to the tree; nobody says "lens or arc"."""
    random = np.random.default_rng(seed)
    conditional = np.concatenate(
        [random.dirichlet([0.4] * len(q.answers), count) for q in KAGGLE.questions], axis=1
    )
    labels = KAGGLE.joint(conditional).astype(np.float32)
    labels[:, LENS] = 0
    return labels


def near(labels: np.ndarray, noise: float, ids: tuple[str, ...] | None = None) -> Predictions:
    random = np.random.default_rng(7)
    guess = np.clip(np.nan_to_num(labels) + random.normal(0, noise, labels.shape), 0, 1).astype(
        np.float32
    )
    return Predictions(
        ids or tuple(f"galaxy-{i}" for i in range(len(labels))), KAGGLE.columns, guess
    )


def pictures(rows: np.ndarray) -> np.ndarray:
    return np.full((len(rows), 32, 32, 3), 90, np.uint8)


HISTORY = [
    {
        "epoch": i,
        "loss": 0.5,
        "mse": 0.04,
        "accuracy": 0.4,
        "validation_loss": 0.6,
        "validation_mse": 0.05,
    }
    | {"validation_accuracy": None, "seconds": 1.0}
    for i in (1, 2)
]


def part_of(whole: Predictions, columns: int) -> Predictions:
    return Predictions(whole.ids, whole.columns[:columns], whole.values[:, :columns])


def report(out: Path, *, columns: int = 5, **changes) -> Report:
    """A report on the first answers of the tree (few make it quick)."""
    labels = votes()
    given = {
        "network": part_of(near(labels, 0.1), columns),
        "baselines": {"mean vote": near(labels, 0.3), "all zeros": near(0 * labels, 0)},
        "labels": labels[:, :columns],
        "tree": KAGGLE,
        "provenance": {"run": "runs/one", "split": "train 80, validation 10, test 40"},
        "seen_in_training": 0,
        "images": pictures,
        "resamples": 20,
    }
    return write_report(out, **(given | changes))


FAMILIARITY = (
    np.random.default_rng(3).permutation(40).astype(np.float32) / 100 + 0.01
)  # all in the lower half


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Report:
    labels = votes(seed=5)
    contaminated = summarise(labels, near(labels, 0.05), KAGGLE, resamples=20) | {"seen": 32}
    return full(tmp_path_factory.mktemp("report"), contaminated=contaminated)


def full(out: Path, **changes) -> Report:
    """A report with every section."""
    network = replace(near(votes(), 0.1), familiarity=FAMILIARITY)
    return report(
        out,
        columns=37,
        network=network,
        shift=Shift.count(FAMILIARITY, 99),
        history=HISTORY,
        **changes,
    )


class Page(HTMLParser):
    """The words, tags and attributes of a page; a tag that is closed out of turn is an error."""

    VOID = ("meta", "img", "br", "link", "source")

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def measures(value):
    """Every number with an interval in a document."""
    if isinstance(value, dict):
        if {"value", "low", "high"} <= value.keys():
            yield value
        for each in value.values():
            yield from measures(each)
    elif isinstance(value, list):
        for each in value:
            yield from measures(each)


# ---- numbers


def test_the_numbers_are_those_of_metrics():
    labels = votes()
    predicted = near(labels, 0.1)
    summary = summarise(labels, predicted, KAGGLE, resamples=10)
    guess = predicted.values
    assert summary["mse"]["value"] == pytest.approx(scores.mse(labels, guess))
    assert summary["rmse"]["value"] == pytest.approx(scores.rmse(labels, guess))
    assert summary["mae"]["value"] == pytest.approx(scores.mae(labels, guess))
    assert summary["argmax_accuracy"]["value"] == pytest.approx(
        scores.argmax_accuracy(labels, guess)
    )
    reached = scores.question_accuracy(labels, guess, KAGGLE)
    assert [q["question"] for q in summary["question_accuracy"]["questions"]] == list(reached)
    for row, (accuracy, count) in zip(
        summary["question_accuracy"]["questions"], reached.values(), strict=True
    ):
        assert row["galaxies"] == count
        assert row["value"] == pytest.approx(accuracy) if count else row["value"] is None
    known = [accuracy for accuracy, count in reached.values() if count]
    assert summary["question_accuracy"]["value"] == pytest.approx(np.mean(known))
    assert [row["rmse"]["value"] for row in summary["answers"]] == pytest.approx(
        scores.rmse_per_answer(labels, guess)
    )


def test_an_auc_without_positives_is_null_and_the_means_leave_it_out():
    labels = votes()
    predicted = near(labels, 0.1)
    summary = summarise(labels, predicted, KAGGLE, resamples=10)
    areas, positives, _ = scores.auc_per_answer(labels, predicted.values)
    assert summary["answers"][LENS]["auc"] == {"value": None, "low": None, "high": None}
    assert (summary["answers"][LENS]["positives"], summary["answers"][LENS]["negatives"]) == (0, 40)
    defined = ~np.isnan(areas)
    assert summary["mean_auc"]["value"] == pytest.approx(areas[defined].mean())
    assert summary["mean_auc"]["answers"] == defined.sum() < 37
    frequent = defined & (positives >= 10)
    assert summary["mean_auc_of_frequent"]["value"] == pytest.approx(areas[frequent].mean())
    assert summary["mean_auc_of_frequent"]["answers"] == frequent.sum() < defined.sum()


def test_every_number_has_an_interval(written):
    found = list(measures(written.document["network"]))
    assert len(found) > 100
    assert all(
        measure["low"] <= measure["high"] for measure in found if measure["value"] is not None
    )
    assert all(measure["low"] is None for measure in found if measure["value"] is None)
    rmse = written.document["network"]["rmse"]
    assert rmse["low"] < rmse["value"] < rmse["high"]


def test_a_predictor_is_no_better_than_itself_and_better_than_a_noisier_one():
    labels = votes()
    good, bad = near(labels, 0.1), near(labels, 0.3)
    assert compare(labels, good, good, resamples=5) == {"value": 0.0, "low": 0.0, "high": 0.0}
    ahead, behind = (
        compare(labels, good, bad, resamples=50),
        compare(labels, bad, good, resamples=50),
    )
    rmses = [scores.rmse(labels, one.values) for one in (good, bad)]
    assert ahead["value"] == pytest.approx(rmses[1] - rmses[0])
    assert ahead["low"] > 0
    assert [behind[key] for key in ("value", "low", "high")] == pytest.approx(
        [-ahead[key] for key in ("value", "high", "low")]
    )


def test_unknown_questions_count_nowhere(tmp_path):
    labels = votes()[:, :5]
    labels[:20, KAGGLE.slices[1]] = np.nan
    document = report(tmp_path, labels=labels).document
    row = document["network"]["answers"][3]
    assert row["positives"] + row["negatives"] == 20
    shown = {
        int(g["id"].removeprefix("galaxy-")): g["questions"]
        for g in (*document["best"], *document["worst"])
    }
    assert min(shown) < 20 <= max(shown)
    assert not any(
        q["question"] == "Q2"
        for galaxy, questions in shown.items()
        if galaxy < 20
        for q in questions
    )
    assert any(q["question"] == "Q2" for questions in shown.values() for q in questions)


def test_galaxies_of_which_nothing_is_known_give_a_report_without_numbers(tmp_path):
    labels = np.full((40, 5), np.nan, np.float32)
    written = report(tmp_path, labels=labels, baselines={})
    assert written.document["network"]["rmse"]["value"] is None
    assert written.document["leaderboard"] is None
    assert written.document["best"] == []
    assert "an RMSE of undefined" in written.html.read_text()


# ---- leaderboard


@pytest.mark.parametrize(
    ("rmse", "better", "worse", "words"),
    [
        (0.07, None, 1, "ahead of place 1 (0.07491) among 329 teams"),
        (0.07491, 1, 2, "between place 1 (0.07491) and place 2 (0.07752)"),
        (0.11446, 60, 145, "between place 60 (0.10494) and place 145 (0.12859)"),
        (
            0.15,
            145,
            None,
            (
                "after place 145 (0.12859), the last one known, and ahead of the central-pixel"
                " benchmark"
            ),
        ),
        (0.2, 145, None, "level with or behind the central-pixel benchmark (0.16194)"),
    ],
)
def test_a_place_on_the_leaderboard_is_between_the_known_ones(rmse, better, worse, words):
    place = leaderboard_place(rmse)
    assert (place["better"] and place["better"]["rank"]) == better
    assert (place["worse"] and place["worse"]["rank"]) == worse
    assert words in place["sentence"]
    assert "not public" in place["caveat"]


def test_the_leaderboard_is_only_for_the_challenge_and_all_of_its_answers(tmp_path, written):
    assert written.document["leaderboard"]["rmse"] == written.document["network"]["rmse"]["value"]
    without = report(tmp_path / "without", columns=37, leaderboard=False, images=None)
    assert without.document["leaderboard"] is None
    assert "leaderboard" not in without.html.read_text()
    part = report(tmp_path / "part").document
    assert part["leaderboard"] is None
    assert [row["answer"] for row in part["baselines"]["mean vote"]["answers"]] == list(
        KAGGLE.columns[:5]
    )


# ---- the page


def test_the_numbers_on_the_page_are_those_of_the_json(written):
    document = json.loads(written.json.read_text())
    text = Page(written.html.read_text()).text
    assert document["summary"].replace("\N{NO-BREAK SPACE}", " ") in text
    for summary in (document["network"], *document["baselines"].values(), document["contaminated"]):
        for key, _, _ in HEADLINE:
            measure = summary[key]
            assert f"{measure['value']:.4f} {measure['low']:.4f}–{measure['high']:.4f}" in text
    for row in document["network"]["answers"]:
        rmse, auc = row["rmse"], row["auc"]
        assert f"{rmse['value']:.4f} {rmse['low']:.4f}–{rmse['high']:.4f}" in text
        if auc["value"] is not None:
            assert f"{auc['value']:.3f} {auc['low']:.3f}–{auc['high']:.3f}" in text
    for row in document["choosing"]["answers"]:
        for cut in row["cuts"]:
            shares = (cut["purity"], cut["completeness"])
            told = (
                (
                    "undefined"
                    if x["value"] is None
                    else f"{x['value']:.3f} {x['low']:.3f}–{x['high']:.3f}"
                )
                for x in shares
            )
            assert f"{cut['chosen']:,} {' '.join(told)}" in text
    for question in document["choosing"]["questions"]:
        for row in question["galaxies"]:
            assert (
                not sum(row)
                or f"{100 * row[0] / sum(row):.0f}\N{NO-BREAK SPACE}% {row[0]:,}".replace(
                    "\xa0", " "
                )
                in text
            )
    assert document["leaderboard"]["sentence"] in text
    for galaxy in (*document["best"], *document["worst"]):
        assert f"{galaxy['id']} RMSE {galaxy['rmse']:.4f}" in text


def test_an_undefined_auc_is_told_with_its_count(written):
    text = Page(written.html.read_text()).text
    undefined = [
        row for row in written.document["network"]["answers"] if row["auc"]["value"] is None
    ]
    assert "lens or arc Class8.2 0.000 0 undefined (0 positives)" in text
    assert text.count("undefined (0 positives)") >= len(undefined) > 0


def test_the_page_loads_nothing_and_stays_small(written):
    html = written.html.read_text()
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,", "data:image/svg+xml;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\((?!#)", html)
    for figure in re.findall(r'svg\+xml;base64,([^"]*)"', html):
        image = base64.b64decode(figure).decode()
        assert not re.search(r"<script|<image|@import|url\((?!#)|href=\"(?!#)", image)
    assert written.html.stat().st_size < 5_000_000


def test_the_page_can_be_read_without_seeing_it(written):
    page = Page(written.html.read_text())
    assert ("html", {"lang": "en"}) in page.tags
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(a.get("scope") in ("col", "row", "rowgroup") for tag, a in page.tags if tag == "th")
    pictures = [attributes for tag, attributes in page.tags if tag == "source"]
    assert len(pictures) == 4  # ROC, reliability, familiarity, history
    assert all(a["media"] == "(prefers-color-scheme: dark)" for a in pictures)
    names = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert links <= names


def test_hostile_names_are_shown_and_never_obeyed(tmp_path):
    evil = "<script>alert('x')</script>"
    labels = votes()
    network = part_of(near(labels, 0.1, ids=tuple(f"{evil}{i}" for i in range(40))), 5)
    baselines = {evil: near(labels, 0.2, ids=network.ids)}
    written = report(
        tmp_path,
        network=network,
        baselines=baselines,
        provenance={evil: f'" onload="{evil}'},
        title=evil,
        resamples=5,
    )
    html = written.html.read_text()
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script" not in html
    assert evil in page.text


def test_hostile_answers_are_shown_and_never_obeyed(tmp_path):
    tree = DecisionTree.of_classes(
        ["</svg><img src=x onerror=y>", 'a" id="b_1'], name="<b>class</b>"
    )
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1, 0]]
    network = Predictions(tuple("abcdef"), tree.columns, np.clip(labels, 0.1, 0.8))
    written = report(
        tmp_path, network=network, baselines={}, labels=labels, tree=tree, images=None, history=None
    )
    page = Page(written.html.read_text())
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for attributes in images)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "</svg><img src=x onerror=y>" in page.text


def test_of_a_run_that_learned_from_several_catalogues_it_says_what_the_curves_are_over(
    tmp_path, written
):
    several = [row | {"gz2_validation_mse": 0.01} for row in HISTORY]
    word = "several catalogues"
    assert word in report(tmp_path, history=several).html.read_text()
    assert word not in written.html.read_text()


def test_the_same_input_gives_the_same_files(tmp_path, written):
    labels = votes(seed=5)
    contaminated = summarise(labels, near(labels, 0.05), KAGGLE, resamples=20) | {"seen": 32}
    again = full(tmp_path, contaminated=contaminated)
    for one, other in (
        (written.html, again.html),
        (written.json, again.json),
        (written.csv, again.csv),
    ):
        assert one.read_bytes() == other.read_bytes()


def test_the_contaminated_protocol_is_marked_and_stands_beside_the_honest_one(tmp_path, written):
    page = Page(written.html.read_text())
    assert (
        "section",
        {"id": "as-published", "class": "leak", "aria-labelledby": "published-h"},
    ) in page.tags
    assert "32 had taught or tuned the network" in page.text
    honest, published = (
        written.document[key]["rmse"]["value"] for key in ("network", "contaminated")
    )
    assert f"−{honest - published:.4f} flatters" in page.text
    assert "as-published" not in report(tmp_path, images=None).html.read_text()


def test_galaxies_seen_in_training_are_owned_up_to_in_the_first_sentence(tmp_path, written):
    assert "40 galaxies that it never saw in training" in written.document["summary"]
    seen = report(tmp_path, seen_in_training=7, images=None)
    assert "never saw" not in seen.document["summary"]
    assert "7 of these galaxies taught or tuned it" in seen.document["summary"]
    assert 'class="lead warn"' in seen.html.read_text()


@pytest.mark.parametrize(
    ("noise", "words"),
    [(0.05, "the network is better by"), (0.6, "the network is worse by"), (0.2, "no clear")],
)
def test_the_summary_says_who_is_better_and_when_nobody_is(tmp_path, noise, words):
    labels = votes()
    network = part_of(near(labels, noise), 5)
    document = report(tmp_path, network=network, baselines={"another": near(labels, 0.2)}).document
    assert words in document["summary"]


def test_the_galaxies_shown_are_the_extremes(written):
    labels, network = votes(), near(votes(), 0.1)
    errors = np.sqrt(((network.values - labels) ** 2).mean(axis=1))
    best, worst = written.document["best"], written.document["worst"]
    assert best[0]["id"] == f"galaxy-{errors.argmin()}"
    assert worst[0]["id"] == f"galaxy-{errors.argmax()}"
    assert worst[0]["rmse"] == pytest.approx(errors.max())
    assert not {g["id"] for g in best} & {g["id"] for g in worst}
    assert Page(written.html.read_text()).text.count("RMSE 0.") >= len(best) + len(worst)


def test_the_strangest_galaxies_are_shown_and_their_kind_is_judged(written, tmp_path):
    told, text = written.document["familiarity"], Page(written.html.read_text()).text
    assert [row["galaxies"] for row in told["up_to"]] == [1, 5, 10, 25, 40, 40]
    assert [row["expected"] for row in told["up_to"]] == [0.01, 0.05, 0.1, 0.25, 0.5, 0.75]
    assert told["strange"]["galaxies"] == 5
    assert told["strange"]["share"] == pytest.approx(5 / 40)
    assert not told["shifted"]
    assert told["sentence"] in text
    assert [each["id"] for each in told["strangest"]] == [
        f"galaxy-{i}" for i in np.argsort(FAMILIARITY)[:6]
    ]
    for each in told["strangest"]:
        assert f"{each['id']} Familiarity {each['familiarity']:.4f}" in text
    rows = []
    strange = FAMILIARITY / 10
    network = replace(part_of(near(votes(), 0.1), 5), familiarity=strange)
    other = report(
        tmp_path,
        network=network,
        shift=Shift.count(strange, 99),
        images=lambda places: rows.append(places) or pictures(places),
    )
    assert other.document["familiarity"]["shifted"]
    assert rows[0].tolist()[-6:] == np.argsort(strange)[:6].tolist()
    assert "these images differ from" in Page(other.html.read_text()).text
    assert report(tmp_path / "plain").document["familiarity"] is None


def test_a_picture_becomes_a_small_jpeg_of_the_same_galaxy():
    pixels = np.zeros((424, 424, 3), np.uint8)
    pixels[:, 212:] = (200, 100, 50)
    kind, _, data = jpeg_uri(pixels).partition(",")
    assert kind == "data:image/jpeg;base64"
    assert len(data) < 10_000
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert decoded.shape == (192, 192, 3)
    assert np.abs(decoded[96, 180].astype(int) - (200, 100, 50)).max() < 12


# ---- files


def test_the_csv_has_a_row_for_every_answer(written):
    rows = list(csv.DictReader(io.StringIO(written.csv.read_text())))
    assert [row["answer"] for row in rows] == list(KAGGLE.columns)
    assert rows[LENS]["question"] == "Q8"
    assert rows[LENS]["text"] == "lens or arc"
    assert (rows[LENS]["auc"], rows[LENS]["positives"]) == ("", "0")
    answers = written.document["network"]["answers"]
    assert [float(row["rmse"]) for row in rows] == [answer["rmse"]["value"] for answer in answers]
    cuts = [row["cuts"][1] for row in written.document["choosing"]["answers"]]
    assert [int(row["chosen_at_0.8"]) for row in rows] == [cut["chosen"] for cut in cuts]
    assert [float(row["purity_at_0.8"] or "nan") for row in rows] == pytest.approx(
        [np.nan if cut["purity"]["value"] is None else cut["purity"]["value"] for cut in cuts],
        nan_ok=True,
    )
    others = written.document["baselines"]["mean vote"]["answers"]
    assert [float(row["rmse_mean_vote"]) for row in rows] == [
        answer["rmse"]["value"] for answer in others
    ]


def test_a_report_leaves_its_three_files_and_nothing_else(written):
    assert {path.name for path in written.html.parent.iterdir()} == {
        "report.html",
        "report.json",
        "report.csv",
    }
    assert json.loads(written.json.read_text()) == written.document


def test_a_baseline_of_other_galaxies_is_a_bug(tmp_path):
    other = near(votes(), 0.1, ids=tuple(f"other-{i}" for i in range(40)))
    with pytest.raises(ValueError, match="'mean vote' is about other galaxies"):
        report(tmp_path, baselines={"mean vote": other})


def test_a_report_on_no_galaxies_is_refused(tmp_path):
    with pytest.raises(DataError, match="no galaxy to judge by"):
        report(tmp_path, network=part_of(near(votes(0), 0.1), 5), labels=votes(0)[:, :5])
