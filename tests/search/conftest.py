"""A map of the blobs."""

import pytest

from galaxyvotes import GalaxyMap, embed


@pytest.fixture(scope="session")
def blob_map(blobs, blob_run, tmp_path_factory) -> GalaxyMap:
    """The eighty blobs as the network that has learned them represents them."""
    out = tmp_path_factory.mktemp("map") / "map.parquet"
    return embed(blobs, out, run=blob_run, neighbours=4, progress=False).map
