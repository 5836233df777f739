"""Make the store and the unfinished packing that later versions must still read.

    git worktree add /tmp/before 1751492
    PYTHONPATH=/tmp/before/src python tests/store/data/make.py tests/store/data

Run it with the code at 1751492, before stores had a room of their own: what it writes is that
version's, and is committed so that every later one is tested with it. It writes three folders:
`galaxies` (twelve simulated galaxies of 32 px and their votes), `store` (their central 8 px) and
`store.partial` (the same packing, stopped after eight of them)."""

import os
import shutil
import sys
from importlib import import_module
from pathlib import Path

import galaxyvotes as gv

SETTINGS = gv.PackSettings(crop_px=8, size_px=8)


def stop(folder: Path) -> None:
    """Leave what a packing leaves that is killed after its second chunk of four galaxies."""
    module = import_module("galaxyvotes.pack")
    module.CHUNK = 4

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    module._Packing.finish = interrupt
    try:
        gv.pack("galaxies", folder, settings=SETTINGS, workers=1, progress=False)
    except KeyboardInterrupt:
        partial = folder.with_name(folder.name + ".partial")
    journal, images = partial / "journal.jsonl", partial / "images.npy"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    images.write_bytes(images.read_bytes()[: 128 + 8 * 8 * 8 * 3 + 100])  # in the ninth galaxy


def main(out: Path) -> None:
    os.chdir(out)
    for name in ("galaxies", "store", "store.partial"):
        shutil.rmtree(name, ignore_errors=True)
    gv.simulate("galaxies", galaxies=12, seed=1, size_px=32)
    gv.pack("galaxies", "whole", settings=SETTINGS, workers=1, progress=False)
    stop(Path("store"))
    Path("whole").rename("store")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
