"""Predictions and labels of forty galaxies, and a reader of pages."""

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison, ReportSettings
from galaxyvotes.reports.fractions import summarise
from galaxyvotes.reports.write import Report, write_report
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
LENS = KAGGLE.columns.index("Class8.2")
QUICK = ReportSettings(resamples=20)


def draw_labels(count: int = 40, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    conditional = np.concatenate(
        [random.dirichlet([0.4] * len(q.answers), count) for q in KAGGLE.questions], axis=1
    )
    labels = KAGGLE.joint(conditional).astype(np.float32)
    labels[:, LENS] = 0
    return labels


def predict_near(
    labels: np.ndarray, noise: float, ids: tuple[str, ...] | None = None
) -> Predictions:
    random = np.random.default_rng(7)
    values = np.clip(np.nan_to_num(labels) + random.normal(0, noise, labels.shape), 0, 1)
    names = ids or tuple(f"galaxy-{i}" for i in range(len(labels)))
    return Predictions(names, KAGGLE.columns[: labels.shape[1]], values.astype(np.float32))


def grey_images(rows: np.ndarray) -> np.ndarray:
    return np.full((len(rows), 32, 32, 3), 90, np.uint8)


def compare(columns: int = 5, **changes) -> Comparison:
    labels = draw_labels()
    network = predict_near(labels, 0.1)
    network = replace(
        network, columns=network.columns[:columns], values=network.values[:, :columns]
    )
    given = {
        "tree": KAGGLE,
        "labels": labels[:, :columns],
        "predicted": network,
        "baselines": {
            "mean vote": predict_near(labels, 0.3),
            "all zeros": predict_near(0 * labels, 0),
        },
        "provenance": {"run": "runs/one", "split": "train 80, validation 10, test 40"},
        "images": grey_images,
        "on_leaderboard": True,
    }
    return Comparison(**(given | changes))


@pytest.fixture(scope="session")
def quick() -> ReportSettings:
    """Few resamples."""
    return QUICK


@pytest.fixture(scope="session")
def make_labels() -> Callable[..., np.ndarray]:
    """`make_labels(count, seed)`: joint fractions of the challenge's tree; nobody answers "lens or
    arc"."""
    return draw_labels


@pytest.fixture(scope="session")
def make_predictions() -> Callable[..., Predictions]:
    """`make_predictions(labels, noise, ids)`: labels with noise."""
    return predict_near


@pytest.fixture(scope="session")
def make_comparison() -> Callable[..., Comparison]:
    """`make_comparison(columns, **changes)`: forty galaxies and the first answers of the tree (few
    make it quick)."""
    return compare


@pytest.fixture(scope="session")
def class_comparison() -> Comparison:
    """Sixty galaxies of three classes, the last of them rare, and a baseline that guesses."""
    tree = DecisionTree.of_classes(["barred spiral", "spiral", "ring"], "type")
    random = np.random.default_rng(2)
    labels = np.eye(3, dtype=np.float32)[random.choice(3, 60, p=[0.45, 0.1, 0.45])]
    ids = tuple(f"{i:018d}" for i in range(60))
    chances = random.dirichlet([1.0] * 3, 60)
    network = ((chances + 2 * labels) / 3).astype(np.float32)
    return Comparison(
        tree,
        labels,
        Predictions(ids, tree.columns, network),
        baselines={"guess": Predictions(ids, tree.columns, chances.astype(np.float32))},
        images=grey_images,
    )


@pytest.fixture(scope="session")
def familiarity() -> np.ndarray:
    """Scores of the forty galaxies, all in the lower half."""
    return np.random.default_rng(3).permutation(40).astype(np.float32) / 100 + 0.01


@pytest.fixture(scope="session")
def full_comparison(familiarity, history) -> Comparison:
    """A comparison with every section."""
    labels = draw_labels(seed=5)
    other = Comparison(KAGGLE, labels, predict_near(labels, 0.05))
    return compare(
        37,
        predicted=replace(predict_near(draw_labels(), 0.1), familiarity=familiarity),
        shift=Shift.count(familiarity, 99),
        history=history,
        contaminated=summarise(other, QUICK) | {"seen": 32},
    )


@pytest.fixture(scope="session")
def written(full_comparison, tmp_path_factory) -> Report:
    """A report with every section."""
    return write_report(full_comparison, tmp_path_factory.mktemp("report"), QUICK)


class Page(HTMLParser):
    """The words, tags and attributes of a page; a tag that is closed out of turn is an error."""

    VOID = ("meta", "img", "br", "link", "source")

    def __init__(self, html: str):
        super().__init__()
        self.html, self.tags, self.words, self.open = html, [], [], []
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


@pytest.fixture(scope="session")
def read_page() -> type[Page]:
    """`read_page(html)`: its words, tags and attributes."""
    return Page
