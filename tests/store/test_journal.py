import json

import numpy as np
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.digests import image_digest
from galaxyvotes.store.format import HEADER_BYTES
from galaxyvotes.store.journal import Chunk, Journal

SIDE = 4


def chunk_of(kept: list[int], rejected: list[int] | None = None) -> Chunk:
    images = np.random.default_rng(kept).integers(0, 256, (len(kept), SIDE, SIDE, 3), np.uint8)
    reasons = [(row, "is empty") for row in rejected or []]
    return Chunk(images, kept, [image_digest(image) for image in images], reasons)


CHUNKS = [chunk_of([0, 1]), chunk_of([3], [2]), chunk_of([], [4, 5]), chunk_of([6, 7])]


@pytest.fixture
def journal(tmp_path) -> Journal:
    journal = Journal(tmp_path / "store.partial", SIDE)
    journal.begin("plan")
    with journal.writing() as write:
        for chunk in CHUNKS:
            write(chunk)
    return journal


def resumed(journal: Journal) -> Journal:
    again = Journal(journal.folder, SIDE)
    again.begin("plan")
    return again


def test_a_journal_says_what_was_kept_and_what_was_rejected(journal):
    assert journal.kept.tolist() == [0, 1, 3, 6, 7]
    assert journal.rejected == [(row, "is empty") for row in (2, 4, 5)]
    assert journal.done == 8
    digests = [digest for chunk in CHUNKS for digest in chunk.digests]
    assert journal.pixel_digests.to_pylist() == digests


def test_a_journal_is_one_line_of_json_a_chunk(journal):
    lines = (journal.folder / "journal.jsonl").read_text().splitlines()
    digest = CHUNKS[1].digests[0].hex()
    assert len(lines) == len(CHUNKS)
    expected = {"kept": [3], "digests": [digest], "rejected": [[2, "is empty"]], "sizes": []}
    assert json.loads(lines[1]) == expected


def test_a_resumed_journal_is_the_one_that_was_written(journal):
    again = resumed(journal)
    assert (again.kept, again.rejected) == (journal.kept, journal.rejected)
    assert again.pixel_digests.equals(journal.pixel_digests)


@pytest.mark.parametrize(
    ("kept_bytes", "done"),
    [(0, 0), (HEADER_BYTES, 0), (HEADER_BYTES + 2 * 48, 2), (HEADER_BYTES + 5 * 48 - 1, 6)],
)
def test_lines_whose_pixels_are_missing_are_packed_again(journal, kept_bytes, done):
    images = journal.folder / "images.npy"
    images.write_bytes(images.read_bytes()[:kept_bytes])
    again = resumed(journal)
    assert again.done == done
    assert images.stat().st_size == HEADER_BYTES + len(again.kept) * SIDE**2 * 3


def test_a_chunk_with_a_flipped_pixel_and_all_behind_it_are_packed_again(journal):
    images = journal.folder / "images.npy"
    data = bytearray(images.read_bytes())
    data[HEADER_BYTES + 2 * 48] ^= 1
    images.write_bytes(data)
    assert resumed(journal).done == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [lines[0], b'{"kept": [1]}\n'],
        lambda lines: [lines[0], b"not json\n"],
        lambda lines: [lines[0], lines[1][:-1]],
    ],
)
def test_lines_that_do_not_follow_or_are_damaged_are_packed_again(journal, change):
    path = journal.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    assert resumed(journal).done == 2
    assert path.read_bytes() == lines[0]


def test_another_plan_is_refused_and_changes_nothing(journal):
    before = {path.name: path.read_bytes() for path in journal.folder.iterdir()}
    with pytest.raises(ConfigError, match="holds the beginning of another packing"):
        Journal(journal.folder, SIDE).begin("another plan")
    assert {path.name: path.read_bytes() for path in journal.folder.iterdir()} == before


def test_with_its_header_the_images_are_an_array_of_numpys(journal):
    journal.write_header()
    images = np.load(journal.folder / "images.npy")
    np.testing.assert_array_equal(images, np.concatenate([chunk.images for chunk in CHUNKS]))
