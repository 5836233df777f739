"""What labels are worth: RMSE over the challenge's 37 fractions against the number of training
galaxies.

    python benchmarks/label_curve.py --json benchmarks/json/label_curve.json

For each of --seeds, 100, 300, 1,000, 3,000 and all training galaxies are drawn (and a fifth as many
for validation, which choose nothing but the epoch of `small`), and each method learns from the
same ones. All are judged on the same test galaxies, which no method has seen in any form:

- mean vote and boosted trees, on 96 px
- the paper's network: `paper`, and `paper` with a batch-norm momentum that suits its steps
- ours from nothing: recipe `compact`, with as many epochs as make about 9,000 steps
- ours from other catalogues: `finetune` from a network that knows the five classes and Galaxy Zoo
  2's fractions of other galaxies, and nothing of those with fractions
- EfficientNet-Lite0 from ImageNet, if --imagenet names a folder with its weights (see
  docs/experiments.md), for 12 epochs or 600 steps, whichever are more

Work is kept in --work, so that a stopped benchmark goes on. Hours on two cores."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, GZ2, LARGER, Catalogue
from few_labels import Taught
from galaxyvotes.evaluation.baselines import boosted_trees
from galaxyvotes.metrics.scores import rmse
from provenance import spread, write

SIZES = (100, 300, 1_000, 3_000, 0)  # 0: all
PAPER = gv.Recipe.load("paper").pack
MOMENTUM = "model.batch_norm_momentum=0.1"


def drawn(catalogue: Catalogue, labels: int, seed: int) -> gv.Store:
    """A store of so many training galaxies, and a fifth as many for validation."""
    whole = catalogue.whole
    if not labels:
        return whole
    random = np.random.default_rng(seed)
    ids: set[str] = set()
    for split, count in (("train", labels), ("validation", max(labels // 5, 20))):
        rows = whole.rows(split)
        ids |= {whole.ids[row] for row in random.choice(rows, min(count, len(rows)), replace=False)}
    return catalogue.only(f"{catalogue.name}-{labels}-{seed}", ids)


def learned(store: gv.Store, out: Path, recipe: str, *settings: str, **how) -> gv.Run:
    """A run of a recipe; what is there already goes on."""
    resume = out.exists()
    learn: Callable[..., gv.Run] = gv.finetune if "start" in how else gv.train
    return learn(store, out, recipe=recipe, settings=settings, resume=resume, **how)


def epochs_for(store: gv.Store, steps: int, batch: int, least: int) -> str:
    """As many epochs as make so many steps, `least` at least."""
    return f"train.epochs={max(least, round(steps / math.ceil(len(store.rows('train')) / batch)))}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/label_curve"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--imagenet", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    small, large = (
        Catalogue(given.data, given.work / str(pack.size_px), "fractions", FRACTIONS, settings=pack)
        for pack in (LARGER, PAPER)
    )
    whole, whole_large = small.whole, large.whole
    others = [
        Catalogue(given.data, given.work / "96", f"{name}-whole", sources, settings=LARGER)
        for name, sources in (("classes", CLASSES), ("gz2", GZ2))
    ]
    knows = [catalogue.without(f"{catalogue.name}-without", whole) for catalogue in others]
    start = learned(knows, given.work / "start", "compact", "train.epochs=12", "model.views=4")
    seen = set(start.seen.column("pixels").to_pylist())
    rows = np.array([row for row in whole.rows("test").tolist() if whole.pixels[row] not in seen])
    row_of = {name: row for row, name in enumerate(whole_large.ids)}
    rows_large = np.array([row_of[whole.ids[row]] for row in rows.tolist()])
    labels = whole.values[rows]
    found: dict[str, dict[str, list[float]]] = {}
    for count in given.sizes:
        for seed in range(given.seeds):
            few, few_large = drawn(small, count, seed), drawn(large, count, seed)
            name, seeded = f"{count or 'all'}-{seed}", f"train.seed={seed}"
            compact = epochs_for(few, 9_000, 64, 24)
            runs = {
                "paper": (few_large, "paper", (), {}),
                "paper, batch-norm momentum 0.1": (few_large, "paper", (MOMENTUM,), {}),
                "compact, from nothing": (few, "compact", (compact, "model.views=4"), {}),
                "compact, from other catalogues": (few, "finetune", (), {"start": start}),
            }
            if given.imagenet:
                runs["EfficientNet-Lite0, from ImageNet"] = (
                    few,
                    "compact",
                    (
                        "model.name=timm:tf_efficientnet_lite0",
                        f"model.pretrained={given.imagenet}",
                        "model.views=4",
                        "train.encoder_rate=0.4",
                        "train.learning_rate=0.0025",
                        epochs_for(few, 600, 64, 12),
                    ),
                    {},
                )
            answers = {
                "mean vote": mean_vote_of(few, len(rows)),
                "boosted trees": boosted_trees_of(whole, few, rows),
            }
            for method, (store, recipe, settings, how) in runs.items():
                out = given.work / f"{method.replace(', ', '-').replace(' ', '-')}-{name}"
                run = learned(store, out, recipe, seeded, *settings, **how)
                judge, its_rows = (whole_large, rows_large) if store is few_large else (whole, rows)
                answers[method] = gv.predict_store(run.network(), judge, its_rows).values
            for method, values in answers.items():
                found.setdefault(method, {}).setdefault(str(len(few.rows("train"))), []).append(
                    rmse(labels, values)
                )
            print(
                count, seed, {method: list(each.values())[-1][-1] for method, each in found.items()}
            )
    table = {
        method: {count: spread(values) for count, values in each.items()}
        for method, each in found.items()
    }
    for method, each in table.items():
        print(method, each)
    write(given.json, {"test_galaxies": len(rows), "table": table, "per_seed": found})


def mean_vote_of(few: gv.Store, count: int) -> np.ndarray:
    """The mean labels of the training galaxies, for so many galaxies."""
    return np.repeat(few.values[few.rows("train")].mean(axis=0)[None], count, axis=0)


def boosted_trees_of(whole: gv.Store, few: gv.Store, rows: np.ndarray) -> np.ndarray:
    """What boosted trees that learn from the few predict for galaxies of the whole."""
    return boosted_trees(Taught(whole, few), rows).values


if __name__ == "__main__":
    main()
