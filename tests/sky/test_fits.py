import bz2
import gzip
import io
import warnings

import numpy as np
import pytest
from astropy.io import fits

from fits_bytes import LEGACY, bands_of, fits_of, header_of
from galaxyvotes import ConfigError, DataError, FitsLayout
from galaxyvotes.sky import fits as module
from galaxyvotes.sky import hdus
from galaxyvotes.sky.fits import read_bands, read_fits

BANDS = bands_of()
UPSIDE_DOWN = BANDS[:, ::-1]  # as pictures have it: the uppermost row first
SIMPLE = "SIMPLE  =                    T"


def axes(bitpix: int, *sides: object) -> list[str]:
    counted = [f"NAXIS{axis:<3}= {side:>20}" for axis, side in enumerate(sides, 1)]
    return [SIMPLE, f"BITPIX  = {bitpix:>20}", f"NAXIS   = {len(sides):>20}", *counted]


@pytest.mark.parametrize(
    "data",
    [
        fits_of(BANDS),
        fits_of(None, BANDS),
        fits_of(np.moveaxis(BANDS, 0, 2)),
        fits_of(BANDS[:, None]),
        fits_of(BANDS.astype(np.float64)),
        fits_of(BANDS.astype("<f4")),
        fits_of(None, fits.CompImageHDU(BANDS, compression_type="GZIP_1", quantize_level=0)),
        fits_of(
            None,
            *(
                fits.ImageHDU(b, fits.Header({"BAND": n}))
                for b, n in zip(BANDS, "grz", strict=True)
            ),
        ),
        gzip.compress(fits_of(BANDS)),
        gzip.compress(fits_of(BANDS)[:5000]) + gzip.compress(fits_of(BANDS)[5000:]) + bytes(512),
        bz2.compress(fits_of(BANDS)),
        fits_of(BANDS) + b"\0" * 2880,
        fits_of(BANDS)[: 2880 + BANDS.nbytes],
    ],
    ids=[
        "primary HDU",
        "extension",
        "band axis last",
        "axis of one pixel",
        "float64",
        "little endian in memory",
        "tiles",
        "an HDU a band",
        "gzip",
        "gzip in two parts",
        "bzip2",
        "zeros behind",
        "without padding",
    ],
)
def test_an_image_is_read_wherever_and_however_it_lies_in_a_file(data):
    image = read_fits(data)
    assert image.bands.dtype == np.float32
    assert (image.bands == UPSIDE_DOWN).all()


def test_tiles_with_losses_differ_by_no_more_than_the_noise():
    data = fits_of(None, fits.CompImageHDU(BANDS, compression_type="RICE_1"))
    assert abs(read_fits(data).bands - UPSIDE_DOWN).max() < 0.005


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "u2", "u4"])
def test_integers_are_what_astropy_reads(kind):
    values = np.arange(600).reshape(20, 30).astype(kind)
    assert (read_fits(fits_of(values)).bands == values[None, ::-1]).all()


def test_scaled_integers_have_their_values_and_blank_ones_none():
    scaled = fits.PrimaryHDU(np.arange(-300, 300, dtype=np.int16).reshape(20, 30))
    scaled.header["BSCALE"], scaled.header["BZERO"], scaled.header["BLANK"] = 0.5, 10.0, -300
    image = read_fits(header_and_pixels(scaled)).bands[0]
    assert np.isnan(image[-1, 0])
    assert np.isfinite(image).sum() == 599
    assert image[-1, 1] == -299 * 0.5 + 10


def test_blank_integers_without_scale_have_no_value():
    plain = fits.PrimaryHDU(np.arange(600, dtype=np.int16).reshape(20, 30))
    plain.header["BLANK"] = 5
    image = read_fits(header_and_pixels(plain)).bands[0]
    assert np.isnan(image[-1, 5])
    assert np.isfinite(image).sum() == 599


def header_and_pixels(unit: fits.PrimaryHDU) -> bytes:
    """A file whose integers astropy has not scaled when it wrote them."""
    pixels = unit.data.astype(unit.data.dtype.newbyteorder(">")).tobytes()
    header = unit.header.tostring().encode()
    return header + pixels + bytes(-len(pixels) % 2880)


def test_the_side_of_a_pixel_is_read_from_the_wcs():
    assert read_fits(fits_of(BANDS, **LEGACY)).arcsec_px == pytest.approx(0.262)
    assert read_fits(fits_of(BANDS)).arcsec_px is None
    assert read_fits(fits_of(BANDS, CTYPE1="RA---TAN", CD1_1=0.0)).arcsec_px is None
    assert read_fits(fits_of(BANDS, CTYPE1="FREQ", CTYPE2="STOKES")).arcsec_px is None
    rotated = {"CDELT1": -1e-4, "CDELT2": 1e-4, "CROTA2": 30.0}
    words = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}
    assert read_fits(fits_of(BANDS, **words, **rotated)).arcsec_px == pytest.approx(0.36)


