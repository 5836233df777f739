"""Table I of the 2023 paper, the AUC of each label, beside those of a run.

The paper numbers its labels 0 to 36: the challenge's answers in the order of the tree. Its AUCs
have two decimals, so ours are rounded to two before they are counted.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["beside_paper", "published_aucs"]

HIGH, GOOD = 0.95, 0.90  # the thresholds that the paper counts by


@cache
def published_aucs() -> dict[str, Any]:
    """The contents of `paper_table.toml`: `auc`, by label, of the answers of `tree`."""
    return tomllib.loads(
        (resources.files("galaxyvotes.reports") / "paper_table.toml").read_text("utf-8")
    )


def beside_paper(document: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any] | None:
    """The published AUC of each predicted answer, ours by the paper's protocol (`as_published`) and
    on the galaxies of the report (`honest`), and how many are high; `columns` are all answers of
    the tree, in order.

    None for another tree than the challenge's, or without the published protocol.
    """
    paper = published_aucs()
    if document["tree"] != paper["tree"] or document.get("contaminated") is None:
        return None
    honest, published = (document[key]["answers"] for key in ("network", "contaminated"))
    rows: list[dict[str, Any]] = [
        {
            "label": columns.index(ours["answer"]),
            "answer": ours["answer"],
            "text": ours["text"],
            "published": paper["auc"][columns.index(ours["answer"])],
            "as_published": theirs["auc"],
            "as_published_positives": theirs["positives"],
            "honest": ours["auc"],
            "honest_positives": ours["positives"],
        }
        for ours, theirs in zip(honest, published, strict=True)
    ]
    counts = {
        "published": _counts([row["published"] for row in rows]),
        "as_published": _counts([row["as_published"]["value"] for row in rows]),
        "honest": _counts([row["honest"]["value"] for row in rows]),
    }
    return {"source": paper["source"], "answers": rows, "counts": counts}


def _counts(aucs: Sequence[float | None]) -> dict[str, int]:
    """How many AUCs are defined, above and from 0.95, and from 0.90, rounded to two decimals."""
    rounded = [round(auc, 2) for auc in aucs if auc is not None]
    return {
        "defined": len(rounded),
        "above_0.95": sum(auc > HIGH for auc in rounded),
        "from_0.95": sum(auc >= HIGH for auc in rounded),
        "from_0.90": sum(auc >= GOOD for auc in rounded),
    }
