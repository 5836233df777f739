"""A report in a few sentences, which claim no more than the numbers do: the verdict first (better
or worse than the best baseline, and how often prediction intervals hold), then what to beware of.
"""

from collections.abc import Mapping
from typing import Any

from galaxyvotes.metrics.bootstrap import FEW_GALAXIES, Measure
from galaxyvotes.reports.comparison import BEFORE_FINE_TUNING
from galaxyvotes.reports.digits import digits_of
from galaxyvotes.reports.units import in_unit
from galaxyvotes.runtime.counted import agreeing, counted, sentence

__all__ = ["summary_of_classes", "summary_of_fractions", "summary_of_quantities"]

_INTERVAL = "95\N{NO-BREAK SPACE}% confidence interval"
_PERCENT = "\N{NO-BREAK SPACE}%"


def summary_of_fractions(document: Mapping[str, Any]) -> str:
    """The RMSE over all fractions beside that of the best baseline, and the coverage."""
    network = document["network"]
    errors = {name: summary["rmse"]["value"] for name, summary in document["baselines"].items()}
    known = sum(answer["mean_fraction"] is not None for answer in network["answers"])
    unknown = len(network["answers"]) - known
    others = f" (the labels of {unknown} others are not known)" if known and unknown else ""
    first = (
        f"On {_galaxies(document)}, the RMSE of"
        f" {counted(known or unknown, 'predicted vote fraction')}{others}"
        f" is {_in_words(network['rmse'], document['decimals'])}"
        f"{_beside(errors, document['differences'], document['decimals'])}."
    )
    return " ".join(
        [
            *(_few(document) or _verdict("RMSE", errors, document["differences"])),
            first,
            *_coverage(document["intervals"]),
            *_not_calibrated(document),
            *_chance(document),
            *_warning(document),
        ]
    )


def summary_of_classes(document: Mapping[str, Any]) -> str:
    """How many galaxies are given their class beside the best baseline, by the Brier score, and
    how well the probabilities are calibrated.
    """
    network, baselines = document["network"], document["baselines"]
    scores = {name: summary["brier"]["value"] for name, summary in baselines.items()}
    differences = {name: each["brier"] for name, each in document["differences"].items()}
    best = _best(scores)
    beside = "" if best is None else f", {best} that of {_share(baselines[best]['accuracy'])}"
    sentences = [
        (
            f"It predicts the right class of {_share_in_words(network['accuracy'])} of"
            f" {_galaxies(document, network['galaxies'])}{beside}."
        ),
        (
            f"The balanced accuracy is {_share(network['balanced_accuracy'])}; the predicted"
            " probabilities differ from the accuracy by"
            f" {digits_of(network['calibration_error'], document['decimals']).value} on average."
        ),
    ]
    if not scores:
        sentences[0] = sentences[0].replace("It predicts", "The network predicts", 1)
    return " ".join(
        [
            *(_few(document) or _verdict("the Brier score", scores, differences)),
            *sentences,
            *_chance(document),
            *_warning(document),
        ]
    )


def summary_of_quantities(document: Mapping[str, Any]) -> str:
    """The RMSE and R² of each quantity beside its best baseline, and the coverage."""
    few = _few(document)
    sentences = [*few]
    for i, row in enumerate(document["network"]):
        if row["rmse"]["value"] is None:
            sentences.append(f"{row['quantity']} is not known for any of these galaxies.")
            continue
        errors = {name: rows[i]["rmse"]["value"] for name, rows in document["baselines"].items()}
        differences = {name: rows[i] for name, rows in document["differences"].items()}
        sentences += [] if few else _verdict(f"RMSE of {row['quantity']}", errors, differences)
        sentences.append(
            f"On {_galaxies(document, row['galaxies'])}, the RMSE of {row['quantity']} is"
            f" {_in_words(row['rmse'], None, row['unit'])}"
            f"{_beside(errors, differences, None, row['unit'])}; R² is"
            f" {_in_words(row['r2'], document['decimals'])}."
        )
        if document["intervals"] is not None:
            found = document["intervals"]["quantities"][i]
            sentences += _coverage({**found, "nominal": document["intervals"]["nominal"]})
    return " ".join(
        [*sentences, *_not_calibrated(document), *_chance(document), *_warning(document)]
    )


def _galaxies(document: Mapping[str, Any], number: int | None = None) -> str:
    count = document["galaxies"] if number is None else number
    used = any(document["seen"][name] for name in ("training", "validation", "calibration"))
    unseen = "" if used else f" that {agreeing(count, 'was')} not used in training"
    return f"{counted(count, 'galaxy')}{unseen}"


# ---- beside the best baseline


def _best(values: Mapping[str, float | None]) -> str | None:
    """The baseline of the smallest error, if any is defined."""
    known = {
        name: value
        for name, value in values.items()
        if value is not None and name != BEFORE_FINE_TUNING
    }
    return min(known, key=lambda name: known[name]) if known else None


