"""Fine-tuning on what users bring: a few hundred labels of a question that the network was never
asked, of galaxies at another scale, size and stretch, beside boosted trees on the same galaxies.

    python benchmarks/finetune_small.py --json benchmarks/json/finetune_small.json

Two kinds of strangers:

- simulated galaxies, whose truth the bundled model never saw: radius, axis ratio, share of the
  bulge, and their type, a class. It is the network to start from.
- galaxies of the challenge, and four of its questions: how many volunteers saw a bar, or something
  odd; whether the galaxy is a ring, or a merger (a class, three others to each). The bundled model
  has learned these questions, so another network is trained here to start from: on the fractions of
  all questions but the bar's and the odd ones' (3, 6 and 8), and on five classes, of other
  galaxies.

All are shown as another survey might: "near" is a smaller field, so that galaxies are larger than
the network knows, "far" a larger one with fewer pixels, both small JPEGs with another stretch,
packed whole.

For each of --seeds, so many training galaxies of --labels are drawn (and a fifth as many for
validation, which choose nothing). Errors are of at most 1,500 others: the RMSE of fractions and
quantities, of classes one minus the mean area under their ROC curves; error rate and cross-entropy
of classes, and seconds, stand beside them. What is done stays in --work, so a stopped benchmark
goes on; another network or another `finetune` needs another --name.
"""

import argparse
import csv
import io
import json
import math
import time
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import structs
from PIL import Image

import galaxyvotes as gv
from catalogues import CLASSES, FRACTIONS, IMAGES, IN_PART, PACK
from galaxyvotes.evaluation.baselines import BASELINES
from galaxyvotes.kinds import CLASSES as OF_CLASSES
from galaxyvotes.metrics.roc import auc
from galaxyvotes.questions import Answer, Question
from galaxyvotes.runs.run import bundled_run
from provenance import spread, write

HELD, UNSEEN = 2_400, {"Q3": "Q4", "Q6": None, "Q8": None}  # what follows in their place
TESTED = 1_500
Row = dict[str, str]


class Survey(NamedTuple):
    """The side of the field in pixels of the images, that of the JPEG, and a power of the light."""

    field: int
    side: int
    gamma: float


SURVEYS = {
    "challenge": {"near": Survey(130, 88, 0.8), "far": Survey(232, 64, 1.25)},
    "simulated": {"near": Survey(140, 88, 0.8), "far": Survey(300, 88, 1.25)},
}


class Task(NamedTuple):
    """Which labels of which images; of the challenge, `column` is a fraction, and a class if
    `least` says how large it is for a yes (a no has a quarter of that at most).
    """

    name: str
    source: str
    survey: str
    column: str
    least: float = 0.0

    @property
    def labels(self) -> gv.LabelSettings:
        """How `pack` reads the table of the task."""
        if self.source == "simulated":
            of_class = self.column == "true_type"
            return gv.LabelSettings(**{"classes" if of_class else "quantity": self.column})
        if self.least:
            return gv.LabelSettings(classes=self.name)
        answers = (Answer("yes", "yes"), Answer("no", "no"))
        question = Question(self.name, f"Is there: {self.name}?", answers)
        return gv.LabelSettings(tree=gv.DecisionTree(self.name, self.name, (question,)))


TASKS = (
    Task("radius", "simulated", "far", "true_radius_px"),
    Task("axis ratio", "simulated", "near", "true_axis_ratio"),
    Task("bulge", "simulated", "near", "true_bulge"),
    Task("type", "simulated", "far", "true_type"),
    Task("bar", "challenge", "near", "Class3.1"),
    Task("odd", "challenge", "far", "Class6.1"),
    Task("ring", "challenge", "near", "Class8.1", 0.25),
    Task("merger", "challenge", "far", "Class8.6", 0.3),
)


