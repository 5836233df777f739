"""Damaged and hostile files at every door by which outside data come in.

    python benchmarks/fuzz.py                                  # every door, a minute each
    python benchmarks/fuzz.py --doors images zips --seconds 600 --seed 7 --json fuzz.json
    python benchmarks/fuzz.py --doors zips --seed 7 --only 1234    # one input again, with traceback

Valid files are made, damaged at random (bits, bytes, numbers, pieces that are cut out, repeated or
moved, two files spliced; checksums of PNG chunks and the seal of an ONNX file are mostly made to
fit again), and read as a command would read them. Each input is either read or refused with an
error of the package. Anything else is a failure: another exception, a crash, more than 30 seconds,
more than 4 GiB. Input n of a seed is always the same, so a failure can be had again.
"""

import argparse
import bz2
import gzip
import io
import multiprocessing
import os
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import galaxyvotes as gv
from galaxyvotes.config import LabelSettings, Recipe
from galaxyvotes.errors import GalaxyVotesError
from galaxyvotes.images.read import to_square
from galaxyvotes.inference.onnx_model import read_onnx, sealed
from galaxyvotes.runs.run import Run
from galaxyvotes.sky.fits import read_bands
from galaxyvotes.sky.stretch import Stretch
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.catalog import open_catalog
from galaxyvotes.store.store import Store
from galaxyvotes.tree import DecisionTree
from provenance import write

MAX_SECONDS = 30
MAX_BYTES = 4 * 2**30
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
WORDS = (b"nan", b"-1", b"1e999", b"99999999999999999999", b'"', b"[[", b"\0", b"\xff", b",", b"\n")


class Sample(NamedTuple):
    """A valid file: where it belongs, and its bytes."""

    name: str
    data: bytes


class Door(NamedTuple):
    """How valid files are made, in a folder for what they need, and how one is read from it."""

    make: Callable[[Path], list[Sample]]
    read: Callable[[Path, Sample, random.Random], object]


# ---- damage


def damaged(sample: Sample, others: Sequence[Sample], rng: random.Random) -> Sample:
    """A file with one to a dozen changes; one in fifty is left whole."""
    data = bytearray(sample.data)
    for _ in range(0 if rng.random() < 0.02 else 1 + int(rng.expovariate(0.5))):
        data = change(data, others, rng)
    if data.startswith(b"\x89PNG") and rng.random() < 0.8:
        fit_png_checksums(data)
    return Sample(sample.name, bytes(data))


def change(data: bytearray, others: Sequence[Sample], rng: random.Random) -> bytearray:
    at, length = somewhere(data, rng), rng.choice((1, 2, 4, 16, 256, 4096))
    kind = rng.randrange(9)
    if kind == 0 and data:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[at] = rng.randrange(256)
    elif kind == 2:
        width, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
        number = rng.choice(NUMBERS) % 2 ** (8 * width)
        data[at : at + width] = number.to_bytes(width, order)
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length] * rng.choice((1, 1, 2, 50))
    elif kind == 5:
        data[at:at] = rng.randbytes(length)
    elif kind == 6:
        data[at:at] = rng.choice(WORDS)
    elif kind == 7:
        del data[at:]
    else:
        other = rng.choice(others).data
        start = somewhere(other, rng)
        data[at : at + length] = other[start : start + length]
    return data


def somewhere(data: bytes | bytearray, rng: random.Random) -> int:
    """An offset: often near the beginning or the end, where headers and directories are."""
    near = min(len(data), rng.choice((64, 512, len(data) or 1)))
    offset = rng.randrange(near) if near else 0
    return offset if rng.random() < 0.6 else max(0, len(data) - 1 - offset)


def fit_png_checksums(data: bytearray) -> None:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4


# ---- images


def picture(side: int = 24) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side]
    return np.stack([x * 9, y * 9, (x * y) % 251], axis=-1).astype(np.uint8)


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_images(_: Path) -> list[Sample]:
    rgb = Image.fromarray(picture())
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        encoded(rgb, "JPEG"),
        encoded(rgb, "JPEG", progressive=True, exif=exif),
        encoded(rgb, "JPEG", xmp=b'<x tiff:Orientation="3"/>'),
        encoded(rgb.convert("L"), "JPEG"),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb, "MPO", save_all=True, append_images=[rgb]),
        encoded(rgb, "PNG"),
        encoded(rgb.convert("LA"), "PNG"),
        encoded(rgb.quantize(16), "PNG", transparency=3),
        encoded(picture()[..., 0].astype(np.uint16) * 257, "PNG"),
        encoded(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)]),
        encoded(rgb, "BMP"),
        encoded(rgb.quantize(16), "BMP"),
        encoded(rgb, "WEBP"),
        encoded(rgb.convert("RGBA"), "WEBP", lossless=True, exif=exif),
        encoded(picture()[..., 0].astype(np.uint16) * 257, "TIFF"),
        encoded(rgb, "TIFF", save_all=True, append_images=[rgb]),
    ]
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files.append(encoded(rgb, "TIFF", compression=compression))
    return [Sample("image", data) for data in files]


