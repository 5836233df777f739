"""Whether our network beats every baseline on simulated galaxies, where the paper's does not.

    python benchmarks/simulated.py --json benchmarks/json/simulated.json

6,000 simulated galaxies (seed 0, drawn as the demo's are), 80 : 10 : 10. The network is recipe
`compact` for --epochs epochs on 64 px; the baselines learn from the same galaxies, the boosted
trees also from all 128 px. Judged on the test galaxies, with 95 % bootstrap intervals, also of the
difference between network and baseline."""

import argparse
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from galaxyvotes.evaluation.baselines import boosted_trees
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.fractions import rmse_difference
from provenance import write


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path(".bench/simulated"))
    parser.add_argument("--galaxies", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    zoo = given.work / "zoo"
    if not zoo.exists():
        gv.simulate(zoo, galaxies=given.galaxies, size_px=160)
    stores = {}
    for size in (64, 128):
        path = given.work / f"store-{size}"
        stores[size] = (
            gv.Store.open(path)
            if path.exists()
            else gv.pack(zoo, path, settings=gv.PackSettings(128, size))
        )
    out = given.work / "run"
    resume = out.exists()
    settings = (f"train.epochs={given.epochs}", "train.batch_size=32", "train.average=0.99")
    run = gv.train(stores[64], out, recipe="compact", settings=settings, resume=resume)
    evaluation = gv.evaluate(stores[64], run, out=given.work / "report")
    print(evaluation.table())
    store, rows = stores[128], stores[128].rows("test")
    labels = store.values[rows]
    network = predict_store(run.network(), stores[64], stores[64].rows("test"))
    trees = boosted_trees(store, rows)
    assert network.ids == trees.ids
    figures = {
        "galaxies": given.galaxies,
        "epochs": given.epochs,
        "seconds": sum(row["seconds"] for row in run.history),
        "rmse": (
            {"network": evaluation.document["network"]["rmse"]}
            | {name: each["rmse"] for name, each in evaluation.document["baselines"].items()}
        ),
        "mean_auc": (
            {"network": evaluation.document["network"]["mean_auc"]["value"]}
            | {
                name: each["mean_auc"]["value"]
                for name, each in evaluation.document["baselines"].items()
            }
        ),
        "boosted_trees_128_px": float(np.sqrt(np.mean((trees.values - labels) ** 2))),
        "boosted_trees_128_px_minus_network": rmse_difference(
            *(Comparison(store.tree, labels, predicted) for predicted in (network, trees))
        ),
        "noise_floor": evaluation.document["noise_floor"],
    }
    for name, value in figures.items():
        print(name, value)
    write(given.json, figures)


if __name__ == "__main__":
    main()
