"""Claims (a) and (b): the paper's recipe on real galaxies, honest and as published, beside every
baseline.

    python benchmarks/honest.py --json benchmarks/json/honest.json

For each seed the 6,892 galaxies with published fractions are divided anew (80 : 10 : 10, key =
seed), the network is trained from that seed, and judged on the test galaxies of that division,
which neither taught nor tuned it. Recipes: `paper` exactly; `paper` with batch norms whose running
statistics settle within its steps; `paper` with one-hot labels, the most voted answers, as its text
has them; `paper-notebook`, fed as its notebook did; and `small`, the same network for hundreds of
galaxies (see `galaxyvotes.config`); --only names some of them. The spread is over seeds: division
and initialisation vary together. The JSON file has the training curves and the AUC of each answer,
too. Work is kept in --work, so that a stopped benchmark goes on. Four to seven hours on two
cores."""

import argparse
import json
from pathlib import Path

import galaxyvotes as gv
from provenance import spread, write

MEASURES = (
    "rmse",
    "mae",
    "argmax_accuracy",
    "question_accuracy",
    "confident_accuracy",
    "mean_auc",
    "mean_auc_of_frequent",
)
RECIPES = {
    "paper": ("paper", ()),
    "paper, batch-norm momentum 0.1": ("paper", ("model.batch_norm_momentum=0.1",)),
    "paper, majority": ("paper", ("train.targets=majority",)),
    "paper-notebook": ("paper-notebook", ()),
    "small": ("small", ()),
}


def judged(
    store: gv.Store, name: str, seed: int, work: Path, epochs: int
) -> tuple[dict, list[dict]]:
    """The report and the history of one of the recipes and a seed, trained if not there yet."""
    recipe, settings = RECIPES[name]
    out = work / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    if not (out / "report.json").is_file():
        resume = out.exists()
        trial = (f"train.epochs={epochs}",) if epochs else ()
        chosen = (f"train.seed={seed}", *settings, *trial)
        gv.train(store, out, recipe=recipe, settings=chosen, resume=resume)
        gv.evaluate(store, out, as_published=True, baselines=name == "paper", seed=seed)
    return json.loads((out / "report.json").read_text()), gv.Run.open(out).history


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--work", type=Path, default=Path(".bench/honest"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--limit", type=int, default=0, help="galaxies, for a trial")
    parser.add_argument("--epochs", type=int, default=0, help="for a trial")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sources = [
        *sorted(given.data.glob("images_training_rev1_part*.zip")),
        given.data / "training_solutions_rev1.csv",
    ]
    results: dict[str, dict[str, list[float]]] = {}
    aucs: dict[str, list[list[float | None]]] = {}
    curves: dict[str, list[list[dict]]] = {}
    for seed in range(given.seeds):
        path = given.work / f"store-{seed}"
        store = (
            gv.Store.open(path)
            if path.exists()
            else gv.pack(
                sources,
                path,
                settings=gv.Recipe.load("paper").pack,
                splits=gv.SplitSettings(key=str(seed), limit=given.limit),
            )
        )
        for recipe in given.only:
            report, history = judged(store, recipe, seed, given.work, given.epochs)
            curves.setdefault(recipe, []).append(
                [{key: row[key] for key in ("loss", "mse", "validation_mse")} for row in history]
            )
            rows = {
                f"{recipe}": report["network"],
                f"{recipe}, as published": report["contaminated"],
            }
            if recipe == "paper":
                rows |= report["baselines"]
            for name, numbers in rows.items():
                per_answer = [answer["auc"]["value"] for answer in numbers["answers"]]
                aucs.setdefault(name, []).append(per_answer)
                for measure in MEASURES:
                    value = numbers[measure]["value"]
                    if value is not None:
                        results.setdefault(name, {}).setdefault(measure, []).append(value)
            print(
                seed,
                recipe,
                {name: round(numbers["rmse"]["value"], 4) for name, numbers in rows.items()},
                flush=True,
            )
    table = {
        name: {measure: spread(values) for measure, values in rows.items()}
        for name, rows in results.items()
    }
    print(f"\n{'':28}" + "".join(f"{measure:>24}" for measure in MEASURES))
    for name, rows in table.items():
        cells = (
            f"{rows[m]['mean']:.4f} ± {rows[m]['deviation']:.4f}" if m in rows else "–"
            for m in MEASURES
        )
        print(f"{name:28}" + "".join(f"{cell:>24}" for cell in cells))
    write(
        given.json,
        {"seeds": given.seeds, "table": table, "per_seed": results, "auc": aucs, "curves": curves},
    )


if __name__ == "__main__":
    main()
