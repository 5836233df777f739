import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.errors import ConfigError, DataError, GalaxyVotesError
from galaxyvotes.images.read import read_square, to_square
from galaxyvotes.runtime.locks import LOCK, locked_folder
from galaxyvotes.runtime.threads import in_order
from galaxyvotes.store import pack as module
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store

SMALL = PackSettings(16, 16)
OLDER = Path(__file__).parent / "data"


def go(source: Path | list[Path], out: Path, **options) -> Store:
    of_labels = {field.name for field in fields(LabelSettings)}
    labels = LabelSettings(**{key: options.pop(key) for key in of_labels & options.keys()})
    defaults = {"settings": SMALL, "workers": 1, "progress": False}
    return pack(source, out, labels=labels, **defaults | options)


def refusal(source: Path, out: Path, kind: type[GalaxyVotesError] = DataError, **options) -> str:
    with pytest.raises(kind) as error:
        go(source, out, **options)
    return str(error.value)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rejected(store: Store) -> list[dict[str, str]]:
    with (store.path / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def small_chunks(monkeypatch):
    """Twelve galaxies are six chunks."""
    monkeypatch.setattr(module, "CHUNK", 2)


# What is packed


def test_packed_pixels_are_the_decoded_cropped_pixels(galaxies_folder, tmp_path):
    for crop, size in ((16, 16), (0, 24), (20, 8), (0, 16)):
        store = go(galaxies_folder, tmp_path / f"{crop}-{size}", settings=PackSettings(crop, size))
        images = store.images(np.arange(len(store)))
        for name, image in zip(store.ids, images, strict=True):
            data = (galaxies_folder / "images" / f"{name}.jpg").read_bytes()
            np.testing.assert_array_equal(
                image, to_square(data, crop_px=crop or None, size_px=size)
            )


def test_a_store_says_that_it_was_decoded_at_a_smaller_scale_and_else_nothing(
    galaxies_folder, tmp_path
):
    settings = PackSettings(16, 8)
    exact, scaled = (
        go(galaxies_folder, tmp_path / str(scaled), settings=settings, scaled=scaled)
        for scaled in (False, True)
    )
    assert "scaled" not in exact.manifest
    assert scaled.manifest["scaled"] is True
    assert scaled.pack == exact.pack
    for name, image in zip(scaled.ids, scaled.images(np.arange(len(scaled))), strict=True):
        data = (galaxies_folder / "images" / f"{name}.jpg").read_bytes()
        np.testing.assert_array_equal(image, to_square(data, crop_px=16, size_px=8, scaled=True))


def test_packed_votes_are_the_tables_votes(galaxies_folder, tiny_store, kaggle):
    with (galaxies_folder / "solutions.csv").open() as file:
        rows = {row["GalaxyID"]: row for row in csv.DictReader(file)}
    expected = [[float(rows[name][answer]) for answer in kaggle.columns] for name in tiny_store.ids]
    np.testing.assert_array_equal(tiny_store.values, np.array(expected, np.float32))
    assert tiny_store.votes is None
    assert tiny_store.tree == kaggle


def test_the_order_of_the_tables_rows_changes_no_byte_of_the_store(galaxies_folder, tmp_path):
    table = galaxies_folder / "solutions.csv"
    header, *rows = table.read_text().splitlines()
    rows += [
        row.replace(row.split(",")[0], f"77{n}", 1) for n, row in enumerate(rows[:3])
    ]  # without image
    table.write_text("\n".join([header, *rows]) + "\n")
    first = go(galaxies_folder, tmp_path / "first")
    table.write_text("\n".join([header, *rows[::-1]]) + "\n")
    assert content(go(galaxies_folder, tmp_path / "second").path) == content(first.path)


def test_four_workers_pack_what_one_packs(galaxies_folder, tmp_path, small_chunks):
    one = go(galaxies_folder, tmp_path / "one")
    assert content(go(galaxies_folder, tmp_path / "four", workers=4).path) == content(one.path)


def test_another_key_only_divides_otherwise(galaxies_folder, tmp_path):
    parts = [
        go(galaxies_folder, tmp_path / key, splits=SplitSettings(0.4, 0.3, 0.3, key))
        for key in ("a", "b")
    ]
    assert parts[0].splits.tolist() != parts[1].splits.tolist()
    assert (parts[0].ids, parts[0].pixels) == (parts[1].ids, parts[1].pixels)
    assert parts[0].digest != parts[1].digest


def test_pixel_identical_galaxies_share_a_split_and_are_counted(tmp_path, make_jpeg):
    for n in range(40):
        folder = tmp_path / "galaxies" / ("round", "long")[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.jpg").write_bytes(make_jpeg(n // 2))
    store = go(tmp_path / "galaxies", tmp_path / "store", splits=SplitSettings(0.2, 0.4, 0.4))
    assert store.manifest["duplicates"] == 20
    assert len(set(store.splits.tolist())) == 3
    sides = {
        (digest, split) for digest, split in zip(store.pixels, store.splits.tolist(), strict=True)
    }
    assert len(sides) == 20


def test_the_tables_own_columns_are_kept_and_give_way_to_the_stores(tmp_path, make_jpeg):
    folder = tmp_path / "galaxies"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(make_jpeg(1))
    (folder / "t.csv").write_text("source,split,id,redshift,class\n1,north,x,0.5,spiral\n")
    store = go(folder, tmp_path / "store")
    assert (store.ids, store.id_name) == (("1",), "id")  # "source" is a column of the store's own
    row = store.table.to_pylist()[0]
    assert (row["table:id"], row["table:split"], row["redshift"]) == ("x", "north", 0.5)
    assert (row["source"], row["split"]) == ("1.jpg", store.splits[0])


def test_whole_votes_are_packed_beside_the_fractions(galaxies_folder, tmp_path, kaggle):
    counts = np.zeros((12, 37), int)
    counts[:, 0], counts[:, 14], counts[:, 15] = np.arange(12) + 1, 40, np.arange(12) + 1
    lines = [",".join(["GalaxyID", *kaggle.columns])]
    lines += [",".join(map(str, [1000 + n, *row])) for n, row in enumerate(counts.tolist())]
    (galaxies_folder / "solutions.csv").write_text("\n".join(lines) + "\n")
    message = refusal(galaxies_folder, tmp_path / "store")
    assert "solutions.csv line 2: Class6.2 is 40; fractions lie in 0–1." in message
    assert "pass `labels=LabelSettings(votes='counts')`" in message
    store = go(galaxies_folder, tmp_path / "store", votes="counts")
    np.testing.assert_array_equal(store.votes, counts)
    np.testing.assert_array_equal(store.values[:, [0, 14, 15]], 1)


@pytest.mark.real_data
def test_real_galaxies_are_packed_with_the_originals_pixels(shared_data, tmp_path):
    """The challenge's 424 px originals and our lossless crops of them hold the same central 128
    px."""
    kaggle = shared_data / "kaggle"
    table = kaggle / "training_solutions_rev1.csv"
    originals = go(
        [kaggle / "originals_424.zip", table],
        tmp_path / "originals",
        settings=PackSettings(128, 128),
    )
    parts = [kaggle / f"images_training_rev1_part{part}.zip" for part in (1, 2, 3, 4)]
    crops = go([*parts, table], tmp_path / "crops", settings=PackSettings(128, 128))
    assert (len(originals), len(crops)) == (99, 6_892)
    assert crops.manifest["rejected_images"] == 0
    assert sum(crops.manifest["splits"].values()) == 6_892
    rows = np.array([crops.ids.index(name) for name in originals.ids])
    np.testing.assert_array_equal(crops.images(rows), originals.images(np.arange(99)))
    np.testing.assert_array_equal(crops.values[rows], originals.values)
    assert crops.splits[rows].tolist() == originals.splits.tolist()


# Images that cannot be used, rows that do not fit


@pytest.fixture
def odd_folder(tmp_path, make_jpeg, make_image) -> Path:
    """One image of every odd kind, each a row of a table of classes."""
    pixels = np.full((24, 24, 3), (200, 100, 50), np.uint8)
    grey = np.full((24, 24), 120, np.uint8)
    alpha = np.dstack([pixels, np.full((24, 24), 255, np.uint8)])
    jpeg = make_jpeg(3)
    gigapixel = bytearray(jpeg)
    frame = jpeg.index(b"\xff\xc0")
    gigapixel[frame + 5 : frame + 9] = b"\x7f\xff\x7f\xff"
    files = {
        "good.jpg": jpeg,
        "grey.jpg": make_image(grey, "JPEG"),
        "rgba.png": make_image(alpha),
        "cmyk.jpg": make_image(Image.fromarray(pixels).convert("CMYK"), "JPEG"),
        "bits16.png": make_image(Image.fromarray(grey.astype(np.uint16) * 257)),
        "empty.jpg": b"",
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "words.jpg": b"this is no image",
        "photo.heic": b"\0\0\0\x18ftypheic",
        "small.jpg": make_jpeg(4, 15),
        "gigapixel.jpg": bytes(gigapixel),
    }
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    rows = "".join(f"{name.split('.')[0]},{'ab'[n % 2]}\n" for n, name in enumerate(files))
    (folder / "t.csv").write_text("id,kind\n" + rows)
    return folder


def test_unusual_images_are_packed_and_unusable_ones_are_recorded_with_the_reason(
    odd_folder, tmp_path
):
    store = go(odd_folder, tmp_path / "store", classes="kind")
    assert sorted(store.ids) == ["bits16", "cmyk", "good", "grey", "rgba"]
    assert store.manifest["rejected_images"] == 6
    reasons = {row["id"]: (row["image"], row["reason"]) for row in rejected(store)}
    assert set(reasons) == {"empty", "truncated", "words", "photo", "small", "gigapixel"}
    assert reasons["empty"] == ("empty.jpg", "is empty (0 bytes)")
    assert reasons["truncated"][1].startswith("is a damaged or truncated JPEG")
    assert reasons["words"][1].startswith("is not an image of a kind that is read")
    assert reasons["photo"][1].startswith("is not an image of a kind that is read")
    assert reasons["small"][1] == "is 15 × 15 pixels, smaller than the crop of 16 × 16"
    assert reasons["gigapixel"][1].startswith("is 32767 × 32767 pixels; at most")
    images = dict(zip(store.ids, store.images(np.arange(5)), strict=True))
    assert (images["grey"] == 120).all()
    assert (images["bits16"] == 120).all()
    assert (images["rgba"] == (200, 100, 50)).all()


def test_a_damaged_entry_of_a_zip_spoils_nobody_else(tmp_path, make_jpeg, galaxies_folder):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(12):
            archive.writestr(f"images/{1000 + n}.jpg", make_jpeg(n))
        offset = archive.getinfo("images/1004.jpg").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 200] ^= 1
    path.write_bytes(data)
    store = go([path, galaxies_folder / "solutions.csv"], tmp_path / "store")
    assert len(store) == 11
    reason = "is damaged: its checksum (CRC-32) does not match"
    assert rejected(store) == [
        {"image": "images.zip/images/1004.jpg", "id": "1004", "reason": reason}
    ]


def test_rows_without_image_without_votes_and_images_without_row_are_counted_and_listed(
    tmp_path, make_jpeg
):
    folder = tmp_path / "galaxies"
    folder.mkdir()
    for n in (1, 2, 3, 4):
        (folder / f"{n}.jpg").write_bytes(make_jpeg(n))
    (folder / "t.csv").write_text("id,class\n9,spiral\n2,spiral\n8,edge-on\n1,edge-on\n3,\n")
    store = go(folder, tmp_path / "store")
    assert store.ids == ("1", "2")
    counted = {
        key: store.manifest[key]
        for key in ("rows_without_image", "rows_without_votes", "images_without_row")
    }
    assert counted == {"rows_without_image": 2, "rows_without_votes": 1, "images_without_row": 1}
    assert [tuple(row.values()) for row in rejected(store)] == [
        ("", "8", "the row has no image"),
        ("", "9", "the row has no image"),
        ("", "3", "the row has no votes"),
        ("4.jpg", "", "no row of the table names the image"),
    ]


def test_when_no_image_can_be_used_the_first_reason_is_reported(tmp_path):
    folder = tmp_path / "galaxies"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"")
    message = refusal(folder, tmp_path / "store", unlabelled=True)
    assert message == "not one of 1 image could be packed; the first: 1.jpg: is empty (0 bytes)"
    assert list(tmp_path.iterdir()) == [
        folder
    ]  # nothing that would stand in the way of other options


