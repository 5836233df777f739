"""Claim (d): with the same weights our VGG-6 answers what the paper's network answers in Keras,
within 1e-5.

    python benchmarks/keras_equality.py --json benchmarks/json/keras_equality.json

Keras draws the weights; biases and everything in the batch norm, which begin at 0 and 1, are drawn
at random as well, so that nothing can be left out unseen. The same images, random pixels or with
--data real galaxies, go through both in float32. Nothing is timed, so nothing is alternated. Ends
with 1 if any fraction differs by 1e-5 or more.

How weights map over (Keras → torch):
- convolution, (height, width, in, out) → (out, in, height, width)
- first dense layer: Keras flattens (row, column, channel), torch (channel, row, column), so its (14
  · 14 · 32, 256) is unfolded to (14, 14, 32, 256), put in the order (256, 32, 14, 14) and folded
  again
- second dense layer, (in, out) → (out, in)
- batch norm: gamma, beta, moving mean, moving variance → weight, bias, running_mean, running_var
"""

import argparse
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from keras_vgg6 import paper_network, refuse_without_keras
from provenance import write

ANSWERS = 37
LIMIT = 1e-5


def keras_side(images: np.ndarray, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Weights and fractions of the paper's network."""
    network = paper_network(ANSWERS, seed=seed)
    random = np.random.default_rng(seed)
    weights = [
        (
            value
            if value.ndim > 1
            else random.uniform(0.5, 1.5, value.shape).astype(np.float32) * (value.mean() or 0.1)
        )
        for value in network.get_weights()
    ]
    network.set_weights(weights)
    return weights, network.predict(images / np.float32(255), verbose=0)


def our_side(images: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Fractions of our network with these weights, in float32."""
    import torch

    from galaxyvotes.config import ModelSettings
    from galaxyvotes.networks.build import build, to_input

    def convolution(kernel: np.ndarray) -> np.ndarray:
        return kernel.transpose(3, 2, 0, 1)

    def after_flatten(kernel: np.ndarray) -> np.ndarray:
        return kernel.reshape(14, 14, 32, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)

    moved = {
        "conv1": convolution,
        "conv2": convolution,
        "conv3": convolution,
        "conv4": convolution,
        "dense1": after_flatten,
        "dense2": np.transpose,
    }
    left = iter(weights)
    state = {}
    for layer in ("conv1", "conv2", "conv3", "conv4", "norm", "dense1", "dense2"):
        for part in (
            "weight",
            "bias",
            *(("running_mean", "running_var") if layer == "norm" else ()),
        ):
            value = next(left)
            state[f"{layer}.{part}"] = (
                moved[layer](value) if part == "weight" and layer in moved else value
            )
    network = build(ModelSettings("vgg6"), answers=ANSWERS).eval()
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
    network.load_state_dict(tensors | {"norm.num_batches_tracked": torch.tensor(0)})
    with torch.inference_mode():
        return network(to_input(torch.from_numpy(images))).sigmoid().numpy()


def real_images(data: Path, count: int) -> np.ndarray:
    """The first galaxies of the challenge's training set, cropped as the paper does."""
    import zipfile

    from galaxyvotes.images.read import to_square

    with zipfile.ZipFile(sorted(data.glob("images_training_rev1_part*.zip"))[0]) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:count]
        return np.stack([to_square(archive.read(name), crop_px=128, size_px=128) for name in names])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="real galaxies, such as ../shared/data/kaggle; without it, random pixels",
    )
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    refuse_without_keras()
    if given.data:
        images = real_images(given.data, given.images)
    else:
        images = np.random.default_rng(0).integers(0, 256, (given.images, 128, 128, 3), np.uint8)
    rows = []
    print(f"{len(images)} {'real' if given.data else 'random'} images × {ANSWERS} answers\n")
    print(f"{'seed':>4}{'largest difference':>22}{'fractions from':>18}{'to':>10}")
    for seed in range(given.seeds):
        with get_context("spawn").Pool(1) as pool:
            weights, theirs = pool.apply(keras_side, (images, seed))
        difference = float(np.abs(our_side(images, weights) - theirs).max())
        rows.append(
            {
                "seed": seed,
                "difference": difference,
                "lowest": float(theirs.min()),
                "highest": float(theirs.max()),
            }
        )
        print(f"{seed:>4}{difference:>22.2e}{theirs.min():>18.4f}{theirs.max():>10.4f}", flush=True)
    largest = max(row["difference"] for row in rows)
    print(
        f"\nlargest difference {largest:.2e}: {'equal' if largest < LIMIT else 'NOT equal'} within"
        f" {LIMIT:g}"
    )
    write(
        given.json,
        {
            "images": len(images),
            "real": bool(given.data),
            "limit": LIMIT,
            "largest": largest,
            "seeds": rows,
        },
    )
    sys.exit(largest >= LIMIT)


if __name__ == "__main__":
    main()
