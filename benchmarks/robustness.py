"""What a model makes of galaxies as other surveys might show them, and whether it notices.

    python benchmarks/robustness.py --json benchmarks/json/robustness.json
    python benchmarks/robustness.py RUN

The galaxies are test galaxies of the challenge that the run has never seen (as in `bundled.py`):
shown as they are, then changed in one way each. At less than the original scale more sky is needed
than their 232 px hold: there the 100 originals of 424 px are used, beside themselves unchanged
(`seen` says how many of these the run has seen), and the test galaxies with their sky continued by
its mirror image. Of each condition: the error, the error ÷ that of the unchanged images (95 %
interval over galaxies), the share of galaxies that are unfamiliar, whether `predict` warns, and how
often it would in draws of 100 galaxies; on unchanged images these are false alarms. Drawn images
of stars, trails and the like (`artifacts.py`) show how often Class1.3 is the largest of its three.
Needs a few minutes on one core."""

import argparse
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import galaxyvotes as gv
from artifacts import KINDS, test_images
from catalogues import FRACTIONS, IMAGES, LARGER, Catalogue
from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.evaluation.seen import calibrated_on, seen_by
from galaxyvotes.runs.run import open_run
from provenance import write

TREE = "kaggle"
ARTIFACT = ("Class1.1", "Class1.2", "Class1.3")
DRAW, DRAWS, RESAMPLED = 100, 200, 1000
MIRRORED_SKY_PX = 424

Pixels = np.ndarray
Change = Callable[[Pixels], Pixels]


# ---- how galaxies are changed


def scaled(factor: float, *, mirrored_sky: bool = False) -> Change:
    """The galaxy `factor` times as large, in an image of the same side or of what sky there is."""

    def change(pixels: Pixels) -> Pixels:
        if mirrored_sky:
            beyond = (MIRRORED_SKY_PX - len(pixels)) // 2
            pixels = np.pad(pixels, ((beyond, beyond), (beyond, beyond), (0, 0)), "reflect")
        side = round(len(pixels) * factor)
        larger = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
        kept = min(side, 232)
        start = (side - kept) // 2
        return np.asarray(larger.crop((start, start, start + kept, start + kept)))

    return change


