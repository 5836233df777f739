"""Generated requests to a server, valid and not, by its own OpenAPI document.

    python benchmarks/fuzz_http.py                                  # 100,000 of them
    python benchmarks/fuzz_http.py --requests 5000 --seed 7 --json fuzz_http.json

Schemathesis generates requests for each route, half of them as the document allows and half as it
does not, many with values that the catalogue has; half of the images that are sent are damaged
files, those of `fuzz.py`. The application answers in this process, with a catalogue of simulated
galaxies, its map and the bundled model. A failure is a status of 500 or more but 503, which asks to
come again, an exception, an error without a sentence, or more than 30 seconds. Needs Schemathesis,
which is in the environment of `make bench`."""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.python import asgi

import galaxyvotes as gv
from fuzz import Sample, damaged, make_fits, make_images
from galaxyvotes.web.app import create_app
from galaxyvotes.web.serve import _open_site
from provenance import write

ADDRESS = "http://127.0.0.1"
GALAXIES = 40
MAX_SECONDS = 30
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def open_app(stack: ExitStack, folder: Path) -> Any:
    """The application with everything that it serves but fine-tuning, which needs files."""
    gv.simulate(folder / "zoo", galaxies=GALAXIES, seed=0, processes=1)
    images = folder / "zoo" / "images"
    gv.predict(images, folder / "zoo.parquet", progress=False)
    gv.embed(images, folder / "map.parquet", index=True, progress=False)
    site = _open_site(
        stack, folder / "zoo.parquet", (), folder / "map.parquet", None, None, None, None, 1
    )
    return create_app(site)


def known_values(folder: Path) -> dict[str, list[str]]:
    """Values of parameters that the catalogue has, or that are nearly so, by name."""
    columns = ["id", "Class1.1", "-Class7.1", "familiarity", "entropy", "x", "Class6.1_low"]
    ids = [path.stem for path in sorted((folder / "zoo" / "images").iterdir())]
    return {
        "id": ids,
        "galaxy": ids,
        "column": columns,
        "sort": columns,
        "filter": ["Class1.1:0.2..0.9", "familiarity:..0.5", "Class2.1:nan..", "-id:1..2", ":.."],
        "q": ["1000", "100001", "%", "*"],
        "cone": ["150,2,1", "0,91,1", "nan,0,1", "1,2"],
        "lasso": ["0,0,1,0,1,1", "-9,-9,9,-9,9,9,-9,9", "0,0,0,0,0,0", "1,1"],
        "tree": ["kaggle", "gz2", "classes5"],
        "stretch": ["single", "legacy", "sdss"],
        "scale": ["0.01", "0.5", "1", "100"],
        "limit": ["0", "1", "1000"],
        "offset": ["0", "39", "40"],
        "row": ["0", "39", "40", "-1"],
        "count": ["1", "39", "1000"],
    }


def make_known(case: Any, known: dict[str, list[str]], rng: random.Random) -> None:
    """Give some parameters of a request values that the catalogue has; leave others out."""
    for given in (case.path_parameters, case.query):
        for name in [name for name in given or () if name in known]:
            if rng.random() < 0.7:
                given[name] = rng.choice(known[name])
            elif given is case.query and rng.random() < 0.5:
                del given[name]


def check(send: Callable[[], Any]) -> tuple[str, str]:
    """The status of an answer, and what is wrong with it."""
    began = time.monotonic()
    try:
        answered = send()
    except Exception as error:
        return "exception", f"{type(error).__name__}: {error}"
    status = answered.status_code
    problem = ""
    if status >= 500 and status != 503:
        problem = answered.text[:200]
    elif status >= 400 and '"error":' not in answered.text[:10]:
        problem = f"no sentence: {answered.text[:200]}"
    if time.monotonic() - began > MAX_SECONDS:
        problem = f"took more than {MAX_SECONDS} seconds"
    return str(status), problem


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        app = open_app(stack, Path(folder))
        client = stack.enter_context(asgi.get_client(app))
        document = client.get(f"{ADDRESS}/openapi.json").json()
        known = known_values(Path(folder))
        schema = schemathesis.openapi.from_dict(document)
        operations = [result.ok() for result in schema.get_all_operations()]
        each = -(-given.requests // (len(operations) * len(MODES)))
        images = [*make_images(Path(folder)), *make_fits(Path(folder))]
        images += [
            Sample(path.name, path.read_bytes())
            for path in sorted(Path(folder, "zoo", "images").iterdir())[:8]
        ]
        routes: dict[str, Counter[str]] = {}
        problems: dict[str, str] = {}
        for operation in operations:
            counts = routes.setdefault(operation.label, Counter())
            for mode in MODES:
                fuzz(operation, mode, each, given.seed, client, images, known, counts, problems)
            print(f"{operation.label}: {dict(sorted(counts.items()))}", flush=True)
    total = sum((counts for counts in routes.values()), Counter())
    print(f"{total.total():,} requests: {dict(sorted(total.items()))}")
    for where, problem in problems.items():
        print(f"  {where}: {problem}")
    if given.json:
        write(
            given.json,
            {
                "requests": total.total(),
                "statuses": dict(sorted(total.items())),
                "failures": len(problems),
                "examples": problems,
                "routes": {name: dict(sorted(counts.items())) for name, counts in routes.items()},
            },
        )
    sys.exit(bool(problems))


def fuzz(
    operation: Any,
    mode: GenerationMode,
    requests: int,
    seed: int,
    client: Any,
    images: Sequence[Sample],
    known: dict[str, list[str]],
    counts: Counter[str],
    problems: dict[str, str],
) -> None:
    """Send so many requests to one route, or all that there are, if these are fewer."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=requests,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=mode), number=st.integers(0, 2**32 - 1)
    )
    def send(case: Any, number: int) -> None:
        rng = random.Random(number)
        if rng.random() < 0.7:
            make_known(case, known, rng)

        def call() -> Any:
            if operation.path == "/predict" and number % 2:  # files, as browsers send them
                sample = rng.choice(images)
                query = case.query if rng.random() < 0.5 else {"fit": "true"}
                sample = sample if rng.random() < 0.2 else damaged(sample, images, rng)
                files = [("file", (sample.name, sample.data))]
                return client.post(f"{ADDRESS}/predict", params=query, files=files)
            return case.call(session=client, base_url=ADDRESS)

        status, problem = check(call)
        counts[status] += 1
        if problem:
            problems.setdefault(
                f"{operation.label} ({status})", f"{case.as_curl_command()}: {problem}"
            )

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing that could be wrong
        send()


if __name__ == "__main__":
    main()
