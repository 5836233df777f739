"""The 37 fractions in five-fold cross-validation over all 736 galaxies that have them.

    python benchmarks/five_folds.py --bases 2 --json benchmarks/json/five_folds.json

First, for each of --bases seeds, recipe `compact` learns from all that is published *without* these 736 galaxies and
without any that has their pixels: the classes of the others, and Galaxy Zoo 2's fractions, weighted and debiased as two
catalogues. Then each fold's network goes on from there with the fractions of the other four folds beside the same
catalogues, and answers for its own fold. No stage of a fold has seen a galaxy of it in any form. The bases' answers
are judged one by one and as their mean. About an hour for a base on two cores, five minutes for its folds; a stopped
run goes on.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from galaxyvotes.metrics import bootstrap
from provenance import spread, write

FOLDS = 5
PACK = gv.PackSettings(208, 64)
FRACTIONS = ("kaggle/images_training_rev1_part*.zip", "kaggle/training_solutions_rev1.csv")
CLASSES = ("kaggle/images_training_rev1_part*.zip", "kaggle/classes5.csv")
GZ2 = ("gz2/images.zip", "gz2/gz2_hart16.csv")


def debiased() -> gv.DecisionTree:
    """Galaxy Zoo 2's tree in the columns of its debiased fractions, which other answers than the weighted ones are."""
    tree = gv.DecisionTree.load("gz2")
    (columns,) = (table for table in tree.tables if table.name == "debiased")
    named = {answer.column: columns.of(answer.column) for answer in tree.answers}
    questions = tuple(
        replace(
            question,
            asked_of=question.asked_of and named[question.asked_of],
            answers=tuple(replace(answer, column=named[answer.column]) for answer in question.answers),
        )
        for question in tree.questions
    )
    return replace(tree, name="gz2_debiased", questions=questions, tables=(replace(columns, columns="{answer}"),))


class Catalogues:
    """The published catalogues, packed; those for a base without the galaxies to be judged."""

    def __init__(self, data: Path, work: Path) -> None:
        self.data, self.work = data, work
        self.judged = self.pack("fractions", self.sources(FRACTIONS))

    def sources(self, patterns: tuple[str, ...]) -> list[Path]:
        return [each for pattern in patterns for each in sorted(self.data.glob(pattern))]

    def pack(self, name: str, sources: list[Path], **how) -> gv.Store:
        path = self.work / name
        return gv.Store.open(path) if path.exists() else gv.pack(sources, path, settings=PACK, **how)

    def others(self) -> list[gv.Store]:
        """Classes and Galaxy Zoo 2's fractions of all galaxies but the judged ones."""
        return [
            self.without("classes", CLASSES),
            self.without("gz2_debiased", GZ2, tree=debiased()),
            self.without("gz2", GZ2, votes="weighted"),
        ]

    def without(self, name: str, patterns: tuple[str, ...], **how) -> gv.Store:
        whole = self.pack(f"{name}-whole", self.sources(patterns), **how)
        judged, ids = set(self.judged.pixels), set(self.judged.ids) if whole.id_name == self.judged.id_name else set()
        apart = {name for name, pixels in zip(whole.ids, whole.pixels, strict=True) if pixels in judged or name in ids}
        *images, table = self.sources(patterns)
        kept = self.work / f"{name}.csv"
        with table.open(encoding="utf-8") as source, kept.open("w", encoding="utf-8", newline="") as out:
            rows = csv.DictReader(source)
            assert rows.fieldnames
            writer = csv.DictWriter(out, rows.fieldnames)
            writer.writeheader()
            writer.writerows(row for row in rows if row[whole.id_name] not in apart)
        store = self.pack(name, [*images, kept], **how)
        assert not judged & set(store.pixels)
        return store

    def fold(self, number: int) -> gv.Store:
        """All judged galaxies, those of one fold for testing."""
        splits = gv.SplitSettings(0.78, 0.02, 0.2, turn=number / FOLDS)
        return self.pack(f"fold-{number}", self.sources(FRACTIONS), splits=splits)


def trained(stores: list[gv.Store], out: Path, *settings: str, start: gv.Run | None = None) -> gv.Run:
    resume = out.exists()
    settings = () if resume else settings
    if start is None:
        return gv.train(stores, out, recipe="compact", settings=settings, resume=resume)
    return gv.finetune(stores, out, start=start, settings=settings, resume=resume)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/folds"))
    parser.add_argument("--bases", type=int, default=2)
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="changes to recipe finetune")
    parser.add_argument("--variant", default="folds", help="the folder of the folds' runs")
    parser.add_argument("--folds", type=int, default=FOLDS, help="fewer: a trial")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    catalogues = Catalogues(given.data, given.work)
    others = catalogues.others()
    tree = catalogues.judged.tree
    answers = np.full((given.bases, len(catalogues.judged), len(tree.columns)), np.nan, np.float32)
    place_of = {name: place for place, name in enumerate(catalogues.judged.ids)}
    for seed in range(given.bases):
        base = trained(others, given.work / f"base-{seed}", f"train.seed={seed}")
        for number in range(given.folds):
            store = catalogues.fold(number)
            out = given.work / given.variant / f"{seed}-{number}"
            run = trained([store, *others], out, f"train.seed={seed}", *given.settings, start=base)
            rows = store.rows("test")
            fractions = gv.predict_store(run.network(tree=tree.name), store, rows).fractions
            answers[seed, [place_of[store.ids[row]] for row in rows]] = fractions
    known = ~np.isnan(answers).any(axis=(0, 2))
    assert known.all() or given.folds < FOLDS
    truth = catalogues.judged.fractions[known]
    answered = {f"base {seed}": answers[seed, known] for seed in range(given.bases)}
    if given.bases > 1:
        answered["mean of the bases"] = answers[:, known].mean(axis=0)
    results = {}
    for name, fractions in answered.items():
        found = bootstrap(truth, fractions, tree)
        results[name] = {
            key: dict(zip(("value", "low", "high"), map(float, found[key]), strict=True))
            for key in ("rmse", "mae", "mean_auc_of_frequent")
        }
        results[name]["rmse_per_answer"] = found["rmse_per_answer"].value.tolist()
        print(name, {key: value for key, value in results[name].items() if key != "rmse_per_answer"})
    alone = [each["rmse"]["value"] for name, each in results.items() if name.startswith("base")]
    np.save(given.work / f"{given.variant}.npy", answers)
    figures = {"galaxies": int(known.sum()), "settings": given.settings, "rmse_of_a_base": spread(alone), **results}
    figures["mean_vote"] = float(np.sqrt(np.mean((truth - truth.mean(axis=0)) ** 2)))
    figures["answers_with_ten_positives"] = int(((truth > 0.5).sum(axis=0) >= 10).sum())
    write(given.json, figures)


if __name__ == "__main__":
    main()
