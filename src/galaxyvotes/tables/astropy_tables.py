"""Tables in the formats of astronomy, through astropy: FITS, VOTable and ECSV.

What is masked is null in the columns that come out. Columns that hold more than one value a row
come without these values: no label and no id is an array. astropy is imported when such a table is
met.
"""

import io
import json
import math
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.tables.lines import split_lines
from galaxyvotes.tables.names import column_of

__all__ = [
    "META",
    "STRUCTURE",
    "check_single",
    "read_astropy",
    "read_columns",
    "simple",
    "table_facts",
    "table_format",
]

META = b"galaxyvotes.meta"  # where a schema of Arrow's holds what is known of the whole table
STRUCTURE = re.compile(  # cards of FITS that say how the table is laid out
    r"XTENSION|SIMPLE|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|CHECKSUM|DATASUM|EXTEND|EXTNAME"
    r"|COMMENT|HISTORY|CONTINUE|T[A-Z]{3,5}\d+|"
)

Result = TypeVar("Result")


def simple(value: object) -> bool:
    """Whether a fact about a table is text or a number, which every format has a place for."""
    return isinstance(value, str | bool | int) or (isinstance(value, float) and value == value)


def table_facts(schema: pa.Schema) -> dict[str, str]:
    """What a schema of Arrow's says in words of the whole table, by names in lower case; nothing if
    that cannot be read.
    """
    try:
        facts = json.loads(cast("dict[bytes, bytes]", schema.metadata or {}).get(META, b"{}"))
    except ValueError:
        return {}
    if not isinstance(facts, dict):
        return {}
    pairs = cast("dict[str, object]", facts).items()
    return {name.lower(): value for name, value in pairs if isinstance(value, str)}


def table_format(data: bytes) -> str | None:
    """What astropy calls the format of these bytes; None if it is no such."""
    if data.startswith(b"SIMPLE  ="):
        return "fits"
    if re.search(rb"^\s*# %ECSV ", data[:64]):
        return "ascii.ecsv"
    if _is_ipac(data):
        return "ascii.ipac"
    return "votable" if re.search(rb"<(\w+:)?VOTABLE[\s>]", data[:4096]) else None


def _is_ipac(data: bytes) -> bool:
    """Whether a text is IPAC's: bars divide the names and the types of columns, spaces the rows."""
    if not data.startswith((b"|", b"\\")):
        return False
    lines = [line for line in data[:65_536].splitlines() if not line.startswith(b"\\")]
    return (
        len(lines) > 2
        and [line[:1] == b"|" for line in lines[:2]] == [True, True]
        and not all(line.startswith(b"|") for line in lines)  # as those of Markdown
        and (not any(line.rstrip().endswith(b"|") for line in lines[4:]))
    )


def read_columns(name: str, data: bytes, kind: str) -> pa.Table:
    """The columns of the one table in these bytes; DataError as `read_astropy`."""
    return read_astropy(name, data, kind, _as_arrow)


def read_astropy(name: str, data: bytes, kind: str, take: Callable[[Any], Result]) -> Result:
    """What `take` makes of the one table in these bytes, which it is given as astropy's.

    DataError if they are damaged, or hold no table, or several.
    """
    with quiet():  # about units and metadata that are not standard
        try:
            if kind == "fits":
                table = _read_fits(name, data)
            elif kind == "votable":
                table = _read_votable(name, data)
            else:
                tables = import_module("astropy.table")
                table = tables.Table.read(split_lines(data.decode()), format=kind)
            return take(table)
        except DataError:
            raise
        except Exception as error:  # astropy's parsers raise nearly anything on hostile bytes
            problem = str(error).strip().partition("\n")[0] or type(error).__name__
            raise DataError(f"{name}: not a table: {problem}") from None


