"""What a hundred labels are worth: `finetune` from a network that knows galaxies, beside training
from nothing.

    python benchmarks/few_labels.py --json benchmarks/json/few_labels.json

Two questions that the network to begin with was never asked; it never saw the galaxies that judge
it:

- five classes, after 37 fractions of the challenge's and of Galaxy Zoo 2's galaxies;
- Galaxy Zoo 2's 37 weighted fractions, after five classes of the challenge's galaxies; seven tenths
  of Galaxy Zoo 2's galaxies judge, as there are few.

For each of --seeds, --labels training galaxies (and a fifth as many for validation) are drawn anew.
Recipe `finetune` goes on from the one network, recipe `compact` begins from nothing with as many
steps as it asks for, and boosted trees learn from the same galaxies. All are judged on the same
test galaxies. About half an hour on two cores."""

import argparse
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, GZ2, WEIGHTED, Catalogue, trained
from galaxyvotes.evaluation.baselines import boosted_trees
from provenance import spread, write


class Taught:
    """A store of which only some galaxies teach a baseline."""

    def __init__(self, store: gv.Store, few: gv.Store) -> None:
        self.ids, self.tree, self.values, self.images = (
            store.ids,
            store.tree,
            store.values,
            store.images,
        )
        taught = {few.ids[row] for row in few.rows("train")}
        self.taught = np.array([row for row, name in enumerate(store.ids) if name in taught])

    def rows(self, split: str) -> np.ndarray:
        """The galaxies that teach."""
        assert split == "train"
        return self.taught


def few_of(catalogue: Catalogue, name: str, labels: int, seed: int) -> gv.Store:
    """So many training galaxies, and a fifth as many for validation."""
    random, store = np.random.default_rng(seed), catalogue.whole
    counts = {"train": labels, "validation": max(labels // 5, 5)}
    rows = [
        random.choice(store.rows(split), count, replace=False) for split, count in counts.items()
    ]
    return catalogue.only(name, {store.ids[row] for row in np.concatenate(rows).tolist()})


def wrong(store: gv.Store, rows: np.ndarray, fractions: np.ndarray) -> float:
    """The share of galaxies whose class is not the one answered; of several questions, the RMSE of
    their fractions."""
    labels = store.values[rows]
    if len(store.tree.questions) == 1:
        return float((labels.argmax(axis=1) != fractions.argmax(axis=1)).mean())
    return float(np.sqrt(np.nanmean((fractions - labels) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/few"))
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    fractions = Catalogue(given.data, given.work, "fractions", FRACTIONS)
    classes = Catalogue(given.data, given.work, "classes", CLASSES)
    splits = gv.SplitSettings(0.2, 0.1, 0.7, start=None)
    gz2 = Catalogue(given.data, given.work, "gz2", GZ2, labels=WEIGHTED, splits=splits)
    tasks = {
        "five classes": (classes, [fractions.whole, gz2.whole], "fractions", 60),
        "Galaxy Zoo 2's fractions": (
            gz2,
            [classes.without("classes-without-gz2", gz2.whole)],
            "classes",
            24,
        ),
    }
    results: dict[str, dict[str, object]] = {}
    for task, (catalogue, known, name, epochs) in tasks.items():
        start = trained(known, given.work / f"knows-{name}", f"train.epochs={epochs}")
        store = catalogue.whole
        seen = set(start.seen.column("pixels").to_pylist())
        rows = np.array(
            [row for row in store.rows("test").tolist() if store.pixels[row] not in seen]
        )
        found: dict[str, list[float]] = {
            "finetune": [],
            "from nothing": [],
            "boosted trees": [],
            "mean vote": [],
        }
        for seed in range(given.seeds):
            few = few_of(catalogue, f"{catalogue.name}-{given.labels}-{seed}", given.labels, seed)
            out = given.work / f"{catalogue.name}-{given.labels}-{seed}"
            tuned = trained(
                [few], out.with_name(out.name + "-finetune"), f"train.seed={seed}", start=start
            )
            alone = trained(
                [few],
                out.with_name(out.name + "-alone"),
                f"train.seed={seed}",
                "train.epochs=200",
                "train.batch_size=32",
                "train.average=0.99",
            )
            for kind, run in (("finetune", tuned), ("from nothing", alone)):
                found[kind].append(
                    wrong(store, rows, gv.predict_store(run.network(), store, rows).values)
                )
            said = np.nanmean(few.values[few.rows("train")], axis=0)
            found["mean vote"].append(wrong(store, rows, np.repeat(said[None], len(rows), axis=0)))
            found["boosted trees"].append(
                wrong(store, rows, boosted_trees(Taught(store, few), rows).values)
            )
            print(
                task,
                seed,
                {kind: round(values[-1], 4) for kind, values in found.items()},
                flush=True,
            )
        ratios = [
            one / other for one, other in zip(found["finetune"], found["from nothing"], strict=True)
        ]
        results[task] = {kind: spread(values) for kind, values in found.items()}
        results[task] |= {"finetune ÷ from nothing": spread(ratios), "test galaxies": len(rows)}
    for task, each in results.items():
        print(task, each)
    write(given.json, {"labels": given.labels, "seeds": given.seeds, **results})


if __name__ == "__main__":
    main()
