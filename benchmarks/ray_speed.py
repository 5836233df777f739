"""Claim: two workers of Ray predict as fast as two threads of one process.

    python benchmarks/ray_speed.py --data ../shared/data/kaggle --json FILE

--galaxies JPEGs of 424² and a quarter of them, predicted by the bundled model into a Parquet table,
in turn by one process of two threads and by two actors of a Ray cluster on this machine, --rounds
times after one round to warm up. The rate is that of the images which the larger job has more, by
the time that it takes longer, so that the start of the actors does not count; it stands beside it,
and so does the start of the cluster. Ratios are taken within each round, because others may use the
machine. The tables are compared."""

import argparse
import statistics
import time
import zipfile
from pathlib import Path

import galaxyvotes as gv
import provenance
from galaxyvotes.inference.cluster import connected


def make(data: Path, folder: Path, galaxies: int) -> None:
    """A folder of images."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "images_training_rev1_part1.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:galaxies]
        for number, name in enumerate(names):
            (folder / f"{number:05}.jpg").write_bytes(archive.read(name))


def timed(images: Path, out: Path, ray: str | None) -> float:
    """The seconds that one prediction takes."""
    start = time.perf_counter()
    gv.predict(images, out, overwrite=True, progress=False, workers=2, ray=ray, device="cpu")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("ray_speed"))
    parser.add_argument("--galaxies", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    few, all_ = given.galaxies // 4, given.galaxies
    for count in (few, all_):
        make(given.data, given.work / str(count), count)
    begun = time.perf_counter()
    with connected("local", "cpu", 2):
        cluster = time.perf_counter() - begun
        rounds = []
        for number in range(given.rounds + 1):
            seconds = {}
            for count in (few, all_):
                for ray in (None, "local"):
                    out = given.work / f"{ray}.parquet"
                    seconds[ray, count] = timed(given.work / str(count), out, ray)
            if number:
                rounds.append(seconds)
            print({f"{ray}, {count}": f"{value:.1f}" for (ray, count), value in seconds.items()})
    one, two = (gv.Predictions.read(given.work / f"{ray}.parquet") for ray in (None, "local"))
    assert one.ids == two.ids
    assert (one.values == two.values).all()

    rates = [
        {ray: (all_ - few) / (taken[ray, all_] - taken[ray, few]) for ray in (None, "local")}
        for taken in rounds
    ]
    figures = {
        "galaxies": all_,
        "rows_s_of_one_process": statistics.median(rate[None] for rate in rates),
        "rows_s_of_ray": statistics.median(rate["local"] for rate in rates),
        "ray_over_one_process": provenance.spread([rate["local"] / rate[None] for rate in rates]),
        "start_of_actors_s": provenance.spread(
            [
                taken["local", few] - few / rate["local"]
                for taken, rate in zip(rounds, rates, strict=True)
            ]
        ),
        "start_of_the_cluster_s": cluster,
        "ray_over_one_process_with_the_start_of_actors": provenance.spread(
            [taken[None, all_] / taken["local", all_] for taken in rounds]
        ),
    }
    print(figures)
    provenance.write(given.json, figures)


if __name__ == "__main__":
    main()
