import hashlib
import json

import numpy as np
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.runtime.digests import (
    IMAGE_DIGEST_BYTES,
    blake2b_digest,
    contents_digest,
    digest_of,
    file_digest,
    image_digest,
)

parts = st.lists(st.binary(max_size=20), max_size=5)


def test_the_digest_of_nothing_is_that_of_the_published_algorithm():
    # XXH3, 128 bits, seed 0, of an empty input: https://github.com/Cyan4973/xxHash, sanity tests.
    assert digest_of([]) == "99aa06d3014798d86001c324468d497f"


@given(parts)
def test_a_digest_depends_on_the_bytes_and_not_on_how_they_are_divided(parts):
    assert digest_of(parts) == digest_of([b"".join(parts)])
    assert digest_of(parts) == xxhash.xxh3_128(b"".join(parts)).hexdigest()
    assert blake2b_digest(parts) == hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()


def test_a_file_of_several_blocks_has_the_digest_of_its_bytes(tmp_path):
    content = np.random.default_rng(0).bytes(2**21 + 3)
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == digest_of([content])


def test_an_image_has_the_digest_of_its_pixels_however_they_lie_in_memory():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    digest = image_digest(pixels)
    assert len(digest) == IMAGE_DIGEST_BYTES
    assert digest.hex() == digest_of([pixels.tobytes()])
    assert image_digest(np.asfortranarray(pixels)) == digest
    assert image_digest(pixels[:, ::-1]) != digest


def test_the_digest_of_a_table_can_be_kept_in_the_table():
    table = {"galaxies": 3, "size_px": 16}
    table["digest"] = contents_digest(table, json.dumps)
    assert contents_digest(table, json.dumps) == table["digest"]
    assert contents_digest(table | {"galaxies": 4}, json.dumps) != table["digest"]
