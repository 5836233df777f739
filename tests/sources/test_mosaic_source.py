import numpy as np
import pytest
from astropy.io import fits

from galaxyvotes import DataError, FitsLayout, Mosaic, Store, pack
from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.sources.listed_images import open_source
from mosaics import pixels, wcs_of, write_mosaic, write_table

SKY = wcs_of(300, 400)


@pytest.fixture
def layout(tmp_path):
    paths = [
        write_mosaic(tmp_path / f"m-{band}.fits", pixels(seed=n)) for n, band in enumerate("gr")
    ]
    return FitsLayout(mosaic=Mosaic(tuple(paths), "10arcsec"))


def test_the_galaxies_of_a_table_are_images_called_by_their_ids(tmp_path, layout):
    table = write_table(tmp_path / "t.fits", SKY, [300, 100, 200.0], [200, 20, 100.0])
    with open_source([table], layout) as source:
        assert [image.id for image in source.images] == ["1002", "1003", "1001"]
        assert source.images[0].name == "t.fits/1002.fits" or "1002" in source.images[0].name
        cut = source.images[0].cut()
        assert cut.image.bands.shape == (2, 40, 40)
        with fits.open(__import__("io").BytesIO(source.images[0].read())) as units:
            assert np.array_equal(units[0].data, cut.image.bands[:, ::-1])


def test_images_among_the_sources_are_left_alone(tmp_path, layout):
    folder = tmp_path / "all"
    folder.mkdir()
    write_table(folder / "t.fits", SKY, [300.0], [200.0])
    write_mosaic(folder / "other.fits", pixels())
    with open_source([folder], layout) as source:
        assert [image.id for image in source.images] == ["1001"]


def test_tables_without_positions_or_two_with_them_are_refused(tmp_path, layout):
    (tmp_path / "t.csv").write_text("id,x\n1,2\n")
    with pytest.raises(DataError, match=r"no table in .*t.csv has columns right ascension"):
        open_source([tmp_path / "t.csv"], layout)
    one, two = (write_table(tmp_path / f"{n}.fits", SKY, [300.0], [200.0]) for n in "ab")
    with pytest.raises(DataError, match=r"a.fits and b.fits have positions"):
        open_source([one, two], layout)


def test_a_table_of_which_no_galaxy_lies_in_the_mosaic_is_refused(tmp_path, layout):
    table = write_table(tmp_path / "t.fits", SKY, [5000.0], [200.0])
    with pytest.raises(DataError, match=r"t.fits: not one of 1 position lies in the mosaic"):
        open_source([table], layout)


def test_votes_of_the_table_are_packed_with_the_cutouts(tmp_path, layout):
    x, y = np.linspace(50, 350, 12), np.linspace(40, 260, 12)
    x[3] = 5000
    ring = np.array(["yes", "no"] * 6)
    table = write_table(tmp_path / "t.fits", SKY, x, y, ring=ring)
    store = pack(
        table,
        tmp_path / "store",
        labels=LabelSettings(classes="ring"),
        settings=PackSettings(32, 32, stretch="hubble"),
        splits=SplitSettings(0.6, 0.2, 0.2),
        layout=layout,
        progress=False,
    )
    assert len(store) == 11
    assert "1004" not in store.ids
    assert "lies outside the mosaic" in (store.path / "rejected.csv").read_text()
    assert store.pack.arcsec_px == pytest.approx(10 / 424, rel=0.01)
    assert Store.open(tmp_path / "store").tree.columns == ("no", "yes")
