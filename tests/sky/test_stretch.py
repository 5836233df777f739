import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb

from fits_bytes import bands_of
from galaxyvotes import ConfigError, DataError
from galaxyvotes.sky.fits import FitsImage
from galaxyvotes.sky.stretch import Stretch, choose_stretch, stretch_names

BANDS = bands_of()


def test_the_stretch_of_sdss_is_that_of_lupton_and_others():
    # f(I) = asinh(9 I) / 9 is, in the words of astropy, Q and stretch so that 0.1 / asinh(0.1 Q) is
    # 1 / 9 and Q / stretch is 9.
    q = 10 * np.sinh(0.9)
    # Where a band is negative, astropy takes another mean.
    bands = np.maximum(BANDS, 1e-4) * 1000
    blue, green, red = bands * np.array([7.8, 5.7, 4.9]).reshape(-1, 1, 1)
    expected = make_lupton_rgb(red, green, blue, stretch=q / 9, Q=q).astype(int)
    picture = Stretch.load("sdss").picture(bands).astype(int)
    assert abs(picture - expected).max() <= 1
    assert picture.max() == 255


def test_the_stretch_of_the_legacy_surveys_is_that_of_their_viewer():
    # The formula of the viewer's function, with its numbers, pixel by pixel.
    scale = dict(zip("grz", (6.0, 3.4, 2.2), strict=True))
    planes = {name: band * scale[name] + 0.03 for name, band in zip("grz", BANDS, strict=True)}
    mean = sum(np.maximum(0, plane) for plane in planes.values()) / 3
    factor = np.arcsinh(20 * mean) / np.sqrt(20) / np.where(mean == 0, 1e-6, mean)
    expected = np.stack([np.clip(planes[name] * factor, 0, 1) for name in "zrg"], axis=2) * 255
    assert abs(Stretch.load("legacy").picture(BANDS) - expected).max() < 0.51


def test_the_stretch_of_hsc_is_that_of_the_survey_s_own_tool():
    counts = BANDS * 10 ** (0.4 * (27 - 22.5))
    u = np.arcsinh(np.exp(10) * counts * 10 ** (0.4 * (19 - 27))) / np.arcsinh(np.exp(10))
    expected = np.clip((u + 0.05) / (2 / 3 + 0.05), 0, 1)[::-1] * 255
    picture = Stretch.load("hsc").picture(counts)
    assert abs(np.moveaxis(picture, 2, 0) - expected).max() < 0.51


def test_the_stretch_of_euclid_takes_one_two_or_three_bands():
    stretch, bands = Stretch.load("euclid"), bands_of(side=200)
    adjusted = [
        np.clip(y, 0, np.percentile(y, 99.85))
        for y in (np.arcsinh(q * band) for q, band in zip((100, 0.2, 0.1), bands, strict=True))
    ]
    vis, y, j = (255 * plane / plane.max() for plane in adjusted)
    expected = {1: [vis, vis, vis], 2: [y, (vis + y) / 2, vis], 3: [j, y, vis]}
    for count, planes in expected.items():
        picture = np.moveaxis(stretch.picture(bands[:count]), 2, 0)
        assert abs(picture - np.stack(planes)).max() < 1.5, count


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
def test_the_stretch_of_one_band_is_the_same_in_any_unit(unit):
    band = bands_of(1)
    picture = Stretch.load("single").picture(band * np.float32(unit) + np.float32(3 * unit))
    assert (picture[..., 0] == picture[..., 1]).all()
    assert abs(picture.astype(int) - Stretch.load("single").picture(band)).max() <= 1
    assert picture.max() == 255
    assert 5 < np.median(picture) < 90  # the sky is dark, and shows its noise


@pytest.mark.parametrize("name", stretch_names())
def test_a_part_has_the_pixels_of_the_whole_picture(name):
    stretch = Stretch.load(name)
    bands = BANDS[: len(stretch.bands)]
    whole = stretch.picture(bands)
    assert whole.shape == (40, 40, 3)
    assert (stretch.picture(bands, slice(8, 30), slice(3, 25)) == whole[8:30, 3:25]).all()


@pytest.mark.parametrize("name", stretch_names())
def test_pixels_without_value_are_black_and_change_no_others(name):
    stretch = Stretch.load(name)
    bands = BANDS[: len(stretch.bands)].copy()
    whole = stretch.picture(bands)
    bands[:, :3] = np.nan
    bands[0, 5, 5], bands[0, 6, 6] = np.inf, -np.inf
    picture = stretch.picture(bands)
    assert (picture[:3] == 0).all()
    assert picture[5, 5, 2] == picture[6, 6, 2] == 0
    if not (stretch.zscale or stretch.percentile):  # whose limits depend on all pixels
        assert (picture[7:] == whole[7:]).all()


