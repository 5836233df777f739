"""How large the images of a source are, and what helps where they are smaller than the crop, or so
large that the crop shows little of them, or show the sky at another scale.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate

from galaxyvotes.config import PackSettings
from galaxyvotes.pack_settings import GALAXY_ZOO_PX
from galaxyvotes.runtime.counted import agreeing, counted

__all__ = ["ImageSizes"]

Size = tuple[int, int]  # width and height, in pixels

_NAMED = 3  # sizes
_LARGE = 1.5  # times the usual side
_MOSAIC_PX = 3 * GALAXY_ZOO_PX  # the shorter side; images of one galaxy are seldom so large
_ROOM = 100  # of a scale: hundredths, rounded down so that the crop fits
_MOST = 0.9  # of the images
_ALIKE = 0.05  # of a pixel's side: those of one camera differ by less


class ImageSizes:
    """The sizes of images that were read, counted, some of which may be smaller than the crop; and
    the sides of their pixels on the sky, in arcsec, of those that say it.
    """

    def __init__(
        self, counts: Mapping[Size, int] | None = None, arcsec: Mapping[float, int] | None = None
    ) -> None:
        """Sizes, and sides of pixels, that were counted before."""
        self.counts = Counter(counts or {})
        self.arcsec = Counter(arcsec or {})

    def count(self, size: Size | None, arcsec_px: float | None) -> None:
        """Count one more image, of which either may not be known; pixels to three digits."""
        if size is not None:
            self.counts[size] += 1
        if arcsec_px is not None:
            self.arcsec[float(f"{arcsec_px:.3g}")] += 1

    def add(self, others: "ImageSizes") -> None:
        """Count images that were counted before, too."""
        self.counts.update(others.counts)
        self.arcsec.update(others.arcsec)

    def sentence(self) -> str:
        """The most common sizes if there are several: "4,300 images of 88 × 88 px, 204 of 120 × 120
        px"; else nothing.
        """
        return f"image sizes: {_listed(self.counts)}" if len(self.counts) > 1 else ""

    def too_small(self, pack: PackSettings) -> str:
        """How many images are smaller than the crop, and the way out; nothing if there are none."""
        side = pack.square_px
        small = Counter({size: n for size, n in self.counts.items() if min(size) < side})
        if not small:
            return ""
        (most, _), *_ = small.most_common(1)
        scale = max(min(most) * _ROOM // pack.crop_px, 1) / _ROOM
        some = f"{self._of_all(small)} smaller"
        return (
            f"{some} than the crop of {side} px ({_listed(small)}): `fit=True` takes whole images,"
            f" `scale={scale:g}` a crop of {round(pack.crop_px * scale)} px"
        )

    def too_large(self, pack: PackSettings) -> str:
        """How many images are much larger than those that the crop is meant for, if most are, and
        the way out; nothing if few are, or if images are taken whole. Where most of the sky shows
        in most of them, as in mosaics, what to do with those.

        The scale that it names shows as much of the median image as the crop does of a usual one.
        """
        if mosaics := self._mosaics(pack):
            return mosaics
        large = Counter({s: n for s, n in self.counts.items() if min(s) > _LARGE * pack.usual_px})
        if not pack.crop_px or 2 * large.total() <= self.counts.total():
            return ""
        scale = round(pack.scale * self.median_px / pack.usual_px, 2)
        return (
            f"{self._of_all(large)} much larger than the"
            f" {pack.usual_px} px that the crop is meant for ({_listed(large)}), and the network"
            f" sees only {agreeing(large.total(), 'its')} central {pack.square_px} px: `fit=True`"
            f" takes whole images, `scale={scale:g}` a crop of {round(pack.crop_px * scale)} px, as"
            f" is right if galaxies cover {scale:g} times as many pixels"
        )

    def _mosaics(self, pack: PackSettings) -> str:
        """How many images are as large as mosaics, if most are and most say where on the sky they
        are, and what to do then; else nothing.
        """
        least = max(_MOSAIC_PX, _LARGE * pack.usual_px)
        large = Counter({size: n for size, n in self.counts.items() if min(size) >= least})
        if 2 * min(large.total(), self.arcsec.total()) <= self.counts.total():
            return ""
        return (
            f"{self._of_all(large)} as large as a mosaic ({_listed(large)}), and the network takes"
            " each for the image of one galaxy: to cut galaxies from mosaics, give a table of their"
            " positions, as `galaxyvotes.detect('MOSAIC', out='sources.fits')` makes one, and"
            " `layout=FitsLayout(mosaic=Mosaic(files=('MOSAIC',), size='30arcsec'))`"
        )

    def _of_all(self, some: "Counter[Size]") -> str:
        """For example "1 of 7 images is"."""
        number = some.total()
        images = counted(self.counts.total(), "image")
        return f"{number:,} of {images} {agreeing(number, 'is')}"

    @property
    def median_px(self) -> int:
        """The shorter side of the median image; 0 without images."""
        return int(_median((min(size), count) for size, count in self.counts.items()))

    @property
    def median_arcsec(self) -> float:
        """The side of a pixel in the median image that says it, in arcsec; 0 if none does."""
        return float(_median(self.arcsec.items()))

    @property
    def common_arcsec(self) -> float:
        """The side of a pixel that nearly all images have which say it, in arcsec; 0 if they
        differ, as where each galaxy is cut in proportion to its size.
        """
        median = self.median_arcsec
        alike = sum(n for side, n in self.arcsec.items() if abs(side / median - 1) <= _ALIKE)
        return median if alike >= _MOST * self.arcsec.total() else 0.0

    def pixel_scales(self, pack: PackSettings) -> str:
        """The sides of pixels, the most common first, and what to do about them: "0.262 arcsec a
        pixel, as in the images of the network", or "arcsec a pixel: 0.262 in 4,300 images, 0.396 in
        204 images: …"; nothing if no image says it.
        """
        if not self.arcsec:
            return ""
        most, every = self.arcsec.most_common(_NAMED), self.counts.total()
        advice = self._advice(pack)
        if most[0][1] == every:
            return f"{most[0][0]:g} arcsec a pixel{advice}"
        rest = every - sum(count for _, count in most)
        named = [f"{side:g} in {counted(count, 'image')}" for side, count in most]
        others = [f"another or not known in {rest:,}"] if rest > 0 else []
        return f"arcsec a pixel: {', '.join([*named, *others])}{advice}"

    def _advice(self, pack: PackSettings) -> str:
        """What to do about the sides of pixels, unless `other_scale` says it."""
        if not pack.crop_px:
            return ""
        if max(self.arcsec) > (1 + _ALIKE) * min(self.arcsec):
            return (
                "; where pixels are larger, galaxies look smaller to the network: take the images"
                " of each scale by themselves, with their own `scale=…`"
            )
        if not pack.arcsec_px and pack.scale == 1:
            return (
                "; that of the network's images is not known: see on a contact sheet whether"
                " galaxies fill as much of the picture as in its images, and if not, give"
                " `scale=…`, or for images from a mosaic another `size=…`"
            )
        alike = pack.arcsec_px and not self.other_scale(pack)
        return ", as in the images of the network" if alike else ""

    def other_scale(self, pack: PackSettings, scale: float | None = None) -> str:
        """What helps if a galaxy covers more or fewer pixels than in the network's images, by the
        sides of the pixels of both; nothing if either is not known. `scale` was given, if any was.
        """
        factor, given = self.median_arcsec * pack.scale, scale or 1.0
        if not (factor and pack.arcsec_px and pack.crop_px):
            return ""
        right = given * pack.arcsec_px / factor
        if abs(right / given - 1) <= _ALIKE:
            return ""
        theirs = pack.arcsec_px * given / pack.scale
        return (
            f"these images have {self.median_arcsec:.3g} arcsec a pixel, those of the network"
            f" {theirs:.3g}: a galaxy covers {right:.3g} times as many pixels, so use"
            f" `scale={right:.3g}`"
        )


def _median(counts: Iterable[tuple[float | int, int]]) -> float | int:
    """The value of the middle one of so many of each; 0 of none."""
    values = sorted(counts)
    totals = [*accumulate(count for _, count in values)]
    middle = (value for (value, _), n in zip(values, totals, strict=True) if 2 * n >= totals[-1])
    return next(middle, 0)


def _listed(counts: "Counter[Size]") -> str:
    named = [
        f"{count:,} of {width} × {height} px"
        for (width, height), count in counts.most_common(_NAMED)
    ]
    others = counts.total() - sum(count for _, count in counts.most_common(_NAMED))
    return ", ".join([*named, *([f"{others:,} of other sizes"] if others else [])])
