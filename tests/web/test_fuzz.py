"""Whatever is asked, the server answers, and never by a failure of its own."""

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROUTES = ("/galaxies", "/histograms", "/export", "/queue", "/votes", "/about", "/galaxies/g0001")
COLUMNS = st.sampled_from(["Class1.1", "-Class7.1", "id", "-id", "uncertainty", "familiarity", ""])
NUMBERS = st.one_of(st.floats().map(str), st.integers().map(str), st.just(""))
RANGES = st.tuples(COLUMNS, NUMBERS, NUMBERS).map(lambda part: f"{part[0]}:{part[1]}..{part[2]}")
EQUAL = st.tuples(COLUMNS, st.sampled_from([":=", ":!="]), st.text(max_size=9)).map("".join)
WORDS = st.one_of(st.text(max_size=30), COLUMNS, RANGES, EQUAL, NUMBERS)
NAMES = st.sampled_from(
    ["filter", "q", "cone", "sort", "offset", "limit", "column", "format", "labeller", "order"]
)
bounded = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check(answered):
    assert answered.status_code < 500, answered.text
    if answered.status_code >= 400:
        assert json.loads(answered.text)["error"]


@bounded
@given(route=st.sampled_from(ROUTES), query=st.lists(st.tuples(NAMES, WORDS), max_size=6))
def test_any_query_is_answered(site, route, query):
    check(site.get(f"{route}?{urlencode(query, errors='surrogatepass')}"))


@bounded
@given(name=st.text(min_size=1, max_size=40), kind=st.sampled_from(["", "/image", "/thumbnail"]))
def test_any_id_is_answered(site, name, kind):
    check(site.get(f"/galaxies/{quote(name, safe='')}{kind}"))


@bounded
@given(
    data=st.binary(max_size=300),
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*", b"SIMPLE  ="]),
)
def test_any_bytes_are_answered_as_an_image(site, data, start):
    files = [("file", ("a.jpg", start + data)), ("file", ("b.fits", data))]
    check(site.post("/predict", files=files))


@bounded
@given(
    given_=st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=10)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(["labeller", "galaxies", "answers", "x"]), inner, max_size=4
            ),
        ),
        max_leaves=8,
    ),
    route=st.sampled_from(["/votes", "/votes/undo"]),
)
def test_any_json_is_answered_as_votes(site, given_, route):
    check(site.post(route, json=given_))


@pytest.mark.parametrize("body", [b"", b"--b", b"--b\r\n\r\n", b"--b--\r\n", b"\x00" * 99])
def test_any_body_is_answered_as_a_form(site, body):
    headers = {"content-type": "multipart/form-data; boundary=b"}
    check(site.post("/predict", content=body, headers=headers))
    check(site.post("/predict", content=body, headers={"content-type": "multipart/form-data"}))
    check(site.post("/votes", content=body, headers={"content-type": "application/json"}))
