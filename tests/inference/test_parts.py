"""Jobs that are stopped and go on, and jobs in shards."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import galaxyvotes as gv
from galaxyvotes import ConfigError, DataError, merge, predict
from galaxyvotes.inference import galaxies as galaxies_module
from galaxyvotes.inference import job, parts
from galaxyvotes.inference.parts import Shard


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(parts, "BLOCK", 16)


@pytest.fixture
def table(blobs, tmp_path) -> Path:
    """A table of eighty images, one of which is not there."""
    names = sorted(path.relative_to(blobs).as_posix() for path in blobs.rglob("*.jpg"))
    names[37] = "gone.jpg"
    rows = "".join(f"{number},{blobs}/{name}\n" for number, name in enumerate(names))
    path = tmp_path / "table.csv"
    path.write_text("n,file\n" + rows)
    return path


def stop_after(monkeypatch, squares: int, error: BaseException) -> None:
    """Raise an error while the image after so many is read."""
    seen: list[int] = []
    whole = galaxies_module.read_square

    def read(image, pack):
        seen.append(1)
        if len(seen) > squares:
            raise error
        return whole(image, pack)

    monkeypatch.setattr(galaxies_module, "read_square", read)


@pytest.mark.parametrize("source", ["folder", "table"])
@pytest.mark.parametrize("ended", [KeyboardInterrupt(), OSError(28, "No space left"), SystemExit()])
def test_a_job_that_was_stopped_goes_on_with_the_rows_that_are_kept(
    small_blocks, blob_run, blobs, table, tmp_path, monkeypatch, source, ended
):
    images = blobs if source == "folder" else table
    how = {"run": blob_run, "progress": False, "workers": 1}
    whole = predict(images, tmp_path / "whole.csv", **how)
    out = tmp_path / "out.csv"
    with monkeypatch.context() as patch:
        stop_after(patch, 60, ended)
        with pytest.raises(type(ended)):
            predict(images, out, **how)
    assert not out.exists()
    kept = sorted(path.name for path in (tmp_path / "out.csv.parts").glob("*.arrow"))
    assert kept
    with monkeypatch.context() as patch:
        stop_after(patch, 80 - 16 * len(kept), AssertionError())
        done = predict(images, out, **how)
    assert out.read_bytes() == whole.path.read_bytes()
    assert (done.galaxies, done.unpredicted, done.rejected, done.sample.ids) == (
        whole.galaxies,
        whole.unpredicted,
        whole.rejected,
        whole.sample.ids,
    )
    assert done.notes[0] == f"{16 * len(kept)} of 80 rows were predicted by an earlier attempt"
    assert not (tmp_path / "out.csv.parts").exists()


@pytest.mark.parametrize("source", ["folder", "table", "zip"])
def test_rows_whose_image_has_changed_since_are_predicted_again(
    small_blocks, blob_run, blobs, tmp_path, monkeypatch, make_jpeg, source
):
    images = tmp_path / "images"
    images.mkdir()
    names = [f"{number:02}.jpg" for number in range(80)]
    old = sorted(blobs.rglob("*.jpg"))
    (tmp_path / "t.csv").write_text("file\n" + "".join(f"images/{name}\n" for name in names))

    def write(changed: int | None = None) -> None:
        for number, name in enumerate(names):
            new = number == changed
            data = old[number if not new else 3].read_bytes()
            if data != ((images / name).read_bytes() if (images / name).exists() else b""):
                (images / name).write_bytes(data)
        if source == "zip":
            with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
                for name in names:
                    file.write(images / name, name)

    paths = {"folder": images, "table": tmp_path / "t.csv", "zip": tmp_path / "all.zip"}
    write()
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False, "workers": 1}
    with monkeypatch.context() as patch:
        stop_after(patch, 70, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(paths[source], out, **how)
    kept = 16 * len(list((tmp_path / "out.csv.parts").glob("*.arrow")))
    assert kept >= 32
    write(changed=20)
    again = kept if source == "zip" else 16
    changed = {"folder": "20.jpg", "table": "images/20.jpg", "zip": "all.zip"}[source]
    done = predict(paths[source], out, **how)
    left = f"{kept - again} of 80 rows were predicted by an earlier attempt"
    number = f"{kept} images have" if source == "zip" else "1 image has"
    assert done.notes[0 if source == "zip" else 1] == (
        f"{again} rows were predicted again, because {number} changed since an earlier attempt"
        f" (the first: {changed})"
    )
    assert source == "zip" or done.notes[0] == left
    whole = predict(paths[source], tmp_path / "whole.csv", **how)
    assert out.read_bytes() == whole.path.read_bytes()


def test_ctrl_c_and_a_full_disk_say_what_is_kept_and_how_to_go_on(
    small_blocks, blob_run, blobs, tmp_path, monkeypatch
):
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False, "workers": 1}
    with monkeypatch.context() as patch:
        stop_after(patch, 60, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt, match=r"stopped: \d+ of 80 rows are kept"):
            predict(blobs, out, **how)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parts.pa.ipc, "new_file", full)
        with pytest.raises(DataError, match=r"No space left .* rows are kept in .* again"):
            predict(blobs, out, **how)
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_table", lambda *_: full())
        with pytest.raises(OSError, match="No space left"):
            predict(blobs, out, **how)
    assert predict(blobs, out, **how).notes[0].startswith("80 of 80 rows were predicted")
    assert len(out.read_text().splitlines()) == 81


def test_nothing_stays_of_a_job_that_has_kept_nothing(blob_run, blobs, tmp_path, monkeypatch):
    stop_after(monkeypatch, 0, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        predict(blobs, tmp_path / "out.csv", run=blob_run, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["folder", "table"])
def test_a_job_smaller_than_a_block_keeps_its_rows_and_goes_on_behind_them(
    blob_run, blobs, table, tmp_path, monkeypatch, source
):
    images = blobs if source == "folder" else table
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False, "workers": 1}
    whole = predict(images, tmp_path / "whole.csv", **how)
    with monkeypatch.context() as patch:
        stop_after(patch, 60, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt, match=r"stopped: \d+ of 80 rows are kept") as stopped:
            predict(images, out, **how)
    kept = int(str(stopped.value).split()[1])
    assert 0 < kept <= 60
    with monkeypatch.context() as patch:
        stop_after(patch, 80 - kept, AssertionError())
        done = predict(images, out, **how)
    assert done.notes[0] == f"{kept} of 80 rows were predicted by an earlier attempt"
    assert out.read_bytes() == whole.path.read_bytes()


def test_a_block_is_kept_while_it_grows_not_only_when_it_is_whole(
    blob_run, blobs, tmp_path, monkeypatch
):
    written: list[int] = []
    write = parts.Parts.write

    def note(self, block, rows, sizes):
        written.append(len(rows))
        write(self, block, rows, sizes)

    monkeypatch.setattr(parts.Parts, "write", note)
    how = {"run": blob_run, "progress": False, "workers": 1}
    predict(blobs, tmp_path / "late.csv", **how)
    assert written == [80]
    monkeypatch.setattr(job, "PERIOD", -1.0)
    predict(blobs, tmp_path / "often.csv", **how)
    assert written[1:] == sorted({*written[1:]})
    assert (len(written) > 3, written[-1]) == (True, 80)
    assert (tmp_path / "often.csv").read_bytes() == (tmp_path / "late.csv").read_bytes()


def test_a_shard_that_is_done_counts_its_own_rows_and_a_second_merge_says_there_is_none(
    small_blocks, blob_run, blobs, tmp_path
):
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False}
    predict(blobs, out, shard="1/2", **how)
    again = predict(blobs, out, shard="1/2", **how)
    rows = again.galaxies
    assert rows < 80
    assert again.notes[0] == f"{rows} of {rows} rows were predicted by an earlier attempt"
    predict(blobs, out, shard="2/2", **how)
    assert merge(out).galaxies == 80
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"none to merge, or they have been merged$"):
            merge(out, overwrite=overwrite)
    assert len(out.read_text().splitlines()) == 81


def test_a_damaged_block_is_predicted_again(small_blocks, blob_run, blobs, tmp_path, monkeypatch):
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False, "workers": 1}
    whole = predict(blobs, tmp_path / "whole.csv", **how)
    with monkeypatch.context() as patch:
        stop_after(patch, 79, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(blobs, out, **how)
    first, second = sorted((tmp_path / "out.csv.parts").glob("*.arrow"))[:2]
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(os.urandom(2000))
    predict(blobs, out, **how)
    assert out.read_bytes() == whole.path.read_bytes()


def test_a_job_that_was_stopped_while_it_wrote_its_plan_begins_again(blob_run, blobs, tmp_path):
    folder, how = tmp_path / "out.csv.parts", {"run": blob_run, "progress": False}
    folder.mkdir()
    (folder / ".plan.json.0123abcd.partial").write_text('{"format"')
    assert predict(blobs, tmp_path / "out.csv", **how).galaxies == 80
    assert not folder.exists()
    folder = tmp_path / "other.csv.parts"
    folder.mkdir()
    (folder / "mine.txt").touch()
    with pytest.raises(ConfigError, match="no plan that can be read"):
        predict(blobs, tmp_path / "other.csv", **how)
    assert (folder / "mine.txt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": True}, "a job with other settings"),
        ({"fractions": "conditional"}, "a job with other settings"),
        (
            {"images": "less"},
            "other images or another table, or one that has changed",
        ),
        ({"run": "other"}, "a job with another model or calibration"),
        ({"shard": "1/2"}, "a job with another number of shards"),
    ],
)
def test_parts_of_another_job_are_refused(
    small_blocks, blob_run, blobs, two_heads, tmp_path, monkeypatch, change, message
):
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False, "workers": 1}
    with monkeypatch.context() as patch:
        stop_after(patch, 60, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(blobs, out, **how)
    images = blobs
    if change == {"images": "less"}:
        images, change = sorted(blobs.rglob("*.jpg"))[:79], {}
    if change == {"run": "other"}:
        change = {"run": two_heads}
    with pytest.raises(ConfigError, match=message):
        predict(images, out, **how | change)
    if "shard" not in change:
        assert predict(images, out, **how | change, overwrite=True).path == out


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_in_any_order_merge_to_the_table_of_one_job(
    small_blocks, blob_run, blobs, table, tmp_path, shards
):
    out, how = tmp_path / "out.fits", {"run": blob_run, "progress": False}
    for images in (table, blobs):
        whole = predict(images, **how)
        for number in range(shards, 0, -1):
            done = predict(images, out, shard=f"{number}/{shards}", **how)
            with pytest.raises(ConfigError, match="merge"):
                _ = done.predictions
            assert not out.exists()
        merged = merge(out)
        with pytest.raises(ConfigError, match="none to merge"):
            merge(out)
        assert (merged.galaxies, merged.unpredicted, merged.rejected) == (
            whole.galaxies,
            whole.unpredicted,
            whole.rejected,
        )
        assert np.array_equal(read(out), whole.values, equal_nan=True)
        out.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def read(path: Path) -> np.ndarray:
    with gv.table_formats.read.open_rows(path) as rows:
        whole = pa.concat_tables(rows.slices(1000))
    return np.stack([whole.column(name).to_numpy() for name in ("long", "round")], axis=1)


def test_a_merge_names_the_shards_that_are_missing(small_blocks, blob_run, blobs, tmp_path):
    out, how = tmp_path / "out.csv", {"run": blob_run, "progress": False}
    with pytest.raises(DataError, match="holds the parts of"):
        merge(out)
    predict(blobs, out, shard="2/3", **how)
    with pytest.raises(DataError, match=r"lacks rows of 2 shards of 3 \(1/3, 3/3\)"):
        merge(out)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(ConfigError, match="expected e\\.g\\. 2/8"):
        Shard.parse(text)


def test_a_shard_needs_a_table(blob_run, blobs):
    with pytest.raises(ConfigError, match="none is named"):
        predict(blobs, run=blob_run, shard="1/2")


SCRIPT = """
import sys
import galaxyvotes as gv
from galaxyvotes.inference import parts
parts.BLOCK = 8
gv.predict(sys.argv[1], sys.argv[2], run=sys.argv[3], workers=1, progress=False)
"""


def test_no_kill_at_any_moment_loses_or_doubles_a_row(blob_run, table, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "BLOCK", 8)
    whole = predict(table, tmp_path / "whole.csv", run=blob_run, progress=False)
    out, random = tmp_path / "out.csv", np.random.default_rng(0)
    command = [sys.executable, "-c", SCRIPT, str(table), str(out), str(blob_run.path)]
    for _ in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        before = time.monotonic()
        folder = tmp_path / "out.csv.parts"
        while process.poll() is None and time.monotonic() - before < 60:
            if len(list(folder.glob("*.arrow"))) >= random.integers(1, 9):
                time.sleep(random.uniform(0, 0.01))
                process.send_signal(signal.SIGKILL)
        process.wait()
        if out.exists():
            break
    predict(table, out, run=blob_run, progress=False, overwrite=out.exists())
    assert out.read_bytes() == whole.path.read_bytes()
