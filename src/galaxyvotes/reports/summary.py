"""A report in a few sentences, which claim no more than the numbers do."""

from collections.abc import Mapping
from typing import Any

from galaxyvotes.metrics.bootstrap import Measure

__all__ = ["summary_of_fractions", "summary_of_quantities"]

_INTERVAL = "95\N{NO-BREAK SPACE}% confidence interval"


def summary_of_fractions(document: Mapping[str, Any]) -> str:
    """The RMSE over all fractions, and its difference from that of the best baseline."""
    network = document["network"]
    first = (
        f"On {_galaxies(document)}, the RMSE of {len(network['answers'])} predicted vote fractions"
        f" is {_in_words(network['rmse'], '.4f')}."
    )
    baselines = {name: summary["rmse"]["value"] for name, summary in document["baselines"].items()}
    second = _best_baseline(baselines, document["differences"], ".4f")
    return " ".join([first, *second, *_warning(document)])


def summary_of_quantities(document: Mapping[str, Any]) -> str:
    """The RMSE and R² of each quantity, and the difference from its best baseline."""
    sentences: list[str] = []
    for i, row in enumerate(document["network"]):
        if row["rmse"]["value"] is None:
            sentences.append(f"{row['quantity']} is not known for any of these galaxies.")
            continue
        sentences.append(
            f"On {_galaxies(document, row['galaxies'])}, the RMSE of {row['quantity']} is"
            f" {_in_words(row['rmse'], '.4g')} and R² is {_in_words(row['r2'], '.4g')}."
        )
        baselines = {name: rows[i]["rmse"]["value"] for name, rows in document["baselines"].items()}
        differences = {name: rows[i] for name, rows in document["differences"].items()}
        sentences += _best_baseline(baselines, differences, ".4g")
    return " ".join([*sentences, *_warning(document)])


def _galaxies(document: Mapping[str, Any], number: int | None = None) -> str:
    count = document["galaxies"] if number is None else number
    unseen = "" if document["seen_in_training"] else " that were not used in training"
    return f"{count:,} galaxies{unseen}"


def _best_baseline(
    rmse: Mapping[str, float | None], differences: Mapping[str, Measure], form: str
) -> list[str]:
    """The baseline of the smallest RMSE, if any, and how far the network's is from it."""
    known = {name: value for name, value in rmse.items() if value is not None}
    if not known:
        return []
    best = min(known, key=lambda name: known[name])
    difference = _difference(form=form, **differences[best])
    return [f"The best baseline, {best}, has an RMSE of {known[best]:{form}}: {difference}."]


def _warning(document: Mapping[str, Any]) -> list[str]:
    """What to say where galaxies were used in training."""
    seen = document["seen_in_training"]
    if not seen:
        return []
    sentence = (
        f"Of these galaxies, {seen:,} are in the training or validation set of the network, so"
        " these numbers do not estimate errors on new galaxies."
    )
    return [sentence]


def _difference(value: float | None, low: float | None, high: float | None, form: str) -> str:
    """Which RMSE is smaller, if zero lies outside the interval of the difference, baseline −
    network.
    """
    if value is None or low is None or high is None:
        return "the difference is undefined"
    if low > 0:
        ends = f"{low:{form}} to {high:{form}}"
        return f"the RMSE of the network is lower by {value:{form}} ({_INTERVAL} {ends})"
    if high < 0:
        ends = f"{-high:{form}} to {-low:{form}}"
        return f"the RMSE of the network is higher by {-value:{form}} ({_INTERVAL} {ends})"
    ends = f"{low:+{form}} to {high:+{form}}"
    return f"no significant difference ({value:+{form}}, {_INTERVAL} {ends})"


def _in_words(measure: Measure, form: str) -> str:
    if measure["value"] is None:
        return "undefined"
    ends = f"{measure['low']:{form}} to {measure['high']:{form}}"
    return f"{measure['value']:{form}} ({_INTERVAL} {ends})"
