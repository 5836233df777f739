"""How large the images of a source are, and what helps where they are smaller than the crop, or so
large that the crop shows little of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate

from galaxyvotes.config import PackSettings
from galaxyvotes.runtime.counted import agreeing, counted

__all__ = ["ImageSizes"]

Size = tuple[int, int]  # width and height, in pixels

_NAMED = 3  # sizes
_LARGE = 1.5  # times the usual side
_ROOM = 100  # of a scale: hundredths, rounded down so that the crop fits


class ImageSizes:
    """The sizes of images that were read, counted; some may be smaller than the crop."""

    def __init__(self, counts: Mapping[Size, int] | None = None) -> None:
        """Sizes that were counted before."""
        self.counts = Counter(counts or {})

    def add(self, sizes: Iterable[Size]) -> None:
        """Count more images."""
        self.counts.update(sizes)

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
        the way out; nothing if few are, or if images are taken whole.

        The scale that it names shows as much of the median image as the crop does of a usual one.
        """
        large = Counter({s: n for s, n in self.counts.items() if min(s) > _LARGE * pack.usual_px})
        if not pack.crop_px or 2 * large.total() <= self.counts.total():
            return ""
        scale = round(pack.scale * self.median_px / pack.usual_px, 2)
        return (
            f"{self._of_all(large)} much larger than the"
            f" {pack.usual_px} px that the crop is meant for ({_listed(large)}), and the network"
            f" sees only their central {pack.square_px} px: `fit=True` takes whole images,"
            f" `scale={scale:g}` a crop of {round(pack.crop_px * scale)} px, as is right if"
            f" galaxies cover {scale:g} times as many pixels"
        )

    def _of_all(self, some: "Counter[Size]") -> str:
        """For example "1 of 7 images is"."""
        number = some.total()
        images = counted(self.counts.total(), "image")
        return f"{number:,} of {images} {agreeing(number, 'is')}"

    @property
    def median_px(self) -> int:
        """The shorter side of the median image; 0 without images."""
        sides = sorted((min(size), count) for size, count in self.counts.items())
        totals = accumulate(count for _, count in sides)
        middle = (
            side for (side, _), n in zip(sides, totals, strict=True) if 2 * n >= self.counts.total()
        )
        return next(middle, 0)


def _listed(counts: "Counter[Size]") -> str:
    named = [
        f"{count:,} of {width} × {height} px"
        for (width, height), count in counts.most_common(_NAMED)
    ]
    others = counts.total() - sum(count for _, count in counts.most_common(_NAMED))
    return ", ".join([*named, *([f"{others:,} of other sizes"] if others else [])])
