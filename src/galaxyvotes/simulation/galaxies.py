"""A small Galaxy Zoo drawn from a seed: galaxies whose truth is known, their pictures, and
volunteers' votes on them.

Each galaxy takes three steps: `draw` its truth from continuous distributions, `paint` its picture
(painting.py), and let volunteers vote on what the picture shows (volunteers.py). Galaxy number i
comes from the seeds (seed, i) alone, so it is the same whatever the number of galaxies or
processes.
"""

import csv
import math
import os
import warnings
from collections.abc import Callable, Generator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.files import given_path, new_folder
from galaxyvotes.simulation.mosaic import ARCSEC_PX, Sky, stamp_of
from galaxyvotes.simulation.painting import DISC_THICKNESS, load_galsim, paint
from galaxyvotes.simulation.volunteers import Galaxy, Sight, ballots, count
from galaxyvotes.tree import DecisionTree

__all__ = ["draw", "simulate"]

_FIRST_ID = 100001
_TOGETHER = 16  # galaxies that a process draws at a time
_KINDS = {
    "elliptical": 0.27,
    "disc": 0.635,
    "irregular": 0.03,
    "merger": 0.03,
    "star": 0.015,
    "artifact": 0.02,
}
_LEAST_PX = 32
_ODDITIES = {"ring": 0.34, "arc": 0.14, "disturbed": 0.20, "other": 0.16, "dust": 0.16}
_ARMS = {1: 0.07, 2: 0.50, 3: 0.15, 4: 0.12, 5: 0.08, 6: 0.08}


