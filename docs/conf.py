"""Settings of Sphinx: `make docs` builds the pages, and the API reference from the docstrings."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

project = "galaxyvotes"
copyright = "2026, the galaxyvotes developers"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc"]

html_theme = "furo"
html_title = "galaxyvotes"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["style.css"]

myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository that are no pages

default_role = "code"  # `name` in a docstring is code
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True


def read_sections(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Turn sections such as `Raises:` into lists; the extension napoleon would also take what
    stands before a property's colon for its type.
    """
    if what != "property":
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, obj, options).lines()


def setup(app: Sphinx) -> None:
    """Connect `read_sections`."""
    app.connect("autodoc-process-docstring", read_sections)
