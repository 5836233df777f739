"""What the name of a file says about it: an image, a table, a zip, rubbish of an operating system,
or something that is passed over, and why.
"""

import re
from functools import cache

__all__ = [
    "FITS_SUFFIXES",
    "HIDDEN",
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "NAMED_TABLE_SUFFIXES",
    "NOT_READ",
    "TABLE_SUFFIXES",
    "UNSURE_SUFFIXES",
    "called",
    "explain_passed_over",
    "split_suffix",
]

# FITS holds images or tables: the file itself is asked (see `signatures`).
FITS_SUFFIXES = frozenset(
    {".fit", ".fit.gz", ".fits", ".fits.bz2", ".fits.fz", ".fits.gz", ".fts", ".fz"}
)
# Listed as images, and rejected when they are read.
NOT_READ = frozenset(
    {
        ".arw",
        ".avif",
        ".cr2",
        ".cr3",
        ".dng",
        ".exr",
        ".gif",
        ".heic",
        ".heif",
        ".hif",
        ".ico",
        ".j2c",
        ".j2k",
        ".jp2",
        ".jpc",
        ".jpf",
        ".jpx",
        ".jxl",
        ".nef",
        ".pbm",
        ".pgm",
        ".pnm",
        ".ppm",
        ".psd",
        ".raf",
        ".svg",
        ".tga",
        ".xcf",
        ".xisf",
    }
)
IMAGE_SUFFIXES = (
    NOT_READ
    | FITS_SUFFIXES
    | {
        ".apng",
        ".bmp",
        ".dib",
        ".jfi",
        ".jfif",
        ".jif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    }
)
_PLAIN_TABLES = {".csv", ".ecsv", ".tab", ".tsv", ".vot", ".votable"}
TABLE_SUFFIXES = frozenset(
    {*_PLAIN_TABLES, *(f"{suffix}.gz" for suffix in _PLAIN_TABLES), ".parquet", ".pq"}
)
# Tables if they are named, and anything else where they only lie in a folder.
NAMED_TABLE_SUFFIXES = frozenset(
    {".asc", ".ascii", ".dat", ".dat.gz", ".tbl", ".tbl.gz", ".txt", ".txt.gz"}
)
# A table if it is a VOTable; an image if it begins as one does.
UNSURE_SUFFIXES = frozenset({"", ".xml", ".xml.gz"})

_MIB = 2**20
MAX_BYTES = {  # of one file; a zip stored in a zip has no limit of its own
    **dict.fromkeys(IMAGE_SUFFIXES | {""}, 256 * _MIB),
    **dict.fromkeys(
        TABLE_SUFFIXES | NAMED_TABLE_SUFFIXES | FITS_SUFFIXES | {".xml", ".xml.gz"}, 4096 * _MIB
    ),
    ".zip": 65_536 * _MIB,
}

HIDDEN = re.compile(
    r"(?:^|/)(?:\.[^/]|(?:__MACOSX|@eaDir|\$RECYCLE\.BIN|System Volume Information|lost\+found)/"
    r"|(?:Thumbs\.db|ehthumbs\.db|desktop\.ini|Icon\r)/?$)",
    re.IGNORECASE,
)

_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9_~]{0,14}")  # 47+220853.0 is the end of a galaxy's name
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".fz", ".z", ".lzma"})
_ARCHIVES = frozenset({".7z", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".zipx"})
_SPREADSHEETS = frozenset({".ods", ".xls", ".xlsb", ".xlsm", ".xlsx", ".numbers"})
_PART_OF_ZIP = re.compile(r"\.z\d\d+|\.zip\.\d+")


def split_suffix(path: str) -> tuple[str, str]:
    """A file's name without folders and suffix, and the suffix in lower case; `posixpath` takes
    twice as long.

    A compressed file has both of its suffixes. What is no word (`.47`) is no suffix.
    """
    name = path[path.rfind("/") + 1 :]
    stem, dot, last = name.rpartition(".")
    suffix = f".{last.lower()}"
    if not (dot and stem.strip(".")):
        return name, ""
    if suffix in _COMPRESSED or last.isdigit():
        inner, dot, before = stem.rpartition(".")
        both = f".{before.lower()}{suffix}"
        known = both in MAX_BYTES or before.lower() == "tar" or _PART_OF_ZIP.fullmatch(both)
        if dot and inner.strip(".") and known:
            return inner, both
    is_word = suffix in MAX_BYTES or suffix in _ARCHIVES or _SUFFIX.fullmatch(suffix)
    return (stem, suffix) if is_word else (name, "")


def called(word: str) -> tuple[str, ...]:
    """What a galaxy may be called that a table names so: the word, or the file whose path it is."""
    return tuple(dict.fromkeys((word, split_suffix(word)[0])))


@cache
def explain_passed_over(suffix: str) -> str:
    """Why a file with a suffix is passed over."""
    if not suffix:
        return "has no suffix and does not begin as an image does"
    if _PART_OF_ZIP.fullmatch(suffix):
        return "is a part of a split zip; join the parts first (zip -s 0 PARTS.zip -O WHOLE.zip)"
    if suffix in _ARCHIVES or suffix.startswith(".tar."):
        return f"is an archive of a kind that is not read ({suffix}); unpack it first"
    if suffix in _COMPRESSED:
        return f"is compressed ({suffix}); unpack it first"
    if suffix in _SPREADSHEETS:
        return "is a spreadsheet; save it as CSV"
    if suffix in NAMED_TABLE_SUFFIXES:
        return f"is text ({suffix}), which is taken for a table only if it is named itself"
    if suffix in UNSURE_SUFFIXES:
        return "is no VOTable"
    return f"is of a kind that is not read ({suffix})"
