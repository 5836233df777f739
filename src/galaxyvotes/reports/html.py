"""What pages are made of: templates, images as data URIs, and palettes as CSS variables."""

import base64
import io
from dataclasses import asdict
from importlib import resources

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FunctionLoader, StrictUndefined
from PIL import Image

from galaxyvotes.figures.drawing import Palette

__all__ = ["TEMPLATES", "css_variables", "jpeg_bytes", "jpeg_uri", "templates"]

TEMPLATES = resources.files("galaxyvotes.reports") / "templates"

_IMAGE_PX = 192


def jpeg_uri(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """An image as a data URI, made smaller if it is large."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image, _IMAGE_PX)).decode()


def jpeg_bytes(image: UInt8[np.ndarray, "height width 3"], largest_px: int) -> bytes:
    """An image as a JPEG file, made smaller if a side is longer than that."""
    picture = Image.fromarray(image)
    picture.thumbnail((largest_px, largest_px), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def css_variables(palette: Palette, selector: str = ":root") -> str:
    """A CSS rule that gives the elements of a selector the colours of a palette."""
    colours = (f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items())
    return f"{selector} {{ {' '.join(colours)} }}"


def templates() -> Environment:
    """The templates of this folder; what is put into them is escaped, and a name that is not given
    is an error.
    """
    return Environment(
        loader=FunctionLoader(lambda name: (TEMPLATES / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
