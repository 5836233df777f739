from galaxyvotes.sources.band_files import group_bands

GRZ = ("g", "r", "z")


def grouped(*places: list[str]):
    """The groups of files in these places."""
    files = [
        ((number, row), path)
        for number, paths in enumerate(places)
        for row, path in enumerate(paths)
    ]
    return group_bands(files, GRZ)


def test_the_files_of_a_galaxy_are_those_of_one_folder_that_differ_by_the_band():
    first = ["a/1-z.fits", "a/1-g.fits", "a/1-r.fits", "b/1-g.fits", "b/1-r.fits.gz"]
    second = ["1_r.fits", "1_z.fits", "1_g.fits", "b/1-z.fits"]
    galaxies, left_out = grouped(first, second)
    assert galaxies.tolist() == [[[0, 1], [0, 2], [0, 0]], [[1, 2], [1, 0], [1, 1]]]
    assert left_out == [
        ((0, 3), "lacks the files of the bands z"),
        ((0, 4), "lacks the files of the bands z"),
        ((1, 3), "lacks the files of the bands g, r"),
    ]


def test_files_without_band_are_left_out_where_others_have_one():
    _, left_out = grouped(["1-g.fits", "1-r.fits", "1-z.fits", "2.fits", "1-g.jpg"])
    reason = "names none of the bands g, r, z"
    assert left_out == [((0, 3), reason), ((0, 4), "names none of the bands g, r, z")]


def test_nothing_is_grouped_where_no_galaxy_has_all_bands():
    assert grouped(["1.fits", "2-g.fits", "3.jpg"]) is None
