"""Images that show no galaxy: bright stars with spikes and halo, trails, blank sky, half-black
frames, ghosts; drawn, as a catalogue for training or to test a model on.

    python benchmarks/artifacts.py artifacts --images 600

The folder has `images/<id>.png` and `votes.csv` in the columns of the 2014 challenge: Class1.3
("star or artifact") is 1, what is asked of galaxies is 0. Whether there is anything odd
(questions 6 and 8) is left out, which is unknown: the challenge asked it of these images, too, and
nobody has seen the drawn ones. Ids start at 2,000,001, above the challenge's.

The two kinds are drawn by different code that shares nothing but this list, so that a model that
has learned the drawing rather than the sky is found out. For training, light is added up by
formulas (Moffat stars, spikes of a Gaussian section, correlated noise) and stretched by asinh. For
testing, shapes are drawn with Pillow at twice the size (discs, lines, ellipses, blurred by
filters) over sky cut from the corners of real images, with other numbers of spikes, colours and
widths."""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import galaxyvotes as gv

KINDS = ("star", "trail", "blank", "half black", "ghost")
SIDE = 232
FIRST_ID = 2_000_001
UNKNOWN = ("Class6.", "Class8.")


# ---- for training: formulas and an asinh stretch


def training_images(count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """So many images, the kinds in turn, each with its name."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind, _formula(kind, np.random.default_rng([1, seed, number]))


def _formula(kind: str, rng: np.random.Generator) -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    tint = rng.uniform(0.5, 1.5, 3)[:, None, None]
    light = np.zeros((3, SIDE, SIDE))
    for _ in range(rng.poisson(5)):
        light += _moffat(x, y, rng.uniform(-110, 110, 2), rng.lognormal(0, 1.2), rng)
    if kind == "star":
        middle = rng.normal(0, 6, 2)
        r = np.hypot(x - middle[0], y - middle[1])
        brightness = rng.lognormal(5, 0.8)
        light += tint * _moffat(x, y, middle, brightness, rng)
        light += tint * brightness * 0.01 / (1 + (r / rng.uniform(6, 20)) ** rng.uniform(2, 3))
        light += tint * brightness * 0.03 * _spikes(x - middle[0], y - middle[1], r, rng)
    elif kind == "trail":
        angle, offset = rng.uniform(0, np.pi), rng.normal(0, 15)
        across = x * np.sin(angle) - y * np.cos(angle) - offset
        light += tint * rng.uniform(0.5, 8) * np.exp(-((across / rng.uniform(1, 5)) ** 2))
    elif kind == "half black":
        light += rng.uniform(0.1, 1) * tint
    elif kind == "ghost":
        r = np.hypot(x - rng.normal(0, 20), y - rng.normal(0, 20)) / rng.uniform(30, 80)
        light += tint * rng.uniform(0.15, 0.8) * ((r < 1) & (r > rng.uniform(0, 0.5)))
    noise = rng.normal(0, rng.uniform(0.02, 0.08), light.shape)
    light += rng.uniform(0.0, 0.05) + (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) / 1.7
    if kind == "half black":
        angle = rng.uniform(0, 2 * np.pi)
        light[:, x * np.cos(angle) + y * np.sin(angle) > rng.uniform(-30, 30)] = 0
    shown = np.arcsinh(np.maximum(light, 0) / 0.1) / np.arcsinh(160)
    return np.rint(255 * shown.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)


def _moffat(x, y, middle, brightness: float, rng: np.random.Generator) -> np.ndarray:
    r = np.hypot(x - middle[0], y - middle[1]) / rng.uniform(2, 4)
    return brightness * (1 + r**2) ** -3.0


def _spikes(x, y, r, rng: np.random.Generator) -> np.ndarray:
    """Four spikes, sharp and fading outwards."""
    turn, width = rng.uniform(0, np.pi / 2), rng.uniform(0.8, 2)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    cross = np.exp(-((along / width) ** 2)) + np.exp(-((across / width) ** 2))
    return cross / (1 + (r / rng.uniform(10, 30)) ** 1.5)


# ---- for testing: shapes drawn over real sky


def test_images(count: int, seed: int, skies: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """So many images, the kinds in turn, each with its name; `skies` are real images whose corners
    give the sky."""
    for number in range(count):
        rng = np.random.default_rng([2, seed, number])
        kind = KINDS[number % len(KINDS)]
        yield kind, _drawing(kind, _sky(skies[rng.integers(len(skies))], rng), rng)


def _sky(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A frame put together from the darkest corner of an image, turned at random."""
    edge = len(image) // 6
    corners = [
        image[:edge, :edge],
        image[:edge, -edge:],
        image[-edge:, :edge],
        image[-edge:, -edge:],
    ]
    tile = min(corners, key=lambda corner: corner.std())
    across = -(-SIDE // edge)
    rows = [
        np.concatenate([np.rot90(tile, rng.integers(4)) for _ in range(across)], axis=1)
        for _ in range(across)
    ]
    return np.concatenate(rows)[:SIDE, :SIDE]


def _drawing(kind: str, sky: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side, colour = 2 * SIDE, tuple(int(c) for c in rng.integers(120, 256, 3))
    layer = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(layer)
    middle = side / 2 + rng.uniform(-20, 20, 2)
    if kind == "star":
        layer = _drawn_star(layer, draw, middle, colour, rng)
    elif kind == "trail":
        way = rng.uniform(0, 2 * np.pi)
        step = side * np.array([np.cos(way), np.sin(way)])
        draw.line([*(middle - step), *(middle + step)], colour, int(rng.integers(4, 24)))
        layer = layer.filter(ImageFilter.GaussianBlur(rng.uniform(2, 6)))
    elif kind == "ghost":
        size = rng.uniform(50, 140, 2)
        box = [*(middle - size), *(middle + size)]
        faint = tuple(c // int(rng.integers(3, 7)) for c in colour)
        draw.ellipse(box, faint if rng.random() < 0.5 else None, faint, int(rng.integers(8, 30)))
        layer = layer.filter(ImageFilter.GaussianBlur(rng.uniform(1, 5)))
    shown = np.asarray(layer.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(float)
    shown = np.minimum(shown + sky, 255)
    if kind == "half black":
        cut = int(SIDE * rng.uniform(0.4, 0.6))
        shown += rng.uniform(10, 90)
        shown[:cut] = 0
        shown = np.rot90(shown, rng.integers(4))
    return np.rint(shown.clip(0, 255)).astype(np.uint8)


def _drawn_star(layer, draw, middle, colour, rng: np.random.Generator) -> Image.Image:
    """A saturated disc with four, six or eight spikes in a halo."""
    radius, reach = rng.uniform(10, 40), rng.uniform(60, 220)
    draw.ellipse(
        [*(middle - 2.5 * radius), *(middle + 2.5 * radius)], tuple(c // 3 for c in colour)
    )
    layer = layer.filter(ImageFilter.GaussianBlur(rng.uniform(15, 40)))
    draw, spikes, turn = ImageDraw.Draw(layer), rng.choice([4, 6, 8]), rng.uniform(0, np.pi)
    for spike in range(spikes):
        way = turn + 2 * np.pi * spike / spikes
        end = middle + reach * np.array([np.cos(way), np.sin(way)])
        draw.line([*middle, *end], colour, int(rng.integers(2, 7)))
    draw.ellipse([*(middle - radius), *(middle + radius)], (255, 255, 255))
    return layer.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 4)))


# ---- the catalogue


def write_catalogue(out: Path, count: int, seed: int) -> None:
    """A folder of training images and their votes."""
    columns = [c for c in gv.DecisionTree.load("kaggle").columns if not c.startswith(UNKNOWN)]
    votes = dict.fromkeys(columns, "0") | {"Class1.3": "1"}
    (out / "images").mkdir(parents=True)
    with (out / "votes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["GalaxyID", *columns])
        for number, (_, pixels) in enumerate(training_images(count, seed)):
            Image.fromarray(pixels).save(out / "images" / f"{FIRST_ID + number}.png")
            table.writerow([FIRST_ID + number, *votes.values()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write_catalogue(given.out, given.images, given.seed)


if __name__ == "__main__":
    main()
