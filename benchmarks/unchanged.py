"""What a change of structure must not change: predictions, loss histories, packed stores, reports,
commands, names.

    python benchmarks/unchanged.py --write before.json       # at the commit before
    python benchmarks/unchanged.py --against before.json     # at the commit after

The second lists what differs, and then its exit status is 1.

Both on one machine: figures are compared to the last bit. It uses the public interface only. Real
galaxies come from ../shared/data; without that folder only simulated ones are compared, which is
said."""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

import galaxyvotes as gv
from galaxyvotes.cli import app
from provenance import machine

DATA = Path(__file__).parents[2] / "shared" / "data"
TREES = ("kaggle", "classes5", "gz2")


def digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def of_table(path: Path) -> dict[str, str]:
    """A digest of each column of a Parquet file."""
    table = pq.read_table(path)
    return {name: digest(table.column(name).to_pylist()) for name in table.column_names}


def of_predictions(images: Path, folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for tree in TREES:
        for kind in ("joint", "conditional")[: 2 if tree != "classes5" else 1]:
            out = folder / f"{tree}-{kind}.parquet"
            gv.predict([images], out, tree=tree, fractions=kind, progress=False)
            figures[f"{tree} {kind}"] = of_table(out)
    return figures


def enlarged(zoo: Path, folder: Path) -> Path:
    """Forty of the simulated galaxies in images as large as the bundled model expects."""
    folder.mkdir()
    for path in sorted(zoo.rglob("*.jpg"))[:40]:
        Image.open(path).resize((424, 424), Image.Resampling.BICUBIC).save(
            folder / f"{path.stem}.png"
        )
    return folder


def of_store(store: gv.Store) -> dict[str, Any]:
    return {
        "images.npy": (
            hashlib.blake2b((store.path / "images.npy").read_bytes(), digest_size=12).hexdigest()
        ),
        "galaxies.parquet": of_table(store.path / "galaxies.parquet"),
        "rejected.csv": digest((store.path / "rejected.csv").read_text("utf-8")),
        "summary": store.summary.replace(str(store.path), "STORE"),
    }


def of_training(store: gv.Store, recipe: str, folder: Path) -> dict[str, Any]:
    run = gv.train(
        store, folder / recipe, recipe=recipe, settings=("train.epochs=2",), progress=False
    )
    history = [
        {key: value for key, value in row.items() if not key.endswith(("seconds", "skill"))}
        for row in run.history
    ]
    gv.calibrate(store, run, coverage=0.8, progress=False)
    report = gv.evaluate(store, run, resamples=50, progress=False).document
    numbers = {
        key: digest(value)
        for key, value in report.items()
        if key not in ("provenance", "history", "summary")
    }
    bounds = gv.predict_store(run.network(), store).bounds
    assert bounds is not None
    return {
        "history": history,
        "report": numbers,
        "bounds": digest(*(end.round(6).tolist() for end in bounds)),
        "weights": digest(
            hashlib.blake2b((run.path / "weights.safetensors").read_bytes()).hexdigest()
        ),
    }


def measure() -> dict[str, Any]:
    commands = sorted(name for name in app if not name.startswith("-"))
    figures: dict[str, Any] = {
        "machine": machine(),
        "commands": commands,
        "public names": sorted(gv.__all__),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = gv.simulate(folder / "zoo", galaxies=160, size_px=160)
        paper = gv.PackSettings(128, 128)
        simulated = gv.pack(zoo, folder / "simulated", settings=paper, progress=False)
        figures["simulated store"] = of_store(simulated)
        figures["simulated predictions"] = of_predictions(
            enlarged(folder / "zoo", folder / "enlarged"), folder
        )
        if DATA.is_dir():
            settings = gv.PackSettings(208, 64)
            gz2 = [DATA / "gz2" / "images.zip", DATA / "gz2" / "gz2_hart16.csv"]
            real = gv.pack(
                gz2,
                folder / "real",
                labels=gv.LabelSettings(votes="weighted"),
                settings=settings,
                progress=False,
            )
            figures["real store"] = of_store(real)
            figures["real predictions"] = of_predictions(
                DATA / "kaggle" / "images_test_rev1.zip", folder
            )
            figures["compact, real"] = of_training(real, "compact", folder)
        figures["paper, simulated"] = of_training(simulated, "paper", folder)
    return figures


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        return [
            line
            for key in keys
            for line in differences(before.get(key), after.get(key), f"{where} / {key}")
        ]
    return [] if before == after else [f"{where.strip(' /')}: {before} → {after}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    figures = json.loads(json.dumps(measure()))
    if "real store" not in figures:
        print(f"{DATA} is absent: only simulated galaxies are compared")
    if arguments.write:
        arguments.write.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    if arguments.against:
        found = differences(json.loads(arguments.against.read_text("utf-8")), figures)
        print(*found, f"{len(found)} differences", sep="\n")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
