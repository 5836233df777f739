"""How large the images of a source are, and what helps where they are smaller than the crop."""

from collections import Counter
from collections.abc import Iterable, Mapping

from galaxyvotes.config import PackSettings

__all__ = ["ImageSizes"]

Size = tuple[int, int]  # width and height, in pixels

_NAMED = 3  # sizes
_ROOM = 100  # of a scale: hundredths, rounded down so that the crop fits


class ImageSizes:
    """The sizes of images that were read, counted; one of them may be smaller than the crop."""

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
        some = f"{small.total():,} of {self.counts.total():,} images are smaller"
        return (
            f"{some} than the crop of {side} px ({_listed(small)}): `fit=True` takes whole images,"
            f" `scale={scale:g}` a crop of {round(pack.crop_px * scale)} px"
        )


def _listed(counts: "Counter[Size]") -> str:
    named = [
        f"{count:,} of {width} × {height} px"
        for (width, height), count in counts.most_common(_NAMED)
    ]
    others = counts.total() - sum(count for _, count in counts.most_common(_NAMED))
    return ", ".join([*named, *([f"{others:,} of other sizes"] if others else [])])
