"""The published catalogues as stores that fit our network: whole, or only some of their galaxies.

Our network learns in two stages: on few pixels, which is quick, and then a little longer on more of
the same sky."""

import csv
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from msgspec import structs

import galaxyvotes as gv

PACK, LARGER = gv.PackSettings(208, 64), gv.PackSettings(208, 96)
ANEW = gv.SplitSettings(start=None)  # for a network with new weights
ENLARGING = ("train.epochs=8", "train.learning_rate=0.0015", "model.views=4")
IMAGES = "kaggle/images_training_rev1_part*.zip"
FRACTIONS = (IMAGES, "kaggle/training_solutions_rev1.csv")
IN_PART = (IMAGES, "kaggle/training_solutions_17.csv")
LARGEST = (IMAGES, "kaggle/largest_fraction.csv")
CLASSES = (IMAGES, "kaggle/classes5.csv")
GZ2 = ("gz2/images.zip", "gz2/gz2_hart16.csv")
WEIGHTED = gv.LabelSettings(votes="weighted")


class Catalogue:
    """Images and one table, packed in `work` under a name; `how` are arguments of `pack`."""

    def __init__(self, data: Path, work: Path, name: str, sources: tuple[str, str], **how) -> None:
        images, table = sources
        self.images, self.table = sorted(data.glob(images)), data / table
        self.work, self.name, self.how = work, name, {"settings": PACK, "splits": ANEW, **how}

    @property
    def whole(self) -> gv.Store:
        return self.packed(self.name, self.table)

    def packed(self, name: str, table: Path, **how) -> gv.Store:
        path = self.work / name
        return (
            gv.Store.open(path)
            if path.exists()
            else gv.pack([*self.images, table], path, **(self.how | how))
        )

    def only(self, name: str, ids: Container[str]) -> gv.Store:
        """A store of the galaxies with these ids; each stands in the split in which it stands in
        the whole."""
        path, table, column = self.work / name, self.work / f"{name}.csv", self.whole.id_name
        if path.exists():
            return gv.Store.open(path)
        with (
            self.table.open(encoding="utf-8") as source,
            table.open("w", encoding="utf-8", newline="") as out,
        ):
            rows = csv.DictReader(source)
            assert rows.fieldnames
            writer = csv.DictWriter(out, rows.fieldnames)
            writer.writeheader()
            writer.writerows(row for row in rows if row[column] in ids)
        return self.packed(name, table)

    def without(self, name: str, others: gv.Store) -> gv.Store:
        """A store of the galaxies that another store does not hold, neither by its ids nor by its
        pixels."""
        pixels, ids = (
            set(others.pixels),
            (set(others.ids) if others.id_name == self.whole.id_name else set()),
        )
        rest = {
            i
            for i, p in zip(self.whole.ids, self.whole.pixels, strict=True)
            if p not in pixels and i not in ids
        }
        store = self.only(name, rest)
        assert not pixels & set(store.pixels)
        return store


def debiased() -> gv.DecisionTree:
    """Galaxy Zoo 2's tree in the columns of its debiased fractions: other answers than the weighted
    ones."""
    tree = gv.DecisionTree.load("gz2")
    (columns,) = (table for table in tree.tables if table.name == "debiased")
    named = {answer.column: columns.of(answer.column) for answer in tree.answers}
    questions = tuple(
        structs.replace(
            question,
            asked_of=question.asked_of and named[question.asked_of],
            answers=tuple(
                structs.replace(answer, column=named[answer.column]) for answer in question.answers
            ),
        )
        for question in tree.questions
    )
    return replace(
        tree,
        name="gz2_debiased",
        questions=questions,
        tables=(structs.replace(columns, columns="{answer}"),),
    )


def without_judged(
    data: Path, work: Path, settings: gv.PackSettings = PACK
) -> tuple[Catalogue, list[gv.Store]]:
    """The catalogue with fractions, and all that is known of galaxies that are not in it."""
    fractions = Catalogue(data, work, "fractions", FRACTIONS, settings=settings)
    others = [
        Catalogue(data, work, f"{name}-whole", sources, settings=settings, **how).without(
            name, fractions.whole
        )
        for name, sources, how in (
            ("classes", CLASSES, {}),
            ("gz2_debiased", GZ2, {"labels": gv.LabelSettings(tree=debiased())}),
            ("gz2", GZ2, {"labels": WEIGHTED}),
        )
    ]
    return fractions, others


def trained(
    stores: gv.Store | list[gv.Store], out: Path, *settings: str, start: gv.Run | None = None
) -> gv.Run:
    """Recipe `compact`, or `finetune` from another run; what is there already goes on."""
    resume = out.exists()
    if start is None:
        return gv.train(stores, out, recipe="compact", settings=settings, resume=resume)
    return gv.finetune(stores, out, start=start, settings=settings, resume=resume)


def enlarged(stores: list[gv.Store], out: Path, *settings: str, start: gv.Run) -> gv.Run:
    """The second stage: from a network of `PACK` to one of `LARGER`; what is there already goes
    on."""
    resume = out.exists()
    how = {"settings": (*ENLARGING, *settings), "other_size": True, "resume": resume}
    return gv.finetune(stores, out, start=start, recipe="compact", **how)
