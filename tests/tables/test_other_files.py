import io
import zipfile

import numpy as np
import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.tables.other_files import what_else
from galaxyvotes.tables.table import Table


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return data.getvalue()


def array() -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros(3))
    return data.getvalue()


FILES = {
    "a workbook": zipped("[Content_Types].xml", "xl/workbook.xml"),
    "a zip archive: call it .zip": zipped("votes.csv"),
    "an Excel workbook": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504),
    "a PDF": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "an SQLite database": b"SQLite format 3\0" + bytes(80),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(80),
    "an array of NumPy": array(),
    "a pickle of Python, which is never read": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0]\x94.",
    "packed by bzip2": b"BZh91AY&SY" + bytes(80),
    "packed by xz": b"\xfd7zXZ\0\0\x04",
    "a JPEG image": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a pointer of Git LFS: run git lfs pull": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
    ),
    "a web page": b"\n<!-- 404 -->\r\n<!DOCTYPE html>\n<html><body>Not, found</body></html>",
    "XML and no VOTable": b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>",
    "JSON": b' {"error": "not found", "code": 404}',
    "a table of LaTeX": rb"id & type \\" + b"\n" + rb"1 & Sb \\" + b"\n",
    "LaTeX": b"% made by hand\n\\begin{tabular}{ll}\nid & type\n",
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_table_is_refused_as_what_it_is(what):
    with pytest.raises(DataError, match=f"^votes.csv is {what}"):
        Table("votes.csv", FILES[what]).header()


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_web_page_is_one_in_any_encoding(mark):
    page = "<html>\n<head><title>302 Found</title></head></html>".encode(mark)
    with pytest.raises(DataError, match="is a web page"):
        Table("votes.csv", page).header()


@pytest.mark.parametrize(
    "text",
    [
        b"id,type\n1,Sb\n",
        b"<a>,b\n",
        b"{id},x\n",
        b"[id],x\n",
        b"version,x\n",
        b"error,x\n",
        b"id,note\n1,R&D\n",
        b"PK,x\n1,2\n",
        b"BZhang,x\n",
        b"% id,x\n",
        b"",
    ],
)
def test_what_only_looks_so_may_be_a_table(text):
    assert what_else(text) == ""
