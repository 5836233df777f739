"""The three files of a report: `report.json` (every number), `report.csv` (a row for each answer or
quantity) and `report.html` (a page that needs no other file).
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxyvotes.reports.comparison import Comparison, ReportSettings
from galaxyvotes.reports.document import CONTENTS, document_of
from galaxyvotes.reports.page import render
from galaxyvotes.runtime.files import given_path, write_text

__all__ = ["Report", "write_report"]

_DEFAULT = ReportSettings()


@dataclass(frozen=True)
class Report:
    """The numbers, and where the three files are."""

    document: dict[str, Any]
    html: Path
    json: Path
    csv: Path


def write_report(
    comparison: Comparison, out: str | Path, settings: ReportSettings = _DEFAULT
) -> Report:
    """Write `report.html`, `report.json` and `report.csv` into the folder `out`, each in one
    step.
    """
    document = document_of(comparison, settings)
    page = render(document, comparison)
    out = given_path(out)
    report = Report(document, out / "report.html", out / "report.json", out / "report.csv")
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    write_text(report.json, text + "\n")
    file = io.StringIO()
    table = CONTENTS[comparison.kind].table(document, comparison.tree)
    csv.writer(file, lineterminator="\n").writerows(table)
    write_text(report.csv, file.getvalue())
    write_text(report.html, page)
    return report
