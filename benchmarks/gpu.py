"""Every figure that needs a GPU, in one call of less than ten minutes.

    python benchmarks/gpu.py --json benchmarks/json/gpu.json
    python benchmarks/gpu.py --tiny     # whether it runs, on any machine; its figures mean nothing

- `limits`: bytes per second of a copy in the device's memory, and operations per second of a large
  product in bfloat16
- `paper`: the paper's recipe, 50 epochs of 49,262 galaxies of 128 px (the paper's own number, 400 s
  there): start-up, epochs, and the least part of the time that the memory needs for what the layers
  read and write (`least_bytes`)
- `compact`, `strong`: galaxies per second in training with these recipes, augmentation included
- `store`: galaxies per second from a packed store to predictions, and the share of the time in
  which the device computes
- `files`: the same from JPEGs of 424² in a zip, beside the rate at which the processor's cores
  decode, with one view and with eight

Galaxies are random pixels, which cost a GPU what real ones cost; decoding is measured on real ones
(--data), if there."""

import argparse
import math
import os
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from torch import nn

import galaxyvotes as gv
from galaxyvotes.networks.build import build
from galaxyvotes.runtime.devices import choose_device
from provenance import write

RANDOM = np.random.default_rng(0)
TREE = gv.DecisionTree.load("kaggle")


def synchronised(device: torch.device) -> float:
    """The time once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def limits(device: torch.device, size: int) -> dict[str, float]:
    """The rates of the device's memory and of its multipliers."""
    source = torch.zeros(size * size, device=device)
    target = torch.empty_like(source)
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    found = {}
    for name, work, amount in (
        ("bytes_a_second", lambda: target.copy_(source), 2 * source.nbytes),
        ("operations_a_second", lambda: matrix @ matrix, 2 * size**3),
    ):
        work()
        start = synchronised(device)
        for _ in range(10):
            work()
        found[name] = 10 * amount / (synchronised(device) - start)
    return found


