"""Tables and images in an object store: moto's S3 server, in this process."""

import http.server
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from galaxyvotes import ConfigError, DataError, predict
from galaxyvotes.inference import job
from galaxyvotes.runtime import object_store


@pytest.fixture(scope="module")
def server():
    """Where the store is."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def in_the_zoo(server, blobs, tmp_path_factory):
    """A bucket with ten images in sky/, one of them broken, and a table of eleven, by their paths
    and by their URLs: the file system, and a folder with the same files."""
    folder, names = tmp_path_factory.mktemp("zoo"), sorted(blobs.rglob("*.jpg"))[:10]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        store, _ = fs.FileSystem.from_uri("s3://zoo?allow_bucket_creation=true")
        store.create_dir("zoo")
        for number, path in enumerate(names):
            data = path.read_bytes() if number else b"broken"
            (folder / f"{number}.jpg").write_bytes(data)
            write(store, f"zoo/sky/{number}.jpg", data)
        numbers = [*range(10), 99]
        columns = {
            "number": numbers,
            "path": [f"sky/{number}.jpg" for number in numbers],
            "url": [f"s3://zoo/sky/{number}.jpg" for number in numbers],
        }
        pq.write_table(pa.table(columns), folder / "table.parquet")
        write(store, "zoo/table.parquet", (folder / "table.parquet").read_bytes())
        yield store, folder


@pytest.fixture
def bucket(in_the_zoo, server, monkeypatch, tmp_path):
    """The file system of the bucket; the current folder is empty."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    object_store._of_bucket.cache_clear()
    yield in_the_zoo[0]
    object_store._of_bucket.cache_clear()


@pytest.fixture
def folder(in_the_zoo) -> Path:
    """The same in a folder."""
    return in_the_zoo[1]


def write(store, key: str, data: bytes) -> None:
    with store.open_output_stream(key) as file:
        file.write(data)


@pytest.mark.parametrize("image", [None, "sky/{number}.jpg", "s3://zoo/sky/{number}.jpg", "{url}"])
def test_a_table_in_a_store_names_its_images_by_paths_and_urls(bucket, folder, blob_run, image):
    done = predict("s3://zoo/table.parquet", run=blob_run, image=image, progress=False)
    local = predict(
        folder / "table.parquet",
        run=blob_run,
        image=f"{folder}/{{number}}.jpg",
        progress=False,
    )
    assert np.array_equal(done.values, local.values, equal_nan=True)
    assert (len(done), done.unpredicted, done.to_arrow().num_rows) == (9, 2, 11)
    assert "does not exist" in done.rejected[1][1]
    assert done.rejected[0][1] == local.rejected[0][1]


@pytest.mark.parametrize("kind", ["parquet", "fits"])
def test_a_table_goes_to_a_store_as_it_would_to_a_file(bucket, folder, blob_run, kind):
    out, how = f"s3://zoo/out/answers.{kind}", {"run": blob_run, "progress": False}
    done = predict("s3://zoo/table.parquet", out, **how)
    here = predict("s3://zoo/table.parquet", f"here.{kind}", **how)
    assert done.to_arrow().schema.names == here.to_arrow().schema.names
    assert (done.ids, done.unpredicted) == (here.ids, 2)
    assert np.array_equal(done.values, here.values, equal_nan=True)
    assert [path.name for path in Path().iterdir()] == [f"here.{kind}"]
    with pytest.raises(ConfigError, match=r"s3://zoo/out/answers\.\w+ exists"):
        predict("s3://zoo/table.parquet", out, **how)
    again = predict(folder, out, overwrite=True, **how)
    assert len(again.ids) == 9
    with bucket.open_input_file(f"zoo/out/answers.{kind}.rejected.csv") as file:
        assert b"0.jpg" in file.read()


def test_a_job_for_a_store_goes_on_where_it_was_stopped(bucket, blob_run, monkeypatch):
    out, how = "s3://zoo/answers.csv", {"run": blob_run, "progress": False}

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "write_table", stop)
        with pytest.raises(KeyboardInterrupt):
            predict("s3://zoo/table.parquet", out, **how)
    assert Path("answers.csv.parts").is_dir()
    done = predict("s3://zoo/table.parquet", out, **how)
    assert done.notes[0] == "11 of 11 rows were predicted by an earlier attempt"
    assert [*Path().iterdir()] == []


def test_what_a_store_does_not_have_is_refused(bucket, folder, blob_run):
    how = {"run": blob_run, "progress": False}
    table = folder / "table.parquet"
    with pytest.raises(DataError, match=r"gone\.csv cannot be read: .*does not exist"):
        predict("s3://zoo/gone.csv", **how)
    with pytest.raises(ConfigError, match=r"named by a table.*s3://zoo/sky/\{id\}\.jpg"):
        predict("s3://zoo/sky/1.jpg", **how)
    with pytest.raises(ConfigError, match=r"shard 1/2 is kept .* in a folder"):
        predict(table, "s3://zoo/out.csv", shard="1/2", **how)
    with pytest.raises(ConfigError, match="on the web, where nothing can be written"):
        predict(table, "https://zoo/out.csv", **how)
    Path("out.csv").touch()
    with pytest.raises(ConfigError, match=r"out\.csv is in the current folder"):
        predict(table, "s3://zoo/out.csv", **how)
    assert Path("out.csv").read_bytes() == b""
    with pytest.raises(DataError, match=r"s3://nowhere/o\.csv"):
        predict(table, "s3://nowhere/o.csv", image=f"{folder}/{{number}}.jpg", **how)


def test_a_public_store_is_read_without_credentials(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    assert object_store.read_object("s3://zoo/sky/0.jpg", 6) == b"broken"
    with pytest.raises(DataError, match="larger than 5 bytes"):
        object_store.read_object("s3://zoo/sky/0.jpg", 5)


def test_the_web_is_read_and_asked_again_if_it_cannot_answer(monkeypatch):
    answers = iter([503, 200, 404])

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(next(answers))
            self.end_headers()
            self.wfile.write(b"a page")

        def log_message(self, *_):
            pass

    monkeypatch.setattr(object_store, "_PAUSE", 0)
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as web:
        threading.Thread(target=web.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}/1.jpg?size=2"
        assert object_store.read_object(url, 10) == b"a page"
        with pytest.raises(OSError, match="404"):
            object_store.read_object(url, 10)
        web.shutdown()


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://zoo/a b.csv", "s3://zoo/a b.csv"),
        (Path("s3://zoo/a.csv"), "s3://zoo/a.csv"),
        (Path("https://zoo.org/a.csv"), "https://zoo.org/a.csv"),
        ("s3/zoo", ""),
        ("C:/zoo", ""),
        (Path("/s3:/zoo"), ""),
        ("s3:", ""),
    ],
)
def test_a_url_is_told_from_a_path(path, url):
    assert object_store.url_of(path) == url