def of_light(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of light between 0 and 1."""
    return lambda pixels: np.rint(255 * change(pixels / 255).clip(0, 1)).astype(np.uint8)


def noisy(deviation: float) -> Change:
    rng = np.random.default_rng(0)
    return of_light(lambda light: light + rng.normal(0, deviation, light.shape))


def blurred(sigma_px: float) -> Change:
    return lambda pixels: np.asarray(
        Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px))
    )


def small(pixels: Pixels) -> Pixels:
    """As if it came as a JPEG whose central 208 px are 64 px wide."""
    side, file = round(len(pixels) * 64 / 208), io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS).save(file, "JPEG")
    enlarged = Image.open(file).resize((len(pixels),) * 2, Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def pure_noise() -> Change:
    rng = np.random.default_rng(1)
    return lambda pixels: rng.integers(0, 256, pixels.shape, np.uint8)


AS_IS = "as they are"
CHANGES: dict[str, Change] = {
    AS_IS: lambda pixels: pixels,
    "0.5 x, mirrored sky": scaled(0.5, mirrored_sky=True),
    "0.67 x, mirrored sky": scaled(0.67, mirrored_sky=True),
    "1.5 x": scaled(1.5),
    "2 x": scaled(2.0),
    "grey": of_light(lambda light: light.mean(axis=2, keepdims=True).repeat(3, axis=2)),
    "gamma 0.5": of_light(lambda light: light**0.5),
    "gamma 2": of_light(lambda light: light**2),
    "asinh": of_light(lambda light: np.arcsinh(10 * light) / np.arcsinh(10)),
    "noise 0.03": noisy(0.03),
    "noise 0.08": noisy(0.08),
    "blur 1.5 px": blurred(1.5),
    "blur 3 px": blurred(3.0),
    "64 px JPEG": small,
    "colours swapped": lambda pixels: pixels[:, :, ::-1],
    "inverted": lambda pixels: 255 - pixels,
    "blank": np.zeros_like,
    "pure noise": pure_noise(),
}
OF_ORIGINALS: dict[str, Change] = {
    AS_IS: CHANGES[AS_IS],
    "0.5 x": scaled(0.5),
    "0.67 x": scaled(0.67),
}
NO_GALAXY = ("blank", "pure noise")


# ---- the figures


def predicted(run: gv.Run, images: Iterable[tuple[str, Pixels]]) -> gv.Predictions:
    """Predictions of these images, in their order, and whether `predict` warns of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, pixels in images:
                file = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
                archive.writestr(f"{name}.png", file.getvalue())
        return gv.predict(path, run=run, tree=TREE, progress=False)


def figures(answers, references: int, labels: np.ndarray | None, errors: np.ndarray | None) -> dict:
    """The figures of one condition; `errors` are the squared errors of the unchanged galaxies."""
    scores = answers.familiarity
    rng = np.random.default_rng(2)
    draws = [
        Shift.count(rng.choice(scores, min(DRAW, len(scores)), replace=False), references).detected
        for _ in range(DRAWS)
    ]
    numbers = {
        "galaxies": len(answers),
        "unfamiliar": Shift.count(scores, references).share,
        "warning": answers.warning is not None,
        "warnings_in_draws": float(np.mean(draws)),
    }
    if labels is None or errors is None:
        return numbers
    changed = squared_errors(answers.values, labels)
    ratio = np.sqrt(changed.mean() / errors.mean())
    rows = rng.integers(len(changed), size=(RESAMPLED, len(changed)))
    resampled = np.sqrt(changed[rows].mean(axis=1) / errors[rows].mean(axis=1))
    return numbers | {
        "rmse": float(np.sqrt(changed.mean())),
        "ratio": float(ratio),
        "ratio_interval": np.quantile(resampled, (0.025, 0.975)).tolist(),
    }


def squared_errors(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.square(values - labels).mean(axis=1)


def conditions(
    run: gv.Run,
    references: int,
    galaxies: dict[str, Pixels],
    labels: dict[str, np.ndarray],
    changes: dict[str, Change],
) -> dict[str, dict]:
    """The figures of every change of these galaxies."""
    of_galaxies, errors, results = np.array([*labels.values()]), None, {}
    for name, change in changes.items():
        answers = predicted(run, ((i, change(galaxies[i])) for i in labels))
        assert answers.ids == tuple(labels)
        if errors is None:
            errors = squared_errors(answers.values, of_galaxies)
        with_labels = None if name in NO_GALAXY else of_galaxies
        results[name] = figures(answers, references, with_labels, errors)
        print(name, results[name], flush=True)
    return results


def of_artifacts(run: gv.Run, references: int, skies: list[Pixels], count: int) -> dict:
    """How often a drawn image of each kind gets Class1.3 as the largest of question 1."""
    drawn = [*test_images(count, 0, skies)]
    answers = predicted(run, ((f"{n:05}", pixels) for n, (_, pixels) in enumerate(drawn)))
    columns = [answers.columns.index(column) for column in ARTIFACT]
    of_question = answers.values[:, columns]
    right, kinds = of_question.argmax(axis=1) == 2, np.array([kind for kind, _ in drawn])
    return figures(answers, references, None, None) | {
        "told": float(right.mean()),
        "told_of_kind": {kind: float(right[kinds == kind].mean()) for kind in KINDS},
        "fraction": float(of_question[:, 2].mean()),
        "largest_fraction": float(of_question[:, 2].max()),
    }


def read_images(zips: list[Path], ids: Iterable[str]) -> dict[str, Pixels]:
    """The images with these ids, of those that the archives hold."""
    asked, images = set(ids), {}
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if Path(name).suffix == ".jpg" and Path(name).stem in asked:
                    file = io.BytesIO(archive.read(name))
                    images[Path(name).stem] = np.asarray(Image.open(file).convert("RGB"))
    return images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", help="a run folder; the bundled run without")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/bundled"))
    parser.add_argument("--galaxies", type=int, default=500, help="at most, of each condition")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = open_run(given.run)
    familiarity = run.network(tree=TREE).familiarity
    if familiarity is None:
        parser.error(f"{run.path} is not calibrated")
    references = familiarity.references
    store = Catalogue(given.data, given.work, "fractions", FRACTIONS, settings=LARGER).whole
    head = next(head for head in run.heads if head.tree.name == TREE)
    seen = seen_by(run, store) | calibrated_on(run, store, head)
    rows = store.rows("test")
    rows = np.random.default_rng(3).permutation(rows[~seen[rows]])[: given.galaxies]
    labels = {store.ids[row]: store.values[row] for row in sorted(rows)}
    galaxies = read_images(sorted(given.data.glob(IMAGES)), labels)
    place = {i: row for row, i in enumerate(store.ids)}
    originals = read_images([given.data / "kaggle/originals_424.zip"], place)
    results = {
        "galaxies": conditions(run, references, galaxies, labels, CHANGES),
        "originals": conditions(
            run,
            references,
            originals,
            {i: store.values[place[i]] for i in originals},
            OF_ORIGINALS,
        ),
        "originals_seen": int(sum(seen[place[i]] for i in originals)),
        "artifacts": of_artifacts(run, references, [*galaxies.values()], 250),
    }
    print("originals seen", results["originals_seen"])
    print("artifacts", results["artifacts"])
    write(given.json, results)


if __name__ == "__main__":
    main()
