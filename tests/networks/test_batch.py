import numpy as np
import pytest
import torch

from galaxyvotes.networks.batch import Batch, share_of


def of(galaxies: int, *, values: bool = True, votes: bool = True) -> Batch:
    images = torch.randint(0, 256, (galaxies, 4, 4, 3), dtype=torch.uint8)
    return Batch(
        images,
        torch.rand(galaxies, 3) if values else None,
        torch.ones(galaxies, 3, dtype=torch.int32) if votes else None,
    )


def test_parts_are_joined_in_order():
    first, second = of(2), of(3)
    joined = Batch.concatenate([first, second])
    assert len(joined) == 5
    assert torch.equal(joined.images, torch.cat([first.images, second.images]))
    assert joined.values is not None
    assert first.values is not None
    assert torch.equal(joined.values[:2], first.values)
    assert joined.votes is not None


def test_what_one_part_does_not_have_the_whole_does_not_have():
    assert Batch.concatenate([of(2), of(3, votes=False)]).votes is None
    assert Batch.concatenate([of(2, values=False), of(3)]).values is None


def test_a_batch_moves_as_a_whole():
    moved = of(2, votes=False).to(torch.device("meta"))
    assert moved.images.device.type == "meta"
    assert moved.values is not None
    assert moved.values.device.type == "meta"
    assert moved.votes is None


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("galaxies", [0, 1, 6, 64])
def test_the_shares_of_all_processes_are_the_batch_and_differ_by_one_at_most(
    monkeypatch, count, galaxies
):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    parts = []
    for rank in range(count):
        monkeypatch.setenv("RANK", str(rank))
        share = share_of(galaxies)
        assert share.of == galaxies
        assert share.galaxies == share.stop - share.start
        assert share.rows == (share.own if share.galaxies else slice(0, 1))
        parts.append(np.arange(galaxies)[share.own])
    assert np.concatenate(parts).tolist() == list(range(galaxies))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("most", [0, 2, 3, 64])
@pytest.mark.parametrize("galaxies", [1, 2, 5, 64])
def test_every_process_divides_its_share_into_as_many_parts(monkeypatch, count, most, galaxies):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    numbers = set()
    for rank in range(count):
        monkeypatch.setenv("RANK", str(rank))
        share = share_of(galaxies)
        parts = share.parts(most)
        numbers.add(len(parts))
        rows = [row for part in parts for row in range(galaxies)[part.own]]
        assert rows == list(range(galaxies)[share.own])
        assert all(part.of == galaxies for part in parts)
        assert all(part.galaxies for part in parts) or not share.galaxies
        assert all(part.galaxies <= (most or galaxies) for part in parts)
    assert len(numbers) == 1
