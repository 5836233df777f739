import http.client
import re
import shutil

import httpx
import pytest

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.web.serve import serve


def test_a_browser_may_load_nothing_from_elsewhere(site):
    headers = site.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"])
def test_another_host_name_is_refused(site, host):
    answered = site.get("/healthz", headers={"host": host})
    assert answered.status_code == 421
    assert "for this computer only" in answered.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST"])
def test_names_of_this_computer_are_served(site, host):
    assert site.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_may_change_nothing(site, headers):
    answered = site.post("/predict", files=[("file", b"x")], headers=headers)
    assert (answered.status_code, answered.json()["error"]) == (
        403,
        "the request comes from another page",
    )


def test_the_page_itself_may_send_images(site):
    origin = str(site.base_url).rstrip("/")
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    answered = site.post("/predict", files=[("file", ("a.jpg", b"x"))], headers=headers)
    assert "is not an image" in answered.json()["error"]


def test_a_body_that_is_too_large_is_refused_before_its_end(site):
    connection = http.client.HTTPConnection(site.base_url.host, site.base_url.port)
    connection.putrequest("POST", "/predict")
    connection.putheader("content-length", str(2**40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_unknown_length_is_read_up_to_the_limit(site):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        for _ in range(65):
            yield b"x" * 2**20

    boundary = {"content-type": "multipart/form-data; boundary=b"}
    answered = site.post("/predict", content=body(), headers=boundary)
    assert answered.status_code == 413
    assert "more than 67,108,864 bytes" in answered.json()["error"]


def test_the_server_listens_on_this_computer_only(site):
    assert site.base_url.host == "127.0.0.1"


def test_others_need_the_token(start, zoo):
    client = start(zoo.table, images=zoo.images, host="0.0.0.0", workers=1)
    assert client.get("/healthz").status_code == 200
    with httpx.Client(base_url=client.base_url) as stranger:
        for answered in (
            stranger.get("/healthz"),
            stranger.get("/"),
            stranger.get("/static/index.html"),
            stranger.get("/?token=wrong"),
            stranger.get("/healthz", headers={"authorization": "Bearer é".encode("latin-1")}),
            stranger.get("/healthz", headers={"cookie": "galaxyvotes_token="}),
            stranger.post("/predict", files=[("file", b"x")]),
        ):
            assert answered.status_code == 401
            assert "token" in answered.json()["error"]
        token = client.headers["authorization"].removeprefix("Bearer ")
        signed_in = stranger.get(f"/?token={token}&view=1")
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/?view=1")
        assert "HttpOnly; SameSite=Strict" in signed_in.headers["set-cookie"]
        assert stranger.get("/healthz").status_code == 200


def test_bytes_that_are_no_request_end_nothing(site):
    for _ in range(3):
        connection = http.client.HTTPConnection(site.base_url.host, site.base_url.port)
        connection.connect()
        connection.sock.sendall(b"\x00\xff GET / HTTP/9\r\n\r\n")
        connection.close()
    assert site.get("/healthz").json()["status"] == "ok"


def test_addresses_and_tokens_that_cannot_be_are_refused(zoo, tmp_path):
    with serve(zoo.table, port=0, workers=1) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"port {port}: .*name another"):
            serve(zoo.table, port=port)
    with pytest.raises(ConfigError, match="port is 70000; expected 0"):
        serve(zoo.table, port=70_000)
    with pytest.raises(ConfigError, match="16 letters or more"):
        serve(zoo.table, port=0, token="short")
    with pytest.raises(ConfigError, match="name the catalogue"):
        serve(images=zoo.images, port=0)
    with pytest.raises(DataError, match="cannot be read"):
        serve(tmp_path / "none.parquet", port=0)


def test_images_in_place_of_a_catalogue_say_what_to_do_first(zoo, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "zoo"), "zip", zoo.images)
    store = tmp_path / "store"
    store.mkdir()
    (store / "store.toml").touch()
    image = zoo.images / "g0000.jpg"
    named = {zoo.images: "a folder", archive: "a zip", store: "a store", image: "an image"}
    for path, what in named.items():
        first = re.escape(f'`galaxyvotes.predict({str(path)!r}, out="answers.parquet")`, then')
        with pytest.raises(ConfigError, match=f"is {what}, .* predict it first, {first}"):
            serve(path, port=0)