def simulate(
    out: str | Path,
    *,
    galaxies: int = 2000,
    seed: int = 0,
    size_px: int = 212,
    volunteers: int = 40,
    mosaic: bool = False,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """A folder with `images/<id>.jpg` and `votes.csv`, which holds a row of fractions, votes and
    truth per galaxy.

    With `mosaic` the galaxies lie on one piece of sky: the folder has `mosaic/sky-g.fits` and so on
    for the bands g, r and z, in nanomaggies, with a WCS, and `catalogue.fits`, whose rows also have
    the position (`ra`, `dec`, in degrees) and the half-light radius along the major axis (`radius`,
    in arcsec). It is in memory as a whole: half a megabyte a galaxy.

    About `volunteers` people look at each galaxy (Poisson distributed, at least one). Same seed,
    same bytes, whatever the number of processes; by default there are as many as the machine has
    cores and the work is worth. `progress` is called with the number of galaxies done and of all.
    The folder appears whole at the end.

    Raises ConfigError for numbers out of range and for a folder that is not empty; DataError if it
    cannot be written, or if a process is killed; MissingExtraError without GalSim.
    """
    for name, value, least in (
        ("galaxies", galaxies, 1),
        ("volunteers", volunteers, 1),
    ):
        if value < least:
            raise ConfigError(f"simulate: {name} is {value}; expected {least} or more")
    if size_px < _LEAST_PX:
        raise ConfigError(
            f"simulate: images of {size_px} px are too small: pass `size_px=…`, {_LEAST_PX} or more"
        )
    if seed < 0 or (processes is not None and processes < 1):
        raise ConfigError(
            f"simulate: seed is {seed}, processes {processes}; a seed is ≥ 0, processes are ≥ 1"
        )
    load_galsim()
    out = given_path(out).absolute()
    tree = DecisionTree.load("kaggle")
    names = _names(tree)
    make = partial(
        _make, tree=tree, seed=seed, size_px=size_px, volunteers=volunteers, mosaic=mosaic
    )
    with new_folder(out) as folder, closing(_in_order(make, galaxies, processes)) as made:
        write = (
            _write_sky(folder, names, galaxies, seed) if mosaic else _write_images(folder, names)
        )
        with write as add:
            for index, (picture, row) in enumerate(made):
                add(index, picture, row)
                if progress is not None:
                    progress(index + 1, galaxies)
    return out


Add = Callable[[int, Any, list[Any]], None]  # a galaxy's number, its picture, its row


def _names(tree: DecisionTree) -> list[str]:
    """The columns of a table of galaxies, without the id."""
    votes = [f"{column}_votes" for column in tree.columns]
    return [*tree.columns, *votes, *(f"true_{field.name}" for field in fields(Galaxy))]


@contextmanager
def _write_images(folder: Path, names: list[str]) -> Generator[Add]:
    """Write each galaxy's JPEG and its row."""
    answers = sum(name.endswith("_votes") for name in names)
    (folder / "images").mkdir()
    with (folder / "votes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["SimulationID", *names])

        def add(index: int, jpeg: Any, row: list[Any]) -> None:
            (folder / "images" / f"{_FIRST_ID + index}.jpg").write_bytes(jpeg)
            shares = [f"{share:.6f}" for share in row[:answers]]
            table.writerow([_FIRST_ID + index, *shares, *map(_cell, row[answers:])])

        yield add


@contextmanager
def _write_sky(folder: Path, names: list[str], galaxies: int, seed: int) -> Generator[Add]:
    """Write the mosaics of all galaxies, and their rows with positions."""
    sky, rows = Sky(galaxies, seed), list[list[Any]]()

    def add(index: int, stamp: Any, row: list[Any]) -> None:
        sky.add(index, stamp)
        radius = row[names.index("true_radius_px")] * ARCSEC_PX
        rows.append([_FIRST_ID + index, *sky.position(index), radius, *row])

    yield add
    sky.write(folder / "mosaic")
    table: Any = import_module("astropy.table")
    columns = ["SimulationID", "ra", "dec", "radius", *names]
    units = {"ra": "deg", "dec": "deg", "radius": "arcsec"}
    table.Table(rows=rows, names=columns, units=units).write(folder / "catalogue.fits")


def _make(
    index: int,
    *,
    tree: DecisionTree,
    seed: int,
    size_px: int,
    volunteers: int,
    mosaic: bool,
) -> tuple[Any, list[Any]]:
    """One galaxy: its JPEG, or its light on a mosaic, and its row of the table, without the id."""
    rng = np.random.default_rng([seed, index])
    galaxy = draw(rng)
    people = max(int(rng.poisson(volunteers)), 1)
    votes = count(ballots(Sight.of(galaxy), tree, people, rng), tree)
    row = [*(votes / people).tolist(), *votes.tolist(), *vars(galaxy).values()]
    if mosaic:
        return stamp_of(galaxy, rng), row
    picture = paint(galaxy, rng, size_px=size_px)
    return simplejpeg.encode_jpeg(picture, quality=95, colorsubsampling="444"), row


def _cell(value: str | int | float) -> str | int:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return value


def _in_order(
    make: Callable[[int], tuple[bytes, list[Any]]], galaxies: int, processes: int | None
) -> Generator[tuple[bytes, list[Any]], None, None]:
    workers = processes or min(os.cpu_count() or 1, -(-galaxies // 100))
    if workers == 1:
        yield from map(make, range(galaxies))
        return
    # joblib's processes do not run the caller's script or notebook again, so it needs no
    # `if __name__ == "__main__":`.
    joblib: Any = import_module("joblib")  # which has no types
    parallel = joblib.Parallel(workers, return_as="generator", batch_size=_TOGETHER)
    made = parallel(joblib.delayed(make)(number) for number in range(galaxies))
    try:
        for drawn in made:  # noqa: UP028 (it would close `made` before warnings are off)
            yield drawn
    except BrokenProcessPool:
        raise DataError(
            f"one of {workers} processes was killed, as the system does where memory is short; no"
            " folder was written: free some memory, and simulate again"
        ) from None
    finally:
        with warnings.catch_warnings():  # of the galaxies that nobody waits for any more
            warnings.simplefilter("ignore")
            made.close()


def draw(rng: np.random.Generator) -> Galaxy:
    """The truth of one galaxy, every property from a continuous distribution."""
    kind = _choose(_KINDS, rng)
    axis_ratio = 1.0 - 0.72 * rng.beta(0.9, 1.5)
    truth: dict[str, Any] = {
        "type": kind,
        "radius_px": 16.0 * axis_ratio**-0.35 * math.exp(rng.normal(0.0, 0.3)),
        "axis_ratio": axis_ratio,
        "angle_deg": rng.uniform(0.0, 180.0),
        "redness": rng.normal(0.78, 0.2),
        "brightness": math.exp(rng.normal(0.0, 0.35)),
        "psf_fwhm_px": math.exp(rng.uniform(math.log(2.5), math.log(9.0))),
    }
    if kind == "disc":
        truth |= _disc(rng)
    elif kind == "irregular":
        truth |= {"redness": rng.normal(0.05, 0.2), "irregular": rng.uniform(0.3, 1.0)}
    elif kind == "merger":
        truth |= {"redness": rng.uniform(0.2, 1.0), "merger": rng.uniform(0.3, 1.0)}
        truth |= {"radius_px": rng.uniform(13.0, 21.0), "axis_ratio": rng.uniform(0.45, 0.9)}
    elif kind in ("star", "artifact"):
        truth |= {"artifact": rng.uniform(0.25, 1.0)} | (
            {"axis_ratio": 1.0} if kind == "star" else {}
        )
    if kind in ("elliptical", "disc") and rng.random() < 0.22:
        oddity = _choose(_ODDITIES, rng)
        if oddity != "ring" or kind == "disc":
            truth[oddity] = rng.uniform(0.2, 1.0)
    return Galaxy(**truth)


def _disc(rng: np.random.Generator) -> dict[str, Any]:
    """The truth of a disc: seen from any side, with or without bulge, bar and arms."""
    inclination = math.degrees(
        math.acos(rng.uniform(0.0, 1.0) ** 0.75)
    )  # dust hides some of those seen edge-on
    arms = _choose(_ARMS, rng) if rng.random() < 0.78 else 0
    strength = rng.uniform(0.15, 1.0) if arms else 0.0
    return {
        "type": "edge-on" if inclination > 78.0 else "spiral" if arms else "lenticular",
        "radius_px": 20.0 * math.exp(rng.normal(0.0, 0.25)),
        "axis_ratio": (
            math.hypot(math.cos(math.radians(inclination)), DISC_THICKNESS)
            / math.hypot(1.0, DISC_THICKNESS)
        ),
        "inclination_deg": inclination,
        "redness": 0.75 - 0.55 * strength + rng.normal(0.0, 0.22),
        "bulge": rng.beta(1.1, 3.0),
        "boxiness": rng.beta(0.6, 1.2),
        "bar": rng.uniform(0.25, 1.0) if rng.random() < 0.32 else rng.beta(1.0, 8.0),
        "bar_angle_deg": rng.uniform(0.0, 180.0),
        "arms": arms,
        "arm_strength": strength,
        "pitch_deg": min(rng.gamma(4.0, 3.8) + 5.0 + 1.5 * max(arms - 2, 0), 42.0) if arms else 0.0,
    }


def _choose(shares: dict[Any, float], rng: np.random.Generator) -> Any:
    edges = np.cumsum(list(shares.values()))
    return list(shares)[int(np.searchsorted(edges, float(rng.random() * edges[-1])))]
