"""The mean labels of the training galaxies of a run, which stand in for answers that it does not
predict.
"""

from collections.abc import Sequence

from galaxyvotes.errors import CheckpointError
from galaxyvotes.runs.run import Run

__all__ = ["mean_labels"]


def mean_labels(run: Run, columns: Sequence[str]) -> dict[str, float]:
    """The mean label of each of these answers over the training galaxies; of several trees that
    have it, of the first.

    Raises CheckpointError if the run recorded none, as runs of earlier versions and ensembles of
    networks that were trained on other galaxies do.
    """
    trees: list[dict[str, float]] = run.facts.get("means", [])
    means = {column: mean for tree in reversed(trees) for column, mean in tree.items()}
    if lacking := [column for column in columns if column not in means]:
        raise CheckpointError(
            f"{run.title} has recorded no mean votes of {', '.join(lacking)}: name a run that was"
            " trained by this version on a table with all of these answers"
        )
    return {column: means[column] for column in columns}
