"""The process that finds from which galaxies a network would learn most, for the page to ask about.

It prints how many images are done, a line now and then: `done of all`.
"""

import time
from pathlib import Path

import msgspec

from galaxyvotes.runtime.notes import note
from galaxyvotes.search.choose_next import choose
from galaxyvotes.web.background import do_job

__all__ = ["Job", "main", "run_job"]

_SECONDS = 1.0  # between two lines


class Job(msgspec.Struct, frozen=True):
    """The images, the table to write, how many galaxies to put in it, and the run (none for the
    bundled model) and its tree that are asked.
    """

    images: tuple[str, ...]
    out: str
    count: int
    tree: str
    run: str | None = None


def run_job(job: Job) -> None:
    """Find the galaxies and write the table; what `choose` raises."""
    said = 0.0

    def advance(done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said >= _SECONDS:
            said = time.monotonic()
            note(f"{done} of {total}")

    queue = choose(job.images, job.count, run=job.run, tree=job.tree, progress=advance)
    queue.write(Path(job.out), overwrite=True)


def main() -> None:
    """Do the job that is the first argument (see `background.do_job`)."""
    do_job(Job, run_job)


if __name__ == "__main__":
    main()
