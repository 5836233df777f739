"""Files that usearch would follow to where nothing is."""

import numpy as np
import pytest

from galaxyvotes import DataError
from galaxyvotes.search.graphs import check_graph
from galaxyvotes.search.index import write_index

pytest.importorskip("usearch", reason="needs the extra `search`")

GALAXIES, FEATURES = 300, 8
HEAD = 8 + GALAXIES * 2 * FEATURES
LEVELS = HEAD + 64 + 40
NODES = LEVELS + 2 * GALAXIES


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("graph") / "index"
    write_index(np.random.default_rng(0).random((GALAXIES, FEATURES), np.float32), path)
    return path.read_bytes()


def check(contents: bytes) -> None:
    check_graph(memoryview(contents), GALAXIES, 2 * FEATURES)


def test_a_file_as_usearch_wrote_it_is_right(contents):
    check(contents)


@pytest.mark.parametrize("cut", [0, 7, HEAD + 3, LEVELS - 1, NODES + 5, -1])
def test_a_file_that_is_cut_short_is_refused(contents, cut):
    with pytest.raises(DataError, match="its length"):
        check(contents[:cut])


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        (0, 301, "the shape of its vectors"),
        (HEAD, 0, "what it holds"),
        (HEAD + 13, 99, "what it holds"),
        (HEAD + 17, 301, "its counts"),
        (HEAD + 33, 9, "its counts"),
        (HEAD + 64, 301, "the number of its galaxies"),
        (HEAD + 64 + 8, 60_000, "the number of neighbours"),
        (HEAD + 64 + 24, 99, "its levels"),
        (HEAD + 64 + 32, 300, "the number of its galaxies"),
        (NODES + 10, 33, "the number of neighbours"),
        (NODES + 14, 300, "a neighbour"),
        (NODES + 14, 2**32 - 1, "a neighbour"),
    ],
)
def test_a_number_that_points_nowhere_is_refused(contents, place, value, what):
    damaged = bytearray(contents)
    damaged[place : place + 4] = value.to_bytes(4, "little")
    with pytest.raises(DataError, match=f"{what} cannot be right"):
        check(bytes(damaged))


def test_a_level_that_is_not_there_is_refused(contents):
    damaged = bytearray(contents)
    damaged[LEVELS : LEVELS + 2] = b"\xff\xff"
    with pytest.raises(DataError, match="its levels"):
        check(bytes(damaged))
    damaged = bytearray(contents)
    damaged[NODES + 8] += 1
    with pytest.raises(DataError, match="the level of a node"):
        check(bytes(damaged))


def test_no_damage_ends_the_process(contents):
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(contents)
        for place in random.integers(HEAD, len(contents), 3).tolist():
            damaged[place] = int(random.integers(256))
        try:
            check(bytes(damaged))
        except DataError:
            continue
        _search(bytes(damaged))


def _search(contents: bytes) -> None:
    from galaxyvotes.search.index import new_graph

    graph = new_graph(FEATURES)
    graph.view(contents)
    assert graph.search(np.ones((3, FEATURES), np.float32), 10, threads=1).keys.shape == (3, 10)