class Strangers:
    """The images and tables of the tasks, and the network that was never asked some questions."""

    def __init__(self, data: Path, work: Path, epochs: int) -> None:
        self.data, self.work, self.epochs = data, work, epochs
        self.archives = sorted(data.glob(IMAGES))
        whole, part = rows_of(data / FRACTIONS[1]), rows_of(data / IN_PART[1])
        ids = [row["GalaxyID"] for row in whole]
        held = set(np.random.default_rng(0).choice(ids, HELD, replace=False).tolist())
        self.rows = {
            row["GalaxyID"]: row
            for row in [*part, *(row for row in whole if row["GalaxyID"] in held)]
        }

    def images(self, task: Task) -> Path:
        """The folder of a survey's images."""
        out = self.work / f"{task.source}-{task.survey}"
        if not out.exists():
            partial = out.with_name(out.name + ".partial")
            partial.mkdir(parents=True, exist_ok=True)
            for name, image in self._simulated() if task.source == "simulated" else self._shown():
                survey = SURVEYS[task.source][task.survey]
                seen_by(survey, image).save(partial / f"{name}.jpg", quality=92)
            partial.rename(out)
        return out

    def _simulated(self) -> Iterable[tuple[str, Image.Image]]:
        for path in sorted((self._zoo() / "images").iterdir()):
            yield path.stem, Image.open(path)

    def _zoo(self) -> Path:
        out = self.work / "zoo"
        return out if out.exists() else gv.simulate(out, galaxies=2400, seed=5, size_px=300)

    def _shown(self) -> Iterable[tuple[str, Image.Image]]:
        for archive in self.archives:
            with zipfile.ZipFile(archive) as file:
                for name in file.namelist():
                    if Path(name).stem in self.rows:
                        yield Path(name).stem, Image.open(io.BytesIO(file.read(name)))

    def labelled(self, task: Task) -> list[Row]:
        """A row for each galaxy of a task: its id and its labels."""
        if task.source == "simulated":
            rows = rows_of(self._zoo() / "votes.csv")
            discs_only = task.column == "true_bulge"
            return [
                {"ID": row["SimulationID"], task.column: row[task.column]}
                for row in rows
                if row["true_inclination_deg"] or not discs_only
            ]
        values = {
            name: float(row[task.column]) for name, row in self.rows.items() if task.column in row
        }
        random, ids = np.random.default_rng(1), sorted(values)
        if not task.least:
            chosen = random.permutation(ids)[:HELD].tolist()
            return [
                {"ID": name, "yes": f"{values[name]:.6f}", "no": f"{1 - values[name]:.6f}"}
                for name in chosen
            ]
        yes = [name for name in ids if values[name] > task.least]
        no = [name for name in ids if values[name] <= task.least / 4]
        no = random.choice(no, 3 * len(yes), replace=False).tolist()
        return [{"ID": name, task.name: "yes"} for name in yes] + [
            {"ID": name, task.name: "no"} for name in no
        ]

    def store(self, task: Task, labels: int, seed: int, size_px: int) -> gv.Store:
        """So many training galaxies of a task, a fifth as many for validation, the rest to test
        on.
        """
        out = self.work / f"{task.name}-{labels}-{seed}-{size_px}px".replace(" ", "-")
        if out.exists():
            return gv.Store.open(out)
        rows, counts = self.labelled(task), (labels, labels // 5, TESTED)
        order = np.random.default_rng([seed, labels]).permutation(len(rows)).tolist()
        splits = np.repeat(["train", "validation", "test"], counts)
        table = out.with_name(f"{out.name}.csv")
        written(
            table,
            ({**rows[row], "split": str(split)} for row, split in zip(order, splits, strict=False)),
        )
        return gv.pack(
            [self.images(task), table],
            out,
            labels=task.labels,
            settings=gv.PackSettings(0, size_px),
            splits=gv.SplitSettings(column="split"),
            progress=False,
        )

    def never_asked(self) -> gv.Run:
        """A network that has learned other questions of the challenge, of other galaxies."""
        tree = gv.DecisionTree.load("kaggle")
        questions = tuple(
            structs.replace(
                question,
                answers=tuple(
                    structs.replace(answer, next=UNSEEN.get(answer.next, answer.next))
                    for answer in question.answers
                ),
            )
            for question in tree.questions
            if question.name not in UNSEEN
        )
        others = replace(tree, name="without_3_6_8", questions=questions, tables=tree.tables[:1])
        stores = [
            self._known("fractions", FRACTIONS[1], gv.LabelSettings(tree=others)),
            self._known("classes", CLASSES[1], None),
        ]
        settings, out = (f"train.epochs={self.epochs}",), self.work / "never-asked"
        return gv.train(stores, out, recipe="compact", settings=settings, resume=True)

    def _known(self, name: str, table: str, labels: gv.LabelSettings | None) -> gv.Store:
        """A store of the challenge's galaxies that are no strangers."""
        out, own = self.work / f"known-{name}", self.work / f"known-{name}.csv"
        if out.exists():
            return gv.Store.open(out)
        rows = rows_of(self.data / table)
        written(own, (row for row in rows if row["GalaxyID"] not in self.rows))
        splits = gv.SplitSettings(0.95, 0.04, 0.01, start=None)
        how = {"labels": labels, "settings": PACK, "splits": splits, "progress": False}
        return gv.pack([*self.archives, own], out, **how)


def rows_of(path: Path) -> list[Row]:
    """The rows of a table."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(path: Path, rows: Iterable[Row]) -> None:
    """Write a table."""
    listed = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)


def seen_by(survey: Survey, image: Image.Image) -> Image.Image:
    """The centre of an image as a survey shows it."""
    low = (image.width - survey.field) // 2
    box = (low, low, low + survey.field, low + survey.field)
    size = (survey.side, survey.side)
    small = image.convert("RGB").crop(box).resize(size, Image.Resampling.LANCZOS)
    light = (np.asarray(small, np.float32) / 255) ** survey.gamma
    return Image.fromarray((255 * light).round().astype(np.uint8))


def errors(store: gv.Store, rows: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The error of predictions; of classes, error rate and cross-entropy, too."""
    labels = store.values[rows]
    if store.tree.kind is not OF_CLASSES:
        return {"error": float(np.sqrt(np.nanmean((predicted - labels) ** 2)))}
    areas = [
        auc(column > 0.5, values)
        for column, values in zip(labels.T, predicted.T, strict=True)
        if 0 < column.sum() < len(column)
    ]
    likely = np.clip((predicted * labels).sum(axis=1), 1e-6, 1)
    return {
        "error": 1 - float(np.mean(areas)),
        "error rate": float((predicted.argmax(axis=1) != labels.argmax(axis=1)).mean()),
        "cross-entropy": -float(np.log(likely).mean()),
    }


def figures(store: gv.Store, start: gv.Run, out: Path, seed: int, settings: list[str]) -> dict:
    """What `finetune` and the baselines make of a store; what is there already is read."""
    done = out.with_name(f"{out.name}.json")
    if done.exists():
        return json.loads(done.read_text())
    rows, begun = store.rows("test"), (time.monotonic(), time.process_time())
    chosen = (f"train.seed={seed}", *settings)
    run = gv.finetune(store, out, start=start, settings=chosen, resume=out.exists())
    seconds = time.monotonic() - begun[0], time.process_time() - begun[1]
    predicted = gv.predict_store(run.network(), store, rows).values
    found = {"finetune": errors(store, rows, predicted)}
    found["finetune"] |= {"seconds": seconds[0], "processor seconds": seconds[1]}
    for name, baseline in BASELINES[store.tree.kind].items():
        if name in ("boosted trees", "mean", "mean vote", "class frequencies"):
            kind = name if name == "boosted trees" else "mean"
            found[kind] = errors(store, rows, baseline(store, rows).values)
    done.write_text(json.dumps(found))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/strangers"))
    parser.add_argument("--name", default="finetune", help="of what is measured")
    parser.add_argument("--tasks", nargs="*", default=[task.name for task in TASKS])
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 250, 600])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="of the network to start from")
    parser.add_argument("--set", action="append", default=[], help="settings of finetune")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    strangers = Strangers(given.data, given.work, given.epochs)
    results: dict[str, dict[str, dict]] = {}
    ratios: dict[int, list[float]] = {labels: [] for labels in given.labels}
    for labels in given.labels:
        for task in [task for task in TASKS if task.name in given.tasks]:
            simulated = task.source == "simulated"
            start = bundled_run() if simulated else strangers.never_asked()
            found: dict[str, dict[str, list[float]]] = {}
            for seed in range(given.seeds):
                store = strangers.store(task, labels, seed, start.pack.size_px)
                out = given.work / f"{given.name}-{store.path.name}"
                for kind, values in figures(store, start, out, seed, given.set).items():
                    for name, value in values.items():
                        found.setdefault(kind, {}).setdefault(name, []).append(value)
            ours, trees = (found[kind]["error"] for kind in ("finetune", "boosted trees"))
            ratio = [one / other for one, other in zip(ours, trees, strict=True)]
            ratios[labels] += [math.log(value) for value in ratio]
            results.setdefault(task.name, {})[str(labels)] = {
                "test galaxies": len(store.rows("test")),
                "finetune ÷ boosted trees": spread(ratio),
                **{
                    kind: {name: spread(values) for name, values in each.items()}
                    for kind, each in found.items()
                },
            }
            print(
                f"{labels} labels, {task.name}: finetune {np.mean(ours):.4f}, boosted trees"
                f" {np.mean(trees):.4f}, ratio {np.mean(ratio):.2f}; mean"
                f" {np.mean(found['mean']['error']):.4f};"
                f" {np.mean(found['finetune']['processor seconds']):.0f} s of processor time",
                flush=True,
            )
    means = {str(labels): math.exp(np.mean(logs)) for labels, logs in ratios.items()}
    print("finetune ÷ boosted trees, geometric mean over tasks:", means)
    write(given.json, {"geometric mean": means, "seeds": given.seeds, "tasks": results})


if __name__ == "__main__":
    main()
