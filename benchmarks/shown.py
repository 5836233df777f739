"""The figures of `make bench` as docs/results.md shows them, written anew between its two marks.

    python benchmarks/shown.py

Reads benchmarks/json/NAME.json of each script that `make bench` runs. A test compares the page with
them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
MARKS = ("<!-- make bench -->", "<!-- end of make bench -->")
SCRIPTS = (
    "packing",
    "keras_speed",
    "predict_speed",
    "many_processes",
    "startup",
    "large_report",
    "memory",
)


def read(name: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "json" / f"{name}.json").read_text("utf-8"))


def median(of: dict[str, float], digits: int = 2) -> str:
    return f"{of['median']:.{digits}f} ({of['lowest']:.{digits}f}–{of['highest']:.{digits}f})"


def mean(of: dict[str, float], digits: int = 2) -> str:
    return f"{of['mean']:.{digits}f} ({of['smallest']:.{digits}f}–{of['largest']:.{digits}f})"


def rows() -> Iterator[tuple[str, str, str]]:
    """What was measured, the figure, and what was to be reached."""
    packing = read("packing")["images_per_second"]
    yield "pack: bare decoder, images a second", mean(packing["bare decoder"], 0), "–"
    yield "pack 424→128 ÷ bare decoder", mean(packing["ours ÷ bare decoder"]), "0.9"
    yield (
        "pack 208→64, all pixels ÷ bare decoder",
        mean(packing["ours 208→64 ÷ bare decoder"]),
        "0.9",
    )
    yield (
        "pack 208→64, `--scaled` ÷ bare decoder",
        mean(packing["ours scaled ÷ bare decoder"]),
        "above 1",
    )
    yield "pack 424→128 ÷ the paper's loop", mean(packing["ours ÷ paper's loop"], 1), "–"
    keras = read("keras_speed")["galaxies_per_second"]
    yield "train VGG-6, galaxies a second", median(keras["train"]["ours"], 0), "–"
    yield "train VGG-6 ÷ Keras", median(keras["train"]["ratio"]), "2.5"
    yield "predict VGG-6 from a store ÷ Keras from arrays", median(keras["predict"]["ratio"]), "3"
    predicted = read("predict_speed")
    for network, rates in predicted["rates"].items():
        yield f"predict, files → table: {network}, galaxies a second", median(rates["ours"], 0), "–"
        for peer, reach in (("Keras", "3"), ("Zoobot", "3"), ("ONNX Runtime", "–")):
            what = " (VGG-6)" if peer == "Keras" and network != "paper" else ""
            if network == "compact as in the box" and peer != "ONNX Runtime":
                what, reach = what + " looking once", "–"
            yield f"… ÷ {peer}{what}", median(rates[f"ours ÷ {peer}"]), reach
        yield "… share of what the cores multiply", median(rates["of the limit"]), "–"
    many = read("many_processes")
    yield "two processes: scaling efficiency", f"{many['efficiency_processes']:.0%}", "–"
    yield "… two threads of one process instead", f"{many['efficiency_threads']:.0%}", "–"
    apart, threads = many["answers_apart"], many["answers_of_threads_apart"]
    yield (
        "… largest difference of an answer (of one and two threads)",
        f"{apart:.1g} ({threads:.1g})",
        "–",
    )
    started = read("startup")["seconds"]
    for name, reach in (("galaxyvotes --help", "0.3"), ("galaxyvotes predict one.jpg", "3")):
        low, high = started[name]["quartiles"]
        yield (
            f"`{name}`, seconds (half of them)",
            f"{started[name]['median']:.2f} ({low:.2f}–{high:.2f})",
            reach,
        )
    torch = started["python -c 'import torch'"]["median"]
    yield "… of which importing torch", f"{torch:.2f}", "–"
    judged = read("large_report")["seconds"]
    yield (
        "report of 80,000 galaxies, network alone, seconds",
        mean(judged["network alone, wall"], 1),
        "10",
    )
    yield "… beside four baselines", mean(judged["beside four baselines, wall"], 1), "–"
    memory = read("memory")
    for command, each in memory["found"].items():
        fewest, most = sorted(each, key=int)[0], sorted(each, key=int)[-1]
        peaks = (
            f"{each[fewest]['peak_mb']:.0f} → {each[most]['peak_mb']:.0f} MB,"
            f" {memory['bytes_a_row'][command]:.0f} B"
        )
        yield f"memory of {command}: {int(fewest):,} → {int(most):,} rows, a row", peaks, "flat"


def block() -> str:
    """The table, and where its figures were measured."""
    found = [("measured", "here", "to reach"), *rows()]
    widths = [max(len(row[place]) for row in found) for place in range(3)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in found
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    facts = {name: read(name)["provenance"] for name in SCRIPTS}
    places = {
        f"{each['machine']}, commit {each['commit']}, {each['date']}" for each in facts.values()
    }
    return "\n".join(
        [MARKS[0], "", *lines, "", "Measured on " + "; ".join(sorted(places)) + ".", "", MARKS[1]]
    )


def main() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    PAGE.write_text(before + block() + after, "utf-8")
    print(block())


if __name__ == "__main__":
    main()
