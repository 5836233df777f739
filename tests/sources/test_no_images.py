import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source
from galaxyvotes.sources.no_images import refuse_without_images


@pytest.mark.parametrize("header", ["objid,ra,dec", "RA_deg,name,DEC_deg", "RAJ2000,DEJ2000"])
def test_a_table_of_positions_alone_asks_for_cut_outs(tmp_path, header):
    (tmp_path / "a.csv").write_text("id,class\n1,2\n")
    (tmp_path / "b.csv").write_text(f"{header}\n" + "1," * header.count(",") + "1\n")
    with (
        Source.open(tmp_path) as source,
        pytest.raises(DataError, match=r"^no image .*: b\.csv has positions .* cut-out"),
    ):
        refuse_without_images(source, [tmp_path])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id\n1\n", "no column of t.csv holds paths of images that are there; give the folder"),
        ("<html>404</html>", "t.csv is a web page"),
        ("path,n\na.jpg,1\nb.jpg\n", "t.csv line 3 has 1 cell and the header 2"),
        ("path\n", "t.csv is empty"),
    ],
)
def test_what_is_wrong_with_a_table_alone_is_said(tmp_path, text, problem):
    (tmp_path / "t.csv").write_text(text)
    with (
        Source.open(tmp_path) as source,
        pytest.raises(DataError, match=f"^no image .* in {tmp_path}: {problem}"),
    ):
        refuse_without_images(source, [tmp_path])


def test_what_was_passed_over_is_said_where_there_is_no_image(tmp_path):
    (tmp_path / "votes.xlsx").write_bytes(b"PK")
    (tmp_path / "notes.doc").write_bytes(b"")
    with (
        Source.open(tmp_path) as source,
        pytest.raises(
            DataError, match=r"no image .* \(2 files were passed over: votes\.xlsx: is a"
        ),
    ):
        refuse_without_images(source, [tmp_path])


def test_with_an_image_nothing_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"")
    with Source.open(tmp_path) as source:
        refuse_without_images(source, [tmp_path])
