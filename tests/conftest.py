"""What every test file shares: checked array shapes, one thread, and a few small galaxies."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from jaxtyping import install_import_hook
from PIL import Image

# The shapes in annotations are checked on every call, in the test run only; nothing may import the
# package before.
install_import_hook("galaxyvotes", "beartype.beartype")
torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """Let strategies build our own types: beartype looks at random items of tuples, which
    Hypothesis takes for ours."""
    reason = "Do not use the `random` module inside strategies"
    config.addinivalue_line(
        "filterwarnings", f"ignore:{reason}:hypothesis.errors.HypothesisDeprecationWarning"
    )


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws from torch's own generator is the same in every run, whatever ran before
    it."""
    torch.manual_seed(0)


SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real galaxies; a test that asks for it is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real galaxies are not here: {SHARED_DATA} is no folder")
    return SHARED_DATA


@pytest.fixture(scope="session")
def kaggle():
    """The tree of the 2014 challenge."""
    from galaxyvotes.tree import DecisionTree

    return DecisionTree.load("kaggle")


@pytest.fixture(scope="session")
def make_jpeg() -> Callable[..., bytes]:
    """`make_jpeg(seed, side)`: a JPEG of a blob of light on a noisy sky, another one for every
    seed."""

    def draw(seed: int = 0, side: int = 24) -> bytes:
        random = np.random.default_rng(seed)
        y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
        light = np.exp(-(x**2 + y**2) / random.uniform(0.01, 0.1))[..., None] * random.uniform(
            80, 220, 3
        )
        sky = random.uniform(0, 30, (side, side, 3))
        return simplejpeg.encode_jpeg((light + sky).astype(np.uint8), quality=95)

    return draw


@pytest.fixture(scope="session")
def make_image() -> Callable[..., bytes]:
    """`make_image(array or Pillow image, kind)`: an image file of any kind that Pillow writes."""

    def encode(picture: np.ndarray | Image.Image, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
            buffer, kind
        )
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def make_fractions() -> Callable[..., np.ndarray]:
    """`make_fractions(tree, galaxies, seed)`: joint fractions that obey the tree, float32
    (galaxies, answers)."""

    def draw(tree, galaxies: int, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        questions = [
            random.dirichlet(np.ones(len(question.answers)), galaxies)
            for question in tree.questions
        ]
        return tree.joint(np.concatenate(questions, axis=1)).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def make_csv() -> Callable[..., str]:
    """`make_csv(header, ids, values)`: a table, an id first, then numbers with six places."""

    def write(header: list[str], ids: list[str], values: np.ndarray) -> str:
        rows = [
            [name, *(f"{value:.6f}" for value in row)]
            for name, row in zip(ids, values.tolist(), strict=True)
        ]
        return "".join(",".join(row) + "\n" for row in [header, *rows])

    return write


@pytest.fixture
def galaxies_folder(tmp_path: Path, kaggle, make_jpeg, make_fractions, make_csv) -> Path:
    """Twelve JPEGs of 24 px, `images/1000.jpg` to `images/1011.jpg`, and `solutions.csv` in the
    challenge's form."""
    folder = tmp_path / "galaxies"
    (folder / "images").mkdir(parents=True)
    ids = [str(1000 + n) for n in range(12)]
    for n, name in enumerate(ids):
        (folder / "images" / f"{name}.jpg").write_bytes(make_jpeg(n))
    table = make_csv(["GalaxyID", *kaggle.columns], ids, make_fractions(kaggle, len(ids)))
    (folder / "solutions.csv").write_text(table, "utf-8")
    return folder


@pytest.fixture
def tiny_store(galaxies_folder: Path, tmp_path: Path):
    """The twelve galaxies packed at 16 px, with the challenge's tree."""
    from galaxyvotes.config import PackSettings
    from galaxyvotes.store.pack import pack

    return pack(
        galaxies_folder,
        tmp_path / "store",
        settings=PackSettings(16, 16),
        workers=1,
        progress=False,
    )


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of classes: forty round and forty long blobs of 32 px, which a network tells apart
    in seconds."""
    folder = tmp_path_factory.mktemp("blobs") / "images"
    random = np.random.default_rng(0)
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    for number in range(80):
        kind, width = (("round", 5), ("long", 2))[number % 2]
        light = np.exp(-((x / 5) ** 2 + (y / width) ** 2)) * 200 + random.normal(20, 5, x.shape)
        image = np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"g{number}.jpg").write_bytes(
            simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95)
        )
    return folder


@pytest.fixture(scope="session")
def blob_store(blobs: Path):
    """The blobs, packed."""
    from galaxyvotes import PackSettings, SplitSettings, pack

    splits = SplitSettings(0.7, 0.15, 0.15)
    return pack(
        blobs, blobs.parent / "store", settings=PackSettings(32, 32), splits=splits, progress=False
    )


@pytest.fixture(scope="session")
def blob_fractions(blob_store, blobs: Path, tmp_path_factory: pytest.TempPathFactory):
    """`blob_fractions(folder, splits)`: the blobs packed with fractions of one question, which are
    not known to be classes."""
    from galaxyvotes import SplitSettings, pack
    from galaxyvotes.config import LabelSettings
    from galaxyvotes.questions import FRACTION_COLUMNS

    table = tmp_path_factory.mktemp("fractions") / "votes.csv"
    lines = [",".join(["id", *blob_store.tree.columns])]
    for name, row in zip(blob_store.ids, blob_store.values.tolist(), strict=True):
        lines.append(",".join([name, *map(str, row)]))
    table.write_text("\n".join(lines), "utf-8")
    labels = LabelSettings(tree=dataclasses.replace(blob_store.tree, tables=FRACTION_COLUMNS))

    def go(folder: Path, splits: SplitSettings):
        how = {"labels": labels, "settings": blob_store.pack, "progress": False}
        return pack([blobs, table], folder, splits=splits, **how)

    return go


@pytest.fixture(scope="session")
def blob_run(blob_store, tmp_path_factory: pytest.TempPathFactory):
    """A network that has learned the blobs, never interrupted."""
    from galaxyvotes import train

    settings = ("train.epochs=12", "train.batch_size=8")
    return train(
        blob_store,
        tmp_path_factory.mktemp("run") / "run",
        recipe="small",
        settings=settings,
        progress=False,
    )


@pytest.fixture(scope="session")
def history() -> list[dict]:
    """The history of two epochs of a run."""
    return [
        {
            "epoch": epoch,
            "loss": 0.5,
            "mse": 0.04,
            "accuracy": 0.4,
            "validation_loss": 0.6,
            "validation_mse": 0.05,
            "validation_accuracy": None,
            "seconds": 1.0,
        }
        for epoch in (1, 2)
    ]