def read_image(_: Path, sample: Sample, rng: random.Random) -> None:
    intact = rng.random() < 0.5
    pixels = to_square(sample.data, crop_px=None, size_px=16, intact=intact, scaled=intact)
    assert pixels.shape == (16, 16, 3), pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype


def make_fits(_: Path) -> list[Sample]:
    from astropy.io import fits

    noise = np.random.default_rng(0)
    bands = noise.normal(0, 1, (3, 24, 24)).astype(np.float32)
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -7e-5, "CD2_2": 7e-5}
    header = fits.Header({**wcs, "BLANK": 3, "BAND": "r", "HISTORY": "of a random galaxy"})
    whole = fits.ImageHDU((bands[0] * 100).astype(np.int16), header)
    counts = abs(whole.data)
    kinds = ("RICE_1", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")
    units = [
        [fits.PrimaryHDU(bands)],
        [fits.PrimaryHDU(), fits.ImageHDU(np.moveaxis(bands, 0, 2)), fits.ImageHDU(name="MASK")],
        [fits.PrimaryHDU(), whole],
        [fits.PrimaryHDU((bands[0] * 100 + 500).astype(np.uint16))],
        *([fits.PrimaryHDU(), fits.CompImageHDU(counts, compression_type=kind)] for kind in kinds),
        [fits.PrimaryHDU(), fits.CompImageHDU(bands[0], compression_type="RICE_1")],
    ]
    files = []
    for hdus in units:
        file = io.BytesIO()
        fits.HDUList(hdus).writeto(file)
        files.append(file.getvalue())
    packed = [gzip.compress(files[0]), bz2.compress(files[0])]
    return [Sample("image.fits", data) for data in (*files, *packed)]


def read_fits(_: Path, sample: Sample, rng: random.Random) -> None:
    data = bytearray(sample.data)
    digits = [at for at in range(min(len(data), 9000)) if data[at : at + 1].isdigit()]
    for at in rng.sample(digits, min(len(digits), rng.choice((1, 3)) if rng.random() < 0.5 else 0)):
        data[at] = rng.choice(b"0123456789- ")
    image = read_bands([bytes(data)])
    stretch = Stretch.load("single")
    pixels = stretch.picture(image.bands[:1], slice(2, 18), slice(2, 18))
    assert pixels.dtype == np.uint8, pixels.dtype


# ---- zips


def make_zips(_: Path) -> list[Sample]:
    jpeg = encoded(picture(), "JPEG")
    files = {
        "images/1.jpg": jpeg,
        "images/é 2.jpg": jpeg,
        "3": jpeg,
        "images/": b"",
        "votes.csv": b"id,class\n1,a\n2,b\n",
        "readme.txt": b"hello",
        "__MACOSX/._1.jpg": b"x",
    }
    zips: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for more in ({}, {"inner.zip": b"".join(zips[:1])}, {"deep.zip": b"".join(zips[-1:])}):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", method) as archive:
                for name, data in (files | more).items():
                    with archive.open(name, "w", force_zip64=bool(more)) as file:
                        file.write(data)
                archive.comment = b"a comment"
            zips.append(buffer.getvalue())
    return [Sample("galaxies.zip", data) for data in zips]


def read_zip(folder: Path, sample: Sample, _: random.Random) -> None:
    path = folder / sample.name
    path.write_bytes(sample.data)
    with Source.open(path) as source:
        assert len(list(source.passed_over)) == len(source.passed_over)
        problems = [read_member(file) for file in (*source.images, *source.tables)]
        source.images.unique_ids()
        if problems and all(problems):
            raise problems[0]


def read_member(file: Any) -> GalaxyVotesError | None:
    try:
        file.read()
    except GalaxyVotesError as error:
        return error
    return None


# ---- tables


def make_tables(folder: Path) -> list[Sample]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    for number in range(8):
        (folder / f"{587722984439545856 + number}.jpg").write_bytes(encoded(picture(), "JPEG"))
    table = pa.table(
        {
            "objid": [587722984439545856 + number for number in range(8)],
            "type": ["spiral", "round", "", "spiral", "NaN", "round", "spiral", "round"],
            "size": [1.5, 2.5, None, 4.0, 5.0, 6.0, 7.0, 8.0],
        }
    )
    csv_file, parquet = io.BytesIO(), io.BytesIO()
    pyarrow.csv.write_csv(table, csv_file)
    pyarrow.parquet.write_table(table, parquet)
    text = csv_file.getvalue()
    samples = [
        Sample("t.csv", text),
        Sample("t.tsv", text.replace(b",", b"\t")),
        Sample("t.csv", text.replace(b",", b";")),
        Sample("t.csv.gz", gzip.compress(text)),
        Sample("t.parquet", parquet.getvalue()),
    ]
    try:
        from astropy.table import Table
    except ImportError:
        return samples
    for name, kind in (("t.fits", "fits"), ("t.vot", "votable"), ("t.ecsv", "ascii.ecsv")):
        columns = {column: table[column].to_pylist() for column in ("objid", "type")}
        columns["size"] = [float(number) for number in range(8)]
        Table(columns).write(folder / name, format=kind)
        samples.append(Sample(name, (folder / name).read_bytes()))
        (folder / name).unlink()
    return samples


def read_table(folder: Path, sample: Sample, rng: random.Random) -> None:
    classes, size = LabelSettings(classes="type"), LabelSettings(quantity=("size",))
    labels = (classes, classes, size if b"size" in sample.data else classes)
    path = folder / sample.name
    path.write_bytes(sample.data)
    try:
        with open_catalog(folder, rng.choice((*labels, LabelSettings(unlabelled=True)))) as catalog:
            catalog.digest()
    finally:
        path.unlink()


# ---- TOML, safetensors and ONNX: a small store and a small run


def make_run(folder: Path) -> Path:
    """A store and a calibrated run of two classes, and the run as an ONNX file."""
    noise = np.random.default_rng(0)
    for number in range(200):
        (folder / "images" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 256, (32, 32, 3), np.uint8) // (1 + number % 2)
        Image.fromarray(pixels).save(folder / f"images/{'ab'[number % 2]}/{number}.png")
    settings = gv.PackSettings(32, 32)
    splits = gv.SplitSettings(0.5, 0.3, 0.2)
    gv.pack(folder / "images", folder / "store", settings=settings, splits=splits, progress=False)
    epochs = ("train.epochs=1", "train.batch_size=8", "train.keep=last", "train.patience=0")
    store = folder / "store"
    gv.train(store, folder / "run", recipe="small", settings=epochs, progress=False)
    gv.calibrate(store, run=folder / "run", progress=False)
    return folder


def make_toml(folder: Path) -> list[Sample]:
    make_run(folder)
    trees = [Sample("tree.toml", DecisionTree.load(name).to_toml().encode()) for name in ("gz2",)]
    recipes = [Sample("recipe.toml", Recipe.load("small").to_toml().encode())]
    kinds = {".toml", ".json", ".jsonl", ".csv", ".parquet"}
    files = [
        path.relative_to(folder)
        for part in ("store", "run")
        for path in sorted((folder / part).iterdir())
        if path.suffix in kinds
    ]
    return trees + recipes + [Sample(str(file), (folder / file).read_bytes()) for file in files]


def read_toml(folder: Path, sample: Sample, _: random.Random) -> None:
    path = folder / sample.name
    before = path.read_bytes() if path.is_file() else None
    path.write_bytes(sample.data)
    try:
        if sample.name.startswith("store/"):
            store = Store.open(folder / "store")
            store.check_images()
            assert store.table.num_rows
            assert store.summary
        elif sample.name.startswith("run/"):
            run = Run.open(folder / "run")
            assert run.network("cpu")
            assert run.seen.num_rows
            assert run.kept
        elif sample.name == "tree.toml":
            DecisionTree.load(path).draw()
        else:
            Recipe.load(path)
    finally:
        if before is not None:
            path.write_bytes(before)


def make_tensors(folder: Path) -> list[Sample]:
    run = make_run(folder) / "run"
    return [
        Sample(f"run/{path.name}", path.read_bytes()) for path in sorted(run.glob("*.safetensors"))
    ]


def make_onnx(folder: Path) -> list[Sample]:
    run = make_run(folder) / "run"
    gv.export(folder / "network.onnx", run=run)
    return [Sample("network.onnx", (folder / "network.onnx").read_bytes())]


def read_network(folder: Path, sample: Sample, rng: random.Random) -> None:
    data = sealed(sample.data) if rng.random() < 0.8 else sample.data
    (folder / sample.name).write_bytes(data)
    read_onnx(folder / sample.name)


DOORS = {
    "images": Door(make_images, read_image),
    "fits": Door(make_fits, read_fits),
    "zips": Door(make_zips, read_zip),
    "tables": Door(make_tables, read_table),
    "toml": Door(make_toml, read_toml),
    "safetensors": Door(make_tensors, read_toml),
    "onnx": Door(make_onnx, read_network),
}


# ---- work


def try_input(door: Door, samples: Sequence[Sample], folder: Path, seed: int, number: int) -> None:
    rng = random.Random(f"{seed} {number}")
    door.read(folder, damaged(rng.choice(samples), samples, rng), rng)


def work(name: str, seed: int, first: int, seconds: float, shared: Any, failures: Any) -> None:
    """Try one input after the other; `shared` holds the number of the one that is tried, when it
    began, and how many were read and refused, the longest time and the most memory.
    """
    warnings.simplefilter("ignore")
    door, number = DOORS[name], first
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = door.make(folder)
        for sample in samples[:1]:
            door.read(folder, sample, random.Random(0))  # imports what it needs
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes what it thinks of a file
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_BYTES,) * 2)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shared[:2] = number, time.monotonic()
            try:
                try_input(door, samples, folder, seed, number)
                shared[2] += 1
            except GalaxyVotesError:
                shared[3] += 1
            except BaseException as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(frame.filename).name}:{frame.lineno}"
                failures.put((number, f"{type(error).__name__} in {where}: {str(error)[:200]}"))
            shared[4] = max(shared[4], time.monotonic() - shared[1])
            shared[5] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            number += 1
        shared[1] = 0