def store_of(work: Path, galaxies: int, size: int) -> gv.Store:
    """A store of random pixels and fractions."""
    conditional = [
        RANDOM.dirichlet(np.ones(len(question.answers)), galaxies) for question, _ in TREE
    ]
    fractions = TREE.joint(np.concatenate(conditional, axis=1))
    lines = [",".join(["GalaxyID", *TREE.columns])]
    images = work / f"random-{size}.zip"
    with zipfile.ZipFile(images, "w", zipfile.ZIP_STORED) as archive:
        for number, row in enumerate(fractions.tolist()):
            pixels = np.kron(
                RANDOM.integers(0, 256, (size // 8, size // 8, 3), np.uint8),
                np.ones((8, 8, 1), np.uint8),
            )
            archive.writestr(f"{100001 + number}.jpg", simplejpeg.encode_jpeg(pixels, quality=50))
            lines.append(",".join([str(100001 + number), *(f"{value:.8f}" for value in row)]))
    table = work / f"random-{size}.csv"
    table.write_text("\n".join(lines) + "\n")
    return gv.pack(
        [images, table],
        work / f"store-{size}",
        settings=gv.PackSettings(size, size),
        progress=False,
    )


def least_bytes(recipe: gv.Recipe, size: int, bytes_each: int) -> int:
    """The bytes that training on one galaxy must move: each layer reads its input and writes its
    output.

    Backwards a layer reads its input and the gradient of its output, and writes that of its input.
    Layers that work in place (ReLU, dropout) count as part of the one before.
    """
    network, moved = build(recipe.model, answers=len(TREE.columns), size_px=size).eval(), 0

    def count(layer: nn.Module, inputs: Any, result: torch.Tensor) -> None:
        nonlocal moved
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.MaxPool2d):
            moved += bytes_each * (3 * inputs[0].numel() + 2 * result.numel())

    for layer in network.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    return moved


def training(
    store: gv.Store, out: Path, recipe: str, device: torch.device, *settings: str
) -> dict[str, float]:
    """Seconds of a whole run and of its epochs; the first includes start-up and compilation."""
    start = synchronised(device)
    run = gv.train(store, out, recipe=recipe, settings=settings, device=str(device), progress=False)
    whole = synchronised(device) - start
    epochs = [row["seconds"] for row in run.history]
    settled = sorted(epochs[1:])[len(epochs[1:]) // 2]
    rate = len(store.rows("train")) / settled
    return {
        "seconds": whole,
        "first_epoch": epochs[0],
        "an_epoch": settled,
        "galaxies_a_second": rate,
    }


def busy(device: torch.device, work: Any) -> tuple[float, float]:
    """Seconds of some work, and the share of them in which the device computes; NaN for a CPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start, math.nan
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        start = synchronised(device)
        work()
        seconds = synchronised(device) - start
    return (
        seconds,
        sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds,
    )


def jpegs(data: Path, work: Path, count: int) -> Path:
    """A zip of so many JPEGs of 424²: real ones over and over, or random ones."""
    real: list[bytes] = []
    for path in sorted(data.glob("images_training_rev1_part*.zip"))[:1]:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")][:2000]
            real = [archive.read(name) for name in names]
    if not real:
        blurred = np.kron(
            RANDOM.integers(0, 256, (53, 53, 3), np.uint8), np.ones((8, 8, 1), np.uint8)
        )
        real = [simplejpeg.encode_jpeg(blurred, quality=90)]
    path = work / "galaxies.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(count):
            archive.writestr(f"{number:07}.jpg", real[number % len(real)])
    return path


def decoding(path: Path) -> float:
    """JPEGs per second that the cores decode whole, doing nothing else."""
    with zipfile.ZipFile(path) as archive:
        images = [archive.read(name) for name in archive.namelist()]
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        list(cores.map(simplejpeg.decode_jpeg, images, chunksize=64))
    return len(images) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = choose_device(given.device)
    galaxies, epochs, files = (60, 2, 64) if given.tiny else (49_262 * 5 // 4, 50, 40_000)
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        figures["limits"] = limits(device, 256 if given.tiny else 8192)
        stores = {size: store_of(work, galaxies, size) for size in (64, 128)}
        paper = training(stores[128], work / "paper", "paper", device, f"train.epochs={epochs}")
        bound = least_bytes(gv.Recipe.load("paper"), 128, 2) / figures["limits"]["bytes_a_second"]
        figures["paper"] = paper | {"share_of_memory_bound": bound * paper["galaxies_a_second"]}
        print("paper", figures["paper"], flush=True)
        for recipe, size in (("compact", 64), ("strong", 128)):
            settings = ("train.epochs=3", *(("model.width=8",) if given.tiny else ()))
            figures[recipe] = training(stores[size], work / recipe, recipe, device, *settings)
            print(recipe, figures[recipe], flush=True)
        archive = jpegs(given.data, work, files)
        figures["decoding"] = decoding(archive)
        print("decoding", figures["decoding"], flush=True)
        for recipe, size in (("paper", 128), ("compact", 64)):
            run = gv.Run.open(work / recipe)
            network = run.network(str(device))
            gv.predict_store(network, stores[size], np.arange(min(len(stores[size]), 2048)))
            seconds, share = busy(device, lambda n=network, s=stores[size]: gv.predict_store(n, s))
            rates = {"store": len(stores[size]) / seconds, "busy": share}
            start = time.perf_counter()
            predicted = gv.predict(
                archive,
                work / "predictions.parquet",
                run=run,
                device=str(device),
                overwrite=True,
                progress=False,
            )
            rates["files"] = predicted.galaxies / (time.perf_counter() - start)
            rates["files_of_decoding"] = rates["files"] / figures["decoding"]
            figures[f"predict {recipe}, {run.recipe.model.views} views"] = rates
            print("predict", recipe, rates, flush=True)
    write(given.json, figures)


if __name__ == "__main__":
    main()
