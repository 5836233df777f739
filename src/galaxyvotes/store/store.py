"""Packed galaxies, ready to be read at memory speed: one folder.

    store.toml        sizes, splits, where it came from, digests of the small files below
    images.npy        uint8 (galaxy, side, side, 3), RGB, memory-mapped
    galaxies.parquet  one row a galaxy: id, split, source, digest of its pixels, fractions (or
                      quantities), votes, the table's columns
    tree.toml         the decision tree of the votes (absent if there are none)
    rejected.csv      every image and row that could not be used, with its reason

Each image is checked against its digest whenever it is read, so a flipped byte is found at the
galaxy it hits. The same digest tells which galaxies are pixel-identical.
"""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomlkit
from jaxtyping import Bool, Float32, Int, Int32, Shaped, UInt8

from galaxyvotes.config import PackSettings
from galaxyvotes.errors import CheckpointError, DataError
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES
from galaxyvotes.runtime.counted import counted, sentence
from galaxyvotes.runtime.digests import contents_digest, file_digest, image_digest
from galaxyvotes.runtime.files import given_path
from galaxyvotes.store.format import FORMAT, LARGEST, value_column, votes_column
from galaxyvotes.store.held_out import remarks_on_sets
from galaxyvotes.store.seen_before import galaxies_in
from galaxyvotes.store.splits import SPLITS
from galaxyvotes.tree import DecisionTree

__all__ = ["Store"]

_FEW = 10  # galaxies of a class

_LEFT_OUT = "{was} left out (`labels=LabelSettings(unlabelled=True)` keeps {it})"
# What a summary says of counts in the manifest (see `sentence`); a colon stands before the table of
# what was left out.
_COUNTS = {
    "duplicates": "{galaxy} {has} the same pixels as another and {shares} its split",
    "rejected_images": "{image} could not be used:",
    "rows_without_image": "{row} of the table {has} no image:",
    "rows_without_votes": f"{{galaxy}} {{has}} no label and {_LEFT_OUT}",
    "images_without_row": f"{{image}} {{is}} in no row of the table and {_LEFT_OUT}",
    "files_passed_over": "{file} {was} passed over:",
    "rows_without_split": "{galaxy} {is} in no set and {was} left out:",
    "listed_without_galaxy": "{id} in the lists of sets {is} no galaxy's:",
}


