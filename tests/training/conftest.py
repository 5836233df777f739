"""What tests of training share."""

import os
import signal
from collections.abc import Callable

import pytest

from galaxyvotes import PackSettings, SplitSettings, Store, pack
from galaxyvotes.training.learner import Learner


@pytest.fixture(scope="session")
def fractions_store(blobs, tmp_path_factory, kaggle, make_fractions, make_csv) -> Store:
    """Thirty of the blobs under the same ids with fractions of the challenge's tree, split by
    another key."""
    folder = tmp_path_factory.mktemp("fractions")
    ids = [path.stem for path in sorted(blobs.rglob("*.jpg"))][:30]
    table = folder / "votes.csv"
    table.write_text(
        make_csv(["GalaxyID", *kaggle.columns], ids, make_fractions(kaggle, len(ids))), "utf-8"
    )
    return pack(
        [blobs, table],
        folder / "store",
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.6, 0.2, 0.2, "another"),
        progress=False,
    )


@pytest.fixture
def stop_after(monkeypatch) -> Callable[[int], None]:
    """`stop_after(steps)`: this process gets a SIGTERM after so many steps of training."""

    def patch(steps: int) -> None:
        learn, done = Learner.learn, 0

        def learn_and_stop(self, batch, share, *, seed, rate):
            nonlocal done
            sums = learn(self, batch, share, seed=seed, rate=rate)
            done += 1
            if done == steps:
                os.kill(os.getpid(), signal.SIGTERM)
            return sums

        monkeypatch.setattr(Learner, "learn", learn_and_stop)

    return patch
