import torch

from galaxyvotes.augment import dihedral


def test_every_view_is_one_of_the_eight_sides_and_all_of_them_come():
    image = torch.arange(5 * 5 * 3, dtype=torch.uint8).reshape(5, 5, 3)
    sides = {
        tuple(view.flatten().tolist())
        for turned in (image.rot90(k, (0, 1)) for k in range(4))
        for view in (turned, turned.flip(0))
    }
    views = dihedral(image.expand(400, 5, 5, 3), torch.Generator().manual_seed(1))
    seen = {tuple(view.flatten().tolist()) for view in views}
    assert seen == sides
    assert len(sides) == 8


def test_the_same_seed_gives_the_same_views():
    images = torch.randint(0, 255, (9, 8, 8, 3), dtype=torch.uint8)
    first = dihedral(images, torch.Generator().manual_seed(3))
    assert torch.equal(first, dihedral(images, torch.Generator().manual_seed(3)))