@dataclass(frozen=True)
class Store:
    """A store folder, opened for reading with `Store.open`."""

    path: Path
    manifest: dict[str, Any]

    @staticmethod
    def open(path: str | Path) -> "Store":
        """The store in a folder, its small files checked against their digests.

        Raises DataError if the folder is no store, is of a newer format or damaged.
        """
        path = given_path(path)
        if not (path / "store.toml").is_file():
            partial = path.with_name(path.name + ".partial")
            hint = (
                f"; packing it has begun: run the same pack command again to finish {partial}"
                if partial.is_dir()
                else ""
            )
            raise DataError(f"{path} is no store: it has no store.toml{hint}")
        try:
            manifest = tomllib.loads((path / "store.toml").read_text("utf-8"))
            written_as = int(manifest["format"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path / 'store.toml'} is damaged: {error!r}; pack the store again"
            ) from None
        if written_as > FORMAT:
            raise DataError(
                f"{path} was packed by a newer galaxyvotes (format {written_as}; this one reads"
                f" {FORMAT}): upgrade galaxyvotes, or pack it again with this one"
            )
        if contents_digest(manifest, tomlkit.dumps) != manifest.get("digest"):
            raise DataError(
                f"{path / 'store.toml'} is damaged: its digest does not fit; pack the store again"
            )
        for name, digest in manifest["digests"].items():
            if not (path / name).is_file() or file_digest(path / name) != digest:
                raise DataError(
                    f"{path / name} is missing or damaged: its digest does not fit; pack the store"
                    " again"
                )
        store = Store(path, manifest)
        store.check_images()
        return store

    def __repr__(self) -> str:
        """One line: where it is and what is in it."""
        return (
            f"<Store {self.path}: {counted(len(self), 'galaxy')} of {self.size_px} px, tree"
            f" {self.tree.name}>"
        )

    def __len__(self) -> int:
        """The number of galaxies."""
        return int(self.manifest["galaxies"])

    @property
    def digest(self) -> str:
        """One digest of everything in the store: equal digests, equal stores."""
        return str(self.manifest["digest"])

    @property
    def pack(self) -> PackSettings:
        """Which square of each image was kept, and its side."""
        facts = self.manifest
        names = ("crop_px", "size_px", "scale", "image_px", "stretch", "arcsec_px")
        return PackSettings(**{name: facts[name] for name in names if name in facts})

    def must_fit(self, pack: PackSettings, whose: str, *, otherwise: str = "") -> None:
        """CheckpointError if `whose` network, for images packed so, does not take these (see
        `PackSettings.takes`); `otherwise` is another way out.
        """
        if not pack.takes(self.pack):
            raise CheckpointError(
                f"{whose} takes {pack}; {self.path} holds {self.pack}: pack it again with"
                f" `settings=PackSettings({pack.crop_px}, {pack.size_px})`{otherwise}"
            )

    @property
    def size_px(self) -> int:
        """The side of each image."""
        return self.pack.size_px

    @property
    def id_name(self) -> str:
        """What the table calls the id."""
        return str(self.manifest["id_name"])

    @cached_property
    def tree(self) -> DecisionTree:
        """The tree of the votes; DataError if the store has no votes."""
        if not (self.path / "tree.toml").is_file():
            raise DataError(f"{self.path} holds no votes: pack it with a table of votes")
        return DecisionTree.from_toml(
            (self.path / "tree.toml").read_text("utf-8"), str(self.path / "tree.toml")
        )

    @cached_property
    def table(self) -> pa.Table:
        """One row a galaxy, as packed."""
        return pq.read_table(self.path / "galaxies.parquet")

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Each galaxy's id."""
        return tuple(self.table.column(self.id_name).to_pylist())

    @cached_property
    def splits(self) -> Shaped[np.ndarray, " galaxy"]:
        """Each galaxy's split: train, validation or test."""
        return np.array(self.table.column("split").to_pylist())

    @cached_property
    def pixels(self) -> tuple[bytes, ...]:
        """The digest of each galaxy's pixels."""
        return tuple(self.table.column("pixels").to_pylist())

    @cached_property
    def values(self) -> Float32[np.ndarray, "galaxy answer"]:
        """Joint fractions, or the values of quantities, in the order of the tree's columns; NaN
        where not known.
        """
        names = [value_column(self.tree, answer) for answer in self.tree.columns]
        return np.stack(
            [self.table.column(name).to_numpy().astype(np.float32) for name in names], axis=1
        )

    @cached_property
    def votes(self) -> Int32[np.ndarray, "galaxy answer"] | None:
        """Whole counts in the order of the tree's columns, -1 where not known; None if the campaign
        gave none.
        """
        names = [votes_column(answer) for answer in self.tree.columns]
        if names[0] not in self.table.column_names:
            return None
        return np.stack(
            [self.table.column(name).to_numpy().astype(np.int32) for name in names], axis=1
        )

    @cached_property
    def largest(self) -> Int32[np.ndarray, " galaxy"] | None:
        """Which answer's fraction is the largest, by its index in the tree's columns, -1 where not
        known; None if the store does not hold that. A table's own column of that name is not it.
        """
        if LARGEST not in self.manifest:
            return None
        index = {answer: i for i, answer in enumerate(self.tree.columns)}
        names = self.table.column(LARGEST).to_pylist()
        return np.array([index.get(name, -1) for name in names], np.int32)

    @property
    def summary(self) -> str:
        """A few lines on what is in it, and on what was left out of it."""
        facts, rejected = self.manifest, self.path / "rejected.csv"
        divided = ", ".join(f"{count:,} {name}" for name, count in facts["splits"].items())
        galaxies = counted(len(self), "galaxy")
        lines = [f"{self.path}: {galaxies} of {self.size_px} px ({divided})"]
        whose = ", as the bundled model needs" if self.pack == PackSettings() else ""
        lines.append(f"images: {self.pack}{whose}")
        if self.pack.stretch:
            lines.append(f"FITS images: stretch {self.pack.stretch}")
        notes = ("image_sizes", "pixel_scales", "too_small", "too_large", "other_scale")
        lines += [facts[key] for key in notes if key in facts]
        kind = self.tree.kind if facts["votes"] else FRACTIONS
        if kind is QUANTITIES:
            for name, values in zip(self.tree.columns, self.values.T, strict=True):
                known = values[~np.isnan(values)]
                lines.append(f"{name}: {len(known):,} known")
                if len(known):
                    lines[-1] += f", {known.min():g} to {known.max():g}, mean {known.mean():.4g}"
        elif facts["votes"]:
            answers = counted(len(self.tree.columns), "answer")
            what = f"{facts['votes']} (tree {self.tree.name}, {answers})"
            lines.append(f"{'classes' if kind is CLASSES else 'votes'}: {what}")
            lines += self._known_in_part()
        if kind is CLASSES:
            lines += self._count_classes()
        for fact, text in _COUNTS.items():
            if number := facts.get(fact):
                where = f" {rejected}" if text.endswith(":") else ""
                lines.append(sentence(number, text) + where)
        lines += remarks_on_sets(facts)
        if arrays := facts.get("columns_of_arrays"):
            several = sentence(
                len(arrays), "{column} {has} several values a row and {was} left out"
            )
            lines.append(f"{several}: {', '.join(arrays)}")
        if words := facts.get("unknown_words"):
            listed = ", ".join(f"{word!r} ({count:,})" for word, count in words.items())
            lines.append(
                f"read as unknown, not as a class: {listed};"
                " `labels=LabelSettings(class_names={'WORD': 'NAME'})` makes it one"
            )
        return "\n".join(lines)

    def _known_in_part(self) -> list[str]:
        """Which questions are unknown and why, and how many largest fractions are known."""
        lines: list[str] = []
        if unknown := self.manifest.get("unknown_questions"):
            reasons = [
                f"{', '.join(name for name in unknown if unknown[name] == reason)} ({reason})"
                for reason in dict.fromkeys(unknown.values())
            ]
            lines.append(
                f"unknown in this table: {len(unknown)} of"
                f" {counted(len(self.tree.questions), 'question')}: {', '.join(reasons)}"
            )
        if (count := self.manifest.get(LARGEST)) is not None:
            lines.append(
                f"known of {counted(count, 'galaxy')}: which fraction is the largest; the fractions"
                " are not"
            )
        return lines

    def _count_classes(self) -> list[str]:
        """How many galaxies each class has, and a warning for those with few."""
        known = self.values[~np.isnan(self.values).any(axis=1)]
        if not set(np.unique(known)) <= {0, 1}:  # volunteers' fractions of one question
            return []
        counts = dict(zip(self.tree.columns, known.sum(axis=0).astype(int).tolist(), strict=True))
        lines = [", ".join(f"{count:,} {name}" for name, count in counts.items())]
        if few := [name for name, count in counts.items() if count < _FEW]:
            lines.append(
                f"fewer than {_FEW} examples of {', '.join(few)}: too few to learn a class from,"
                " and to judge it by"
            )
        return lines

    def rows(self, split: str) -> Int[np.ndarray, " galaxy"]:
        """The rows of the galaxies of a split; DataError for an unknown one."""
        if split not in SPLITS:
            raise DataError(f"no split {split!r}: one of {', '.join(SPLITS)}")
        return np.flatnonzero(self.splits == split)

    def seen_in(self, seen: pa.Table, *splits: str) -> Bool[np.ndarray, " galaxy"]:
        """Which galaxies stand in a run's table of those it has seen, with `splits` only as such
        (see `store.seen_before`).
        """
        ids, pixels = (self.table.column(name) for name in (self.id_name, "pixels"))
        return galaxies_in(
            seen, self.id_name, ids.combine_chunks(), pixels.combine_chunks(), *splits
        )

    def check_images(self) -> None:
        """DataError if `images.npy` is missing or its header is damaged; pixels are not read."""
        path, expected = self.path / "images.npy", (len(self), self.size_px, self.size_px, 3)
        try:
            pixels = self._pixels
        except Exception as error:  # NumPy's parser raises nearly anything at a damaged header
            raise DataError(
                f"{path} is missing or damaged: {error}; pack the store again"
            ) from None
        if (pixels.shape, pixels.dtype) != (expected, np.uint8):
            raise DataError(
                f"{path} is damaged: it holds {pixels.dtype} {pixels.shape}; expected uint8"
                f" {expected}. Pack the store again"
            )

    def images(self, rows: Int[np.ndarray, " galaxy"]) -> UInt8[np.ndarray, "galaxy side side 3"]:
        """The images of these rows, each checked against its digest; DataError if one differs."""
        images = self._pixels[rows]
        for image, row in zip(images, rows.tolist(), strict=True):
            if image_digest(image) != self.pixels[row]:
                raise DataError(
                    f"{self.path / 'images.npy'}: the pixels of galaxy {self.ids[row]} (row {row})"
                    " are damaged; pack the store again"
                )
        return images

    @cached_property
    def _pixels(self) -> Shaped[np.ndarray, "..."]:
        return np.load(self.path / "images.npy", mmap_mode="r", allow_pickle=False)
