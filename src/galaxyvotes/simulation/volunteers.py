"""Simulated volunteers: the truth about a galaxy → what its picture shows → whole votes, by walking
the decision tree.

A volunteer never sees the truth but a `Sight`: how strongly each property shows after inclination,
blur and noise. Every volunteer perceives it with errors of their own (some people are more careful
than others), answers from what they perceive, and now and then clicks at random. So a property near
a threshold splits the votes, a structure that the picture hides is hardly reported, and votes are
graded the way real ones are.

The walk follows the tree's own data: from the first question along `next`. A question that the
campaign's tables count for everybody (`asked_of` is None: "Is there anything odd?") is asked of
everybody, also after "star or artifact", where the website stopped. So the votes of every question
add up to the votes for the answer it is asked of, and joint fractions are simply votes over
volunteers.

The thresholds are ours, set so that the shares of the answers resemble the challenge's.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Int

from galaxyvotes.tree import Answer, DecisionTree

__all__ = ["Galaxy", "Sight", "ballots", "count"]


@dataclass(frozen=True)
class Galaxy:
    """What is true of one simulated galaxy. Strengths run from 0 (absent) to 1; lengths are in
    pixels.

    `type` is elliptical, lenticular, spiral, edge-on, irregular, merger, star or artifact.
    `axis_ratio` is the apparent one, before blur; `bulge` is the bulge's share of the light;
    `brightness` is that of the surface, 1 being usual; `redness` is 0 for young and 1 for old
    stars. `inclination_deg` is NaN without a disc.
    """

    type: str
    radius_px: float
    axis_ratio: float
    angle_deg: float
    redness: float
    brightness: float
    psf_fwhm_px: float
    inclination_deg: float = math.nan
    bulge: float = 0.0
    boxiness: float = 0.0
    bar: float = 0.0
    bar_angle_deg: float = 0.0
    arms: int = 0
    arm_strength: float = 0.0
    pitch_deg: float = 0.0
    ring: float = 0.0
    arc: float = 0.0
    disturbed: float = 0.0
    irregular: float = 0.0
    other: float = 0.0
    merger: float = 0.0
    dust: float = 0.0
    artifact: float = 0.0

    @property
    def is_disc(self) -> bool:
        """Whether it is a disc, seen from whatever side."""
        return not math.isnan(self.inclination_deg)

    @property
    def face_on(self) -> float:
        """1 for a disc seen face-on, 0 for one seen edge-on and for anything that is no disc."""
        return math.cos(math.radians(self.inclination_deg)) if self.is_disc else 0.0


@dataclass(frozen=True)
class Sight:
    """What the picture shows of a galaxy: strengths from 0 (nothing to see) to 1 (plain), unless a
    unit is named.
    """

    artifact: float = 0.0
    features: float = 0.0
    axis_ratio: float = 1.0
    bulge: float = 0.0
    boxiness: float = 0.0
    bar: float = 0.0
    spiral: float = 0.0
    arms: float = 0.0
    pitch_deg: float = 0.0
    ring: float = 0.0
    arc: float = 0.0
    disturbed: float = 0.0
    irregular: float = 0.0
    other: float = 0.0
    merger: float = 0.0
    dust: float = 0.0

    @staticmethod
    def of(galaxy: Galaxy) -> "Sight":
        """What the picture shows of the galaxy: its truth, less what inclination, blur and noise
        hide.
        """
        deep = 1.0 / (1.0 + 0.08 / galaxy.brightness**2)
        sharp = deep * math.exp(-((galaxy.psf_fwhm_px / 13.0) ** 2))
        open_view = ramp(galaxy.face_on, 0.12, 0.4)
        blur, radius = galaxy.psf_fwhm_px / 2.35, galaxy.radius_px
        axis_ratio = math.hypot(galaxy.axis_ratio * radius, blur) / math.hypot(radius, blur)
        spacing = (
            2.0 * math.pi * radius * math.sin(math.radians(galaxy.pitch_deg)) / max(galaxy.arms, 1)
        )
        resolved = math.exp(-((1.3 * galaxy.psf_fwhm_px / spacing) ** 2)) if galaxy.arms else 0.0
        spiral = 1.15 * ramp(galaxy.arm_strength, 0.0, 0.75) * resolved * open_view * deep
        bar = 1.2 * galaxy.bar * sharp * open_view
        odd = {
            "ring": 1.2 * galaxy.ring * sharp * ramp(galaxy.face_on, 0.1, 0.35),
            "arc": 1.2 * galaxy.arc * sharp,
            "disturbed": 1.1 * galaxy.disturbed * deep,
            "irregular": 1.1 * galaxy.irregular * deep,
            "other": 1.1 * galaxy.other * deep,
            "merger": 1.1 * galaxy.merger * deep,
            "dust": 1.2 * galaxy.dust * sharp,
        }
        thin = 1.1 * ramp(-axis_ratio, -0.45, -0.22) * galaxy.is_disc
        lens_shape = (0.32 + 0.2 * (1.0 - galaxy.bulge)) * galaxy.is_disc
        structure = (
            lens_shape,
            spiral,
            bar,
            thin,
            odd["ring"],
            odd["irregular"],
            odd["dust"],
            0.8 * odd["disturbed"],
        )
        return Sight(
            artifact=galaxy.artifact,
            features=max(0.12, *structure, 0.85 * odd["merger"]),
            axis_ratio=axis_ratio,
            bulge=math.sqrt(galaxy.bulge) if galaxy.is_disc or galaxy.irregular else 0.9,
            boxiness=galaxy.boxiness * sharp,
            bar=bar,
            spiral=spiral,
            arms=float(galaxy.arms),
            pitch_deg=galaxy.pitch_deg,
            **odd,
        )


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


# A careful volunteer's standard error in each property, in its own unit.
_ERROR = {
    "features": 0.25,
    "axis_ratio": 0.08,
    "bulge": 0.12,
    "boxiness": 0.18,
    "arms": 0.4,
    "pitch_deg": 4.0,
}
_USUAL_ERROR = 0.2
_RANDOM_CLICKS = 0.03
_ODD = (
    "ring",
    "arc",
    "disturbed",
    "irregular",
    "other",
    "merger",
    "dust",
)  # in the order of Q8's answers


def ballots(
    sight: Sight, tree: DecisionTree, volunteers: int, rng: np.random.Generator
) -> Int[np.ndarray, "volunteer question"]:
    """What every volunteer would answer to every question of the tree, asked or not: indices of
    answers.

    The tree is one with the eleven questions of Galaxy Zoo 2 (`kaggle`, `gz2`).
    """
    carelessness = np.exp(rng.normal(0.0, 0.35, volunteers))
    seen = {
        field.name: (
            getattr(sight, field.name)
            + rng.normal(0.0, _ERROR.get(field.name, _USUAL_ERROR), volunteers) * carelessness
        )
        for field in fields(Sight)
    }
    odd = np.stack([seen[name] for name in _ODD])
    cannot_tell = sight.spiral + rng.normal(0.0, _USUAL_ERROR, volunteers) < 0.55
    answers: dict[str, np.ndarray] = {
        "Q1": np.where(seen["artifact"] > 0.5, 2, seen["features"] > 0.5),
        "Q2": seen["axis_ratio"] > 0.32,
        "Q3": seen["bar"] < 0.5,
        "Q4": seen["spiral"] < 0.4,
        "Q5": np.searchsorted([0.2, 0.52, 0.84], seen["bulge"]),
        "Q6": odd.max(0) < 0.7,
        "Q7": np.searchsorted([-0.8, -0.42], -seen["axis_ratio"]),
        "Q8": odd.argmax(0),
        "Q9": np.where(seen["bulge"] < 0.3, 2, seen["boxiness"] > 0.5),
        "Q10": np.searchsorted([16.0, 26.0], seen["pitch_deg"]),
        "Q11": np.where(cannot_tell, 5, np.clip(np.rint(seen["arms"]), 1, 5) - 1),
    }
    result = np.stack([answers[question.name] for question in tree.questions], axis=1).astype(
        np.int64
    )
    random = rng.integers(0, [len(question.answers) for question in tree.questions], result.shape)
    return np.where(rng.random(result.shape) < _RANDOM_CLICKS, random, result)


def count(
    given: Int[np.ndarray, "volunteer question"], tree: DecisionTree
) -> Int[np.ndarray, " answer"]:
    """Whole votes per answer of the tree: each volunteer's answers count only where their walk
    takes them.

    A row holds one volunteer's answers to every question, as indices.
    """
    places = {question.name: (index, where.start) for index, (question, where) in enumerate(tree)}
    starts = [question.name for question in tree.questions if question.asked_of is None]
    answers, votes = tree.answers, np.zeros(len(tree.answers), np.int64)
    for ballot in given.tolist():
        votes[_walk(ballot, starts, places, answers)] += 1
    return votes


def _walk(
    ballot: list[int],
    starts: list[str],
    places: dict[str, tuple[int, int]],
    answers: tuple[Answer, ...],
) -> list[int]:
    """The answers one volunteer gives, as places in the tree: the walk, then what everybody is
    asked and it missed.
    """
    path: list[int] = []
    visited: set[str] = set()
    for start in starts:
        name: str | None = start
        while name is not None and name not in visited:
            visited.add(name)
            index, first = places[name]
            path.append(first + ballot[index])
            name = answers[path[-1]].next
    return path
