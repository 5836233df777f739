"""How fast the index of a map finds neighbours among a million galaxies, and how many of them.

    python benchmarks/neighbour_index.py --map MAP --json benchmarks/json/neighbour_index.json

`--map` is a map of real galaxies, from which representations of --galaxies are drawn: each is the
mean, with random weights, of a real galaxy's and of those of some of its nearest, plus noise of a
tenth of every feature's scatter, turned at random and cut to --features. Without a map they are
drawn around 2,000 random centres. Queries are drawn in the same way and are not in the index. Of
memory, only what is no mapped file counts. One thread."""

import argparse
import threading
import time
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from galaxyvotes.search.index import NeighbourIndex, write_index
from galaxyvotes.search.neighbours import nearest
from provenance import write

TOGETHER, COUNT = 8192, 10


def drawn(real: np.ndarray, near: np.ndarray, count: int, turn: np.ndarray, seed: int):
    """Galaxies between real ones and their neighbours, some at a time."""
    random = np.random.default_rng(seed)
    scatter = 0.1 * real.std(axis=0)
    for start in range(0, count, TOGETHER):
        some = min(TOGETHER, count - start)
        rows = random.integers(len(real), size=some)
        around = np.column_stack([rows, near[rows]])[:, : random.integers(2, 5)]
        weights = random.dirichlet(np.ones(around.shape[1]), some).astype(np.float32)
        middle = np.einsum("gk,gkf->gf", weights, real[around])
        noise = random.normal(size=middle.shape).astype(np.float32) * scatter
        yield np.maximum(middle + noise, 0) @ turn


def clusters(features: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.gamma(0.5, size=(2000, features)).astype(np.float32)


def rotation(source: int, features: int) -> np.ndarray:
    """Orthogonal axes."""
    matrix = np.random.default_rng(1).normal(size=(source, features))
    return np.linalg.qr(matrix)[0].astype(np.float32)


class Peak:
    """The most memory of this process that is no mapped file, in MiB, looked at every 10 ms."""

    def __init__(self) -> None:
        self.mib, self.ended = 0.0, threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        while not self.ended.wait(0.01):
            status = Path("/proc/self/status").read_text()
            self.mib = max(self.mib, int(status.split("RssAnon:")[1].split()[0]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--map", type=Path)
    parser.add_argument("--galaxies", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path(".bench/index"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    real = (
        clusters(given.features)
        if given.map is None
        else gv.GalaxyMap.open(given.map).representations
    )
    own = np.arange(len(real))
    near = nearest(real, real, 3, own).rows
    turn = rotation(real.shape[1], min(given.features, real.shape[1]))
    shape = (given.galaxies, turn.shape[1])
    vectors = np.memmap(given.work / "vectors", np.float32, "w+", shape=shape)
    start = 0
    for part in drawn(real, near, given.galaxies, turn, 2):
        vectors[start : start + len(part)] = part
        start += len(part)
    vectors.flush()
    queries = np.concatenate([*drawn(real, near, given.queries, turn, 3)])
    file, results = given.work / "index", {"real galaxies": 0 if given.map is None else len(real)}
    del near
    peak = Peak()
    time.sleep(0.1)
    before, clock, cpu = peak.mib, time.perf_counter(), time.process_time()
    facts = write_index(vectors, file, progress=False)
    peak.ended.set()
    results["build"] = {
        "seconds": time.perf_counter() - clock,
        "processor_seconds": time.process_time() - cpu,
        "memory_before_mib": before,
        "peak_mib": peak.mib,
        "file_mib": file.stat().st_size / 2**20,
        "graphs": facts["graphs"].count(",") + 1,
    }
    print(results, flush=True)
    clock = time.perf_counter()
    index = NeighbourIndex.open(file, facts, *shape)
    results["open_seconds"] = time.perf_counter() - clock
    exact = nearest(vectors, queries, COUNT)
    index.nearest(queries[:100], COUNT)
    taken, used, found = [], [], []
    for query in queries:
        clock, cpu = time.perf_counter(), time.process_time()
        found.append(index.nearest(query[None], COUNT))
        taken.append(time.perf_counter() - clock)
        used.append(time.process_time() - cpu)
    clock = time.process_time()
    nearest(vectors, queries[:1], COUNT)
    results["exact_processor_ms"] = 1000 * (time.process_time() - clock)
    for name, seconds in (("query_ms", taken), ("query_processor_ms", used)):
        results[name] = dict(
            zip(("median", "p99"), 1000 * np.quantile(seconds, [0.5, 0.99]), strict=True)
        )
    shared = [
        len({*one.rows[0].tolist()} & {*rows}) / COUNT
        for one, rows in zip(found, exact.rows.tolist(), strict=True)
    ]
    errors = [
        np.abs(one.distances[0] - row).max()
        for one, row in zip(found, exact.distances, strict=True)
    ]
    results |= {"recall_at_10": float(np.mean(shared)), "worst_recall": min(shared)}
    results["distance_error"] = {
        "median": float(np.median(errors)),
        "p99": float(np.quantile(errors, 0.99)),
    }
    results["distances"] = {
        "nearest": float(np.median(exact.distances[:, 0])),
        "tenth": float(np.median(exact.distances[:, -1])),
    }
    print(results)
    write(given.json, {"galaxies": given.galaxies, "features": shape[1], **results})


if __name__ == "__main__":
    main()
