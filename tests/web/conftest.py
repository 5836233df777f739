"""A catalogue of small galaxies with their images, servers of it, and their pages."""

import json
import os
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from galaxyvotes import GalaxyMap, Predictions, serve
from galaxyvotes.answer_columns import table_schema
from galaxyvotes.predictions import Bounds
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.galaxy_table import EVALUATED, galaxy_table
from galaxyvotes.search.galaxy_map import map_schema
from galaxyvotes.table_formats.write import write_table
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.catalogue import Catalogue

GALAXIES = 150
CHROMIUM = Path("/usr/bin/chromium")


@dataclass(frozen=True)
class Zoo:
    """Images, the table of their predictions, and these themselves."""

    images: Path
    table: Path
    predictions: Predictions


@pytest.fixture(scope="session")
def zoo(tmp_path_factory, make_jpeg, make_fractions) -> Zoo:
    """Galaxies with joint fractions, intervals and a familiarity that are drawn from a seed."""
    folder = tmp_path_factory.mktemp("zoo")
    tree = DecisionTree.load("kaggle")
    values = make_fractions(tree, GALAXIES)
    bounds = Bounds(np.maximum(values - 0.1, 0), np.minimum(values + 0.1, 1))
    scores = np.random.default_rng(0).random(GALAXIES).astype(np.float32)
    ids = tuple(f"g{number:04d}" for number in range(GALAXIES))
    predictions = Predictions(ids, tree.columns, values, bounds=bounds, familiarity=scores)
    (folder / "images").mkdir()
    for number, name in enumerate(ids[:-1]):  # the last one has no image
        (folder / "images" / f"{name}.jpg").write_bytes(make_jpeg(number, side=256))
    meta = {"tree": "kaggle", "holds": "joint fractions"}
    schema = table_schema(tree.columns, tree=tree, bounds=True, familiarity=True, meta=meta)
    write_table(folder / "zoo.parquet", schema, [predictions.to_table(schema)])
    return Zoo(folder / "images", folder / "zoo.parquet", predictions)


@pytest.fixture(scope="session")
def judged_fractions(zoo: Zoo) -> Comparison:
    """The zoo with labels near its predictions; of the first seven galaxies the first three are not
    known."""
    random = np.random.default_rng(5)
    values = zoo.predictions.values
    labels = np.clip(values + random.normal(0, 0.15, values.shape), 0, 1).astype(np.float32)
    labels[:7, :3] = np.nan
    return Comparison(DecisionTree.load("kaggle"), labels, zoo.predictions)


@pytest.fixture(scope="session")
def judged_classes(zoo: Zoo) -> Comparison:
    """The zoo in three classes, which are those of no tree."""
    tree = DecisionTree.of_classes(["barred spiral", "elliptical", "ring: b"], "type")
    random = np.random.default_rng(1)
    labels = np.eye(3, dtype=np.float32)[random.choice(3, GALAXIES, p=[0.5, 0.4, 0.1])]
    values = ((2 * random.dirichlet([1.0] * 3, GALAXIES) + labels) / 3).astype(np.float32)
    return Comparison(tree, labels, Predictions(zoo.predictions.ids, tree.columns, values))


@pytest.fixture(scope="session")
def judged_quantities(zoo: Zoo) -> Comparison:
    """The zoo with two quantities and their intervals."""
    tree = DecisionTree.of_numbers(["ttype", "colour"])
    random = np.random.default_rng(2)
    labels = random.normal(0, [3, 0.4], (GALAXIES, 2)).astype(np.float32)
    values = (labels + random.normal(0, [1, 0.1], labels.shape)).astype(np.float32)
    width = random.uniform(0.5, 2, (GALAXIES, 1)).astype(np.float32)
    bounds = Bounds(values - width, values + width)
    predicted = Predictions(zoo.predictions.ids, tree.columns, values, bounds=bounds)
    return Comparison(tree, labels, predicted)


