"""The process that fine-tunes a network on votes of the page: pack, evaluate, finetune, calibrate,
evaluate again.

It prints each step as the command that does the same, behind `$`, then what that command prints. A
folder holds what it makes: `votes.csv`, which is there before, `store`, `run`, and a report
`before` and `after`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from galaxyvotes.config import LabelSettings, SplitSettings
from galaxyvotes.errors import DataError
from galaxyvotes.evaluation.calibrate import calibrate
from galaxyvotes.evaluation.evaluate import evaluate
from galaxyvotes.questions import VoteColumns
from galaxyvotes.runs.run import open_run
from galaxyvotes.runtime.notes import note
from galaxyvotes.store.pack import pack
from galaxyvotes.store.store import Store
from galaxyvotes.training.finetune import finetune
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.background import do_job

__all__ = ["Job", "main", "run_job", "with_votes"]

SPLITS = SplitSettings(0.6, 0.2, 0.2)  # tens of galaxies: more of them judge than of thousands


class Job(msgspec.Struct, frozen=True):
    """The images, the folder to work in, the run to start from (none for the bundled model) and
    settings that differ from the recipe's.
    """

    images: tuple[str, ...]
    folder: str
    start: str | None = None
    settings: tuple[str, ...] = ()

    @property
    def votes(self) -> Path:
        """The table of votes."""
        return Path(self.folder, "votes.csv")

    @property
    def tree(self) -> Path:
        """The tree that the votes answer."""
        return Path(self.folder, "tree.toml")


def run_job(job: Job, say: Callable[[str], None] = note) -> None:
    """Do all steps; `say` gets the command of each, and the numbers of the reports.

    Raises what `pack`, `finetune`, `calibrate` and `evaluate` raise.
    """
    start = open_run(job.start)
    run, packed = Path(job.folder, "run"), Path(job.folder, "store")
    before, after = Path(job.folder, "before"), Path(job.folder, "after")
    tree = with_votes(DecisionTree.from_toml(job.tree.read_text("utf-8")))
    columns = next(table.name for table in tree.tables if table.holds == "votes")
    named = "" if job.start is None else f" --start {job.start}"
    parts = ",".join(map(str, (SPLITS.train, SPLITS.validation, SPLITS.test)))

    sources = " ".join([*job.images, str(job.votes)])
    meant = "" if job.start is None else f" --for {job.start}"
    say(
        f"$ galaxyvotes pack {sources} --tree {job.tree} --votes {columns} --splits {parts}{meant}"
        f" --out {packed}"
    )
    store = pack(
        [*job.images, job.votes],
        packed,
        labels=LabelSettings(tree=tree, votes=columns),
        settings=start.pack,
        splits=replace(SPLITS, start=None if job.start is None else start.path),
    )
    if _is_known(store, job.start):
        ran = "" if job.start is None else f" --run {job.start}"
        say(f"$ galaxyvotes evaluate {packed}{ran} --no-baselines --out {before}")
        say(evaluate(store, job.start, out=before, baselines=False).table())
    options = "".join(f" --set {setting}" for setting in job.settings)
    say(f"$ galaxyvotes finetune {packed}{named}{options} --out {run}")
    finetune(store, run, start=job.start, settings=job.settings)
    say(f"$ galaxyvotes calibrate {packed} --run {run}")
    try:
        calibrate(store, run)
    except DataError as error:  # of too few galaxies; the report says that there are no intervals
        say(f"not calibrated: {error}")
    say(f"$ galaxyvotes evaluate {packed} --run {run} --out {after}")
    say(evaluate(store, run, out=after).table())


def with_votes(tree: DecisionTree) -> DecisionTree:
    """The tree with a table of whole votes, which the page writes, if it has none."""
    if any(table.holds == "votes" for table in tree.tables):
        return tree
    return replace(tree, tables=(VoteColumns("votes", "{answer}", "votes"),))


def _is_known(store: Store, start: str | None) -> bool:
    """Whether a run predicts what the store has labels of."""
    assert store.tree is not None
    trees = [head.tree for head in open_run(start).network().heads]
    return any(tree.name == store.tree.name for tree in trees)


def main() -> None:
    """Do the job that is the first argument (see `background.do_job`)."""
    do_job(Job, run_job)


if __name__ == "__main__":
    main()
