"""What tests of training share."""

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest
import simplejpeg

from galaxyvotes import PackSettings, Run, SplitSettings, Store, pack, train
from galaxyvotes.config import LabelSettings
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


@pytest.fixture(scope="session")
def base(blob_store, tmp_path_factory) -> Run:
    """Our small network, which has learned round from long."""
    settings = (
        "train.epochs=15",
        "train.batch_size=8",
        "model.name=compact",
        "model.width=8",
        "train.keep=last",
    )
    return train(
        blob_store,
        tmp_path_factory.mktemp("base") / "run",
        recipe="small",
        settings=settings,
        progress=False,
    )


@pytest.fixture(scope="session")
def upside(blobs, tmp_path_factory) -> Store:
    """Thirty other blobs, asked another question with the same answer behind it."""
    folder = tmp_path_factory.mktemp("upside")
    random = np.random.default_rng(1)
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    for number in range(30):
        width = (5.5, 2.2)[number % 2]
        light = np.exp(-((x / 5) ** 2 + (y / width) ** 2)) * 180 + random.normal(20, 5, x.shape)
        image = np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (folder / "images").mkdir(exist_ok=True)
        path = folder / "images" / f"u{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95))
    lines = [f"u{number},{('disc', 'needle')[number % 2]}\n" for number in range(30)]
    (folder / "shapes.csv").write_text("name,shape\n" + "".join(lines), "utf-8")
    return pack(
        [folder / "images", folder / "shapes.csv"],
        folder / "store",
        labels=LabelSettings(classes="shape"),
        settings=PackSettings(32, 32),
        splits=SplitSettings(0.4, 0.2, 0.4),
        progress=False,
    )