def fuzz(name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Try a door for a time; a process that crashes or hangs is a failure, and another goes on."""
    context = multiprocessing.get_context("spawn")
    failures: list[tuple[int, str]] = []
    queue = context.Queue()
    shared = context.Array("d", 6)
    end, first = None, 0
    while end is None or time.monotonic() < end:
        shared[1] = 0
        left = seconds if end is None else end - time.monotonic()
        process = context.Process(target=work, args=(name, seed, first, left, shared, queue))
        process.start()
        while process.is_alive():
            process.join(0.2)
            if end is None and shared[1]:
                end = time.monotonic() + seconds
            if shared[1] and time.monotonic() - shared[1] > MAX_SECONDS:
                failures.append((int(shared[0]), f"took more than {MAX_SECONDS} seconds"))
                process.kill()
                process.join()
                break
            while not queue.empty():
                failures.append(queue.get())
        if process.exitcode == 0:
            break
        if end is None:
            raise SystemExit(f"{name}: the valid files could not be made or read")
        if process.exitcode != -9:
            failures.append((int(shared[0]), f"the process ended with {process.exitcode}"))
        first = int(shared[0]) + 1
    while not queue.empty():
        failures.append(queue.get())
    return {
        "inputs": int(shared[2] + shared[3]) + len(failures),
        "read": int(shared[2]),
        "refused": int(shared[3]),
        "failures": len(failures),
        "longest_s": round(shared[4], 2),
        "peak_mib": round(shared[5]),
        "examples": dict(sorted(failures)[:20]),
        "kinds": dict(Counter(text.split(":")[0] for _, text in failures).most_common(20)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=list(DOORS))
    parser.add_argument("--seconds", type=float, default=60, help="for each door")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="try this input alone, and show its traceback")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.only is not None:
        door = DOORS[given.doors[0]]
        with tempfile.TemporaryDirectory() as folder:
            try_input(door, door.make(Path(folder)), Path(folder), given.seed, given.only)
        return
    results = {name: fuzz(name, given.seed, given.seconds) for name in given.doors}
    for name, result in results.items():
        print(
            f"{name}: {result['inputs']:,} inputs, {result['read']:,} read,"
            f" {result['refused']:,} refused, {result['failures']:,} failures;"
            f" at most {result['longest_s']} s and {result['peak_mib']:,} MiB"
        )
        for number, text in result["examples"].items():
            print(f"  {number}: {text}")
    if given.json:
        write(given.json, results)
    sys.exit(any(result["failures"] for result in results.values()))


if __name__ == "__main__":
    main()
