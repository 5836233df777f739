import torch

from galaxyvotes.networks.batch import Batch


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
