import pytest
import torch

from galaxyvotes.networks.augment import dihedral, sky, surveys, views
from galaxyvotes.networks.batch import Share


def test_dihedral_draws_all_eight_flips_and_rotations_and_nothing_else():
    image = torch.arange(5 * 5 * 3, dtype=torch.uint8).reshape(5, 5, 3)
    expected = {
        tuple(view.flatten().tolist())
        for rotated in (image.rot90(k, (0, 1)) for k in range(4))
        for view in (rotated, rotated.flip(0))
    }
    drawn = dihedral(image.expand(400, 5, 5, 3), torch.Generator().manual_seed(1))
    assert {tuple(view.flatten().tolist()) for view in drawn} == expected
    assert len(expected) == 8


def hook(side: int = 33) -> torch.Tensor:
    """An arm with a hook: no rotation makes its mirror image of it."""
    image = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    image[:, side // 2, side // 2 :] = 200
    image[:, side // 2 :, -5:] = 200
    return image


def turns_clockwise(images: torch.Tensor) -> torch.Tensor:
    """Whether the hook of each image, (galaxy, side, side, colour), bends as that of `hook`."""
    side = images.shape[1]
    y, x = torch.meshgrid(*[torch.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    radius = torch.hypot(x, y)
    light = images[..., 0].float() * (radius < side / 2)
    inner, outer = light * (radius < side / 4), light * (radius > side / 3)
    angles = [
        torch.atan2((part * y).sum((1, 2)), (part * x).sum((1, 2))) for part in (inner, outer)
    ]
    return torch.sin(angles[1] - angles[0]) > 0


def test_without_mirror_images_dihedral_draws_the_four_rotations_and_nothing_else():
    image = hook(5)
    expected = {tuple(image[0].rot90(k, (0, 1)).flatten().tolist()) for k in range(4)}
    drawn = dihedral(image.expand(400, 5, 5, 3), torch.Generator().manual_seed(1), mirror=False)
    assert {tuple(view.flatten().tolist()) for view in drawn} == expected
    assert len(expected) == 4


def test_without_mirror_images_sky_never_mirrors_and_changes_nothing_else():
    images = (hook().permute(0, 3, 1, 2) / 255).expand(200, 3, 33, 33)
    plain = sky(images, torch.Generator().manual_seed(0), mirror=False)
    mirrored = sky(images, torch.Generator().manual_seed(0))
    kept = (plain == mirrored).flatten(1).all(dim=1)
    clockwise, among_both = (
        turns_clockwise(each.permute(0, 2, 3, 1)) for each in (plain, mirrored)
    )
    assert 0.4 < kept.float().mean() < 0.6
    assert clockwise.float().mean() > 0.9  # a hook that is shifted far may be mistaken
    assert among_both[~kept].float().mean() < 0.1


@pytest.mark.parametrize("zooms", [(), (1.1,)])
def test_without_mirror_images_all_views_are_rotations_and_different(zooms):
    image = hook()
    found = list(views(image, 16, zooms, mirror=False))
    assert len(found) == 16 * (1 + len(zooms))
    assert torch.equal(found[0], image)
    assert all(turns_clockwise(view).item() for view in found)
    assert len({tuple(view.flatten().tolist()) for view in found}) == len(found)
    quarters = [image.rot90(k, (1, 2)) for k in range(4)]
    assert all(any(torch.equal(view, quarter) for quarter in quarters) for view in found[:4])
    assert not all(turns_clockwise(view).item() for view in views(image, 8))
    assert len(list(views(image, 3, mirror=False))) == 3


def test_views_without_mirror_images_are_rotated_by_multiples_of_22_degrees():
    found = list(views(arm(), 16, mirror=False))
    y, x = torch.meshgrid(*[torch.arange(65) - 32.0] * 2, indexing="ij")
    light = [(view[0, ..., 0].float() - 40) * (torch.hypot(x, y) < 30) for view in found]
    angles = [torch.atan2((part * y).sum(), (part * x).sum()).rad2deg() % 360 for part in light]
    steps = sorted(round(float(angle) / 22.5) % 16 for angle in angles)
    assert steps == list(range(16))
    assert all(abs(float(angle) / 22.5 - round(float(angle) / 22.5)) < 0.1 for angle in angles)


def test_the_same_seed_gives_the_same_flips_and_rotations():
    images = torch.randint(0, 255, (9, 8, 8, 3), dtype=torch.uint8)
    first = dihedral(images, torch.Generator().manual_seed(3))
    assert torch.equal(first, dihedral(images, torch.Generator().manual_seed(3)))


def disc(side: int = 64, radius: float = 12.0) -> torch.Tensor:
    """A smooth round light in the middle, the same from every angle."""
    y, x = torch.meshgrid(*[torch.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    return torch.exp(-(x**2 + y**2) / (2 * radius**2)).expand(1, 3, side, side)


def test_a_galaxy_after_sky_is_still_there_about_as_bright_and_never_out_of_range():
    before = disc().expand(64, 3, 64, 64)
    after = sky(before, torch.Generator().manual_seed(0))
    assert after.shape == before.shape
    assert after.min() >= 0
    assert after.max() <= 1
    assert (after.amax(dim=(1, 2, 3)) > 0.6).all()
    sizes = (after > 0.5).float().sum(dim=(1, 2, 3)) / (before > 0.5).float().sum(dim=(1, 2, 3))
    assert (
        0.4 < sizes.min() < 0.9 < 1.1 < sizes.max() < 2.5
    )  # zoom 1 / 1.2 to 1.2, and brighter is larger


def test_sky_rotates_galaxies_to_every_angle_and_mirrors_half_of_them():
    arm = torch.zeros(1, 3, 65, 65)
    arm[..., 32, 40:52] = 1  # to the right of the centre …
    arm[..., 36, 46:52] = 1  # … with a hook below its end
    after = sky(arm.expand(400, 3, 65, 65), torch.Generator().manual_seed(0))[:, 0]
    y, x = torch.meshgrid(*[torch.arange(65) - 32.0] * 2, indexing="ij")
    light = (after > 0.2) * after
    angle = torch.atan2((light * y).sum(dim=(1, 2)), (light * x).sum(dim=(1, 2)))
    quarters = torch.histc(angle, bins=4, min=-torch.pi, max=torch.pi)
    assert (quarters > 60).all()
    # the hook lies on one side of the arm, or after a mirror image on the other
    radius = torch.hypot(x, y)
    towards = torch.atan2(y, x)[None] - angle[:, None, None]
    side = (light * radius * torch.sin(towards)).sum(dim=(1, 2))
    inner = (light * (radius < 12) * radius * torch.sin(towards)).sum(dim=(1, 2))
    mirrored = (inner - side > 0).float().mean()
    assert 0.4 < mirrored < 0.6


@pytest.mark.parametrize("augment", [dihedral, sky, surveys])
def test_shares_of_a_batch_are_augmented_as_the_whole_batch(augment):
    images = torch.randint(0, 255, (7, 16, 16, 3), dtype=torch.uint8)
    if augment is not dihedral:
        images = images.permute(0, 3, 1, 2) / 255
    whole = augment(images, torch.Generator().manual_seed(2))
    parts = [
        augment(images[start:stop], torch.Generator().manual_seed(2), Share(start, stop, 7))
        for start, stop in ((0, 3), (3, 7))
    ]
    assert torch.equal(torch.cat(parts), whole)
    nothing = augment(images[:1], torch.Generator().manual_seed(2), Share(3, 3, 7))
    assert torch.equal(nothing, whole[:1])


def test_surveys_shows_galaxies_at_half_to_twice_the_scale_most_of_them_as_sky_does():
    after = surveys(disc().expand(600, 3, 64, 64), torch.Generator().manual_seed(0))
    assert 0 <= after.min() < after.max() <= 1
    brightest = after.mean(dim=1).amax(dim=(1, 2), keepdim=True)
    size = ((after.mean(dim=1) > brightest / 2).float().sum(dim=(1, 2))).sqrt()
    size = size / size.median()
    assert 0.3 < size.min() < 0.6
    assert 1.6 < size.max() < 3
    usual = (size > 1 / 1.3) & (size < 1.3)
    assert 0.55 < usual.float().mean() < 0.9


def test_surveys_shows_some_galaxies_in_grey_and_some_blurred_or_noisier():
    red = torch.rand(1, 3, 32, 32) * torch.tensor([1.0, 0.4, 0.2]).view(1, 3, 1, 1)
    plain, changed = (
        augment(red.expand(400, 3, 32, 32), torch.Generator().manual_seed(0))
        for augment in (sky, surveys)
    )

    def colour(images):
        return (images[:, 0] - images[:, 2]).mean(dim=(1, 2))

    assert (colour(plain) > 0.15).all()
    assert 0.08 < (colour(changed).abs() < 0.03).float().mean() < 0.25

    flat = torch.full((400, 3, 32, 32), 0.5)
    rough = [
        augment(flat, torch.Generator().manual_seed(0)).std(dim=(2, 3)).mean(dim=1)
        for augment in (sky, surveys)
    ]
    assert (rough[0] < 0.02).all()
    assert 0.1 < (rough[1] > 0.025).float().mean() < 0.35


def test_the_same_seed_gives_the_same_sky_and_another_seed_another():
    images = torch.rand(4, 3, 32, 32)
    first, again, other = (sky(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_first_eight_views_are_the_flips_and_rotations_the_image_itself_first():
    image = torch.randint(0, 256, (1, 5, 5, 3), dtype=torch.uint8)
    found = list(views(image, 8))
    assert torch.equal(found[0], image)
    expected = [
        view for k in range(4) for view in (image.rot90(k, (1, 2)), image.rot90(k, (1, 2)).flip(2))
    ]
    assert len({tuple(view.flatten().tolist()) for view in found}) == 8
    assert all(any(torch.equal(view, other) for other in expected) for view in found)
    assert len(list(views(image, 3))) == 3


def arm(side: int = 65) -> torch.Tensor:
    """A smooth blob to the right of the centre, on a grey sky."""
    y, x = torch.meshgrid(*[torch.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    light = 40 + 180 * torch.exp(-((x - 12) ** 2 + y**2) / 60)
    return light.round().to(torch.uint8)[None, :, :, None].expand(1, side, side, 3)


def test_the_ninth_view_is_rotated_by_45_degrees_so_that_two_of_them_make_90():
    image = arm()
    first, *_, ninth = views(image, 9)
    twice = list(views(ninth, 9))[8]
    quarters = [image.rot90(k, (1, 2)) for k in (1, 3)]
    apart = [(twice.int() - quarter.int()).abs().max() for quarter in quarters]
    assert torch.equal(first, image)
    assert min(apart) < 10 < 100 < max(apart)
    assert (
        len(
            {
                tuple(view.flatten().tolist())
                for view in views(image.index_fill(1, torch.tensor([20]), 99), 16)
            }
        )
        == 16
    )


def test_a_zoom_enlarges_a_galaxy_by_as_much_and_has_as_many_views():
    image = (disc().permute(0, 2, 3, 1) * 200).round().to(torch.uint8)
    found = list(views(image, 3, (1.2, 0.9)))
    areas = [(view > 100).sum() / (image > 100).sum() for view in found]
    assert len(found) == 9
    assert all(
        abs(area - zoom**2) < 0.03
        for area, zoom in zip(areas, [1] * 3 + [1.2] * 3 + [0.9] * 3, strict=True)
    )
    assert torch.equal(found[1], image.flip(1))
    assert torch.equal(found[4], found[3].flip(1))


def test_a_rotated_image_has_its_own_mirror_image_in_the_corners_and_no_black():
    flat = torch.full((2, 20, 20, 3), 77, dtype=torch.uint8)
    assert all(torch.equal(view, flat) for view in views(flat, 16, (0.9, 1.1)))


def test_a_view_does_not_depend_on_the_other_images_to_the_last_bit():
    images = torch.randint(
        0, 256, (7, 24, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    whole, alone = views(images, 16, (1.1,)), views(images[4:5], 16, (1.1,))
    assert all(torch.equal(a[4:5], b) for a, b in zip(whole, alone, strict=True))
    assert len(list(views(images[:0], 16, (1.1,)))) == 32
