"""What the paper ends on: a network for fewer answers, on real galaxies.

    python benchmarks/fewer_answers.py --json benchmarks/json/fewer_answers.json

For each of --seeds the galaxies with published fractions are divided anew (80 : 10 : 10, key =
seed). The answers are those with the highest mean fraction over the training galaxies: 37 (all),
20, 10 and 3. For each, a network of --recipe learns them from that seed and predicts the test
galaxies; what it does not predict is filled with the mean votes of the training galaxies, as
`submit` does. Measured are the RMSE over all 37 columns of that whole submission; the RMSE of the
answers it predicts, beside that of the network for 37 on the same ones; the accuracy (is the answer
with the highest fraction the right one of all 37?); the trainable parameters; and the seconds of
training and of predicting. Work is kept in --work, so that a stopped benchmark goes on. Some four
hours on two cores."""

import argparse
import time
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from galaxyvotes.metrics.accuracy import argmax_accuracy
from galaxyvotes.metrics.scores import rmse
from galaxyvotes.runs.mean_labels import mean_labels
from provenance import spread, write

COUNTS = (37, 20, 10, 3)


def most_given(store: gv.Store, count: int) -> tuple[str, ...]:
    """So many answers, those of the highest mean fraction over the training galaxies."""
    means = store.values[store.rows("train")].mean(axis=0)
    chosen = set(np.argsort(-means, kind="stable")[:count].tolist())
    return tuple(column for place, column in enumerate(store.tree.columns) if place in chosen)


def submitted(run: gv.Run, store: gv.Store, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """All 37 columns, filled with the mean votes where the run predicts none; and the seconds that
    it took to predict the others."""
    network = run.network()
    begun = time.perf_counter()
    predictions = gv.predict_store(network, store, rows)
    seconds = time.perf_counter() - begun
    means = mean_labels(run, store.tree.columns)
    whole = np.repeat(np.array([list(means.values())], np.float32), len(rows), axis=0)
    whole[:, [store.tree.columns.index(each) for each in predictions.columns]] = predictions.values
    return whole, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kaggle"))
    parser.add_argument("--work", type=Path, default=Path(".bench/fewer_answers"))
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="galaxies, for a trial")
    parser.add_argument("--epochs", type=int, default=0, help="for a trial")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sources = [
        *sorted(given.data.glob("images_training_rev1_part*.zip")),
        given.data / "training_solutions_rev1.csv",
    ]
    pack = gv.Recipe.load(given.recipe).pack
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(given.seeds):
        path, splits = given.work / f"store-{seed}", gv.SplitSettings(key=str(seed))
        if given.limit:
            splits = gv.SplitSettings(key=str(seed), limit=given.limit)
        store = (
            gv.Store.open(path)
            if path.exists()
            else gv.pack(sources, path, settings=pack, splits=splits)
        )
        rows = store.rows("test")
        labels, of_all = store.values[rows], np.empty(0)
        for count in COUNTS:
            answers = most_given(store, count)
            out = given.work / f"{given.recipe}-{count}-{seed}"
            settings = [f"train.seed={seed}", f"train.answers={','.join(answers)}"]
            settings += [f"train.epochs={given.epochs}"] if given.epochs else []
            resume = out.exists()
            run = gv.train(
                store,
                out,
                recipe=given.recipe,
                settings=tuple(settings),
                resume=resume,
            )
            whole, seconds = submitted(run, store, rows)
            of_all = whole if count == len(store.tree.columns) else of_all
            own = [store.tree.columns.index(column) for column in answers]
            module = run.network().module
            measured = {
                "rmse": rmse(labels, whole),
                "rmse_of_its_answers": rmse(labels[:, own], whole[:, own]),
                "rmse_of_its_answers_by_the_network_for_all": rmse(labels[:, own], of_all[:, own]),
                "accuracy": argmax_accuracy(labels, whole),
                "parameters": sum(each.numel() for each in module.parameters()),
                "seconds_training": sum(row["seconds"] for row in run.history),
                "seconds_predicting": seconds,
            }
            for name, value in measured.items():
                found.setdefault(str(count), {}).setdefault(name, []).append(float(value))
            print(seed, count, {name: round(value, 4) for name, value in measured.items()})
    table = {
        count: {name: spread(values) for name, values in each.items()}
        for count, each in found.items()
    }
    for count, each in table.items():
        print(count, each)
    write(
        given.json,
        {"recipe": given.recipe, "seeds": given.seeds, "table": table, "per_seed": found},
    )


if __name__ == "__main__":
    main()
