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
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import trained, without_judged
from galaxyvotes.metrics import bootstrap
from provenance import spread, write

FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/folds"))
    parser.add_argument("--bases", type=int, default=2)
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="changes to recipe finetune")
    parser.add_argument("--variant", default="folds", help="what the folds' runs are called")
    parser.add_argument("--folds", type=int, default=FOLDS, help="fewer: a trial")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    catalogue, others = without_judged(given.data, given.work)
    judged = catalogue.whole
    tree, place_of = judged.tree, {name: place for place, name in enumerate(judged.ids)}
    answers = np.full((given.bases, len(judged), len(tree.columns)), np.nan, np.float32)
    for seed in range(given.bases):
        base = trained(others, given.work / f"base-{seed}", f"train.seed={seed}")
        for number in range(given.folds):
            splits = gv.SplitSettings(0.78, 0.02, 0.2, turn=number / FOLDS)
            store = catalogue.packed(f"fold-{number}", catalogue.table, splits=splits)
            out = given.work / f"{given.variant}-{seed}-{number}"
            run = trained([store, *others], out, f"train.seed={seed}", *given.settings, start=base)
            rows = store.rows("test")
            fractions = gv.predict_store(run.network(tree=tree.name), store, rows).fractions
            answers[seed, [place_of[store.ids[row]] for row in rows]] = fractions
    known = ~np.isnan(answers).any(axis=(0, 2))
    assert known.all() or given.folds < FOLDS
    truth = judged.fractions[known]
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
