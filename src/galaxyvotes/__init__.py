"""From galaxy images and volunteers' votes, predict the vote fractions of any other galaxy.

    images + table ──► Catalog ──► Store ──► Batch ──► network ──► Predictions ──► report, table
                 open_catalog    pack     train                predict          evaluate

The public names are listed in `__init__.pyi` and imported when they are first used (Scientific
Python SPEC 1), so `import galaxyvotes` takes no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # pyright: ignore
