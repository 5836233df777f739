"""Claim: whatever goes wrong in a job, no row is lost, doubled or another one.

    python benchmarks/faults.py --data ../shared/data --json FILE

A table of --galaxies rows, each with a real image, is predicted by the bundled model in blocks of
16 rows, so that a job has many. Each fault is then done to the same job; where it ends the job, the
same command is run again until the table is there. Every row must be that of the job without the
fault, or have the reason why its image could not be used.

- a worker is killed: --kills times an actor of Ray is sent SIGKILL while two compute the job
- kill -9: the process is, ten times, after a random number of blocks
- a full disk: the table is written to a small file system that something else fills before
  the job, or, unless one may be mounted, with a limit to the size of files
- an unreadable tile: one of two tiles of a mosaic has wrong bytes where its pixels are packed
- a FITS file that is cut short, among whole ones
- an image that is removed after the first block"""

import argparse
import csv
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

import galaxyvotes as gv
import provenance
from galaxyvotes import errors
from galaxyvotes.inference import parts

parts.BLOCK = 16
SEED = 0


def job(table: Path, out: Path, **how) -> None:
    gv.predict(table, out, progress=False, workers=2, **how)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def compared(out: Path, whole: Path) -> dict[str, int]:
    """How many rows are lost, doubled, others, or without prediction and say why."""
    ours, theirs = rows_of(out), {row["number"]: row for row in rows_of(whole)}
    counts = Counter(row["number"] for row in ours)
    with_reason = [row for row in ours if row["image_problem"]]
    return {
        "rows": len(ours),
        "lost": len(theirs.keys() - counts.keys()),
        "doubled": sum(count - 1 for count in counts.values()),
        "others": sum(not row["image_problem"] and row != theirs[row["number"]] for row in ours),
        "with_a_reason": len(with_reason),
    }


def blocks_of(out: Path) -> int:
    return len(list(out.with_name(f"{out.name}.parts").glob("*.arrow")))


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something that goes on beside what is done in the context."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=[ended])
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# ---- the faults


def kill_workers(table: Path, out: Path, kills: int) -> dict[str, int]:
    """Kill actors at random moments."""
    killed, chance = list[int](), random.Random(SEED)

    def kill(ended: threading.Event) -> None:
        while len(killed) < kills and not ended.wait(0.05):
            if blocks_of(out) > len(killed) and (workers := ray_workers()):
                killed.append(chance.choice(workers))
                os.kill(killed[-1], signal.SIGKILL)
                ended.wait(chance.uniform(0.5, 3))

    with meanwhile(kill):
        job(table, out, ray="local")
    return {"kills": len(killed)}


