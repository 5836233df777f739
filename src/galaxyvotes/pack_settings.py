"""Which square of an image is kept, and how large it is made: what a store holds and a network
takes.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from galaxyvotes.errors import ConfigError

__all__ = ["GALAXY_ZOO_PX", "PackSettings"]

GALAXY_ZOO_PX = 424  # the side of the images of the challenge and of Galaxy Zoo 2


@dataclass(frozen=True)
class PackSettings:
    """Which square of an image is kept, and the side it is resized to; by default as the bundled
    model needs it.

    `crop_px` is the side of the square in pixels of the images that a network is for; 0 keeps the
    whole image (its largest central square). Where a galaxy covers `scale` times as many pixels as
    in those, the square is as many times as wide. `image_px` is the side of those images, 424 as
    Galaxy Zoo shows them or more if a store was packed from larger ones; it changes no pixel.
    `stretch` names how the bands of FITS images become pictures (see `sky.stretch`), or a TOML
    file; empty, it is `single` for images of one band. `arcsec_px` is the side on the sky of a
    pixel of the images that a network is for, 0 where it is not known, as of Galaxy Zoo's, which
    were cut in proportion to the galaxy; it changes no pixel.
    """

    crop_px: int = 208
    size_px: int = 96
    scale: float = 1.0
    image_px: int = field(default=GALAXY_ZOO_PX, compare=False)
    stretch: str = field(default="", compare=False)
    arcsec_px: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        """Refuse sizes that no image can have."""
        if self.crop_px < 0 or not 8 <= self.size_px <= 2048:
            raise ConfigError(
                f"crop {self.crop_px} px, size {self.size_px} px: crop is 0 (all) or more, size"
                " from 8 to 2048"
            )
        if not 0.01 <= self.scale <= 100:
            raise ConfigError(f"scale is {self.scale}; it lies from 0.01 to 100")
        if self.image_px < 1:
            raise ConfigError(f"image_px is {self.image_px}; the side of an image is 1 or more")
        if not 0 <= self.arcsec_px < 1e6:
            raise ConfigError(f"arcsec_px is {self.arcsec_px}; it is 0 (not known) or more")
        if self.crop_px == 0 and self.scale != 1:
            raise ConfigError("a whole image has no scale: leave out one of the two")

    @property
    def square_px(self) -> int:
        """The side of the square that is kept, in pixels of the image; 0 keeps all of it."""
        return self.crop_px and max(1, round(self.crop_px * self.scale))

    @property
    def usual_px(self) -> int:
        """The side of the images that the square is meant to be cut from, in their pixels: twice
        the square's or more.
        """
        return max(round(self.image_px * self.scale), 2 * self.square_px)

    def for_images(
        self, *, scale: float | None = None, fit: bool = False, stretch: str | None = None
    ) -> "PackSettings":
        """The same for images in which a galaxy covers `scale` times as many pixels, or, to `fit`
        images of any size, of whole images; and for FITS images of another `stretch`.

        Raises ConfigError for both, and for a scale that cannot be.
        """
        if fit and scale is not None:
            raise ConfigError(
                "`fit=True` takes whole images, which have no `scale=…`: leave out one of the two"
            )
        settings = self if stretch is None else replace(self, stretch=stretch)
        if fit:
            return PackSettings(0, self.size_px, stretch=settings.stretch)
        return settings if scale is None else replace(settings, scale=self.scale * scale)

    def takes(self, other: "PackSettings") -> bool:
        """Whether a network that takes such images also takes those of another packing: of the same
        size, and of as much of the sky, or of whole images, which whoever packs them has chosen.
        """
        return self.size_px == other.size_px and other.crop_px in (self.crop_px, 0)

    def to_table(self) -> dict[str, Any]:
        """The settings by name; a scale of 1, the usual side of images and what is not known
        are left out.
        """
        usual = {"scale": 1.0, "image_px": GALAXY_ZOO_PX, "stretch": "", "arcsec_px": 0.0}
        return {name: value for name, value in asdict(self).items() if value != usual.get(name)}

    def __str__(self) -> str:
        """For example "208 px brought to 96 px"."""
        scaled = f" ({self.crop_px} × {self.scale:g})" if self.scale != 1 else ""
        crop = f"{self.square_px} px{scaled}" if self.crop_px else "whole images"
        resized = f" brought to {self.size_px} px" if self.square_px != self.size_px else ""
        return crop + resized
