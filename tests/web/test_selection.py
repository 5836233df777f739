import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.web.catalogue import Catalogue
from galaxyvotes.web.selection import Cone, Range, Selection, Word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:0.1..0.9", Range("a", 0.1, 0.9)),
        ("a:..1e-3", Range("a", -np.inf, 1e-3)),
        ("a:b:2..", Range("a:b", 2, np.inf)),
        ("a:>2..<3", Range("a", 2, 3, open_low=True, open_high=True)),
    ],
)
def test_a_range_is_a_column_and_two_ends(text, expected):
    assert Range.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a:1", ":1..2", "a:x..", "a:nan..", "a:1..2..3", "a:<1..", "a:..>1", ":=b"]
)
def test_other_words_are_no_range(text):
    assert Word.parse(text) is None
    with pytest.raises(ConfigError, match=r"expected COLUMN:LOW\.\.HIGH"):
        Range.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class:=ring", Word("class", "ring")),
        ("class:!=a:=b", Word("class", "a:=b", equal=False)),
        ("class:=a:!=b", Word("class", "a:!=b")),
        ("class:!=", Word("class", "", equal=False)),
    ],
)
def test_a_word_is_equal_or_is_not(text, expected):
    assert Word.parse(text) == expected


def test_ends_are_open_and_words_are_found_where_there_are_any(tmp_path):
    columns = {"id": [*"abcd"], "x": [0.5, 0.6, 0.7, None], "kind": ["ring", "bar", None, "ring"]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    def found(*filters):
        return catalogue.rows(Selection.parse(filters)).tolist()

    with Catalogue.open(tmp_path / "t.parquet") as catalogue:
        assert (found("x:>0.5..<0.7"), found("x:0.5..0.7")) == ([1], [0, 1, 2])
        assert (found("kind:=ring"), found("kind:!=ring"), found("kind:!=")) == (
            [0, 3],
            [1],
            [0, 1, 3],
        )
        assert found("kind:=ring", "x:..") == [0, 3]
        assert found("id:=b") == [1]
        with pytest.raises(ConfigError, match="has no column 'sort'"):
            found("sort:=ring")


@pytest.mark.parametrize(
    "text", ["1,2", "1,2,3,4", "a,2,3", "1,91,3", "1,2,0", "nan,1,1", "1,2,inf"]
)
def test_other_words_are_no_cone(text):
    with pytest.raises(ConfigError, match="expected RA,DEC,RADIUS"):
        Cone.parse(text)


@pytest.mark.parametrize(
    ("ra", "dec", "radius"), [(0.0, 0.0, 3600), (359.9, 60.0, 7200), (10.0, 89.9, 4000)]
)
def test_a_cone_has_the_galaxies_that_astropy_finds_in_it(tmp_path, ra, dec, radius):
    from astropy import units
    from astropy.coordinates import SkyCoord

    random = np.random.default_rng(0)
    ras = (ra + random.normal(0, 1.5, 400) / max(np.cos(np.radians(dec)), 0.02)) % 360
    decs = np.clip(dec + random.normal(0, 1, 400), -90, 90)
    table = pa.table({"name": [f"g{n}" for n in range(400)], "RA": ras, "Dec": decs})
    pq.write_table(table, tmp_path / "sky.parquet")
    middle = SkyCoord(ra, dec, unit="deg")
    near = SkyCoord(ras, decs, unit="deg").separation(middle) <= radius * units.arcsec
    with Catalogue.open(tmp_path / "sky.parquet") as catalogue:
        assert (catalogue.id_column, catalogue.sky) == ("name", ("RA", "Dec"))
        rows = catalogue.rows(Selection.parse(cone=f"{ra},{dec},{radius}"))
    assert rows.tolist() == np.flatnonzero(near).tolist()
    assert 0 < len(rows) < 400
