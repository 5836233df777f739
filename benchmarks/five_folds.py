"""The 37 fractions in five-fold cross-validation over all galaxies that have them: 736 when the
figures in the docs were measured, 6,892 since November 2026.

    python benchmarks/five_folds.py --bases 2 --json benchmarks/json/five_folds.json

First, for each of --bases seeds, recipe `compact` learns from all that is published *without* these
galaxies and without any that has their pixels: the classes of the others, and Galaxy Zoo 2's
fractions, weighted and debiased as two catalogues; with --stages 2, as the bundled model,
it goes on with more pixels (`catalogues`). Then each fold's network goes on from there (recipe
`finetune`, SETTINGS) with the fractions of the other four folds beside those of Galaxy Zoo 2, and
answers for its own fold. No stage of a fold has seen a galaxy of it in any form. The bases' answers
are judged one by one and as their mean. An hour for a base on two cores, fifteen minutes for its
folds; half an hour each for the second stage and its folds. A stopped run goes on."""

import argparse
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import LARGER, enlarged, trained, without_judged
from galaxyvotes.metrics.scores import bootstrap_scores
from provenance import spread, write

FOLDS = 5
SETTINGS = ("train.epochs=25", "train.encoder_rate=0.3")
VIEWS = {1: "model.views=8", 2: "model.views=4"}  # of a stage: as many as the time of one allows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/folds"))
    parser.add_argument("--bases", type=int, default=2)
    parser.add_argument("--stages", type=int, choices=(1, 2), default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    work: Path = given.work if given.stages == 1 else given.work / "larger"
    few = without_judged(given.data, given.work)[1]
    catalogue, others = without_judged(given.data, work, *((LARGER,) if given.stages == 2 else ()))
    judged = catalogue.whole
    tree, place_of = judged.tree, {name: place for place, name in enumerate(judged.ids)}
    answers = np.full((given.bases, len(judged), len(tree.columns)), np.nan, np.float32)
    for seed in range(given.bases):
        base = trained(few, given.work / f"base-{seed}", f"train.seed={seed}")
        if given.stages == 2:
            base = enlarged(others, work / f"base-{seed}", f"train.seed={seed}", start=base)
        for number in range(FOLDS):
            splits = gv.SplitSettings(0.78, 0.02, 0.2, turn=number / FOLDS)
            store = catalogue.packed(f"fold-{number}", catalogue.table, splits=splits)
            out = work / f"folds-{seed}-{number}"
            run = trained(
                [store, *others[1:]],
                out,
                f"train.seed={seed}",
                *SETTINGS,
                VIEWS[given.stages],
                start=base,
            )
            rows = store.rows("test")
            fractions = gv.predict_store(run.network(tree=tree.name), store, rows).values
            answers[seed, [place_of[store.ids[row]] for row in rows]] = fractions
    assert not np.isnan(answers).any()
    labels = judged.values
    answered = {f"base {seed}": answers[seed] for seed in range(given.bases)}
    if given.bases > 1:
        answered["mean of the bases"] = answers.mean(axis=0)
    results = {}
    for name, fractions in answered.items():
        found = bootstrap_scores(labels, fractions, tree)
        results[name] = {
            key: {end: float(getattr(found[key], end)) for end in ("value", "low", "high")}
            for key in ("rmse", "mae", "mean_auc_of_frequent")
        }
        results[name]["rmse_per_answer"] = found["rmse_per_answer"].value.tolist()
        print(
            name, {key: value for key, value in results[name].items() if key != "rmse_per_answer"}
        )
    alone = [each["rmse"]["value"] for name, each in results.items() if name.startswith("base")]
    np.save(work / "folds.npy", answers)
    figures = {
        "galaxies": len(labels),
        "stages": given.stages,
        "settings": (*SETTINGS, VIEWS[given.stages]),
        "rmse_of_a_base": spread(alone),
        **results,
    }
    figures["mean_vote"] = float(np.sqrt(np.mean((labels - labels.mean(axis=0)) ** 2)))
    figures["answers_with_ten_positives"] = int(((labels > 0.5).sum(axis=0) >= 10).sum())
    write(given.json, figures)


if __name__ == "__main__":
    main()
