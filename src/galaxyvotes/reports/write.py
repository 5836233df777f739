"""The files of a report: `report.json` (every number), `report.csv` (a row for each answer or
quantity), `predictions.csv` (a row for each galaxy) and `report.html` (a page that needs no other
file).
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv

from galaxyvotes.reports.comparison import Comparison, ReportSettings
from galaxyvotes.reports.document import CONTENTS, document_of
from galaxyvotes.reports.galaxy_table import EVALUATED, galaxy_table
from galaxyvotes.reports.page import render
from galaxyvotes.runtime.files import given_path, replacing, write_text

__all__ = ["FILES", "Report", "write_report"]

FILES = ("report.html", "report.json", "report.csv", EVALUATED)
_DEFAULT = ReportSettings()


@dataclass(frozen=True)
class Report:
    """The numbers, and where the files are."""

    document: dict[str, Any]
    html: Path
    json: Path
    csv: Path
    predictions: Path

    def __repr__(self) -> str:
        """One line: the page."""
        return f"<Report {self.html}>"


def write_report(
    comparison: Comparison, out: str | Path, settings: ReportSettings = _DEFAULT
) -> Report:
    """Write the page, its numbers and the predictions (`FILES`) into the folder `out`, each in one
    step.

    Raises DataError if a file cannot be written. Who calls it holds the folder's lock.
    """
    document = document_of(comparison, settings)
    page = render(document, comparison)
    out = given_path(out)
    report = Report(document, *(out / name for name in FILES))
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    file = io.StringIO()
    table = CONTENTS[comparison.kind].table(document, comparison.tree)
    csv.writer(file, lineterminator="\n").writerows(table)
    write_text(report.json, text + "\n")
    write_text(report.csv, file.getvalue())
    with replacing(report.predictions) as partial:
        pacsv.write_csv(galaxy_table(comparison), partial)
    write_text(report.html, page)
    return report