def _read_fits(name: str, data: bytes) -> Any:
    fits: Any = import_module("astropy.io.fits")
    # As bytes, because the third logical value, which is NULL, would become False.
    with fits.open(io.BytesIO(data), memmap=False, logical_as_bytes=True) as units:
        kinds = (fits.BinTableHDU, fits.TableHDU)
        tables = [number for number, unit in enumerate(units) if isinstance(unit, kinds)]
        check_single(name, len(tables))
        astropy: Any = import_module("astropy.table")
        unsigned = _take_nulls_of_unsigned(units[tables[0]].header)
        table = astropy.Table.read(units, hdu=tables[0], format="fits", mask_invalid=False)
        for column in units[tables[0]].columns:
            if re.fullmatch(r"\d*L", str(column.format)) and table[column.name].dtype.kind == "S":
                written = np.ma.getdata(table[column.name])
                table[column.name] = astropy.MaskedColumn(
                    written == b"T", mask=(written != b"T") & (written != b"F")
                )
            elif column.name in unsigned:
                values = np.ma.getdata(table[column.name])
                table[column.name] = astropy.MaskedColumn(
                    values, mask=values == unsigned[column.name]
                )
        return table


def _take_nulls_of_unsigned(header: Any) -> dict[str, int]:
    """The value of unknown numbers of each column that TZERO is added to, which astropy forgets to
    add; the header has none then.
    """
    nulls: dict[str, int] = {}
    for number in range(1, int(header["TFIELDS"]) + 1):
        null, zero = header.get(f"TNULL{number}"), header.get(f"TZERO{number}")
        if null is not None and zero and header.get(f"TSCAL{number}", 1) == 1:
            nulls[str(header.get(f"TTYPE{number}")).strip()] = int(null) + int(zero)
            del header[f"TNULL{number}"]
    return nulls


def _read_votable(name: str, data: bytes) -> Any:
    votable: Any = import_module("astropy.io.votable")
    file = votable.parse(io.BytesIO(data), verify="ignore")
    tables = list(file.iter_tables())
    check_single(name, len(tables))
    table = tables[0].to_table(use_names_over_ids=True)
    infos = [info for part in (*file.resources, tables[0]) for info in part.infos if info.name]
    table.meta.update({str(info.name): str(info.value) for info in infos})
    return table


def check_single(name: str, tables: int) -> None:
    """Raise a DataError unless a file holds one table."""
    if tables != 1:
        raise DataError(
            f"{name} holds {counted(tables, 'table')}; expected one: save it as a file of its own"
        )


def _as_arrow(table: Any) -> pa.Table:
    """The columns with their units, as fields of Arrow's have them (see `table_formats`), and what
    is known of the table.
    """
    columns = dict(_columns(table))
    units = {str(each.info.name): each.info.unit for each in table.itercols()}
    fields = [
        pa.field(name, column.type, metadata={"unit": str(unit)} if (unit := units[name]) else None)
        for name, column in columns.items()
    ]
    meta = {
        str(name): value
        for name, value in table.meta.items()
        if simple(value) and not STRUCTURE.fullmatch(str(name))
    }
    schema = pa.schema(fields, {META: json.dumps(meta)})
    return pa.table(list(columns.values()), schema=schema)


def _columns(table: Any) -> Iterator[tuple[str, pa.Array]]:
    for column in table.itercols():
        values = np.ma.asarray(getattr(column, "value", column))
        if values.ndim > 1 and values.size == len(values):  # one value a row, in an array of one
            values = values.reshape(-1)
        name, data = str(column.info.name), np.ma.getdata(values)
        if values.ndim != 1:
            yield name, pa.nulls(len(values), pa.list_(pa.null(), math.prod(values.shape[1:])))
        elif data.dtype.kind == "O" and any(np.ndim(value) for value in data):
            yield name, pa.nulls(len(values), pa.list_(pa.null()))  # of as many as each row likes
        else:
            yield name, _array(data, np.ma.getmaskarray(values))


def _array(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    """A column as Arrow has it; what has no type of Arrow's becomes text."""
    if values.dtype.kind == "S":  # as it is written: who reads it refuses what is not UTF-8
        texts = column_of([value.rstrip(b" \0") for value in values.tolist()], pa.large_string())
        return pc.if_else(pa.array(mask), None, texts)
    if values.dtype.kind in "UO":
        texts = [_text(value) for value in values.tolist()]
        return pa.array(texts, pa.large_string(), mask=mask)
    if values.dtype.kind == "c":
        return pa.array(values.astype(str), mask=mask)
    native = values.astype(values.dtype.newbyteorder("="))
    return pa.array(native, mask=mask, from_pandas=True)


def _text(value: object) -> str:
    """Without the spaces that FITS fills texts with; bytes that are no text show as such."""
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return text.rstrip(" \0").encode("utf-8", "backslashreplace").decode()