# Whole, or to be gone on with


@pytest.mark.parametrize("made", ["folder", "file"])
def test_an_out_folder_that_exists_is_refused_and_left_alone(galaxies_folder, tmp_path, made):
    out = tmp_path / "store"
    if made == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("precious")
    else:
        out.write_text("precious")
    message = refusal(galaxies_folder, out, ConfigError)
    assert message == f"{out} exists already: name another folder, or remove it first"
    assert "precious" in (out / "mine.txt" if made == "folder" else out).read_text()


@pytest.mark.parametrize("chunks", range(7))
def test_packing_stopped_after_any_chunk_and_resumed_is_packing_in_one_go(
    galaxies_folder, tmp_path, monkeypatch, small_chunks, chunks
):
    whole = go(galaxies_folder, tmp_path / "whole")

    def interrupted(work, items, workers):
        for number, each in enumerate(in_order(work, items, workers)):
            if number == chunks:
                raise KeyboardInterrupt
            yield each
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "in_order", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(galaxies_folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    decoded = []
    monkeypatch.setattr(module, "in_order", in_order)
    monkeypatch.setattr(
        module, "read_square", lambda *a, **k: decoded.append(1) or read_square(*a, **k)
    )
    store = go(galaxies_folder, tmp_path / "store")
    assert content(store.path) == content(whole.path)
    assert len(decoded) == 12 - 2 * chunks
    assert not (tmp_path / "store.partial").exists()


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory, make_jpeg) -> tuple[Path, Path, Path]:
    """A folder of galaxies (one of them unusable), its store, and all that is there just before the
    end."""
    root = tmp_path_factory.mktemp("unfinished")
    for n in range(9):
        folder = root / "galaxies" / ("round", "long")[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.jpg").write_bytes(b"" if n == 4 else make_jpeg(n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 2)
        go(root / "galaxies", root / "whole")
        patch.setattr(module, "write_contents", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            go(root / "galaxies", root / "store")
    return root / "galaxies", root / "whole", root / "store.partial"


fractions = st.floats(0, 1)


@given(
    pixels=fractions,
    journal=fractions,
    flip=fractions,
    what=st.sampled_from(["images.npy", "journal.jsonl", None]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_crash_or_a_bad_disk_left_is_checked_and_resumed(
    unfinished, pixels, journal, flip, what
):
    galaxies, whole, partial = unfinished
    again = partial.with_name("again.partial")
    shutil.rmtree(again, ignore_errors=True)
    shutil.rmtree(again.with_name("again"), ignore_errors=True)
    shutil.copytree(partial, again)
    for name, kept in (("images.npy", pixels), ("journal.jsonl", journal)):
        os.truncate(again / name, round((again / name).stat().st_size * kept))
    if what is not None and (data := bytearray((again / what).read_bytes())):
        data[round(flip * (len(data) - 1))] ^= 4
        (again / what).write_bytes(data)
    assert (
        content(go(galaxies, again.with_name("again")).path)["images.npy"]
        == (whole / "images.npy").read_bytes()
    )
    assert content(again.with_name("again")).keys() == content(whole).keys()
    assert Store.open(again.with_name("again")).ids == Store.open(whole).ids


def test_packing_that_is_killed_goes_on_where_it_was(galaxies_folder, tmp_path):
    whole = go(galaxies_folder, tmp_path / "whole")
    program = f"""
import time
from galaxyvotes.store import pack as module
from galaxyvotes.config import PackSettings
module.CHUNK = 1
read_square = module.read_square
module.read_square = lambda *a, **k: time.sleep(0.2) or read_square(*a, **k)
settings = PackSettings(16, 16)
module.pack({str(galaxies_folder)!r}, {str(tmp_path / "store")!r}, settings=settings, workers=1)
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    journal = tmp_path / "store.partial" / "journal.jsonl"
    try:
        while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(
        DataError, match=r"store is no store: .* run the same pack command again to finish"
    ):
        Store.open(tmp_path / "store")
    assert content(go(galaxies_folder, tmp_path / "store").path) == content(whole.path)


@pytest.mark.parametrize("change", ["size", "scale", "image", "votes"])
def test_another_plan_does_not_go_on_with_this_one(galaxies_folder, tmp_path, monkeypatch, change):
    monkeypatch.setattr(
        module, "write_contents", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        go(galaxies_folder, tmp_path / "store")
    monkeypatch.undo()
    before = content(tmp_path / "store.partial")
    options = {"size": {"settings": PackSettings(16, 12)}, "scale": {"scaled": True}}.get(
        change, {}
    )
    if change == "image":
        (galaxies_folder / "images" / "1005.jpg").unlink()
    if change == "votes":
        table = galaxies_folder / "solutions.csv"
        table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    message = refusal(galaxies_folder, tmp_path / "store", ConfigError, **options)
    assert (
        message
        == f"{tmp_path / 'store.partial'} holds the beginning of another packing (other images,"
        " table or size): remove it, or name another folder"
    )
    after = content(tmp_path / "store.partial")
    assert {**after, LOCK: before[LOCK]} == before  # which says since when it is held


# No space left


def test_too_little_space_is_reported_before_anything_is_packed(
    galaxies_folder, tmp_path, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 9000))
    message = refusal(galaxies_folder, tmp_path / "store")
    assert (
        message
        == f"packing 12 images needs 0.0 MB more and {tmp_path} has 0.0 MB free: free some space,"
        " or pack a smaller size, `settings=PackSettings(size_px=…)`"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["galaxies"]
    go(galaxies_folder, tmp_path / "store", settings=PackSettings(16, 8))  # the advice works


class FullDisk:
    """A file on a disk that takes only so many bytes more."""

    def __init__(self, file, space: int) -> None:
        self.file, self.space = file, space

    def write(self, data) -> int:
        data = bytes(data)
        self.file.write(data[: self.space])
        if len(data) > self.space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.space -= len(data)
        return len(data)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("space", [0, 768 * 2 + 100, 768 * 7])
def test_when_the_disk_fills_up_what_is_packed_stays_and_the_same_call_goes_on(
    galaxies_folder, tmp_path, monkeypatch, small_chunks, space
):
    whole = go(galaxies_folder, tmp_path / "whole")
    opened = Path.open

    def open_full(path, mode="r", *rest, **options):
        file = opened(path, mode, *rest, **options)
        return FullDisk(file, space) if (path.name, mode) == ("images.npy", "ab") else file

    monkeypatch.setattr(Path, "open", open_full)
    message = refusal(galaxies_folder, tmp_path / "store")
    kept = space // (768 * 2) * 2  # images in whole chunks
    assert (
        message
        == f"no space left while packing {tmp_path / 'store'}: {kept} of 12 images are packed in"
        f" {tmp_path / 'store.partial'}; free some space and run the same command again"
    )
    monkeypatch.undo()
    assert content(go(galaxies_folder, tmp_path / "store").path) == content(whole.path)


def test_a_place_that_cannot_be_written_is_reported(galaxies_folder, tmp_path):
    (tmp_path / "file").write_text("")
    message = refusal(galaxies_folder, tmp_path / "file" / "store")
    assert message.startswith(
        f"{tmp_path / 'file' / 'store.partial'} cannot be written (Not a directory) while packing"
    )


@pytest.mark.parametrize("workers", [0, -3, 100_000])
def test_workers_that_cannot_be_or_do_not_help_are_refused(galaxies_folder, tmp_path, workers):
    message = refusal(galaxies_folder, tmp_path / "store", ConfigError, workers=workers)
    assert message.startswith(f"workers is {workers}; expected 1 to ")


def test_ctrl_c_says_what_is_packed_and_how_to_go_on(galaxies_folder, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_contents", interrupt)
    with pytest.raises(KeyboardInterrupt, match=r"stopped: 12 of 12 images are packed in .*again"):
        go(galaxies_folder, tmp_path / "store")
    monkeypatch.undo()
    assert len(go(galaxies_folder, tmp_path / "store")) == 12


def test_sources_may_have_names_that_are_not_utf_8(galaxies_folder, tmp_path):
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    galaxies_folder.rename(named)
    store = go(named, tmp_path / "store")
    assert len(store) == 12
    assert store.manifest["sources"] == ["caf\\xe9"]


def test_the_journal_is_plain_lines_of_what_was_done(unfinished):
    *_, partial = unfinished
    entries = [json.loads(line) for line in (partial / "journal.jsonl").read_text().splitlines()]
    rows = [sorted([*entry["kept"], *(row for row, _ in entry["rejected"])]) for entry in entries]
    assert rows == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]


def test_a_packing_that_an_earlier_version_began_is_finished(tmp_path, monkeypatch):
    for name in ("galaxies", "store.partial"):
        shutil.copytree(OLDER / name, tmp_path / name)
    read: list[str] = []

    def counted(image, *args, **options):
        read.append(image.id)
        return read_square(image, *args, **options)

    monkeypatch.setattr(module, "read_square", counted)
    store = go(tmp_path / "galaxies", tmp_path / "store", settings=PackSettings(8, 8))
    whole = Store.open(OLDER / "store")
    assert read == ["100009", "100010", "100011", "100012"]
    assert (store.ids, store.pixels) == (whole.ids, whole.pixels)
    assert store.table.equals(whole.table)
    assert (store.path / "images.npy").read_bytes() == (whole.path / "images.npy").read_bytes()
    assert {file.name for file in store.path.iterdir()} == {f.name for f in whole.path.iterdir()}


def test_of_several_packings_into_one_folder_one_packs_and_the_others_are_refused(
    galaxies_folder, tmp_path
):
    def attempt(_: int) -> Store | str:
        try:
            return go(galaxies_folder, tmp_path / "store")
        except GalaxyVotesError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, range(4)))
    reasons = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(reasons) == 3
    expected = ("is being written by", "exists already", "by another process meanwhile")
    assert all(any(part in reason for part in expected) for reason in reasons)
    whole = go(galaxies_folder, tmp_path / "alone")
    assert content(tmp_path / "store") == content(whole.path)
    assert not (tmp_path / "store.partial").exists()


def test_a_packing_in_progress_names_the_process_that_packs(galaxies_folder, tmp_path):
    with locked_folder(tmp_path / "store.partial"):
        message = refusal(galaxies_folder, tmp_path / "store")
    assert f"store.partial is being written by process {os.getpid()} on " in message


# ---- images of several sizes, and smaller ones than the crop


def test_sizes_that_differ_and_images_that_are_too_small_are_in_the_summary(
    galaxies_folder, tmp_path, make_jpeg
):
    for number in (1, 2, 3):
        (galaxies_folder / "images" / f"100{number}.jpg").write_bytes(make_jpeg(number, 12))
    store = go(galaxies_folder, tmp_path / "store")
    assert "image sizes: 9 of 24 × 24 px, 3 of 12 × 12 px\n" in store.summary
    assert "3 of 12 images are smaller than the crop of 16 px (3 of 12 × 12 px)" in store.summary
    fitting = go(galaxies_folder, tmp_path / "fitting", settings=PackSettings(0, 16))
    assert len(fitting) == 12
    assert "smaller than the crop" not in fitting.summary


def test_a_store_of_large_images_says_so_and_is_for_such_images(
    galaxies_folder, tmp_path, make_jpeg
):
    for path in (galaxies_folder / "images").iterdir():
        path.write_bytes(make_jpeg(int(path.stem), 700))
    store = go(galaxies_folder, tmp_path / "store")
    assert "images are much larger than the 424 px that the crop is meant for" in store.summary
    assert "`fit=True` takes whole images, `scale=1.65` a crop of 26 px" in store.summary
    assert (store.pack.image_px, store.pack) == (700, PackSettings(16, 16))
    again = go(galaxies_folder, tmp_path / "again", settings=store.pack)
    assert "much larger" not in again.summary
    assert again.pack.image_px == 700


def test_images_that_are_all_too_small_have_a_way_out(galaxies_folder, tmp_path):
    with pytest.raises(
        DataError, match=r"`fit=True` takes whole images, `scale=0.37` a crop of 24"
    ):
        go(galaxies_folder, tmp_path / "store", settings=PackSettings(64, 16))
    scaled = go(galaxies_folder, tmp_path / "store", settings=PackSettings(64, 16, 0.37))
    assert scaled.pack == PackSettings(64, 16, 0.37)
    cropped = go(galaxies_folder, tmp_path / "cropped", settings=PackSettings(24, 16))
    assert scaled.pixels == cropped.pixels


# Labels that are known in part


def keep_columns(folder: Path, *questions: str) -> None:
    with (folder / "solutions.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.split(".")[0] in ("GalaxyID", *questions)]
    with (folder / "solutions.csv").open("w") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def test_questions_that_no_column_answers_are_packed_as_unknown_and_named(
    galaxies_folder, tmp_path, kaggle, tiny_store
):
    keep_columns(galaxies_folder, "Class1", "Class2", "Class6")
    store = go(galaxies_folder, tmp_path / "part")
    known = np.array([name[:6] in ("Class1", "Class2", "Class6") for name in kaggle.columns])
    known &= [not name.startswith(("Class10", "Class11")) for name in kaggle.columns]
    assert np.array_equal(store.values[:, known], tiny_store.values[:, known])
    assert np.isnan(store.values[:, ~known]).all()
    assert store.manifest["unknown_questions"]["Q11"] == "no column"
    assert (
        "unknown in this table: 8 of 11 questions: Q3, Q4, Q5, Q7, Q8, Q9, Q10, Q11 (no column)"
    ) in store.summary
    assert "unknown in this table" not in tiny_store.summary
    assert "unknown_questions" not in tiny_store.manifest


def test_a_column_of_largest_fractions_is_packed_as_the_answers_it_names(
    galaxies_folder, tmp_path, kaggle, tiny_store
):
    words = {str(1000 + n): kaggle.columns[n] for n in range(12)} | {"1003": ""}
    lines = "".join(f"{name},{word}\n" for name, word in words.items())
    (galaxies_folder / "solutions.csv").write_text(f"largest,biggest\n{lines}")
    store = go(galaxies_folder, tmp_path / "weak", largest="biggest")
    assert len(store) == 11
    assert store.largest is not None
    named = [kaggle.columns[index] for index in store.largest]
    assert named == [words[name] for name in store.ids]
    assert np.isnan(store.values).all()
    assert store.manifest["largest"] == 11
    assert "known of 11 galaxies: which fraction is the largest" in store.summary
    assert tiny_store.largest is None
    whole = go(galaxies_folder, tmp_path / "whole", largest="biggest", unlabelled=True)
    assert whole.largest is not None
    assert whole.largest[whole.ids.index("1003")] == -1
    assert whole.table.column("largest").null_count == 1


def test_a_tables_own_column_called_largest_is_no_largest_fraction(galaxies_folder, tmp_path):
    path = galaxies_folder / "solutions.csv"
    first, *lines = path.read_text().split()
    path.write_text("\n".join([f"{first},largest", *(f"{line},Class1.1" for line in lines)]))
    store = go(galaxies_folder, tmp_path / "own")
    assert store.largest is None
    assert set(store.table.column("largest").to_pylist()) == {"Class1.1"}