@pytest.mark.parametrize("name", stretch_names())
@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 3e38])
def test_a_constant_image_has_a_picture(name, value):
    stretch = Stretch.load(name)
    bands = np.full((len(stretch.bands), 9, 9), value, np.float32)
    assert len(np.unique(stretch.picture(bands).reshape(-1, 3), axis=0)) == 1


def test_an_image_without_any_value_is_refused():
    with pytest.raises(DataError, match="no pixel with a value there"):
        Stretch.load("legacy").picture(BANDS * np.nan)


def test_bands_are_taken_by_their_names_where_these_are_known():
    image = FitsImage(BANDS, ("Z", "g", "r"))
    _, bands = choose_stretch("legacy", image)
    assert (bands == BANDS[[1, 2, 0]]).all()
    four = FitsImage(bands_of(4), ("g", "r", "i", "z"))
    assert (choose_stretch("legacy", four)[1] == four.bands[[0, 1, 3]]).all()
    vis = FitsImage(BANDS, ("Y", "H", "VIS"))
    assert (choose_stretch("euclid", vis)[1] == BANDS[[2, 0]]).all()
    with pytest.raises(DataError, match=r"has the bands Z, g, r; the stretch sdss is for g, r, i"):
        choose_stretch("sdss", image)
    for others in ((), ("HSC-G", "HSC-R", "HSC-I")):
        assert (choose_stretch("legacy", FitsImage(BANDS, others))[1] == BANDS).all()


def test_one_band_needs_no_name_and_several_ask_for_one():
    stretch, _ = choose_stretch("", FitsImage(bands_of(1), ("i",)))
    assert stretch == Stretch.load("single")
    with pytest.raises(
        DataError,
        match=r"has 3 bands \(g, r, z\), and nothing says how they become colours: name a stretch,"
        r" such as legacy; known are euclid \(VIS Y J\), hsc \(g r i\)",
    ):
        choose_stretch("", FitsImage(BANDS, ("g", "r", "z")))


@pytest.mark.parametrize(
    ("names", "stretch"),
    [("grz", "legacy"), ("gri", "hsc"), (("VIS", "Y", "J"), "euclid"), ("abc", "legacy")],
)
def test_the_stretch_that_is_proposed_is_for_the_bands_that_there_are(names, stretch):
    image = FitsImage(np.ones((3, 9, 9), np.float32), tuple(names))
    with pytest.raises(DataError, match=f"name a stretch, such as {stretch};"):
        choose_stretch("", image)


def test_a_stretch_for_another_number_of_bands_is_refused():
    with pytest.raises(DataError, match=r"has 2 bands; the stretch legacy is for 3 \(g, r, z\)"):
        choose_stretch("legacy", FitsImage(bands_of(2)))
    with pytest.raises(DataError, match=r"one band; the stretch hsc is for g, r, i.* as single"):
        choose_stretch("hsc", FitsImage(bands_of(1)))


def test_a_stretch_can_be_a_file_of_one_s_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\nbands = ["a"]\nscale = [2.0]\n')
    assert Stretch.load(path) == Stretch("Mine", ("a",), (2.0,))
    path = tmp_path / "wrong.toml"
    for text, problem in [
        ('title = "Mine"\nbands = ["a"]\nscale = [2.0]\ncolor = "bands"\n', "did you mean colour"),
        ('title = "Mine"\nbands = ["a"]\nscale = [2.0, 1.0]\n', "a scale for each"),
        ('title = "Mine"\nbands = ["a"]\nscale = [2.0]\nwhite = -1.0\n', "white is above black"),
        ('title = "Mine"\nbands = ["a"]\nscale = [2.0]\npercentile = 101.0\n', "from 0 .* to 100"),
        ('title = "Mine"\nbands = ["a"]\nscale = [2.0]\nfewest = 2\n', "fewest is 2 of 1"),
        ('bands = ["a"]\nscale = [2.0]\n', "no title"),
        ("bands", "not TOML"),
    ]:
        path = tmp_path / f"{len(problem)}.toml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=problem):
            Stretch.load(path)
    with pytest.raises(ConfigError, match="no stretch file"):
        Stretch.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="no stretch 'legacie'; did you mean legacy"):
        Stretch.load("legacie")
