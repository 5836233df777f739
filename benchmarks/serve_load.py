"""How a server holds out: predictions a second beside the bare engine, how long requests take at 1,
8 and 64 clients, and questions to a catalogue of a million galaxies.

    python benchmarks/serve_load.py --json benchmarks/json/serve_load.json

The server runs in a process of its own, on loopback, with simulated galaxies of 424 pixels; clients
are threads here, so both share the cores. The engine is `predict` on the same files, from file to
table, in turn with the server.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from galaxyvotes.answer_columns import table_schema
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.table_formats.write import open_table
from galaxyvotes.tree import DecisionTree
from provenance import write

BOUNDARY = "galaxyvotes"
QUESTIONS = {
    "first page": "galaxies?limit=90&column=Class1.1",
    "one threshold": "galaxies?filter=Class1.1:{a}..&limit=90&column=Class1.1",
    "three thresholds, sorted": "galaxies?filter=Class1.2:{a}..&filter=Class4.1:0.2.."
    "&filter=Class3.1:..{b}&sort=-Class4.1&limit=90&column=Class4.1",
    "a page further down": "galaxies?filter=Class1.1:0.5..&sort=-Class7.1&offset={n}&limit=90",
    "histograms of a question": "histograms?column=Class1.1&column=Class1.2&column=Class1.3"
    "&filter=Class4.1:{a}..",
    "one galaxy": "galaxies/g{n:07d}",
}


class Serving:
    """A server in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "galaxyvotes", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    @property
    def megabytes(self) -> float:
        """What it holds in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def body_of(file: Path) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"'
    return f"{head}\r\n\r\n".encode() + file.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def load(serving: Serving, files: list[Path], clients: int, requests: int) -> dict[str, float]:
    """So many requests of one image each, by so many clients at the same time, each over one
    connection; what comes back is checked against what one request alone gave.
    """
    bodies = [body_of(file) for file in files]
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    seconds: list[float] = []

    def client(number: int) -> list[tuple[int, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", serving.port)
        answers = []
        for turn in range(number, requests, clients):
            start = time.perf_counter()
            connection.request("POST", "/predict", bodies[turn % len(bodies)], headers)
            answer = connection.getresponse()
            data = answer.read()
            seconds.append(time.perf_counter() - start)
            assert answer.status == 200, data
            answers.append((turn % len(bodies), json.dumps(json.loads(data)["galaxies"][0]["id"])))
        connection.close()
        return answers

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = [answer for part in pool.map(client, range(clients)) for answer in part]
    wall = time.perf_counter() - start
    assert len(answers) == requests
    mixed_up = sum(name != json.dumps(files[row].stem) for row, name in answers)
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {
        "clients": clients,
        "requests": requests,
        "mixed_up": mixed_up,
        "a_second": round(requests / wall, 1),
        "p50_ms": round(1e3 * float(p50), 1),
        "p99_ms": round(1e3 * float(p99), 1),
    }


def engine(folder: Path, count: int) -> float:
    """Images a second of `predict` on files."""
    start = time.perf_counter()
    done = gv.predict(folder, progress=False)
    assert len(done) == count
    return count / (time.perf_counter() - start)


def write_catalogue(path: Path, galaxies: int) -> None:
    """Joint fractions that are drawn, with intervals."""
    tree, random = DecisionTree.load("kaggle"), np.random.default_rng(0)
    meta = {"tree": "kaggle", "holds": "joint fractions"}
    schema = table_schema(tree.columns, tree=tree, bounds=True, familiarity=True, meta=meta)
    with open_table(path, schema) as append:
        for start in range(0, galaxies, 20_000):
            count = min(20_000, galaxies - start)
            parts = [random.dirichlet(np.full(len(q.answers), 0.5), count) for q in tree.questions]
            values = tree.joint(np.concatenate(parts, axis=1)).astype(np.float32)
            width = random.random(values.shape, np.float32) / 5
            bounds = Bounds((values - width).clip(0, 1), (values + width).clip(0, 1))
            ids = tuple(f"g{start + row:07d}" for row in range(count))
            scores = random.random(count).astype(np.float32)
            part = Predictions(ids, tree.columns, values, bounds=bounds, familiarity=scores)
            append(part.to_table(schema))


def ask(serving: Serving, galaxies: int, times: int) -> dict[str, dict[str, float]]:
    """How long each kind of question takes, each time another one, one after the other."""
    random = np.random.default_rng(1)
    found = {}
    for name, words in QUESTIONS.items():
        seconds = []
        for _ in range(times):
            a, b = random.uniform(0.2, 0.8, 2).round(3)
            query = words.format(a=a, b=b, n=int(random.integers(galaxies // 20)))
            start = time.perf_counter()
            with urllib.request.urlopen(serving.url + query) as answer:
                answer.read()
            seconds.append(time.perf_counter() - start)
        p50, p99 = np.quantile(seconds, [0.5, 0.99])
        found[name] = {"p50_ms": round(1e3 * float(p50), 1), "p99_ms": round(1e3 * float(p99), 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = gv.simulate(folder / "zoo", galaxies=options.images, size_px=424)
        files = sorted((zoo / "images").iterdir())
        with Serving() as serving:
            load(serving, files, 8, 64)
            loads, rates = [], []
            for clients in (1, 8, 64):
                before = engine(zoo / "images", len(files))
                loads.append(load(serving, files, clients, len(files)))
                rate = (before + engine(zoo / "images", len(files))) / 2
                rates.append(rate)
                loads[-1]["of_the_engine"] = round(loads[-1]["a_second"] / rate, 3)
                print(loads[-1])
            memory = [serving.megabytes]
            load(serving, files, 8, 2 * len(files))
            memory.append(serving.megabytes)
        if not options.rows:
            return
        write_catalogue(folder / "catalogue.parquet", options.rows)
        with Serving(folder / "catalogue.parquet") as serving:
            ask(serving, options.rows, 2)
            questions = ask(serving, options.rows, options.times)
            for words, took in questions.items():
                print(words, took)
            asked_megabytes = serving.megabytes
    result = {
        "engine_a_second": round(float(np.mean(rates)), 1),
        "predictions": loads,
        "server_megabytes": [round(size) for size in memory],
        "rows": options.rows,
        "questions": questions,
        "catalogue_megabytes": round(asked_megabytes),
    }
    write(options.json, result)


if __name__ == "__main__":
    main()
