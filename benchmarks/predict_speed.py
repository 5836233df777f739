"""Claim: how fast images in a zip become a table of answers on a CPU, beside others, and how close
to the limit.

    python benchmarks/predict_speed.py --peers .peers/bin/python --json FILE

`--peers` is the Python of another environment with tensorflow-cpu, zoobot, lightning, timm,
safetensors, jaxtyping and tomlkit; without it, Keras and Zoobot are left out. Four ways over the
same --galaxies JPEGs of 424², in turn, --rounds times after one round to warm up, each in a process
of its own:
- ours: `galaxyvotes.inference.predict`, zip → Parquet, decoding included
- ONNX Runtime: the same network as `export` writes it, on arrays that are decoded already, 64 at a
  time; for four views it sees them four times
- Keras: `predict` of the paper's VGG-6, batch 256, on arrays that are decoded already and floats
- Zoobot: its `predict_on_catalog` with our network in its `ZoobotEncoder`, JPEGs in a folder → CSV,
  two processes that decode; one view
The networks have new weights, which changes no rate: `paper` on the central 128 px, `compact` on
64 px of the central 208 in one view, and as the bundled model: on 96 px of it, in four views.
Ratios are taken within each round. The limit is how fast the same cores multiply large matrices
(2048²) in that round: a network that needs so many GFLOP a galaxy is hardly faster. Ours, and the
limit, are in bfloat16 where the processor multiplies it, which is `predict`'s way; the others in
float32, which is theirs."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SIZES = {"paper": (128, 128), "compact": (208, 64), "compact as in the box": (208, 96)}
VIEWS = {"paper": 1, "compact": 1, "compact as in the box": 4}


def make(data: Path, work: Path, galaxies: int) -> None:
    """A zip, a folder, arrays, runs and ONNX files: whatever the sides read."""
    import galaxyvotes as gv

    sources = [
        zipfile.ZipFile(data / name) for name in ("originals_424.zip", "images_test_rev1.zip")
    ]
    originals = [
        each.read(name) for each in sources for name in each.namelist() if name.endswith(".jpg")
    ]
    images = [originals[number % len(originals)] for number in range(galaxies)]
    (work / "images").mkdir(parents=True)
    header, *lines = (data / "training_solutions_rev1.csv").read_text().splitlines()
    rows = [f"{number},{lines[number % len(lines)].split(',', 1)[1]}" for number in range(galaxies)]
    (work / "solutions.csv").write_text("\n".join([header, *rows]) + "\n")
    with zipfile.ZipFile(work / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(images):
            archive.writestr(f"{number}.jpg", image)
            (work / "images" / f"{number}.jpg").write_bytes(image)
    with zipfile.ZipFile(work / "few.zip", "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(images[:40]):
            archive.writestr(f"{number}.jpg", image)
    (work / "few.csv").write_text("\n".join([header, *rows[:40]]) + "\n")
    for name, (crop, size) in SIZES.items():
        settings = gv.PackSettings(crop, size)
        store = gv.pack(
            [work / "images.zip", work / "solutions.csv"],
            work / f"{name}.store",
            settings=settings,
            progress=False,
        )
        np.save(work / f"{name}.npy", store.images(np.arange(len(store))))
        few = gv.pack(
            [work / "few.zip", work / "few.csv"],
            work / f"{name}.few",
            settings=settings,
            progress=False,
        )
        changed = ("train.epochs=1", f"model.views={VIEWS[name]}")
        run = gv.train(
            few, work / name, recipe=name.split()[0], settings=changed, device="cpu", progress=False
        )
        gv.export(work / f"{name}.onnx", run=run, overwrite=True)


def our_side(work: Path) -> Callable[[str], None]:
    import galaxyvotes as gv

    return lambda name: (
        gv.predict(
            work / "images.zip",
            work / "out.parquet",
            run=work / name,
            device="cpu",
            overwrite=True,
            progress=False,
        )
        and None
    )


def onnx_side(work: Path) -> Callable[[str], None]:
    import onnxruntime

    def predict(name: str) -> None:
        images = np.load(work / f"{name}.npy")
        session = onnxruntime.InferenceSession(
            work / f"{name}.onnx", providers=["CPUExecutionProvider"]
        )
        for _ in range(VIEWS[name]):
            for start in range(0, len(images), 64):
                session.run(None, {"images": images[start : start + 64]})

    return predict


def keras_side(work: Path) -> Callable[[str], None]:
    from keras_vgg6 import paper_network

    network, images = paper_network(37, seed=0), np.load(work / "paper.npy") / np.float32(255)
    return lambda _: network.predict(images, batch_size=256, verbose=0) is None and None


def zoobot_side(work: Path) -> Callable[[str], None]:
    import logging
    import warnings

    import pandas as pd
    import torch
    from torchvision.transforms import v2
    from zoobot.pytorch.predictions import predict_on_catalog
    from zoobot.pytorch.training.representations import ZoobotEncoder

    from galaxyvotes.config import Recipe
    from galaxyvotes.networks.build import build

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    paths = sorted((work / "images").iterdir())
    catalog = pd.DataFrame(
        {"id_str": [path.stem for path in paths], "file_loc": [str(path) for path in paths]}
    )

    class Encoder(ZoobotEncoder):
        def predict_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return self(batch["image"])

    def predict(name: str) -> None:
        crop, size = SIZES[name]
        look = v2.Compose(
            [
                v2.CenterCrop(crop),
                v2.Resize(size),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )
        predict_on_catalog.predict(
            catalog,
            Encoder(build(Recipe.load(name).model, answers=37, size_px=size)),
            str(work / "zoobot.csv"),
            [f"answer{number}" for number in range(37)],
            look,
            datamodule_kwargs={"batch_size": 64, "num_workers": 2},
            trainer_kwargs={"accelerator": "cpu", "logger": False, "enable_progress_bar": False},
        )

    return predict


SIDES = {"ours": our_side, "ONNX Runtime": onnx_side, "Keras": keras_side, "Zoobot": zoobot_side}
HAS = {
    "Keras": ("paper",),
    "Zoobot": ("paper", "compact"),
}  # what a side cannot do is compared with what it can


def serve(side: str, work: Path) -> None:
    """Do what each line of the standard input names, and say how many seconds that took: the body
    of a process."""
    job = SIDES[side](work)
    for line in sys.stdin:
        start = time.perf_counter()
        job(line.strip())
        print(f"seconds {time.perf_counter() - start}", flush=True)


class Side:
    """A process that serves."""

    def __init__(self, python: str, side: str, work: Path) -> None:
        import galaxyvotes as gv

        command = [python, __file__, "--work", str(work), "--side", side]
        environment = os.environ | {"PYTHONPATH": str(Path(str(gv.__file__)).parents[1])}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def seconds(self, job: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(job + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise SystemExit(
            f"{self.process.args} ended: {(self.process.communicate()[1] or '')[-2000:]}"
        )


def limit() -> float:
    """GFLOP a second that all cores multiply, in the precision that `predict` chooses here."""
    import torch

    from galaxyvotes.runtime.devices import low_precision

    half = low_precision("auto", torch.device("cpu"))
    left, right = torch.randn(2, 2048, 2048, dtype=torch.bfloat16 if half else torch.float32)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds) / 1e9


def work_of_networks() -> dict[str, float]:
    """GFLOP that each needs for a galaxy."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from galaxyvotes.config import Recipe
    from galaxyvotes.networks.build import build

    needed: dict[str, float] = {}
    for name, (_, size) in SIZES.items():
        network = build(Recipe.load(name.split()[0]).model, answers=37, size_px=size).eval()
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, size, size))
        needed[name] = counter.get_total_flops() / 1e9 * VIEWS[name]
    return needed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--work", type=Path, default=Path(".bench/predict_speed"))
    parser.add_argument("--galaxies", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    here = sys.executable if find_spec("zoobot") else None
    parser.add_argument(
        "--peers", default=here, help="the Python that has Keras and Zoobot; else they are left out"
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.side:
        serve(given.side, given.work)
        return
    from provenance import write

    shutil.rmtree(given.work, ignore_errors=True)
    make(given.data, given.work, given.galaxies)
    names = ["ours", "ONNX Runtime", *(["Keras", "Zoobot"] if given.peers else [])]
    sides = {
        name: Side(given.peers if name in HAS else sys.executable, name, given.work)
        for name in names
    }
    needed, peaks = work_of_networks(), list[float]()
    rates: dict[str, dict[str, list[float]]] = {network: {} for network in SIZES}
    for number in range(given.rounds + 1):  # the first is for warming up
        peaks.append(limit())
        done = {
            (side, network): given.galaxies / sides[side].seconds(network)
            for network in SIZES
            for side in (names if number % 2 else names[::-1])
            if network in HAS.get(side, SIZES)
        }
        for network, of in rates.items():
            for side in names:
                beside = done.get((side, network), done.get((side, HAS.get(side, ("",))[-1]), 0.0))
                of.setdefault(side, []).append(beside)
                if side != "ours":
                    of.setdefault(f"ours ÷ {side}", []).append(done["ours", network] / beside)
            of.setdefault("of the limit", []).append(
                done["ours", network] * needed[network] / peaks[-1]
            )
            print(
                f"round {number or '-'} {network:18}",
                {n: round(v[-1], 2) for n, v in of.items()},
                flush=True,
            )
    for side in sides.values():
        side.process.communicate()
    peak = statistics.median(peaks[1:])
    print(
        f"\nthese cores multiply {peak:.0f} GFLOP a second; galaxies a second: median (lowest to"
        " highest)"
    )
    table: dict[str, dict[str, dict[str, float]]] = {}
    for network, of in rates.items():
        print(
            f"{network}: {needed[network]:.3f} GFLOP a galaxy, at most"
            f" {peak / needed[network]:,.0f} a second"
        )
        for name, values in of.items():
            told = {
                "median": statistics.median(values[1:]),
                "lowest": min(values[1:]),
                "highest": max(values[1:]),
            }
            table.setdefault(network, {})[name] = told
            print(
                f"  {name:22}{told['median']:10.2f} ({told['lowest']:.2f} to {told['highest']:.2f})"
            )
    write(
        given.json,
        json.loads(
            json.dumps(
                {
                    "galaxies": given.galaxies,
                    "rounds": given.rounds,
                    "peak_gflops": peak,
                    "gflop_a_galaxy": needed,
                    "rates": table,
                }
            )
        ),
    )
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
