"""The rows of the last selections of a catalogue, so that a page anywhere in one is read directly,
and scores by which galaxies are sorted though no file has them.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32, Int32

from galaxyvotes.web.selection import Selection

__all__ = ["Orders", "Rows"]

_KEPT = 16  # selections

Rows = Int32[np.ndarray, " galaxy"]


@dataclass
class Orders:
    """The rows of the last selections; safe in any thread."""

    _scores: dict[str, Float32[np.ndarray, " galaxy"]] = field(
        default_factory=dict[str, Float32[np.ndarray, " galaxy"]]
    )
    _kept: OrderedDict[Selection, Rows] = field(default_factory=OrderedDict[Selection, Rows])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, selection: Selection, find: Callable[[Selection], Rows]) -> Rows:
        """The rows of a selection, in its order; `find` finds them where scores do not sort."""
        with self._lock:
            if selection in self._kept:
                self._kept.move_to_end(selection)
                return self._kept[selection]
        scores = self._scores.get(selection.sort.removeprefix("-"))
        if scores is None:
            rows = find(selection)
        else:
            rows = self.rows(replace(selection, sort=""), find)
            sign = -1 if selection.sort.startswith("-") else 1
            rows = rows[np.argsort(sign * scores[rows], kind="stable")]  # NaN comes last
        with self._lock:
            self._kept[selection] = rows
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return rows

    def set_scores(self, name: str, scores: Float32[np.ndarray, " galaxy"]) -> None:
        """Let galaxies be sorted by these scores, NaN last, under a name that is no column."""
        self._scores[name] = scores
        self.forget(name)

    def forget(self, column: str) -> None:
        """Forget the rows of the selections in which a column has a part."""
        with self._lock:
            for selection in [*self._kept]:
                if selection.uses(column):
                    del self._kept[selection]
