"""A table as a VOTable, written part by part, and the header alone, as a Parquet file may hold it.

Version 1.4 with its rows as text (TABLEDATA): an empty cell is unknown, whatever its type. Source:
Ochsenbein et al. 2019, VOTable Format Definition 1.4, sections 2, 4 and 5.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import (
    elements,
    fact,
    meta_of,
    plain,
    plain_schema,
    shape_of,
    single,
)
from galaxyvotes.table_formats.text_cells import text_cells

__all__ = ["votable_header", "write_votable"]

_TYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int8(): "short",  # it has no signed byte, and no unsigned number of more
    pa.int16(): "short",
    pa.uint16(): "int",
    pa.int32(): "int",
    pa.uint32(): "long",
    pa.int64(): "long",
    pa.uint64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.large_string(): "unicodeChar",
    pa.large_binary(): "unicodeChar",
}
_WIDTH = 64  # letters of a text in an array, if nothing says how long they may be
_NO_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"  # letters that no XML may have
_START = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
"""
_END = "</TABLE>\n</RESOURCE>\n</VOTABLE>\n"


def write_votable(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a table to a new file; DataError for a column or a number that VOTable does not
    have.
    """
    schema = plain_schema(schema, path.name)
    with path.open("wb") as file:
        file.write("".join(_beginning(schema)).encode())
        file.write(b"<DATA><TABLEDATA>\n")
        for part in parts:
            for row in _rows(plain(part, schema), path.name):
                file.write(row)
        file.write(f"</TABLEDATA></DATA>\n{_END}".encode())


def votable_header(schema: pa.Schema) -> str:
    """A VOTable of these columns without data."""
    return "".join([*_beginning(schema), _END])


def _beginning(schema: pa.Schema) -> Iterator[str]:
    yield _START
    for name, value in meta_of(schema).items():
        yield f"<INFO{_attributes(name=name, value=str(value))}/>\n"
    yield "<TABLE>\n"
    for field in schema:
        yield from _field(field)


def _field(field: pa.Field) -> Iterator[str]:
    shape, element = shape_of(field)
    is_list = pa.types.is_large_list(element)
    dtype = _TYPES[element.value_type if is_list else element]
    axes = [*map(str, reversed(shape))]
    if fact(field, "complex") and axes[:1] == ["2"]:
        dtype, axes = f"{dtype}Complex", axes[1:]
    if is_list or (dtype == "unicodeChar" and not axes):
        axes = ["*"]
    elif dtype == "unicodeChar":  # texts of one width, one behind the other
        axes = [fact(field, "width") or str(_WIDTH), *axes]
    attributes = _attributes(
        name=field.name,
        datatype=dtype,
        arraysize="x".join(axes),
        ucd=fact(field, "ucd"),
        unit=fact(field, "unit"),
        utype=fact(field, "utype"),
    )
    description = fact(field, "description")
    if not description:
        yield f"<FIELD{attributes}/>\n"
        return
    yield f"<FIELD{attributes}><DESCRIPTION>{escape(_clean(description))}</DESCRIPTION></FIELD>\n"


def _attributes(**values: str) -> str:
    return "".join(f" {key}={quoteattr(_clean(value))}" for key, value in values.items() if value)


def _clean(text: str) -> str:
    return pc.replace_substring_regex(pa.scalar(text, pa.large_string()), _NO_XML, "").as_py()


# ---- rows


def _rows(table: pa.Table, name: str) -> Iterator[bytes]:
    """The rows as lines of XML, all of them together."""
    if not len(table):
        return
    cells = [
        _cells(single(values), field, name)
        for values, field in zip(table.itercolumns(), table.schema, strict=True)
    ]
    marked = [pc.fill_null(_join("<TD>", texts, "</TD>"), "<TD/>") for texts in cells]
    yield "".join(_join("<TR>", *marked, "</TR>\n").to_pylist()).encode()


def _join(*texts: "pa.Array | str") -> pa.Array:
    """Texts one behind the other, row by row; null where one of them is."""
    parts = [
        pa.scalar(text, pa.large_string()) if isinstance(text, str) else text for text in texts
    ]
    return pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))


def _cells(values: pa.Array, field: pa.Field, name: str) -> pa.Array:
    """The text of each cell; null where it is unknown."""
    if pa.types.is_large_list(values.type):
        texts, lengths = values.flatten(), pc.fill_null(pc.list_value_length(values), 0)
        ends = np.cumsum(lengths.to_numpy(zero_copy_only=False))
    elif pa.types.is_fixed_size_list(values.type):
        texts = elements(values)
        ends = np.arange(1, len(values) + 1) * (len(texts) // max(len(values), 1))
    else:
        return _texts(values, name)
    if texts.type == pa.large_string():
        known, between = _of_one_width(texts, field, name), ""
    else:
        unknown, between = "NaN" if pa.types.is_floating(texts.type) else "?", " "
        known = pc.fill_null(_texts(texts, name), unknown)
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, known.cast(pa.string())), between)
    return pc.if_else(values.is_null(), None, joined.cast(pa.large_string()))


def _of_one_width(texts: pa.Array, field: pa.Field, name: str) -> pa.Array:
    """Texts filled up with spaces to the width of their column; DataError for a longer one."""
    width = int(fact(field, "width") or _WIDTH)
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    if longest > width:
        raise DataError(
            f"{name}: column {field.name!r} has arrays of texts of {longest} letters; VOTable has"
            f" one width, here {width}: write .parquet, or leave the column out"
        )
    filled = pc.utf8_rpad(pc.fill_null(texts, ""), width, " ")
    return _texts(filled, name)


def _texts(values: pa.Array, name: str) -> pa.Array:
    """Single values as text; DataError for a number above those of VOTable."""
    if values.type == pa.uint64():
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(f"{name}: VOTable has no such whole number: {error}") from None
    texts = text_cells(values)
    if pa.types.is_floating(values.type):
        for word, written in (("nan", "NaN"), ("inf", "+Inf"), ("-inf", "-Inf")):
            texts = pc.if_else(pc.equal(texts, word), written, texts)
    elif values.type in (pa.large_string(), pa.large_binary()):
        texts = pc.replace_substring_regex(texts, _NO_XML, "")
        for letter, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            texts = pc.replace_substring(texts, letter, written)
    return texts