def ray_workers() -> list[int]:
    """The processes of Ray's actors that this one has started, at any remove."""
    parents, workers = dict[int, int](), list[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(state[1])
        if command.startswith(b"ray::Worker"):
            workers.append(int(folder.name))

    def is_ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return [worker for worker in workers if is_ours(worker)]


def kill_the_process(table: Path, out: Path, kills: int = 10) -> dict[str, int]:
    """Kill the whole job at random moments, and run it again."""
    chance, killed, attempts = random.Random(SEED), 0, 0
    command = [sys.executable, __file__, "--attempt", str(table), str(out)]
    while not out.exists():
        attempts += 1
        process = subprocess.Popen(command)
        enough = blocks_of(out) + chance.randint(1, 2)
        while killed < kills and process.poll() is None:
            time.sleep(0.005)
            if blocks_of(out) >= enough:
                time.sleep(chance.uniform(0, 0.2))
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
        if process.wait() and process.returncode != -signal.SIGKILL:
            raise SystemExit(f"ended by itself: {process.returncode}")
    return {"kills": killed, "attempts": attempts}


def fill_the_disk(table: Path, out: Path) -> dict[str, int | str]:
    """No room for the blocks, then for the table, then enough."""
    disk = out.with_suffix(".disk")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    ):
        try:
            there = disk / out.name
            for room in (8_000, 800_000):
                free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
                (disk / "filled").write_bytes(bytes(max(free - room, 0)))
                print(error_of(lambda: job(table, there)))
                (disk / "filled").unlink()
            job(table, there)
            shutil.copy(there, out)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        return {"attempts": 3, "how": "a tmpfs of 4 MB"}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for most in (4_000, 30_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        print(error_of(lambda: job(table, out)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    job(table, out)
    return {"attempts": 3, "how": "a limit to the size of files"}


def error_of(work: Callable[[], None]) -> str:
    try:
        work()
    except (errors.DataError, OSError) as error:
        return str(error)
    raise SystemExit("the disk was not full")


def remove_an_image(table: Path, out: Path, image: Path) -> None:
    """Remove an image of a late row once the first block is there."""

    def remove(ended: threading.Event) -> None:
        while not blocks_of(out) and not ended.wait(0.01):
            pass
        image.unlink()

    with meanwhile(remove):
        job(table, out)


# ---- what they are done to


def images_of(data: Path, galaxies: int) -> list[bytes]:
    with zipfile.ZipFile(data / "kaggle" / "images_training_rev1_part1.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:galaxies]
        return [archive.read(name) for name in names]


def table_of_images(work: Path, images: list[bytes]) -> Path:
    (work / "images").mkdir(parents=True)
    lines = ["number,file"]
    for number, data in enumerate(images):
        (work / "images" / f"{number}.jpg").write_bytes(data)
        lines.append(f"{number},images/{number}.jpg")
    (work / "table.csv").write_text("\n".join(lines) + "\n")
    return work / "table.csv"


def mosaic_of(work: Path, images: list[bytes], across: int = 5) -> tuple[Path, gv.Mosaic]:
    """Two tiles of so many real galaxies each way, packed, and a table of their positions."""
    files, lines = list[Path](), ["number,ra,dec"]
    for tile in range(2):
        some = images[tile * across**2 :][: across**2]
        grey = [np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32) for data in some]
        side = grey[0].shape[0]
        pixels = np.block([grey[row * across :][:across] for row in range(across)])
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150 + tile, 2]
        wcs.wcs.crpix = [pixels.shape[1] / 2, pixels.shape[0] / 2]
        wcs.wcs.cdelt = [-0.4 / 3600, 0.4 / 3600]
        unit = fits.CompImageHDU(
            pixels, wcs.to_header(), compression_type="GZIP_1", quantize_level=0
        )
        files.append(work / f"tile{tile}.fits")
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(files[-1])
        y, x = (np.mgrid[:across, :across].reshape(2, -1) + 0.5) * side
        for number, (ra, dec) in enumerate(zip(*wcs.all_pix2world(x, y, 0), strict=True)):
            lines.append(f"{tile * across**2 + number},{ra:.8f},{dec:.8f}")
    (work / "positions.csv").write_text("\n".join(lines) + "\n")
    return work / "positions.csv", gv.Mosaic(tuple(files), "208px")


def spoil(tile: Path) -> None:
    """Wrong bytes in the middle tenth of a file."""
    data = bytearray(tile.read_bytes())
    middle, some = len(data) // 2, len(data) // 20
    data[middle - some : middle + some] = random.Random(SEED).randbytes(2 * some)
    tile.write_bytes(data)


def table_of_fits(work: Path, data: Path, rows: int = 40) -> Path:
    lines = ["number,file"]
    for number in range(rows):
        shutil.copy(data / "fits" / "decals_grz_424.fits", work / f"{number}.fits")
        lines.append(f"{number},{number}.fits")
    (work / "fits.csv").write_text("\n".join(lines) + "\n")
    return work / "fits.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("faults"))
    parser.add_argument("--galaxies", type=int, default=640)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--attempt", type=Path, nargs=2)
    given = parser.parse_args()
    if given.attempt:
        job(*given.attempt)
        return
    shutil.rmtree(given.work, ignore_errors=True)
    images = images_of(given.data, given.galaxies)
    table = table_of_images(given.work, images)
    whole, done = given.work / "whole.csv", dict[str, dict[str, int | str]]()
    job(table, whole)

    def note(fault: str, out: Path, whole: Path, **facts: int | str) -> None:
        done[fault] = {**compared(out, whole), **facts}
        print(fault, done[fault], flush=True)

    out = given.work / "workers.csv"
    note("a worker is killed", out, whole, **kill_workers(table, out, given.kills))
    out = given.work / "killed.csv"
    note("kill -9", out, whole, **kill_the_process(table, out))
    out = given.work / "full.csv"
    note("a full disk", out, whole, **fill_the_disk(table, out))
    out, image = given.work / "removed.csv", given.work / "images" / f"{len(images) - 1}.jpg"
    remove_an_image(table, out, image)
    note("an image that is removed", out, whole)

    how = {"stretch": "legacy"}
    table, out = table_of_fits(given.work, given.data), given.work / "cut_short.csv"
    job(table, given.work / "fits_whole.csv", **how)
    cut = given.work / "17.fits"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    job(table, out, **how)
    note("a FITS file that is cut short", out, given.work / "fits_whole.csv")

    table, mosaic = mosaic_of(given.work, images)
    how = {"stretch": "single", "layout": gv.FitsLayout(mosaic=mosaic)}
    job(table, given.work / "mosaic_whole.csv", **how)
    spoil(mosaic.files[1])
    out = given.work / "unreadable.csv"
    job(table, out, **how)
    note("an unreadable tile", out, given.work / "mosaic_whole.csv")
    provenance.write(
        given.json, {"galaxies": len(images), "rows_of_a_block": parts.BLOCK, "faults": done}
    )


if __name__ == "__main__":
    main()