def test_a_wcs_of_the_primary_hdu_is_that_of_an_image_without_one():
    primary = fits.PrimaryHDU()
    primary.header.update(LEGACY)
    assert read_fits(fits_of(primary, BANDS)).arcsec_px == pytest.approx(0.262)


def test_bands_have_the_names_that_the_file_gives_them():
    assert read_fits(fits_of(BANDS)).names == ()
    assert read_fits(fits_of(BANDS, BAND0="g", BAND1="r", BAND2="z")).names == ("g", "r", "z")
    assert read_fits(fits_of(BANDS[0], FILTER="F606W")).names == ("F606W",)
    assert read_fits(fits_of(BANDS), FitsLayout(bands=("z", "r", "g"))).names == ("z", "r", "g")


def test_weights_and_masks_beside_an_image_are_no_images():
    weight, mask = (fits.ImageHDU(BANDS[0], name=name) for name in ("WHT", "MASK"))
    invvar = fits.ImageHDU(BANDS[0], fits.Header({"IMAGETYP": "invvar"}))
    image = read_fits(fits_of(None, weight, fits.ImageHDU(BANDS[1]), mask, invvar))
    assert (image.bands == UPSIDE_DOWN[1]).all()


def test_an_hdu_can_be_named_by_number_or_name_or_one_for_each_band():
    first, second = (fits.ImageHDU(BANDS[n], name=name) for n, name in enumerate(("ONE", "TWO")))
    data = fits_of(None, first, second)
    for hdu in (2, "2", "two", "TWO"):
        assert (read_fits(data, FitsLayout(hdu)).bands == UPSIDE_DOWN[1]).all()
    both = read_fits(data, FitsLayout(("two", 1)))
    assert (both.bands == UPSIDE_DOWN[[1, 0]]).all()
    with pytest.raises(DataError, match=r"several images, HDU 1 \(ONE, 40 × 40\), HDU 2 \(TWO"):
        read_fits(data)
    with pytest.raises(DataError, match=r"has no HDU 7, only HDU 0 \(empty\), HDU 1 \(ONE, 40 × "):
        read_fits(data, FitsLayout(7))
    with pytest.raises(DataError, match=r"HDU 0 \(empty\) is not an image"):
        read_fits(data, FitsLayout(0))


def test_all_bands_are_named_or_none_and_none_twice():
    with pytest.raises(DataError, match=r"has 3 bands, and 2 are named \(g, r\)"):
        read_fits(fits_of(BANDS), FitsLayout(bands=("g", "r")))
    with pytest.raises(ConfigError, match="one is named twice"):
        FitsLayout(bands=("g", "G"))


# Refusals


TABLE = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(3.0))], name="CAT")
WHOLE = fits_of(BANDS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not begin as a FITS file does"),
        (b"\xff\xd8\xff", "does not begin as a FITS file does"),
        (WHOLE[:300], "the header of HDU 0 has no end"),
        (WHOLE[:5000], "is cut short: the last 17,080 bytes of HDU 0 are missing; fetch it again"),
        (fits_of(None, TABLE), r"holds no image, only HDU 0 \(empty\), HDU 1 \(CAT, no image\)"),
        (fits_of(None), r"holds no image, only HDU 0 \(empty\)"),
        (fits_of(BANDS[0, 0]), r"holds no image, only HDU 0 \(no image\)"),
        (fits_of(np.zeros((30, 40, 20))), "no image of one to 10 bands"),
        (fits_of(np.zeros((2, 3, 40, 20))), "no image of one to 10 bands"),
        (header_of(*axes(-32, 100_000, 100_000)), "is cut short: the last 40,000,000,000 bytes"),
        (header_of(*axes(-32, -5, 7)), "damaged FITS file"),
        (header_of(*axes(-32, "'a'", 7)), "damaged FITS file"),
        (header_of(*axes(-33, 7, 7), size=2880), r"damaged FITS file \(BITPIX is -33 in HDU 0;"),
        (header_of(SIMPLE, "BITPIX  = 8", "NAXIS   = 1001"), "damaged FITS file|1001 axes"),
        (header_of(SIMPLE), "holds no image|damaged FITS file"),
        (gzip.compress(WHOLE, mtime=0)[:-900], "ends before what is packed does"),
        (b"\x1f\x8b\x08\0" + b"?" * 99, "cannot be unpacked"),
        (bz2.compress(WHOLE)[:-9], "ends before what is packed does"),
        (b"BZh9" + b"?" * 99, "cannot be unpacked"),
        (gzip.compress(b"nothing", mtime=0), "does not begin as a FITS file does"),
    ],
)
def test_what_is_no_whole_image_is_refused_with_the_reason(data, reason):
    with pytest.raises(DataError, match=reason):
        read_fits(data)