OpenJudged = Callable[[Comparison], Catalogue]


@pytest.fixture(scope="session")
def open_judged(tmp_path_factory) -> Generator[OpenJudged]:
    """`open_judged(comparison)`: the catalogue in the table that `evaluate` writes of it."""
    with ExitStack() as stack:

        def go(comparison: Comparison) -> Catalogue:
            path = tmp_path_factory.mktemp("judged") / EVALUATED
            pacsv.write_csv(galaxy_table(comparison), path)
            return stack.enter_context(Catalogue.open(path, [comparison.tree]))

        yield go


Start = Callable[..., httpx.Client]


@pytest.fixture(scope="session")
def start() -> Generator[Start]:
    """`start(catalogue, …)`: a client of a server that runs until the tests end."""
    with ExitStack() as stack:

        def go(*arguments: object, **settings: object) -> httpx.Client:
            server = stack.enter_context(serve(*arguments, port=0, **settings))
            address, _, query = server.url.partition("?token=")
            headers = {"authorization": f"Bearer {query}"} if query else {}
            client = httpx.Client(base_url=address, headers=headers, timeout=60)
            return stack.enter_context(client)

        yield go


@pytest.fixture(scope="session")
def site(start: Start, zoo: Zoo) -> httpx.Client:
    """A client of a server of the zoo, with the bundled model."""
    return start(zoo.table, images=zoo.images, workers=1)


@pytest.fixture(scope="session")
def zoo_map(zoo: Zoo, tmp_path_factory) -> GalaxyMap:
    """A map of the zoo in another order, without its first ten galaxies and with a stranger."""
    random = np.random.default_rng(0)
    ids = [*random.permutation(zoo.predictions.ids[10:]).tolist(), "stranger"]
    vectors = random.gamma(1, size=(len(ids), 6)).astype(np.float32)
    points = random.normal(size=(len(ids), 2)).astype(np.float32)
    schema = map_schema(6, neighbours=False, thumbnails=False, meta={})
    columns = [ids, points[:, 0].tolist(), points[:, 1].tolist(), vectors.tolist()]
    path = tmp_path_factory.mktemp("zoo") / "map.parquet"
    pq.write_table(pa.table(columns, schema=schema), path)
    return GalaxyMap.open(path)


@pytest.fixture(scope="session")
def mapped(start: Start, zoo: Zoo, zoo_map: GalaxyMap) -> httpx.Client:
    """A client of a server of the zoo with its map."""
    return start(zoo.table, images=zoo.images, galaxy_map=zoo_map.path, workers=1)


# ---- the page in Debian's browser


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """The browser, which a module shares; without it its tests are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"the page is tested in Debian's browser, and {CHROMIUM} is not here")
    # As root, Chromium starts without its sandbox only.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


OpenSite = Callable[..., Page]


@pytest.fixture
def open_site(browser: Browser) -> Generator[OpenSite]:
    """`open_site(client, query, …)`: the page of a server, which must load nothing from elsewhere
    and fail nowhere.
    """
    problems: list[str] = []
    contexts = []

    def go(
        client: httpx.Client,
        query: str = "",
        *,
        width: int = 1280,
        scheme: str = "light",
        name: str = "",
    ) -> Page:
        own = str(client.base_url)
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            base_url=own,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        page.on(
            "request",
            lambda sent: sent.url.startswith((own, "blob:", "data:")) or problems.append(sent.url),
        )
        if name:
            store = f"localStorage.setItem('galaxyvotes-labeller', {json.dumps(name)})"
            page.add_init_script(store)
        page.goto("/" + query)
        page.wait_for_selector("main > *")
        return page

    yield go
    for context in contexts:
        context.close()
    # The browser writes down what the page tells in words: no image, or none that is read.
    told = re.compile(r"the server responded with a status of 4(04|22)")
    assert [problem for problem in problems if not told.search(problem)] == []
