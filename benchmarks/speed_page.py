"""docs/speed.md, written from the figures of `make bench`.

    python benchmarks/speed_page.py

It reads benchmarks/json/NAME.json of each script that measures a rate, a time or memory. A test
fails when the page is stale."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
HEAD = """\
# Speed

Written by `python benchmarks/speed_page.py` from the figures in `benchmarks/json/`;
`make bench` measures most of them anew. Each script runs galaxyvotes and its peer in
turn and takes ratios within a round. In brackets are the lowest and the highest round.
What was tried to make things faster, and what did not help, is in
[experiments](experiments.md). Nothing here was measured on a GPU.
"""
Row = tuple[str, str, str]


def read(name: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "json" / f"{name}.json").read_text("utf-8"))


def rounds(spread: dict[str, float], digits: int = 2) -> str:
    """The middle of several rounds, their lowest and their highest."""
    names = (
        ("median", "lowest", "highest") if "median" in spread else ("mean", "smallest", "largest")
    )
    middle, low, high = (f"{spread[name]:,.{digits}f}" for name in names)
    return f"{middle} ({low}–{high})"


def packing() -> Iterator[Row]:
    rates = read("packing")["images_per_second"]
    yield "bare JPEG decoder, images per second", rounds(rates["bare decoder"], 0), "–"
    yield "`pack`, 424 → 128 px, images per second", rounds(rates["ours"], 0), "–"
    yield "… ÷ bare decoder", rounds(rates["ours ÷ bare decoder"]), "0.9"
    yield "… ÷ the loop of the 2023 paper", rounds(rates["ours ÷ paper's loop"], 1), "–"
    yield "`pack`, 208 → 64 px ÷ bare decoder", rounds(rates["ours 208→64 ÷ bare decoder"]), "0.9"
    yield "… with `--scaled`", rounds(rates["ours scaled ÷ bare decoder"]), "1"


def vgg6() -> Iterator[Row]:
    rates = read("keras_speed")["galaxies_per_second"]
    yield "training, galaxies per second", rounds(rates["train"]["ours"], 0), "–"
    yield "… ÷ Keras in float32", rounds(rates["train"]["ratio"]), "2.5"
    yield "prediction from a store, galaxies per second", rounds(rates["predict"]["ours"], 0), "–"
    yield "… ÷ Keras from arrays in memory", rounds(rates["predict"]["ratio"]), "3"


def prediction() -> Iterator[Row]:
    names = {
        "paper": "VGG-6",
        "compact": "`compact`, one view",
        "compact as in the box": "`compact` of half the bundled width, 96 px, four views",
    }
    for network, rates in read("predict_speed")["rates"].items():
        one_view = " with one view" if "box" in network else ""
        yield f"{names[network]}, galaxies per second", rounds(rates["ours"], 0), "–"
        for peer in ("Keras", "Zoobot"):
            what = f"VGG-6 in {peer}" if peer == "Keras" else f"{peer}{one_view}"
            yield f"… ÷ {what}", rounds(rates[f"ours ÷ {peer}"]), "–" if one_view else "3"
        yield "… ÷ ONNX Runtime from arrays", rounds(rates["ours ÷ ONNX Runtime"]), "–"
        yield "… share of the cores' peak rate", rounds(rates["of the limit"]), "–"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def processes() -> Iterator[Row]:
    many = read("many_processes")
    yield (
        "two processes on two cores: efficiency",
        _share(many["efficiency_processes"]),
        "–",
    )
    yield "two threads of one process instead", _share(many["efficiency_threads"]), "–"
    yield (
        "largest difference of a fraction, two processes and one",
        f"{many['answers_apart']:.2g}",
        "–",
    )
    yield "… two threads and one", f"{many['answers_of_threads_apart']:.2g}", "–"


def start() -> Iterator[Row]:
    seconds = read("startup")["seconds"]
    for name, label, target in (
        ("galaxyvotes --help", "`galaxyvotes --help`, seconds", "0.3"),
        ("galaxyvotes predict one.jpg", "`predict` of one image, seconds", "3"),
    ):
        low, high = seconds[name]["quartiles"]
        yield label, f"{seconds[name]['median']:.2f} ({low:.2f}–{high:.2f})", target
    torch = seconds["python -c 'import torch'"]["median"]
    yield "… of which `import torch`", f"{torch:.2f}", "–"


def report() -> Iterator[Row]:
    seconds = read("large_report")["seconds"]
    yield "80,000 galaxies, network alone, seconds", rounds(seconds["network alone, wall"], 1), "10"
    yield "… beside four baselines", rounds(seconds["beside four baselines, wall"], 1), "–"


def memory(name: str) -> Iterator[Row]:
    measured = read(name)
    for command, bytes_a_row in measured["bytes_a_row"].items():
        peaks = {int(rows): found["peak_mb"] for rows, found in measured["found"][command].items()}
        fewest, most = min(peaks), max(peaks)
        yield (
            f"`{command.replace(',', '`,')}: {fewest:,} → {most:,} rows",
            f"{peaks[fewest]:.0f} → {peaks[most]:.0f} MB, {bytes_a_row:.0f} B per row",
            "flat",
        )


def kept() -> Iterator[Row]:
    medians = read("kept_memory")["medians"]
    for precision in ("float32", "bfloat16"):
        kept_rate, plain = medians[f"{precision}, kept"], medians[f"{precision}, plain"]
        yield (
            f"training in {precision}, images per second",
            f"{kept_rate:.0f} ({plain:.0f} without)",
            "–",
        )


SECTIONS = (
    ("Packing: JPEGs in a zip to a store", "packing", packing),
    ("VGG-6 beside Keras", "keras_speed", vgg6),
    ("Prediction: JPEGs in a zip to a table", "predict_speed", prediction),
    ("Several processes", "many_processes", processes),
    ("Start-up (quartiles in brackets)", "startup", start),
    ("The report", "large_report", report),
    ("Peak memory", "memory", lambda: memory("memory")),
    ("Peak memory, a million rows", "memory_million", lambda: memory("memory_million")),
    ("Keeping freed memory", "kept_memory", kept),
)


def table(rows: list[Row]) -> str:
    cells = [("measured", "result", "target"), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, name, rows in SECTIONS:
        facts = read(name)["provenance"]
        source = f"commit {facts['commit']} · {facts['machine']} · {facts['date']}"
        parts.append(f"## {title}\n\n{table(list(rows()))}\n\n    {facts['command']}\n\n{source}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