def test_an_image_that_claims_too_many_pixels_is_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 4000)
    with pytest.raises(DataError, match="40 × 40 × 3 pixels in HDU 0; at most 4,000 are read: cut"):
        read_fits(WHOLE)
    packed = fits_of(None, fits.CompImageHDU(BANDS, compression_type="RICE_1"))
    with pytest.raises(DataError, match="40 × 40 × 3 pixels in HDU 1"):
        read_fits(packed)


def test_what_unpacks_to_too_many_bytes_is_refused_while_it_unpacks(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    for packed in (gzip.compress(WHOLE), bz2.compress(WHOLE)):
        with pytest.raises(DataError, match="unpacks to more than 10,000 bytes"):
            read_fits(packed)


def test_many_hdus_and_a_header_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(hdus, "_MAX_HDUS", 4)
    with pytest.raises(DataError, match="has more than 4 HDUs"):
        read_fits(fits_of(*[None] * 6))
    monkeypatch.setattr(hdus, "_MAX_HEADER_BYTES", 2880)
    with pytest.raises(DataError, match="the header of HDU 0 has no end"):
        read_fits(fits_of(BANDS, **{f"X{number}": number for number in range(60)}))


def test_tiles_larger_than_their_image_are_refused():
    unit = fits.CompImageHDU(BANDS[0], compression_type="GZIP_1", quantize_level=0)
    data = fits_of(None, unit).replace(
        b"ZTILE1  =                   40", b"ZTILE1  =           4000000000"[:30]
    )
    with pytest.raises(DataError, match="damaged FITS file"):
        read_fits(data)


@pytest.mark.parametrize("kind", ["HCOMPRESS_1", "PLIO_1"])
def test_tiles_whose_unpacking_is_not_safe_are_refused(kind):
    counts = (BANDS[0] * 1000).clip(0, None).astype(np.int16)
    unit = fits.CompImageHDU(counts, compression_type=kind)
    with pytest.raises(DataError, match=rf"in tiles by {kind} in HDU 1; read are RICE_1.*funpack"):
        read_fits(fits_of(None, unit))


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS"])
def test_tiles_of_integers_are_read_exactly(kind):
    counts = (BANDS[0] * 1000).astype(np.int16)
    unit = fits.CompImageHDU(counts, compression_type=kind)
    assert (read_fits(fits_of(None, unit)).bands == counts[None, ::-1]).all()


def test_damage_anywhere_in_a_file_is_a_data_error_or_harmless():
    packed = fits_of(None, fits.CompImageHDU(BANDS, compression_type="RICE_1"))
    random = np.random.default_rng(0)
    outcomes = set()
    for whole in (WHOLE, packed):
        for _ in range(150):
            damaged = bytearray(whole)
            for at in random.integers(0, min(len(whole), 9000), 4):
                damaged[at] = random.integers(32, 127)
            try:
                outcomes.add(read_fits(bytes(damaged)).bands.ndim)
            except DataError:
                outcomes.add("refused")
    assert outcomes == {3, "refused"} or outcomes == {2, 3, "refused"}


def test_remarks_of_astropy_are_kept_from_the_user():
    odd = fits.PrimaryHDU(BANDS)
    odd.header["CTYPE1"], odd.header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    odd.header["CD1_1"], odd.header["CD2_2"], odd.header["RADECSYS"] = -1e-4, 1e-4, "FK5"
    file = io.BytesIO()
    fits.HDUList([odd]).writeto(file)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        read_fits(file.getvalue())
    assert shown == []


def test_bands_in_several_files_are_one_image():
    files = [fits_of(band, **LEGACY) for band in BANDS]
    layout = FitsLayout(bands=("g", "r", "z"))
    image = read_bands(files, layout)
    assert (image.bands == UPSIDE_DOWN).all()
    assert (image.names, image.arcsec_px) == (("g", "r", "z"), pytest.approx(0.262))
    assert (read_bands([fits_of(BANDS)]).bands == UPSIDE_DOWN).all()


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (fits_of(BANDS[0])[:-4000], r"\(band z\) is cut short"),
        (fits_of(BANDS[0, :20]), "do not fit each other: g 40 × 40 × 1, r 40 × 40 × 1, z 40 × 20"),
        (fits_of(BANDS[0], **{**LEGACY, "CD1_1": 1.0}), "fit each other: g 0.262, r 0.262, z 30.7"),
    ],
)
def test_bands_that_do_not_fit_each_other_are_no_image(last, reason):
    files = [fits_of(band, **LEGACY) for band in BANDS[:2]]
    with pytest.raises(DataError, match=reason):
        read_bands([*files, last], FitsLayout(bands=("g", "r", "z")))


def test_cubes_are_no_files_of_single_bands():
    with pytest.raises(DataError, match="in the file of one band; expected one plane"):
        read_bands([WHOLE, WHOLE], FitsLayout(bands=("g", "r")))
