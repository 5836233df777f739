"""How many files of the package one image crosses in `predict`, and with its row in `pack`.

    python benchmarks/walk.py

A profiler notes the file of each function of the package that is called while a command works on
one simulated image. *Files* are those that anything ran in; *changes of file* are the times that
the function that runs next stands in another file than the one before, calls and returns alike.
The command runs once before, so that imports and caches are not counted.
"""

import argparse
import contextlib
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType

from PIL import Image

import galaxyvotes as gv
from provenance import write

PACKAGE = str(Path(str(gv.__file__)).parent)


def walked(action: Callable[[], object]) -> dict[str, int]:
    """Files and changes of file while an action runs, over all of its threads."""
    path: list[str] = []
    lock = threading.Lock()

    def note(frame: FrameType, event: str, _: object) -> None:
        caller = frame if event == "call" else frame.f_back
        if event in ("call", "return") and caller is not None:
            name = caller.f_code.co_filename
            if name.startswith(PACKAGE):
                with lock:
                    path.append(name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    changes = sum(one != other for one, other in pairwise(path))
    return {"files": len(set(path)), "changes of file": changes}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = gv.simulate(folder / "zoo", galaxies=20, size_px=160)
        one = folder / "one.png"
        Image.open(next(iter(sorted(zoo.rglob("*.jpg"))))).resize((424, 424)).save(one)
        single = folder / "single"
        (single / "images").mkdir(parents=True)
        lines = (zoo / "votes.csv").read_text("utf-8").splitlines()
        picture = next(zoo.rglob(f"{lines[1].split(',')[0]}.jpg"))
        (single / "images" / picture.name).write_bytes(picture.read_bytes())
        (single / "votes.csv").write_text("\n".join(lines[:2]) + "\n", "utf-8")

        def predict(out: str) -> None:
            order = inspect.signature(gv.predict).parameters
            arguments = (
                (one, None, folder / out) if list(order)[1] == "run" else (one, folder / out)
            )
            gv.predict(*arguments, workers=1, progress=False)

        def pack(out: str) -> None:
            gv.pack(
                single, folder / out, settings=gv.PackSettings(128, 128), workers=1, progress=False
            )

        predict("first.csv")
        pack("first")
        figures = {
            "predict, one image": walked(lambda: predict("second.csv")),
            "pack, one image and its row": walked(lambda: pack("second")),
        }
    for what, counts in figures.items():
        print(f"{what:30}", ", ".join(f"{value} {name}" for name, value in counts.items()))
    write(given.json, figures)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
