"""Images in folders of classes: which level of the folders is the class.

`spiral/1.jpg` is plain. In `train/spiral/1.jpg` and `spiral/batch1/1.jpg` a level only divides the
images, as its names show: all folders in one folder are called so, or none counts as such, because
`galaxy` beside `star` is a class. What is left has one level whose names differ, or the choice is
not ours.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import cast

import pyarrow as pa

from galaxyvotes.errors import DataError
from galaxyvotes.sources.members import Members
from galaxyvotes.tables.names import name_column

__all__ = ["class_folders"]

# Folders that divide images, as the challenge's `images_test_rev1` does; what is in them is not an
# answer.
_DIVISION = re.compile(
    r"(?:(?:all|my|the|galaxy|galaxies|raw|data|img|jpe?gs?|pngs?|images?)[_ -]?)*"
    r"(?:(?:train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?|all|images?|imgs?|data(?:set)?"
    r"|pictures|photos|files|jpe?gs?|pngs?|batch|part|fold|chunk|shard|split|subset|set|group|dir"
    r"|folder|galaxies)(?:$|[_ .-]|(?=\d))|$).*",
    re.IGNORECASE,
)


def class_folders(images: Members, answers: Sequence[str] | None) -> pa.LargeStringArray | None:
    """For each image the folder that is its class; None if they do not lie in two or more folders.

    `answers` are the classes, if they are known. DataError if several levels could be the classes.
    """
    folders = name_column("/".join(PurePosixPath(image.entry).parts[:-1]) for image in images)
    encoded = folders.dictionary_encode()
    whole = [path.split("/") for path in cast("list[str]", encoded.dictionary.to_pylist())]
    paths = _without_divisions(whole)
    depth = min(map(len, paths), default=0) if all(path != [""] for path in paths) else 0
    levels = [[path[level] for path in paths] for level in range(depth)]
    several = [level for level in levels if len({*level}) > 1]
    if answers is not None:
        several = [level for level in several if {*level} <= {*answers}] or several
    if len(several) > 1:
        listed = " or ".join(_listed(level) for level in several)
        raise DataError(
            f"images lie in folders in folders, and the classes may be {listed}: name the folders"
            " right above the classes as sources, or write a table of image and class"
        )
    if not several:
        return None
    return name_column(several[0]).take(encoded.indices)


def _without_divisions(paths: Sequence[Sequence[str]]) -> list[list[str]]:
    """Paths without the folders that only divide images; [""] if nothing is left."""
    names_in: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for depth, name in enumerate(path):
            names_in.setdefault(tuple(path[:depth]), set()).add(name)
    dividing = {
        folder
        for folder, names in names_in.items()
        if all(_DIVISION.fullmatch(name) for name in names)
    }
    return [
        [name for depth, name in enumerate(path) if tuple(path[:depth]) not in dividing] or [""]
        for path in paths
    ]


def _listed(names: Sequence[str]) -> str:
    different = sorted({*names})
    return f"{', '.join(different[:4])}{' …' if len(different) > 4 else ''} ({len(different)})"