def _verdict(
    measure: str, errors: Mapping[str, float | None], differences: Mapping[str, Measure]
) -> list[str]:
    """Whether the network is better than the best baseline by the measure of these errors, and
    than it was before fine-tuning.
    """
    others = [best] if (best := _best(errors)) is not None else []
    others += [BEFORE_FINE_TUNING] if BEFORE_FINE_TUNING in errors else []
    than = {BEFORE_FINE_TUNING: "before fine-tuning", best: f"the best baseline, {best}"}
    compared = [f"{_compared(differences[name])} than {than[name]}" for name in others]
    return [f"By {measure}, the network is {', and '.join(compared)}."] if compared else []


def _compared(difference: Measure) -> str:
    """Better or worse, from the difference of errors, other − network: only if zero lies outside
    its interval.
    """
    low, high = difference["low"], difference["high"]
    if low is not None and low > 0:
        return "better"
    if high is not None and high < 0:
        return "worse"
    return "not significantly better or worse"


def _beside(
    errors: Mapping[str, float | None],
    differences: Mapping[str, Measure],
    decimals: int | None,
    unit: str = "",
) -> str:
    """How much smaller or larger the error of the network is than that of the best baseline."""
    best = _best(errors)
    if best is None or differences[best]["value"] is None:
        return ""
    value, low, high = (differences[best][end] or 0.0 for end in ("value", "low", "high"))
    side, ends = ("lower", (low, high)) if value >= 0 else ("higher", (-high, -low))
    text = digits_of({"value": abs(value), "low": ends[0], "high": ends[1]}, decimals)
    return f", {side} than that of {best} by {in_unit(text.value, unit)} ({text.ends})"


# ---- coverage, and what to beware of


def _few(document: Mapping[str, Any]) -> list[str]:
    """That little can be concluded from so few galaxies, in the place of a verdict."""
    if not document["few_galaxies"]:
        return []
    number = document["galaxies"]
    return [
        (
            f"With {counted(number, 'galaxy')}, nothing can be concluded about other galaxies:"
            f" {FEW_GALAXIES} or more are needed, and hundreds for small differences."
        )
    ]


def _not_calibrated(document: Mapping[str, Any]) -> list[str]:
    if document["intervals"] is not None:
        return []
    return ["It has no prediction intervals: the run is not calibrated (galaxyvotes calibrate)."]


def _coverage(found: Mapping[str, Any] | None) -> list[str]:
    if found is None or found["coverage"]["value"] is None:
        return []
    covered, nominal = found["coverage"], found["nominal"]
    return [
        (
            f"Its {100 * nominal:.0f}{_PERCENT} prediction intervals contain"
            f" {100 * covered['value']:.1f}{_PERCENT} of the labels."
        )
    ]


def _chance(document: Mapping[str, Any]) -> list[str]:
    """Which pairs of answers are not told apart, the first few, or which quantities are not
    predicted.
    """
    found: Mapping[str, Any] = document["chance"] or {}
    if quantities := [row["quantity"] for row in found.get("quantities", ())]:
        return [f"Not predicted better than by the mean: {', '.join(quantities)}."]
    answers: list[list[str]] = [pair["answers"] for pair in found.get("pairs", ())]
    pairs = [" and ".join(each) for each in answers]
    if not pairs:
        return []
    more = f" (and {counted(len(pairs) - 2, 'more pair')})" if len(pairs) > 2 else ""
    return [f"{'; '.join(pairs[:2])}{more} are not told apart better than by chance."]


def _warning(document: Mapping[str, Any]) -> list[str]:
    """What these galaxies were used for."""
    seen = document["seen"]
    sentences: list[str] = []
    if seen["training"]:
        sentences.append(
            f"Of these galaxies, {counted(seen['training'], 'is')} in the training set of the"
            " network, so these numbers do not estimate errors on new galaxies."
        )
    if seen["validation"]:
        chose = (
            "{has} chosen the epoch that was kept, so errors on {it} are somewhat too small"
            if seen["chose_epoch"]
            else "{has} chosen nothing, because the last epoch was kept: {it is} as good as"
            " test galaxies"
        )
        known = f"{{is}} in its validation set and {chose}."
        sentences.append(sentence(seen["validation"], known))
    if seen["calibration"]:
        sentences.append(
            sentence(seen["calibration"], "{is} in its calibration set, so prediction intervals")
            + f" and probabilities fit {agreeing(seen['calibration'], 'it')} better than new"
            " galaxies."
        )
    return sentences


# ---- numbers


def _in_words(measure: Measure, decimals: int | None, unit: str = "") -> str:
    if measure["value"] is None:
        return "undefined"
    text = digits_of(measure, decimals)
    return f"{in_unit(text.value, unit)} ({_INTERVAL} {text.ends})"


def _share(measure: Measure, end: str = "value") -> str:
    value = measure[end]
    return "undefined" if value is None else f"{100 * value:.0f}{_PERCENT}"


def _share_in_words(measure: Measure) -> str:
    """A share and its interval, which resamples of galaxies that are all alike cannot give."""
    if measure["low"] == measure["high"]:
        return _share(measure)
    return f"{_share(measure)} ({_INTERVAL} {_share(measure, 'low')} to {_share(measure, 'high')})"
